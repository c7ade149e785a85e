// Options of `eventhubd subscribers create` and `update` as members of the API. Pure but for the
// files of secrets.
#include "cli/subscriber_members.hpp"

#include <fmt/format.h>

#include "cli/error.hpp"
#include "cli/files.hpp"
#include "cli/rows.hpp"

namespace eventhub::cli {
namespace {

std::string trimmed(std::string_view text) {
  const auto from = text.find_first_not_of(' ');
  if (from == std::string_view::npos) return {};
  return std::string(text.substr(from, text.find_last_not_of(' ') - from + 1));
}

std::string quoted_json(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

void add_types(const Values& values, bool whole, ObjectText& body) {
  const auto types = values.all("event-type");
  if (types.empty()) return;
  if (types.size() == 1) {
    body.text("event_type", types.front());
    if (!whole) body.json("event_types", "null");
    return;
  }
  std::string list;
  for (const std::string& type : types) list += (list.empty() ? "" : ",") + quoted_json(type);
  body.json("event_types", "[" + list + "]");
  if (!whole) body.json("event_type", "null");
}

void add_order(const Values& values, ObjectText& body) {
  const auto key = values.text("ordered-by");
  if (!key) return;
  body.json("ordering_enabled", *key == "none" ? "false" : "true");
  if (*key != "none") body.text("ordering_key", *key);
}

// What is emptied by the word none.
void add_routing(const Values& values, ObjectText& body) {
  if (const auto filter = values.text("filter")) {
    if (*filter != "none" && validate_json(*filter, 64)) {
      throw UsageError("--filter: it is not valid JSON");
    }
    body.json("filter", *filter == "none" ? "null" : *filter);
  }
  const auto organization = values.text("org");
  if (!organization) return;
  body.json("organization_id", *organization == "none" ? "null" : quoted_json(*organization));
}

void add_headers(const Values& values, ObjectText& body) {
  ObjectText headers;
  for (const std::string& header : values.all("header")) {
    const auto colon = header.find(':');
    const std::string name = trimmed(header.substr(0, colon));
    if (colon == std::string::npos || name.empty()) {
      throw UsageError(fmt::format("--header: \"{}\" is not NAME: VALUE", header));
    }
    const std::string value = trimmed(std::string_view(header).substr(colon + 1));
    headers.json(name, value.empty() ? "null" : quoted_json(value));
  }
  if (!headers.empty()) body.json("headers", headers.done());
}

// `auth` of the API, from files: a password on the command line is seen by everyone.
void add_auth(const Values& values, ObjectText& body) {
  const auto basic = values.text("auth-basic-file"), bearer = values.text("auth-bearer-file");
  if (!basic && !bearer) return;
  if (basic && bearer) throw UsageError("--auth-basic-file and --auth-bearer-file: give one");
  const std::string secret = first_line_of(basic ? *basic : *bearer, "secret");
  const auto colon = secret.find(':');
  if (basic && colon == std::string::npos) {
    throw UsageError(fmt::format("--auth-basic-file: \"{}\" is not USER:PASSWORD", *basic));
  }
  ObjectText auth;
  auth.text("type", basic ? "basic" : "bearer");
  if (basic) auth.text("username", secret.substr(0, colon));
  if (basic) auth.text("password", secret.substr(colon + 1));
  if (bearer) auth.text("token", secret);
  body.json("auth", auth.done());
}

void add_numbers(const Values& values, ObjectText& body) {
  for (const auto& [option, member] : {std::pair{"retry-limit", "retry_limit"},
                                       {"timeout-ms", "timeout_ms"},
                                       {"max-in-flight", "max_in_flight"},
                                       {"circuit-failures", "circuit_failures"}}) {
    if (values.has(option)) {
      body.json(member, std::to_string(values.integer(option, 0, 1'000'000'000, 0)));
    }
  }
  if (const auto rate = values.positive("rate-limit")) {
    body.json("rate_limit", fmt::format("{}", *rate));
  }
}

void add_further(const Values& values, ObjectText& body) {
  for (const std::string& setting : values.all("set")) {
    const auto equals = setting.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError(fmt::format("--set: \"{}\" is not MEMBER=VALUE", setting));
    }
    body.json(setting.substr(0, equals), json_or_text(setting.substr(equals + 1)));
  }
}

}  // namespace

std::string json_or_text(const std::string& text) {
  return validate_json(text, 64) ? quoted_json(text) : text;
}

std::string subscriber_body(const Values& values, bool whole) {
  ObjectText body;
  for (const auto& [option, member] : {std::pair{"name", "name"},
                                       {"webhook-url", "webhook_url"},
                                       {"guarantee", "delivery_guarantee"}}) {
    if (const auto value = values.text(option)) body.text(member, *value);
  }
  add_types(values, whole, body);
  add_order(values, body);
  add_routing(values, body);
  add_numbers(values, body);
  if (const auto list = values.text("backoff")) {
    const std::string numbers = "[" + *list + "]";
    if (validate_json(numbers, 2)) {
      throw UsageError(fmt::format("--backoff: \"{}\" is no list of numbers: 5,30,300", *list));
    }
    body.json("retry_backoff_seconds", numbers);
  }
  add_headers(values, body);
  if (const auto path = values.text("secret-file"))
    body.text("secret", first_line_of(*path, "secret"));
  add_auth(values, body);
  add_further(values, body);
  return body.done();
}

}  // namespace eventhub::cli
