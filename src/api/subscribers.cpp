// /subscribers: reading and writing them. What is written is read by subscriber_body.cpp, judged
// and stored by store::SubscriberAdmin.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api_impl.hpp"
#include "audit.hpp"
#include "cursor.hpp"
#include "eventhub/http/sign.hpp"
#include "eventhub/store/subscriber_admin.hpp"
#include "request_input.hpp"
#include "respond.hpp"
#include "subscriber_body.hpp"

namespace eventhub::api {
namespace {

constexpr std::string_view kWhat = "subscriber";
constexpr std::string_view kMergePatch = "application/merge-patch+json";
constexpr std::size_t kReasonMax = 1'000;
constexpr Seconds kOverlap{86'400};  // as Standard Webhooks recommends
constexpr Seconds kOverlapMax{30 * 86'400};
constexpr std::array<std::string_view, 2> kGuarantees{"at_least_once", "at_most_once"};

http::Response none() {
  return problem(404, "there is no subscriber with this id");
}

http::Response shown(const std::optional<std::string>& row) {
  return row ? json(200, *row) : none();
}

// "retry_limit_is_0_to_100" as a sentence about the member.
InputError fault_of(const store::BrokenRule& broken) {
  std::string rest = broken.rule.substr(broken.column.size());
  std::replace(rest.begin(), rest.end(), '_', ' ');
  return {fmt::format("the rule is: {}{}", broken.column, rest), "#/" + broken.column};
}

// The answer to a write that did not happen.
http::Response not_written(const store::SubscriberChange& change) {
  const auto* rules = std::get_if<std::vector<store::BrokenRule>>(&change);
  if (rules == nullptr) return none();
  std::vector<InputError> errors;
  std::transform(rules->begin(), rules->end(), std::back_inserter(errors), fault_of);
  return unprocessable(errors);
}

SubscriberBody read_body(const Api& api, const http::Request& request, bool whole) {
  auto members = read_members(request, api.depth_max(), whole ? "" : kMergePatch);
  auto body =
      read_subscriber_body(members, api.context.config, api.context.subscribers.box(), whole);
  if (!body.faults.empty()) throw Refused(unprocessable(body.faults));
  const auto same = [](const JsonMember& member) { return member.name == "created_by"; };
  if (whole && std::none_of(members.begin(), members.end(), same)) {
    std::string made_by = R"("created_by":)";
    append_json_string(made_by, caller(request));
    body.fields.insert(1, body.fields.size() > 2 ? made_by + "," : made_by);
  }
  for (const JsonMember& member : members) {
    body.names.append(body.names.empty() ? "" : ", ").append(member.name);
  }
  return body;
}

// A row with the secret that the hub made for it, which is shown this once.
std::string with_secret(std::string row, const std::string& secret) {
  if (secret.empty()) return row;
  row.pop_back();
  row += R"(,"secret":)";
  append_json_string(row, secret);
  return row + '}';
}

struct RotationBody {
  store::SecretRotation wanted;
  std::string made;  // the secret, unless the caller gave one
};

RotationBody read_rotation(const Api& api, const http::Request& request) {
  const Parameters body(read_members(request, api.depth_max()),
                        {"secret", "overlap_seconds", "force"});
  RotationBody rotation;
  const auto given = body.text("secret");
  if (given && !http::is_webhook_secret(*given)) {
    body.refuse("secret", "must be whsec_ and the base64 of 24 to 64 bytes");
  }
  if (!given) rotation.made = http::random_webhook_secret();
  const std::string secret = given.value_or(rotation.made);
  rotation.wanted.secret = api.context.subscribers.box().seal(SecretUse::signing, secret);
  rotation.wanted.overlap =
      Seconds{body.number("overlap_seconds", 0, kOverlapMax.count()).value_or(kOverlap.count())};
  rotation.wanted.force = body.flag("force").value_or(false);
  return rotation;
}

// The member `reason` of the body, if there is one.
std::optional<std::string> read_reason(const Api& api, const http::Request& request) {
  const Parameters body(read_members(request, api.depth_max()), {"reason"});
  auto reason = body.text("reason");
  if (reason && reason->size() > kReasonMax) body.refuse("reason", "must be up to 1000 bytes");
  return reason;
}

}  // namespace

Task<http::Response> get_subscribers(ApiPtr api, const http::Request& request) {
  const Parameters query(request, {"limit", "cursor", "name", "event_type", "delivery_guarantee",
                                   "is_active", "paused"});
  store::SubscriberFilter filter;
  filter.limit = query.limit();
  if (const auto after = read_cursor<1>(query)) {
    filter.before = static_cast<std::int32_t>(after->front());
  }
  filter.name = query.text("name");
  filter.event_type = query.text("event_type");
  filter.delivery_guarantee = query.word("delivery_guarantee", kGuarantees);
  filter.is_active = query.flag("is_active");
  filter.paused = query.flag("paused");
  const auto found = co_await api->subscribers.list(std::move(filter));
  std::optional<std::string> next;
  if (found.next) next = make_cursor({*found.next});
  co_return page(found.rows, next);
}

Task<http::Response> post_subscriber(ApiPtr api, const http::Request& request) {
  auto body = read_body(*api, request, true);
  const auto change = co_await api->subscribers.create(std::move(body.fields));
  const auto* made = std::get_if<store::SubscriberText>(&change);
  if (made == nullptr) co_return not_written(change);
  audit(request, "subscriber.create", to_string(made->id), body.names);
  auto response = json(201, with_secret(made->json, body.new_secret));
  response.headers += fmt::format("Location: /subscribers/{}\r\n", to_string(made->id));
  co_return response;
}

Task<http::Response> get_subscriber(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, kWhat);
  const auto row = co_await api->subscribers.get(id);
  co_return shown(row);
}

Task<http::Response> patch_subscriber(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, kWhat);
  auto body = read_body(*api, request, false);
  const auto change = co_await api->subscribers.change(id, std::move(body.fields));
  const auto* made = std::get_if<store::SubscriberText>(&change);
  if (made == nullptr) co_return not_written(change);
  audit(request, "subscriber.change", to_string(id), body.names);
  co_return json(200, made->json);
}

Task<http::Response> delete_subscriber(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, kWhat);
  const bool gone = co_await api->subscribers.remove(id);
  if (!gone) co_return none();
  audit(request, "subscriber.delete", to_string(id), "");
  co_return no_content();
}

Task<http::Response> pause_subscriber(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, kWhat);
  auto reason = read_reason(*api, request);
  const std::string why = reason.value_or("");
  const auto row = co_await api->subscribers.pause(id, std::move(reason));
  if (row) audit(request, "subscriber.pause", to_string(id), why);
  co_return shown(row);
}

Task<http::Response> resume_subscriber(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, kWhat);
  const auto row = co_await api->subscribers.resume(id);
  if (row) audit(request, "subscriber.resume", to_string(id), "");
  co_return shown(row);
}

Task<http::Response> rotate_secret(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, kWhat);
  RotationBody rotation = read_rotation(*api, request);
  const std::string what = fmt::format("overlap {} s", rotation.wanted.overlap.count());
  auto row = co_await api->subscribers.rotate_secret(id, std::move(rotation.wanted));
  if (!row) {
    const auto there = co_await api->subscribers.get(id);
    if (!there) co_return none();
    co_return problem(409,
                      "the secret before this one still signs: wait for the end of "
                      "previous_secret_until, or end it with {\"force\": true}");
  }
  audit(request, "subscriber.rotate_secret", to_string(id), what);
  co_return json(200, with_secret(std::move(*row), rotation.made));
}

}  // namespace eventhub::api
