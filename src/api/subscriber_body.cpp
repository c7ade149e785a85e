// The body of POST /subscribers and PATCH /subscribers/{id}. Whether values are within their limits
// is asked of the table's constraints (store/subscriber_rules.cpp). Called by subscribers.cpp.
#include "subscriber_body.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cmath>

#include "eventhub/core/subscriber_headers.hpp"
#include "eventhub/http/egress.hpp"
#include "eventhub/http/url.hpp"
#include "eventhub/store/subscriber_admin.hpp"
#include "request_input.hpp"

namespace eventhub::api {
namespace {

using Kind = JsonValue::Kind;

std::string_view text_fault(const JsonValue& value) {
  if (value.kind != Kind::string) return "must be a string";
  const auto text = json_string(value);
  if (!text) return "contains half of a surrogate pair";
  if (text->find('\0') != std::string::npos) return "must not contain U+0000";
  return {};
}

std::string_view flag_fault(const JsonValue& value) {
  return value.kind == Kind::boolean ? std::string_view{} : "must be true or false";
}

std::string_view integer_fault(const JsonValue& value) {
  std::int32_t number = 0;
  const char* end = value.text.data() + value.text.size();
  const auto [at, error] = std::from_chars(value.text.data(), end, number);
  return value.kind == Kind::number && error == std::errc{} && at == end ? std::string_view{}
                                                                         : "must be an integer";
}

std::string_view number_fault(const JsonValue& value) {
  double number = 0;
  const char* end = value.text.data() + value.text.size();
  const auto [at, error] = std::from_chars(value.text.data(), end, number);
  const bool good = value.kind == Kind::number && error == std::errc{} && at == end;
  return good && std::isfinite(number) ? std::string_view{} : "must be a number";
}

template <std::string_view (*Each)(const JsonValue&)>
std::string_view list_fault(const JsonValue& value) {
  if (value.kind != Kind::array) return "must be an array";
  const auto items = json_items(value);
  const bool good = std::all_of(items.begin(), items.end(),
                                [](const JsonValue& item) { return Each(item).empty(); });
  return good ? std::string_view{} : "has an item of a wrong kind";
}

std::string_view any_fault(const JsonValue&) {
  return {};
}

// Columns that are no plain text.
struct Column {
  std::string_view name;
  std::string_view (*fault)(const JsonValue&);
};
constexpr std::array kColumns{
    Column{"event_types", list_fault<text_fault>},
    Column{"ordering_enabled", flag_fault},
    Column{"retry_limit", integer_fault},
    Column{"retry_backoff_seconds", list_fault<number_fault>},
    Column{"retry_jitter", number_fault},
    Column{"is_active", flag_fault},
    Column{"paused", flag_fault},
    Column{"max_in_flight", integer_fault},
    Column{"timeout_ms", integer_fault},
    Column{"rate_limit", number_fault},
    Column{"circuit_failures", integer_fault},
    Column{"circuit_open_ms", integer_fault},
    Column{"headers", any_fault},  // see headers()
};

std::string_view kind_fault(const JsonMember& member) {
  if (member.value.kind == Kind::null) return {};  // the table knows where NULL may be
  const auto same = [&](const Column& column) { return column.name == member.name; };
  const auto* found = std::find_if(kColumns.begin(), kColumns.end(), same);
  return found == kColumns.end() ? text_fault(member.value) : found->fault(member.value);
}

// What is wrong with a webhook's URL; addresses behind a name are judged when it is called.
std::string url_fault(const std::string& text, const Config& config) {
  const auto parsed = http::parse_url(text);
  if (const auto* wrong = std::get_if<std::string>(&parsed)) return *wrong;
  const auto& url = std::get<http::Url>(parsed);
  http::EgressPolicy policy(config.egress);
  policy.listens_on(config.server.bind, config.server.port);
  if (policy.https_only() && !url.tls) return "must be https (egress.https_only)";
  boost::system::error_code no_address;
  const auto address = boost::asio::ip::make_address(url.host, no_address);
  return no_address ? std::string{} : policy.refuse(address, url.port);
}

class BodyReader {
 public:
  BodyReader(const Config& config, bool whole) : config_(config), whole_(whole) {}

  void add(const JsonMember& member) {
    const std::size_t before = body_.faults.size();
    judge(member);
    if (body_.faults.size() > before) return;
    if (!body_.fields.empty()) body_.fields += ',';
    append_json_string(body_.fields, member.name);
    body_.fields.append(":").append(member.value.text);
  }

  SubscriberBody finish() && {
    body_.fields = '{' + body_.fields + '}';
    return std::move(body_);
  }

 private:
  void judge(const JsonMember& member) {
    if (!store::is_subscriber_column(member.name)) {
      return refuse(pointer_to(member.name), "this is no member that can be written");
    }
    const std::string_view fault = kind_fault(member);
    if (!fault.empty()) {
      refuse(pointer_to(member.name), fmt::format("{} {}", member.name, fault));
    } else if (member.name == "headers" && member.value.kind != Kind::null) {
      headers(member.value);
    } else if (member.name == "webhook_url" && member.value.kind == Kind::string) {
      const std::string wrong = url_fault(*json_string(member.value), config_);
      if (!wrong.empty()) refuse("#/webhook_url", "webhook_url: " + wrong);
    }
  }

  void headers(const JsonValue& value) {
    if (value.kind != Kind::object) return refuse("#/headers", "headers must be an object");
    const auto members = read_json_object(value.text, 1);
    if (const auto* error = std::get_if<InputError>(&members)) {
      return refuse("#/headers", "headers: " + error->detail);
    }
    for (const JsonMember& member : std::get<0>(members)) {
      const std::string fault(header(member));
      if (fault.empty()) continue;
      const std::string place = pointer_to(member.name);
      refuse("#/headers" + place.substr(1), fmt::format("this header {}", fault));
    }
  }

  std::string_view header(const JsonMember& member) const {
    const bool taken_away = !whole_ && member.value.kind == Kind::null;
    if (taken_away) return header_fault(member.name, "");
    const std::string_view fault = text_fault(member.value);
    return fault.empty() ? header_fault(member.name, *json_string(member.value)) : fault;
  }

  void refuse(std::string pointer, std::string detail) {
    body_.faults.push_back({std::move(detail), std::move(pointer)});
  }

  const Config& config_;
  bool whole_;
  SubscriberBody body_;
};

}  // namespace

SubscriberBody read_subscriber_body(const std::vector<JsonMember>& members, const Config& config,
                                    bool whole) {
  BodyReader reader(config, whole);
  for (const JsonMember& member : members) reader.add(member);
  return std::move(reader).finish();
}

}  // namespace eventhub::api
