// Values at given places of a payload, for filters and ordering keys (match.cpp). simdjson would
// want a padded copy, refuses some legal numbers (DOM) and ends at a depth; here one pass over
// the text jumps over what nobody asks for.
#include "eventhub/core/json_pick.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "json_walk.hpp"

namespace eventhub {
namespace {

// RFC 6901: digits without a leading zero.
std::optional<std::uint64_t> array_index(std::string_view token) {
  std::uint64_t index = 0;
  const char* end = token.data() + token.size();
  const auto [at, error] = std::from_chars(token.data(), end, index);
  const bool good = error == std::errc{} && at == end && (token[0] != '0' || token.size() == 1);
  return good ? std::optional(index) : std::nullopt;
}

bool read_token(std::string_view raw, std::string& out) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '~') {
      out += raw[i];
      continue;
    }
    if (++i == raw.size() || (raw[i] != '0' && raw[i] != '1')) return false;
    out += raw[i] == '0' ? '~' : '/';
  }
  return true;
}

}  // namespace

std::optional<JsonPointer> JsonPointer::parse(std::string_view text) {
  if (text.size() > kBytesMax || (!text.empty() && text[0] != '/')) return std::nullopt;
  JsonPointer pointer;
  pointer.text_ = text;
  while (!text.empty()) {
    text.remove_prefix(1);
    const std::size_t end = std::min(text.find('/'), text.size());
    if (!read_token(text.substr(0, end), pointer.tokens_.emplace_back())) return std::nullopt;
    text.remove_prefix(end);
  }
  return pointer;
}

void append_pointer_token(std::string& pointer, std::string_view token) {
  pointer += '/';
  for (const char c : token) {
    if (c == '~') {
      pointer += "~0";
    } else if (c == '/') {
      pointer += "~1";
    } else {
      pointer += c;
    }
  }
}

std::uint32_t JsonPick::child(std::uint32_t parent, const std::string& token) {
  auto& members = nodes_[parent].members;
  const auto by_name = [](const auto& entry, const std::string& name) {
    return entry.first < name;
  };
  const auto at = std::lower_bound(members.begin(), members.end(), token, by_name);
  if (at != members.end() && at->first == token) return at->second;
  const auto made = static_cast<std::uint32_t>(nodes_.size());
  members.emplace(at, token, made);
  if (const auto index = array_index(token)) {
    auto& items = nodes_[parent].items;
    const std::pair entry{*index, made};
    items.insert(std::lower_bound(items.begin(), items.end(), entry), entry);
  }
  nodes_.emplace_back();
  return made;
}

std::uint32_t JsonPick::add(const JsonPointer& pointer) {
  std::uint32_t node = 0;
  for (const std::string& token : pointer.tokens()) node = child(node, token);
  return node;
}

// One pass. Never looks beyond the end, whatever the text is.
class PickScan {
 public:
  PickScan(const JsonPick& pick, std::string_view text, JsonPicked& out)
      : pick_(pick), out_(out), at_(text.data()), end_(at_ + text.size()) {}

  // Stands before a value; afterwards behind it.
  void value(std::uint32_t place) {
    const JsonPick::Node& node = pick_.nodes_[place];
    const char first = peek();
    const char* from = at_;
    if (first == '{' && !node.members.empty()) {
      object(node);
    } else if (first == '[' && !node.items.empty()) {
      array(node);
    } else {
      skip(first);
    }
    if (failed_) return;
    // A place that is only passed is entered, too: it must not be entered again.
    out_.entries_[place] = {{json::kind_of(first), {from, static_cast<std::size_t>(at_ - from)}},
                            out_.round_};
  }

 private:
  char peek() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
    return at_ == end_ ? '\0' : *at_;
  }
  bool take(char wanted) {
    if (peek() != wanted) return false;
    if (at_ != end_) ++at_;
    return true;
  }

  // The bytes between the quotes. What it returns can be unescaped.
  std::string_view string() {
    const char* from = ++at_;
    while (at_ != end_ && *at_ != '"') {
      const std::ptrdiff_t step = *at_ == '\\' ? escape() : 1;
      if (step == 0) break;
      at_ += step;
    }
    if (at_ == end_ || *at_ != '"') {
      fail();
      return {};
    }
    return {from, static_cast<std::size_t>(at_++ - from)};
  }

  // Its length; 0 when it is none.
  std::ptrdiff_t escape() const {
    const auto is_hex_digit = [](unsigned char c) { return std::isxdigit(c) != 0; };
    if (end_ - at_ < 2) return 0;
    if (at_[1] == 'u') {
      return end_ - at_ >= 6 && std::all_of(at_ + 2, at_ + 6, is_hex_digit) ? 6 : 0;
    }
    return std::string_view("\"\\/bfnrt").find(at_[1]) != std::string_view::npos ? 2 : 0;
  }

  void skip(char first) {
    if (first == '"') {
      string();
    } else if (first == '{' || first == '[') {
      skip_brackets();
    } else {
      while (at_ != end_ && std::string_view(",]} \n\t\r").find(*at_) == std::string_view::npos) {
        ++at_;
      }
    }
  }

  void skip_brackets() {
    std::size_t open = 0;
    while (at_ != end_) {
      const char c = *at_;
      if (c == '"') {
        string();
        continue;
      }
      ++at_;
      if (c == '{' || c == '[') ++open;
      if ((c == '}' || c == ']') && --open == 0) return;
    }
  }

  // The place of a member; 0 when nobody asks for it, or it has been there before.
  std::uint32_t member(const JsonPick::Node& node, std::string_view raw) {
    std::string_view name = raw;
    if (raw.find('\\') != std::string_view::npos) {
      plain_.clear();
      if (!json::unescape(raw, plain_)) return 0;  // half of a surrogate pair: no pointer has it
      name = plain_;
    }
    const auto before = [](const auto& entry, std::string_view wanted) {
      return entry.first < wanted;
    };
    const auto found = std::lower_bound(node.members.begin(), node.members.end(), name, before);
    if (found == node.members.end() || found->first != name) return 0;
    return out_.at(found->second) == nullptr ? found->second : 0;
  }

  void object(const JsonPick::Node& node) {
    ++at_;
    if (take('}')) return;
    do {
      if (peek() != '"') return fail();
      const std::uint32_t place = member(node, string());
      if (!take(':')) return fail();
      if (place != 0) {
        value(place);
      } else {
        skip(peek());
      }
    } while (take(','));
    if (!take('}')) fail();
  }

  void array(const JsonPick::Node& node) {
    ++at_;
    if (take(']')) return;
    auto next = node.items.begin();
    std::uint64_t index = 0;
    do {
      if (next != node.items.end() && next->first == index) {
        value(next++->second);
      } else {
        skip(peek());
      }
      ++index;
    } while (take(','));
    if (!take(']')) fail();
  }

  // The text is no JSON.
  void fail() {
    failed_ = true;
    at_ = end_;
  }

  const JsonPick& pick_;
  JsonPicked& out_;
  const char* at_;
  const char* end_;
  bool failed_ = false;
  std::string plain_;
};

void JsonPick::read(std::string_view document, JsonPicked& out) const {
  if (out.entries_.size() < nodes_.size()) out.entries_.resize(nodes_.size());
  ++out.round_;
  if (!document.empty()) PickScan(*this, document, out).value(0);
}

}  // namespace eventhub
