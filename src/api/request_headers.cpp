// Content-Type, idempotency keys, trace context and CloudEvents attributes of a request. Called by
// events.cpp and events_batch.cpp.
#include "request_headers.hpp"

#include <algorithm>
#include <array>
#include <charconv>

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

bool starts_with(std::string_view text, std::string_view prefix) {
  return same(text.substr(0, prefix.size()), prefix);
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

// A CloudEvents attribute of a header: quotes undone, then percent-encoding of UTF-8.
std::optional<std::string> attribute_value(std::string_view value) {
  std::string plain(trim(value));
  if (plain.starts_with('"')) {
    auto inner = unquote(plain);
    if (!inner) return std::nullopt;
    plain = std::move(*inner);
  }
  std::string out;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    if (plain[i] != '%') {
      out += plain[i];
      continue;
    }
    unsigned byte = 0;
    const char* from = plain.data() + i + 1;
    if (i + 2 >= plain.size() || std::from_chars(from, from + 2, byte, 16).ptr != from + 2) {
      return std::nullopt;
    }
    out += static_cast<char>(byte);
    i += 2;
  }
  std::string quoted;
  append_json_string(quoted, out);
  if (validate_json(quoted, 1)) return std::nullopt;  // not UTF-8
  return out;
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
  return valid_traceparent(trim(request.header("traceparent")));
}

CloudMode cloud_mode(const http::Request& request) {
  const std::string_view type = trim(request.header("content-type"));
  if (starts_with(type, "application/cloudevents-batch")) return CloudMode::batch;
  if (starts_with(type, "application/cloudevents")) return CloudMode::structured;
  return request.count("ce-specversion") > 0 ? CloudMode::binary : CloudMode::none;
}

std::variant<CloudAttributes, InputError> cloud_attributes(const http::Request& request) {
  CloudAttributes found;
  for (const auto& [name, value] : request.headers) {
    if (!starts_with(name, "ce-")) continue;
    std::string attribute(name.substr(3));
    std::transform(attribute.begin(), attribute.end(), attribute.begin(), lower);
    auto text = attribute_value(value);
    if (!text) return InputError{"the value is not percent-encoded UTF-8", "#/" + attribute};
    for (const auto& other : found) {
      if (other.first != attribute) continue;
      return InputError{"the attribute is given more than once", "#/" + attribute};
    }
    found.emplace_back(std::move(attribute), std::move(*text));
  }
  const std::string_view type = trim(request.header("content-type"));
  if (!type.empty()) found.emplace_back("datacontenttype", type);
  return found;
}

}  // namespace eventhub::api
