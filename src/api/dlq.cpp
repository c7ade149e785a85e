// /dlq: dead letters, listed, exported, sent again and given up. Read and asked for by
// store::DeadLetters; the owners of shards do it.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "api_impl.hpp"
#include "audit.hpp"
#include "cursor.hpp"
#include "request_input.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr std::array<std::string_view, 4> kOutcomes{"dead", "unknown", "expired", "refused"};
constexpr double kRateMax = 10'000;
constexpr std::int64_t kExportRows = 1'000;
constexpr std::int64_t kExportBytes = 8 << 20;

constexpr Parameters::Names kFilterNames{"subscriber",  "reason",          "outcome",
                                         "event_type",  "organization_id", "user_id",
                                         "last_status", "since",           "until"};
constexpr Parameters::Names kListNames{
    "limit",           "cursor",  "subscriber",  "reason", "outcome", "event_type",
    "organization_id", "user_id", "last_status", "since",  "until"};

http::Response none() {
  return problem(404, "there is no dead letter with this id");
}

store::DeadLetterFilter read_filter(const Parameters& query) {
  store::DeadLetterFilter filter;
  filter.subscriber = query.uuid("subscriber");
  filter.reason = query.text("reason");
  filter.outcome = query.word("outcome", kOutcomes);
  filter.event_type = query.text("event_type");
  filter.organization_id = query.text("organization_id");
  filter.user_id = query.text("user_id");
  if (const auto status = query.number("last_status", 100, 999)) {
    filter.last_status = static_cast<std::int32_t>(*status);
  }
  filter.since = query.time("since");
  filter.until = query.time("until");
  return filter;
}

std::optional<store::DeadLetterPlace> read_place(const Parameters& query) {
  const auto numbers = read_cursor<3>(query);
  if (!numbers) return std::nullopt;
  const Time failed{Micros{numbers->at(0)}};
  return store::DeadLetterPlace{failed,
                                {numbers->at(1), static_cast<std::int32_t>(numbers->at(2))}};
}

std::optional<std::string> cursor_of(const std::optional<store::DeadLetterPlace>& next) {
  if (!next) return std::nullopt;
  return make_cursor(
      {next->failed_at.time_since_epoch().count(), next->ref.event_seq, next->ref.sid});
}

http::Response refused(store::DeadRetry result) {
  switch (result) {
    case store::DeadRetry::no_letter:
      return none();
    case store::DeadRetry::no_subscriber:
      return problem(409, "the subscriber of this dead letter was deleted");
    case store::DeadRetry::at_most_once:
      return problem(409,
                     "the subscriber wants every message at most once; {\"force\":true} sends it");
    case store::DeadRetry::no_payload:
      return problem(410, "the payload is past its retention, or was taken away");
    default:
      return problem(409, "this dead letter is being sent again already");
  }
}

http::Response retried(const store::DeadRetried& done, bool dry_run) {
  return json(dry_run ? 200 : 202,
              fmt::format(R"({{"matched":{},"retryable":{},"retried":{},"dry_run":{}}})",
                          done.matched, done.retryable, done.retried, dry_run));
}

// The body of POST /dlq/retry. A filter has to be named, be it one that all letters pass.
struct RetryRequest {
  store::DeadLetterFilter filter;
  std::optional<double> rate;
  bool dry_run = false, force = false;
};

RetryRequest read_retry(const Api& api, const http::Request& request) {
  auto members = read_members(request, api.depth_max());
  const auto named = std::find_if(members.begin(), members.end(), [](const JsonMember& member) {
    return member.name == "filter" && member.value.kind == JsonValue::Kind::object;
  });
  if (named == members.end()) {
    const InputError error{"filter is needed, and must be an object; {} means all", "#/filter"};
    throw Refused(unprocessable({&error, 1}));
  }
  const auto wanted = members_of(named->value.text, api.depth_max());
  members.erase(named);
  const Parameters body(members, {"rate", "dry_run", "force"});
  const Parameters filter(wanted, kFilterNames, "#/filter/");
  return {read_filter(filter), body.positive("rate", kRateMax),
          body.flag("dry_run").value_or(false), body.flag("force").value_or(false)};
}

}  // namespace

Task<http::Response> get_dead_letters(ApiPtr api, const http::Request& request) {
  const Parameters query(request, kListNames);
  auto filter = read_filter(query);
  const auto place = read_place(query);
  const auto found = co_await api->dead_letters.list(std::move(filter), place, query.limit());
  co_return page(found.rows, cursor_of(found.next));
}

// One JSON text per line; the header tells how to go on.
Task<http::Response> export_dead_letters(ApiPtr api, const http::Request& request) {
  const Parameters query(request, kListNames);
  auto filter = read_filter(query);
  const auto place = read_place(query);
  const int limit = static_cast<int>(query.number("limit", 1, kExportRows).value_or(kExportRows));
  const auto found =
      co_await api->dead_letters.payloads(std::move(filter), place, limit, kExportBytes);
  std::string lines;
  for (const std::string& row : found.rows) lines.append(row).append("\n");
  auto response = json(200, std::move(lines));
  response.content_type = "application/x-ndjson";
  const auto next = cursor_of(found.next);
  if (next) response.headers += fmt::format("X-Next-Cursor: {}\r\n", *next);
  co_return response;
}

Task<http::Response> get_dead_letter(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "dead letter");
  auto found = co_await api->dead_letters.get(id);
  co_return found ? json(200, std::move(*found)) : none();
}

Task<http::Response> retry_dead_letter(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "dead letter");
  const bool force = read_force(request, api->depth_max());
  const auto result = co_await api->dead_letters.retry(id, force);
  if (result != store::DeadRetry::done) co_return refused(result);
  audit(request, "dead_letter.retry", to_string(id), "");
  api->context.wakeups.notify(store::Signal::control);
  co_return sent_again(id);
}

Task<http::Response> retry_dead_letters(ApiPtr api, const http::Request& request) {
  auto wanted = read_retry(*api, request);
  store::DeadRetried done;
  if (wanted.dry_run) {
    done = co_await api->dead_letters.count(std::move(wanted.filter), wanted.force);
  } else {
    done =
        co_await api->dead_letters.retry_all(std::move(wanted.filter), wanted.force, wanted.rate);
    audit(request, "dead_letter.retry_all", "", fmt::format("{} of them", done.retried));
    api->context.wakeups.notify(store::Signal::control);
  }
  co_return retried(done, wanted.dry_run);
}

Task<http::Response> discard_dead_letter(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "dead letter");
  const bool known = co_await api->dead_letters.discard(id);
  if (!known) co_return none();
  audit(request, "dead_letter.discard", to_string(id), "");
  api->context.wakeups.notify(store::Signal::control);
  co_return json(202, fmt::format(R"({{"id":"{}","message":"It is given up"}})", to_string(id)));
}

}  // namespace eventhub::api
