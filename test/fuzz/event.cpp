// The body of POST /events against the rules of the README, applied to what Boost.JSON reads in it.
#include <algorithm>
#include <map>

#include "eventhub/core/json.hpp"
#include "eventhub/core/time_text.hpp"
#include "fuzz/fuzz.hpp"
#include "fuzz/json_oracle.hpp"

namespace eventhub::fuzz {
namespace {

constexpr std::size_t kDepth = 64;

std::u32string code_points(std::string_view utf8) {
  std::u32string out;
  for (const char c : utf8) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0U) == 0x80) {
      out.back() = (out.back() << 6) | (byte & 0x3FU);
    } else {
      out.push_back(byte < 0x80 ? byte : byte < 0xE0 ? byte & 0x1FU : byte & 0x0FU);
    }
  }
  return out;
}

bool good_type(const Member& member) {
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("_.:/-").find(static_cast<char>(c)) != ~0UL;
  };
  return member.kind == 's' && !member.text.empty() && member.text.size() <= 255 &&
         std::all_of(member.text.begin(), member.text.end(), allowed);
}

bool good_version(const Member& member) {
  const std::string& text = member.text;
  const auto printable = [](char c) { return c >= 0x20 && c <= 0x7E; };
  return member.kind == 's' && !text.empty() && text.size() <= 64 && text.front() != ' ' &&
         text.back() != ' ' && std::all_of(text.begin(), text.end(), printable);
}

bool good_id(const Member& member) {
  const std::u32string text = code_points(member.text);
  const auto control = [](char32_t c) { return c < 0x20 || (c >= 0x7F && c <= 0x9F); };
  return member.kind == 's' && !text.empty() && text.size() <= 255 &&
         std::none_of(text.begin(), text.end(), control);
}

bool good_member(const Member& member) {
  const std::string& name = member.name;
  if (name == "event_type") return good_type(member);
  if (name == "payload") return member.kind == '{' || member.kind == '[';
  if (member.kind == 'n') return true;
  if (name == "version") return good_version(member);
  if (name == "organization_id" || name == "user_id") return good_id(member);
  const bool time = name == "deliver_after" || name == "expires_at";
  return !time || (member.kind == 's' && parse_time(member.text).has_value());
}

using Members = std::map<std::string, Member>;

// The members of the envelope; nothing when the event is to be refused.
std::optional<Members> envelope(const Document& document) {
  Members known;
  if (document.kind != '{') return std::nullopt;
  for (const Member& member : document.members) {
    if (!good_member(member)) return std::nullopt;
    static constexpr std::array<std::string_view, 7> kNames{
        "event_type", "payload",       "version",   "organization_id",
        "user_id",    "deliver_after", "expires_at"};
    if (std::find(kNames.begin(), kNames.end(), member.name) == kNames.end()) continue;
    if (!known.emplace(member.name, member).second) return std::nullopt;
  }
  if (!known.contains("event_type") || !known.contains("payload")) return std::nullopt;
  return known;
}

bool same(const std::optional<std::string>& ours, const Members& members, const char* name) {
  const auto found = members.find(name);
  const bool given = found != members.end() && found->second.kind == 's';
  return given ? ours == found->second.text : !ours;
}

void payload_is_a_slice(std::string_view body, const NewEvent& event) {
  require(body.find(event.payload) != std::string_view::npos, "the payload is a piece of the body");
  require(!validate_json(event.payload, kDepth - 1), "the payload alone is JSON");
  require(event.payload.front() == '{' || event.payload.front() == '[', "it starts at its bracket");
  require(event.payload.back() == '}' || event.payload.back() == ']', "it ends at its bracket");
}

void written_event_is_read_back(const NewEvent& event) {
  std::string body = "{\"event_type\":";
  append_json_string(body, event.event_type);
  body += ",\"version\":";
  append_json_string(body, event.version);
  for (const auto& [name, value] :
       {std::pair{"organization_id", event.organization_id}, std::pair{"user_id", event.user_id}}) {
    body += std::string(",\"") + name + "\":";
    if (value) append_json_string(body, *value);
    if (!value) body += "null";
  }
  body += ",\"payload\":" + event.payload + "}";
  const auto again = parse_new_event(body, kDepth);
  const auto* read = std::get_if<NewEvent>(&again);
  require(read != nullptr, "a written event is accepted");
  require(read->event_type == event.event_type && read->version == event.version &&
              read->organization_id == event.organization_id && read->user_id == event.user_id &&
              read->payload == event.payload,
          "a written event is read back as it was");
}

void judge(std::string_view body) {
  const auto result = parse_new_event(body, kDepth);
  const auto* event = std::get_if<NewEvent>(&result);
  if (event == nullptr) {
    const auto& error = std::get<InputError>(result);
    require(error.pointer.starts_with("#") && error.detail.size() < 150, "a fault is told");
  } else {
    require(!validate_json(body, kDepth), "an accepted event is JSON");
    payload_is_a_slice(body, *event);
    written_event_is_read_back(*event);
  }
  const auto document = read_document(body, kDepth);
  if (!document) {  // not JSON, or one of the differences: their verdict is json.cpp's business
    require(event == nullptr || read_document(without_differences(body), kDepth).has_value(),
            "what is not JSON is no event");
    return;
  }
  const auto members = envelope(*document);
  require(members.has_value() == (event != nullptr), "the rules of the README decide");
  if (event == nullptr) return;
  require(event->event_type == members->at("event_type").text, "the event type is what was sent");
  require(event->version == (members->contains("version") && members->at("version").kind == 's'
                                 ? members->at("version").text
                                 : "v1"),
          "the version is what was sent, or v1");
  require(same(event->organization_id, *members, "organization_id"), "the organization is kept");
  require(same(event->user_id, *members, "user_id"), "the user is kept");
}

}  // namespace
}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  eventhub::fuzz::judge(eventhub::fuzz::text_of(data, size));
  return 0;
}
