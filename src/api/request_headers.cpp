// Content-Type, idempotency keys and trace context of a request. Called by events.cpp.
#include "request_headers.hpp"

#include <algorithm>
#include <array>

namespace eventhub::api {
namespace {

constexpr std::size_t kKeyMax = 255;

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool same(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// The text of a structured-field string; nullopt when the quotes or escapes are wrong.
std::optional<std::string> unquote(std::string_view text) {
  if (text.size() < 2 || text.back() != '"') return std::nullopt;
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') return std::nullopt;
    if (text[i] == '\\') {
      ++i;
      if (i == text.size() || (text[i] != '"' && text[i] != '\\')) return std::nullopt;
    }
    out += text[i];
  }
  return out;
}

bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7F; });
}

bool all_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool all_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

InputError key_error(std::string_view detail) {
  return {std::string(detail), "#"};
}

// One header's value as a key.
std::variant<std::string, InputError> read_key(std::string_view value) {
  std::string key(trim(value));
  if (key.starts_with('"')) {
    auto plain = unquote(key);
    if (!plain) return key_error("the idempotency key is not a well-formed quoted string");
    key = std::move(*plain);
  }
  if (key.empty() || key.size() > kKeyMax || !printable(key)) {
    return key_error("the idempotency key must be 1 to 255 printable ASCII characters");
  }
  return key;
}

}  // namespace

bool has_media_type(const http::Request& request, std::string_view type) {
  const std::string_view value = request.header("content-type");
  return same(trim(value.substr(0, value.find(';'))), type);
}

bool is_json(const http::Request& request) {
  return has_media_type(request, "application/json");
}

std::variant<std::optional<std::string>, InputError> idempotency_key(const http::Request& request) {
  std::optional<std::string> found;
  for (const auto& [name, value] : request.headers) {
    if (!same(name, "idempotency-key") && !same(name, "x-idempotency-key")) continue;
    auto key = read_key(value);
    if (auto* error = std::get_if<InputError>(&key)) return std::move(*error);
    if (found && *found != std::get<std::string>(key)) {
      return key_error("the request has two different idempotency keys");
    }
    found = std::get<std::string>(std::move(key));
  }
  return found;
}

std::optional<std::string> traceparent(const http::Request& request) {
  if (request.count("traceparent") != 1) return std::nullopt;
  const std::string_view text = trim(request.header("traceparent"));
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const auto version = text.substr(0, 2), trace = text.substr(3, 32), parent = text.substr(36, 16),
             flags = text.substr(53, 2);
  if (!all_hex(version) || !all_hex(trace) || !all_hex(parent) || !all_hex(flags))
    return std::nullopt;
  if (version == "ff" || all_zero(trace) || all_zero(parent)) return std::nullopt;
  // Later versions may append fields; what we know of them is what version 00 has.
  if (text.size() > 55 && (version == "00" || text[55] != '-')) return std::nullopt;
  return "00" + std::string(text.substr(2, 53));
}

}  // namespace eventhub::api
