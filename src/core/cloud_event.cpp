// CloudEvents 1.0 on their way in: what of them is an event of the hub. Called by src/api.
#include "eventhub/core/cloud_event.hpp"

#include <algorithm>
#include <array>

#include "event_text.hpp"
#include "eventhub/core/time_text.hpp"

namespace eventhub {
namespace {

using JsonKind = JsonValue::Kind;

char lower_case(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool all_lower_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool all_zeros(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

InputError attribute_error(std::string_view name, std::string_view what) {
  return {std::string(name) + " " + std::string(what), "#/" + std::string(name)};
}

const std::string* find_attribute(const CloudAttributes& attributes, std::string_view name) {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [name](const auto& one) { return one.first == name; });
  return found == attributes.end() ? nullptr : &found->second;
}

struct Mapped {
  std::string_view attribute;
  EventText kind;
  void (*keep)(NewEvent& event, const std::string& text);
};
constexpr std::array kMapped{
    Mapped{"type", EventText::event_type,
           [](NewEvent& event, const std::string& text) { event.event_type = text; }},
    Mapped{"eventversion", EventText::version,
           [](NewEvent& event, const std::string& text) { event.version = text; }},
    Mapped{"organizationid", EventText::id,
           [](NewEvent& event, const std::string& text) { event.organization_id = text; }},
    Mapped{"userid", EventText::id,
           [](NewEvent& event, const std::string& text) { event.user_id = text; }}};
struct MappedTime {
  std::string_view attribute;
  std::optional<Time> NewEvent::*member;
};
constexpr std::array kMappedTimes{MappedTime{"deliverafter", &NewEvent::deliver_after},
                                  MappedTime{"expiresat", &NewEvent::expires_at}};
constexpr std::array<std::string_view, 4> kRequired{"specversion", "id", "source", "type"};

std::optional<InputError> read_times(const CloudAttributes& attributes, NewEvent& event) {
  for (const MappedTime& mapped : kMappedTimes) {
    const std::string* text = find_attribute(attributes, mapped.attribute);
    if (text == nullptr) continue;
    event.*mapped.member = parse_time(*text);
    if (!(event.*mapped.member)) return attribute_error(mapped.attribute, kTimeRule);
  }
  return std::nullopt;
}

// Everything but the data.
std::optional<InputError> read_attributes(const CloudAttributes& attributes, CloudEvent& out) {
  for (const std::string_view name : kRequired) {
    const std::string* text = find_attribute(attributes, name);
    if (text == nullptr) return attribute_error(name, "is required");
    if (text->empty()) return attribute_error(name, "must not be empty");
  }
  if (*find_attribute(attributes, "specversion") != "1.0") {
    return attribute_error("specversion", "must be 1.0");
  }
  for (const std::string_view name : {"id", "source"}) {
    const auto fault = event_text_fault(EventText::cloud_id, *find_attribute(attributes, name));
    if (!fault.empty()) return attribute_error(name, fault);
  }
  out.id = *find_attribute(attributes, "id");
  out.source = *find_attribute(attributes, "source");
  for (const Mapped& mapped : kMapped) {
    const std::string* text = find_attribute(attributes, mapped.attribute);
    if (text == nullptr) continue;
    const std::string_view fault = event_text_fault(mapped.kind, *text);
    if (!fault.empty()) return attribute_error(mapped.attribute, fault);
    mapped.keep(out.event, *text);
  }
  if (auto error = read_times(attributes, out.event)) return error;
  const std::string* type = find_attribute(attributes, "datacontenttype");
  if (type != nullptr && !is_json_media_type(*type)) {
    return attribute_error("datacontenttype", "must be a media type of JSON");
  }
  const std::string* trace = find_attribute(attributes, "traceparent");
  if (trace != nullptr) out.event.traceparent = valid_traceparent(*trace);
  return std::nullopt;
}

// The text of an attribute's value; nullopt for what none can be.
std::optional<std::string> attribute_text(const JsonValue& value) {
  switch (value.kind) {
    case JsonKind::string:
      return json_string(value);
    case JsonKind::number:
    case JsonKind::boolean:
      return std::string(value.text);
    default:
      return std::nullopt;
  }
}

bool is_container(std::string_view json) {
  return !json.empty() && (json.front() == '{' || json.front() == '[');
}

std::string_view trim_json(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = std::min(text.find_first_not_of(kSpace), text.size());
  text.remove_prefix(first);
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

constexpr std::string_view kDataRule = "must be a JSON object or array";

}  // namespace

std::variant<CloudEvent, InputError> make_cloud_event(const CloudAttributes& attributes,
                                                      std::string_view data,
                                                      std::size_t depth_max) {
  CloudEvent out;
  if (auto error = read_attributes(attributes, out)) return std::move(*error);
  if (auto error = validate_json(data, depth_max)) return std::move(*error);
  const std::string_view payload = trim_json(data);
  if (!is_container(payload)) return InputError{"the data " + std::string(kDataRule), "#"};
  out.event.payload = payload;
  return out;
}

std::variant<CloudEvent, InputError> parse_cloud_event(std::string_view text,
                                                       std::size_t depth_max) {
  auto read = read_json_object(text, depth_max);
  if (auto* error = std::get_if<InputError>(&read)) return std::move(*error);
  CloudEvent out;
  CloudAttributes attributes;
  for (const JsonMember& member : std::get<0>(read)) {
    if (member.name == "data_base64") {
      return attribute_error("data_base64", "is not supported: data must be JSON");
    }
    if (member.name == "data") {
      if (!is_container(member.value.text)) return attribute_error("data", kDataRule);
      out.event.payload = member.value.text;
    } else if (member.value.kind != JsonKind::null) {
      auto value = attribute_text(member.value);
      if (value) attributes.emplace_back(member.name, std::move(*value));
    }
  }
  if (auto error = read_attributes(attributes, out)) return std::move(*error);
  if (out.event.payload.empty()) return attribute_error("data", "is required");
  return out;
}

bool is_json_media_type(std::string_view type) {
  std::string name(type.substr(0, type.find(';')));
  while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.pop_back();
  std::transform(name.begin(), name.end(), name.begin(), lower_case);
  return name == "application/json" || name == "text/json" || name.ends_with("+json");
}

std::optional<std::string> valid_traceparent(std::string_view text) {
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return std::nullopt;
  const auto version = text.substr(0, 2), trace = text.substr(3, 32), parent = text.substr(36, 16),
             flags = text.substr(53, 2);
  if (!all_lower_hex(version) || !all_lower_hex(trace) || !all_lower_hex(parent) ||
      !all_lower_hex(flags)) {
    return std::nullopt;
  }
  if (version == "ff" || all_zeros(trace) || all_zeros(parent)) return std::nullopt;
  // Later versions may append fields; what we know of them is what version 00 has.
  if (text.size() > 55 && (version == "00" || text[55] != '-')) return std::nullopt;
  return "00" + std::string(text.substr(2, 53));
}

}  // namespace eventhub
