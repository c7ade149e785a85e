#pragma once
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>
#include <cctype>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A second opinion on JSON texts: Boost.JSON's parser, which shares nothing with ours (nor with
// simdjson, which judges UTF-8 for ours).
namespace eventhub::fuzz {

// A member of the outermost object: its name and value with escapes undone.
struct Member {
  std::string name;
  char kind = 0;  // s: string, n: null, { and [, v: another value
  std::string text;
};

struct Document {
  char kind = 0;  // of the outermost value
  std::vector<Member> members;
};

class DocumentHandler {
 public:
  using Error = boost::json::error_code;
  using Text = boost::json::string_view;
  static constexpr std::size_t max_object_size = ~std::size_t{0};
  static constexpr std::size_t max_array_size = ~std::size_t{0};
  static constexpr std::size_t max_key_size = ~std::size_t{0};
  static constexpr std::size_t max_string_size = ~std::size_t{0};

  Document document;

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) { return open('{'); }
  bool on_object_end(std::size_t, Error&) { return close(); }
  bool on_array_begin(Error&) { return open('['); }
  bool on_array_end(std::size_t, Error&) { return close(); }
  bool on_key_part(Text text, std::size_t, Error&) { return keep(text); }
  bool on_key(Text text, std::size_t, Error&) {
    keep(text);
    if (depth_ == 1) document.members.push_back({std::move(text_), 0, {}});
    text_.clear();
    return true;
  }
  bool on_string_part(Text text, std::size_t, Error&) { return keep(text); }
  bool on_string(Text text, std::size_t, Error&) {
    keep(text);
    value('s');
    if (depth_ == 1 && document.kind == '{') document.members.back().text = std::move(text_);
    text_.clear();
    return true;
  }
  bool on_number_part(Text, Error&) { return true; }
  bool on_int64(std::int64_t, Text, Error&) { return value('v'); }
  bool on_uint64(std::uint64_t, Text, Error&) { return value('v'); }
  bool on_double(double, Text, Error&) { return value('v'); }
  bool on_bool(bool, Error&) { return value('v'); }
  bool on_null(Error&) { return value('n'); }
  bool on_comment_part(Text, Error&) { return true; }
  bool on_comment(Text, Error&) { return true; }

 private:
  bool keep(Text text) {
    text_.append(text.data(), text.size());
    return true;
  }
  bool value(char kind) {
    if (depth_ == 0) document.kind = kind;
    if (depth_ == 1 && document.kind == '{') document.members.back().kind = kind;
    return true;
  }
  bool open(char kind) {
    value(kind);
    ++depth_;
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }

  std::size_t depth_ = 0;
  std::string text_;
};

// The document, or nothing when Boost.JSON refuses the text.
inline std::optional<Document> read_document(std::string_view text, std::size_t depth_max) {
  boost::json::parse_options options;
  options.max_depth = depth_max;
  boost::json::basic_parser<DocumentHandler> parser(options);
  boost::json::error_code error;
  const std::size_t read = parser.write_some(false, text.data(), text.size(), error);
  if (error || read != text.size() || !parser.done()) return std::nullopt;
  return std::move(parser.handler().document);
}

// The two differences to our grammar taken away without changing whether the text is JSON: halves
// of surrogate pairs, which Boost.JSON refuses (it makes UTF-8 of them), become another character,
// and exponents that it cannot count become short.
inline std::string without_differences(std::string_view text) {
  std::string out;
  std::size_t exponent_digits = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto at = [&](std::size_t offset) {
      return i + offset < text.size() ? static_cast<unsigned char>(text[i + offset]) : '\0';
    };
    const bool after_exponent = at(0) == 'e' || at(0) == 'E' || at(0) == '+' || at(0) == '-';
    if (after_exponent) exponent_digits = 1;
    if (std::isdigit(at(0)) == 0 && !after_exponent) exponent_digits = 0;
    if (exponent_digits > 0 && std::isdigit(at(0)) != 0 && ++exponent_digits > 9) continue;
    const bool surrogate = at(0) == '\\' && at(1) == 'u' && (at(2) | 0x20) == 'd' &&
                           std::isxdigit(at(3)) != 0 && at(3) >= '8' && std::isxdigit(at(4)) != 0 &&
                           std::isxdigit(at(5)) != 0;
    out += surrogate ? std::string("\\u0041") : std::string(1, text[i]);
    if (surrogate) i += 5;
  }
  return out;
}

}  // namespace eventhub::fuzz
