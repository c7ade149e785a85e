// How a receiver wants the hub to authenticate itself, for subscriber_body.cpp. What is refused is
// never repeated.
#include "subscriber_auth.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "eventhub/core/subscriber_headers.hpp"
#include "eventhub/http/base64.hpp"
#include "request_input.hpp"

namespace eventhub::api {
namespace {

class AuthReader {
 public:
  explicit AuthReader(const std::vector<JsonMember>& members) : members_(members) {}

  std::string read() {
    const auto type = text("type");
    if (type == "basic") return basic();
    if (type == "bearer") return bearer();
    if (type) refuse("#/auth/type", "must be basic or bearer");
    return {};
  }

  std::vector<InputError> faults;

 private:
  // RFC 7617: the user's name ends at the first colon.
  std::string basic() {
    only({"type", "username", "password"});
    const std::string user = text("username").value_or(""),
                      password = text("password").value_or("");
    if (user.find(':') != std::string::npos) refuse("#/auth/username", "must not have a colon");
    return "Basic " + http::encode_base64(user + ':' + password);
  }

  // RFC 6750: one word.
  std::string bearer() {
    only({"type", "token"});
    const std::string token = text("token").value_or("");
    const bool word = std::ranges::all_of(token, [](char c) { return c > ' ' && c < 0x7F; });
    if (!word) refuse("#/auth/token", "must be printable ASCII without spaces");
    return "Bearer " + token;
  }

  std::optional<std::string> text(std::string_view name) {
    const auto same = [&](const JsonMember& member) { return member.name == name; };
    const auto found = std::ranges::find_if(members_, same);
    const auto value = found == members_.end() ? std::nullopt : json_string(found->value);
    if (value && !value->empty() && header_fault("X", *value).empty()) return value;
    refuse("#/auth/" + std::string(name), "is needed: one line of text");
    return std::nullopt;
  }

  void only(std::initializer_list<std::string_view> known) {
    for (const JsonMember& member : members_) {
      if (std::ranges::find(known, member.name) != known.end()) continue;
      refuse("#/auth" + pointer_to(member.name).substr(1), "is not known for this type");
    }
  }

  void refuse(std::string pointer, std::string detail) {
    faults.push_back({std::move(detail), std::move(pointer)});
  }

  const std::vector<JsonMember>& members_;
};

}  // namespace

std::variant<std::string, std::vector<InputError>> read_auth(const JsonValue& value) {
  if (value.kind == JsonValue::Kind::null) return std::string();
  const auto refused = [](std::string why) {
    return std::vector<InputError>{{std::move(why), "#/auth"}};
  };
  if (value.kind != JsonValue::Kind::object) return refused("auth must be an object");
  const auto members = read_json_object(value.text, 1);
  if (const auto* error = std::get_if<InputError>(&members)) return refused(error->detail);
  AuthReader reader(std::get<0>(members));
  std::string made = reader.read();
  if (!reader.faults.empty()) return reader.faults;
  return made;
}

}  // namespace eventhub::api
