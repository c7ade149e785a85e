// What management requests say: the id in the path, query parameters, members of a JSON body.
// Called by the handlers of each resource.
#include "request_input.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "eventhub/core/time_text.hpp"
#include "request_headers.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr std::int64_t kLimitDefault = 50;
constexpr std::int64_t kLimitMax = 200;
constexpr std::size_t kDateAndT = 11;
constexpr std::size_t kNameShown = 64;  // a longer one is nobody's typing error

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    unsigned byte = 0;
    const char* from = text.data() + i + 1;
    if (i + 2 >= text.size() || std::from_chars(from, from + 2, byte, 16).ptr != from + 2) {
      return std::nullopt;
    }
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

// What PostgreSQL takes as text.
bool is_text(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return false;
  std::string quoted;
  append_json_string(quoted, text);
  return !validate_json(quoted, 1).has_value();
}

// A name as a part of a JSON Pointer.
std::string escaped(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

}  // namespace

Uuid path_id(const http::Request& request, std::string_view what) {
  std::string_view rest = request.path.substr(1);
  rest.remove_prefix(rest.find('/') + 1);
  const auto id = parse_uuid(rest.substr(0, rest.find('/')));
  if (!id) throw Refused(problem(404, fmt::format("there is no {} with this id", what)));
  return *id;
}

Parameters::Parameters(const http::Request& request, Names known) : place_("?") {
  std::string_view rest = request.query;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('&'), rest.size());
    if (end > 0) add(rest.substr(0, end), known);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

Parameters::Parameters(const std::vector<JsonMember>& members, Names known, std::string place)
    : place_(std::move(place)) {
  using Kind = JsonValue::Kind;
  for (const auto& [name, value] : members) {
    require_known(name, known);
    if (value.kind == Kind::null) continue;
    if (value.kind == Kind::object || value.kind == Kind::array) {
      refuse(name, "must be a single value");
    }
    auto text = value.kind == Kind::string ? json_string(value) : std::string(value.text);
    if (!text || !is_text(*text)) refuse(name, "must be text without U+0000 and half surrogates");
    if (value.kind == Kind::string) json_texts_.insert(name);
    values_.emplace(name, std::move(*text));
  }
}

void Parameters::add(std::string_view pair, Names known) {
  const std::size_t equals = std::min(pair.find('='), pair.size());
  const auto name = percent_decoded(pair.substr(0, equals));
  require_known(name.value_or(""), known);
  auto value = percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
  if (!value || !is_text(*value)) refuse(*name, "must be percent-encoded UTF-8");
  if (!values_.emplace(*name, std::move(*value)).second) refuse(*name, "is given more than once");
}

void Parameters::require_known(std::string_view name, Names known) const {
  if (std::find(known.begin(), known.end(), name) != known.end()) return;
  const bool shown = is_text(name) && name.size() <= kNameShown;
  const std::string there =
      known.size() == 0 ? "nothing" : fmt::format("{}", fmt::join(known, ", "));
  refuse(shown ? name : "", "is not known here; there is: " + there);
}

void Parameters::refuse(std::string_view name, std::string_view why) const {
  const bool query = place_ == "?";
  const std::string pointer = query ? std::string(name) : escaped(name);
  const InputError error{fmt::format("{} {}", name.empty() ? "this" : name, why), place_ + pointer};
  throw Refused(query ? invalid(error) : unprocessable({&error, 1}));
}

std::optional<std::string> Parameters::text(std::string_view name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<bool> Parameters::flag(std::string_view name) const {
  const auto value = text(name);
  if (!value) return std::nullopt;
  if (is_json_text(name) || (*value != "true" && *value != "false"))
    refuse(name, "must be true or false");
  return *value == "true";
}

std::optional<std::int64_t> Parameters::number(std::string_view name, std::int64_t min,
                                               std::int64_t max) const {
  const auto value = text(name);
  if (!value) return std::nullopt;
  std::int64_t number = 0;
  const char* end = value->data() + value->size();
  const auto [at, error] = std::from_chars(value->data(), end, number);
  if (is_json_text(name) || error != std::errc{} || at != end || number < min || number > max) {
    refuse(name, fmt::format("must be a number from {} to {}", min, max));
  }
  return number;
}

std::optional<double> Parameters::positive(std::string_view name, double max) const {
  const auto value = text(name);
  if (!value) return std::nullopt;
  double number = 0;
  const char* end = value->data() + value->size();
  const auto [at, error] = std::from_chars(value->data(), end, number);
  if (is_json_text(name) || error != std::errc{} || at != end || !(number > 0 && number <= max)) {
    refuse(name, fmt::format("must be a number above 0, up to {}", max));
  }
  return number;
}

std::optional<Uuid> Parameters::uuid(std::string_view name) const {
  const auto value = text(name);
  if (!value) return std::nullopt;
  const auto id = parse_uuid(*value);
  if (!id) refuse(name, "must be a UUID");
  return id;
}

std::optional<Time> Parameters::time(std::string_view name) const {
  auto value = text(name);
  if (!value) return std::nullopt;
  // A plus sign that was not encoded came here as a space: before the offset it is one.
  if (value->size() > kDateAndT) std::replace(value->begin() + kDateAndT, value->end(), ' ', '+');
  const auto time = parse_time(*value);
  if (!time) refuse(name, "must be a time like 2026-01-31T08:00:00Z (RFC 3339)");
  return time;
}

std::optional<std::string> Parameters::word(std::string_view name,
                                            std::span<const std::string_view> words) const {
  auto value = text(name);
  if (value && std::find(words.begin(), words.end(), *value) == words.end()) {
    refuse(name, fmt::format("must be one of: {}", fmt::join(words, ", ")));
  }
  return value;
}

int Parameters::limit() const {
  return static_cast<int>(number("limit", 1, kLimitMax).value_or(kLimitDefault));
}

std::vector<JsonMember> read_members(const http::Request& request, std::size_t depth_max,
                                     std::string_view other_type) {
  if (request.body.empty() && request.count("content-type") == 0) return {};
  if (request.count("content-type") > 1) {
    throw Refused(problem(400, "the request has more than one Content-Type"));
  }
  if (!is_json(request) && (other_type.empty() || !has_media_type(request, other_type))) {
    throw Refused(problem(415, "the Content-Type must be application/json"));
  }
  return members_of(request.body, depth_max);
}

std::vector<JsonMember> members_of(std::string_view text, std::size_t depth_max) {
  auto members = read_json_object(text, depth_max);
  if (const auto* error = std::get_if<InputError>(&members)) throw Refused(invalid(*error));
  return std::get<0>(std::move(members));
}

bool read_force(const http::Request& request, std::size_t depth_max) {
  const Parameters body(read_members(request, depth_max), {"force"});
  return body.flag("force").value_or(false);
}

std::string pointer_to(std::string_view name) {
  return name.size() > kNameShown ? "#" : "#/" + escaped(name);
}

}  // namespace eventhub::api
