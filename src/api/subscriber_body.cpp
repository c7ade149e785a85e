// The body of POST /subscribers and PATCH /subscribers/{id}. Whether values are within their limits
// is asked of the table's constraints (store/subscriber_rules.cpp). Called by subscribers.cpp.
#include "subscriber_body.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <charconv>
#include <cmath>
#include <set>

#include "eventhub/core/filter.hpp"
#include "eventhub/core/subscriber_headers.hpp"
#include "eventhub/http/egress.hpp"
#include "eventhub/http/sign.hpp"
#include "eventhub/http/url.hpp"
#include "eventhub/store/subscriber_admin.hpp"
#include "request_input.hpp"
#include "subscriber_auth.hpp"

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
    Column{"retry_statuses", list_fault<text_fault>},
    Column{"is_active", flag_fault},
    Column{"paused", flag_fault},
    Column{"max_in_flight", integer_fault},
    Column{"timeout_ms", integer_fault},
    Column{"rate_limit", number_fault},
    Column{"circuit_failures", integer_fault},
    Column{"circuit_open_ms", integer_fault},
    Column{"headers", any_fault},  // see headers()
    Column{"filter", any_fault},   // see filter()
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
  policy.listens_on(http::listeners(config.server));
  if (policy.https_only() && !url.tls) return "must be https (egress.https_only)";
  if (std::string wrong = policy.refuse_port(url.port); !wrong.empty()) return wrong;
  boost::system::error_code no_address;
  const auto address = boost::asio::ip::make_address(url.host, no_address);
  return no_address ? std::string{} : policy.refuse(address, url.port, url.host);
}

void add_field(std::string& fields, std::string_view name, std::string_view value) {
  if (!fields.empty()) fields += ',';
  append_json_string(fields, name);
  fields.append(":").append(value);
}

std::string json_text(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

class BodyReader {
 public:
  BodyReader(const Config& config, const SecretBox& box, bool whole)
      : config_(config), box_(box), whole_(whole) {}

  void add(const JsonMember& member) {
    if (member.name == "auth") return auth(member.value);
    const std::size_t before = body_.faults.size();
    judge(member);
    if (body_.faults.size() > before) return;
    if (member.name == "secret") return secret(member.value);
    const bool collected = member.name == "headers" && member.value.kind == Kind::object;
    if (!collected) add_field(body_.fields, member.name, member.value.text);
  }

  SubscriberBody finish() && {
    if (whole_ && !secret_given_) {
      body_.new_secret = http::random_webhook_secret();
      add_field(body_.fields, "secret", sealed(SecretUse::signing, body_.new_secret));
    }
    if (headers_given_) add_field(body_.fields, "headers", '{' + headers_ + '}');
    body_.fields = '{' + body_.fields + '}';
    return std::move(body_);
  }

 private:
  std::string sealed(SecretUse use, std::string_view text) const {
    return json_text(box_.seal(use, text));
  }

  // What begins like a secret and is none would pass the table's rule, which is a pattern. The rest
  // is left to it, to be told with the other faults.
  void secret(const JsonValue& value) {
    secret_given_ = true;
    const std::string text = json_string(value).value_or("");
    const bool good = http::is_webhook_secret(text);
    if (!good && (text.starts_with("whsec_") || is_sealed(text))) {
      return refuse("#/secret", "secret must be whsec_ and the base64 of 24 to 64 bytes");
    }
    add_field(body_.fields, "secret",
              good ? sealed(SecretUse::signing, text) : std::string(value.text));
  }

  void judge(const JsonMember& member) {
    if (!store::is_subscriber_column(member.name)) {
      return refuse(pointer_to(member.name), "this is no member that can be written");
    }
    const std::string_view fault = kind_fault(member);
    if (!fault.empty()) {
      refuse(pointer_to(member.name), fmt::format("{} {}", member.name, fault));
    } else if (member.name == "headers" && member.value.kind != Kind::null) {
      headers(member.value);
    } else if (member.name == "filter" && member.value.kind != Kind::null) {
      filter(member.value);
    } else if (member.name == "webhook_url" && member.value.kind == Kind::string) {
      const std::string wrong = url_fault(*json_string(member.value), config_);
      if (!wrong.empty()) refuse("#/webhook_url", "webhook_url: " + wrong);
    }
  }

  void filter(const JsonValue& value) {
    const auto read = Filter::compile(value.text);
    const auto* error = std::get_if<InputError>(&read);
    if (error != nullptr) refuse("#/filter" + error->pointer.substr(1), "filter: " + error->detail);
  }

  void headers(const JsonValue& value) {
    if (value.kind != Kind::object) return refuse("#/headers", "headers must be an object");
    const auto members = read_json_object(value.text, 1);
    if (const auto* error = std::get_if<InputError>(&members)) {
      return refuse("#/headers", "headers: " + error->detail);
    }
    headers_given_ = true;
    for (const JsonMember& member : std::get<0>(members)) {
      const std::string fault(header(member));
      const std::string place = "#/headers" + pointer_to(member.name).substr(1);
      if (fault.empty()) {
        add_header(place, member.name, member.value);
      } else {
        refuse(place, fmt::format("this header {}", fault));
      }
    }
  }

  std::string_view header(const JsonMember& member) const {
    const bool taken_away = !whole_ && member.value.kind == Kind::null;
    if (taken_away) return header_fault(member.name, "");
    const std::string_view fault = text_fault(member.value);
    return fault.empty() ? header_fault(member.name, *json_string(member.value)) : fault;
  }

  // A name has one spelling, so that there are never two of them.
  void add_header(const std::string& place, const std::string& given, const JsonValue& value) {
    const std::string name = canonical_header(given);
    if (!names_.insert(name).second) {
      return refuse(place, name == kAuthorization
                               ? "auth and the header Authorization are the same: give one"
                               : "this header is given more than once");
    }
    const std::string text = json_string(value).value_or("");
    if (is_sealed(text)) return refuse(place, "this header must not begin with sealed:v1:");
    add_field(headers_, name,
              value.kind == Kind::string ? sealed(SecretUse::header, text) : "null");
  }

  void auth(const JsonValue& value) {
    const auto made = read_auth(value);
    if (const auto* faults = std::get_if<std::vector<InputError>>(&made)) {
      body_.faults.insert(body_.faults.end(), faults->begin(), faults->end());
      return;
    }
    headers_given_ = true;
    if (value.kind != Kind::null) {
      const std::string text = json_text(std::get<std::string>(made));
      add_header("#/auth", std::string(kAuthorization), {Kind::string, text});
    } else if (!whole_) {
      add_header("#/auth", std::string(kAuthorization), value);
    }
  }

  void refuse(std::string pointer, std::string detail) {
    body_.faults.push_back({std::move(detail), std::move(pointer)});
  }

  const Config& config_;
  const SecretBox& box_;
  bool whole_;
  bool secret_given_ = false;
  std::string headers_;  // of both members, as those of a JSON object
  bool headers_given_ = false;
  std::set<std::string> names_;  // of headers
  SubscriberBody body_;
};

}  // namespace

SubscriberBody read_subscriber_body(const std::vector<JsonMember>& members, const Config& config,
                                    const SecretBox& box, bool whole) {
  BodyReader reader(config, box, whole);
  for (const JsonMember& member : members) reader.add(member);
  return std::move(reader).finish();
}

}  // namespace eventhub::api
