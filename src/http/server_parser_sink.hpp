#pragma once
#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "http/gate.hpp"

// Only for server_parser.cpp: the one file of the server that compiles Beast's parser.
namespace eventhub::http {

namespace beast = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

struct FieldSlice {
  std::uint32_t at = 0, size = 0;
  std::string_view in(const char* base) const { return {base + at, size}; }
};

inline bool is_stray_control(char c) {
  return (c >= 0 && c < ' ' && c != '\t') || c == 0x7f;
}

// Beast calls back for each part; only offsets and numbers are kept.
class ParserSink final : public beast::basic_parser<true> {
 public:
  ParserSink() {
    header_limit(std::numeric_limits<std::uint32_t>::max() / 2);  // RequestParser counts for itself
    body_limit(boost::none);                                      // the gate judges Content-Length
  }
  const char* base = nullptr;
  std::size_t available = 0;
  const Limits* limits = nullptr;
  std::vector<std::pair<FieldSlice, FieldSlice>>* fields = nullptr;
  std::string* body = nullptr;
  FieldSlice method, target;
  int version = 11;
  bool head = false, in_body = false;
  std::size_t beside_body_bytes = 0, trailers = 0;
  Refused refused;

 private:
  void stop(error_code& error, Refused why) {
    refused = why;
    error = beast::error::bad_value;
  }
  FieldSlice slice(string_view view) const {
    return {static_cast<std::uint32_t>(view.data() - base),
            static_cast<std::uint32_t>(view.size())};
  }
  void on_request_impl(beast::verb verb, string_view name, string_view path, int number,
                       error_code&) override {
    method = slice(name);
    target = slice(path);
    version = number;
    head = verb == beast::verb::head;
  }
  void on_field_impl(beast::field, string_view name, string_view value,
                     error_code& error) override {
    if (in_body) {
      if (++trailers > limits->fields_max) stop(error, {431, "too many trailers"});
      return;
    }
    // A value that was joined from folded lines lies in the parser's own memory.
    const auto address = reinterpret_cast<std::uintptr_t>(value.data());
    const auto begin = reinterpret_cast<std::uintptr_t>(base);
    if (address < begin || address > begin + available) {
      return stop(error, {400, "folded header lines are obsolete"});
    }
    if (fields->size() == limits->fields_max) return stop(error, {431, "too many header fields"});
    fields->emplace_back(slice(name), slice(value));
  }
  void on_chunk_header_impl(std::uint64_t, string_view extensions, error_code& error) override {
    beside_body_bytes += extensions.size();
    if (beside_body_bytes > limits->header_bytes_max) {
      stop(error, {431, "too many chunk extensions"});
    } else if (std::any_of(extensions.begin(), extensions.end(), is_stray_control)) {
      stop(error, {400, "a chunk is malformed"});
    }
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view data, error_code&) override {
    body->append(data.data(), data.size());
    return data.size();
  }
  // Bodies with a Content-Length never come here: the connection reads them itself.
  std::size_t on_body_impl(string_view data, error_code&) override { return data.size(); }
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  void on_finish_impl(error_code&) override {}
};

}  // namespace eventhub::http
