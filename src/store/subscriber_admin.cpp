// Subscribers for the management API. How a row is put together and judged: subscriber_rules.cpp.
#include "eventhub/store/subscriber_admin.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "eventhub/core/filter.hpp"
#include "eventhub/core/json.hpp"
#include "store/api_time.hpp"
#include "store/subscriber_rules.hpp"

namespace eventhub::store {
namespace {

// What everybody who may read sees. Headers often hold a password, so only their names are shown.
const std::string kShown =
    "(SELECT row_to_json(r)::text FROM (SELECT s.id, s.name, s.event_type, s.event_types,"
    " s.organization_id, s.filter,"
    " s.webhook_url, s.delivery_guarantee, s.ordering_enabled, s.ordering_key, s.retry_limit,"
    " s.retry_backoff_seconds, s.retry_jitter, s.retry_statuses, s.is_active, s.paused,"
    " s.paused_reason, s.on_dead, s.max_in_flight, s.rate_limit, s.circuit_failures,"
    " s.circuit_open_ms,"
    " coalesce(h.circuit, 'closed') AS circuit, " +
    api_time("h.failing_since") +
    " AS failing_since, s.timeout_ms, s.body,"
    " ARRAY(SELECT jsonb_object_keys(s.headers) ORDER BY 1) AS header_names,"
    " s.secret IS NOT NULL AS has_secret, " +
    api_time("s.previous_secret_until") + " AS previous_secret_until, s.created_by, " +
    api_time("s.created_at") + " AS created_at, " + api_time("s.updated_at") +
    " AS updated_at FROM (SELECT) one LEFT JOIN subscriber_health h ON h.sid = s.sid) r)";

// What is encrypted of a row: texts of SecretUse::signing and those of SecretUse::header.
const std::string kSealed =
    ", ARRAY(SELECT v FROM unnest(ARRAY[s.secret, CASE WHEN s.previous_secret_until > now()"
    " THEN s.previous_secret END]) v WHERE starts_with(v, 'sealed:'))"
    ", ARRAY(SELECT v FROM jsonb_each_text(s.headers) h(k, v) WHERE starts_with(v, 'sealed:'))";
// Once more, as it is read by subscriber_row.cpp.
const std::string kFilterText = ", s.filter::text";
const std::string kAnswer = kShown + kSealed + kFilterText;

const pg::Statement kList{
    "subscribers_list",
    "SELECT s.sid, " + kAnswer +
        " FROM subscribers s WHERE ($1::int4 IS NULL OR s.sid < $1)"
        " AND ($2::text IS NULL OR s.name = $2)"
        " AND ($3::text IS NULL OR s.event_type = $3 OR $3 = ANY(s.event_types))"
        " AND ($4::text IS NULL OR s.delivery_guarantee = $4)"
        " AND ($5::text IS NULL OR s.is_active = $5::bool)"
        " AND ($6::text IS NULL OR s.paused = $6::bool) ORDER BY s.sid DESC LIMIT $7"};

const pg::Statement kGet{"subscriber_get",
                         "SELECT s.id, " + kAnswer + " FROM subscribers s WHERE s.id = $1"};

const pg::Statement kUpdate{
    "subscriber_change",
    "UPDATE subscribers s SET (" + subscriber_columns("") + ") = (SELECT " +
        subscriber_columns("n.") + " FROM " + changed_row("$1") +
        "), paused_reason = CASE WHEN coalesce(($1::jsonb ->> 'paused')::bool, s.paused)"
        " THEN s.paused_reason END, (previous_secret, previous_secret_until) = (SELECT"
        " s.previous_secret, s.previous_secret_until WHERE NOT $1::jsonb @> '{\"secret\": null}'),"
        " updated_at = now()"
        " WHERE s.id = $2 RETURNING s.id, " +
        kAnswer};

// The current secret becomes the previous one for $3 seconds. Not while one is previous already,
// unless $4: it would end.
const pg::Statement kRotate{
    "subscriber_rotate_secret",
    "UPDATE subscribers s SET secret = $2,"
    " previous_secret = CASE WHEN $3 > 0 THEN s.secret END,"
    " previous_secret_until = CASE WHEN $3 > 0 AND s.secret IS NOT NULL"
    " THEN now() + make_interval(secs => $3) END,"
    " updated_at = now() WHERE s.id = $1 AND ($4 OR s.previous_secret IS NULL"
    " OR s.previous_secret_until IS NULL OR s.previous_secret_until <= now())"
    " RETURNING s.id, " +
        kAnswer};

const pg::Statement kPauseByCaller{
    "subscriber_pause",
    "UPDATE subscribers s SET paused = true, paused_reason = coalesce($2, CASE WHEN paused THEN"
    " paused_reason END), updated_at = CASE WHEN paused AND $2::text IS NULL THEN updated_at ELSE"
    " now() END WHERE s.id = $1 RETURNING s.id, " +
        kAnswer};

const pg::Statement kResume{"subscriber_resume",
                            "UPDATE subscribers s SET paused = false, paused_reason = NULL,"
                            " updated_at = CASE WHEN paused THEN now() ELSE updated_at END"
                            " WHERE s.id = $1 RETURNING s.id, " +
                                kAnswer};

const pg::Statement kDelete{"subscriber_delete", "DELETE FROM subscribers WHERE id = $1"};

std::optional<std::string_view> word(const std::optional<bool>& flag) {
  if (!flag) return std::nullopt;
  return *flag ? "true" : "false";
}

// Why messages of the row wait in this process, whatever its other members say: src/store/
// subscriber_row.cpp holds them for the same reason.
std::string problem_of(const pg::Result& result, int row, const SecretBox& box) {
  try {
    for (const auto& text : result.texts(row, 2)) box.open(SecretUse::signing, text);
    for (const auto& text : result.texts(row, 3)) box.open(SecretUse::header, text);
  } catch (const SealedError& error) {
    return std::string("not called, its messages wait: a secret cannot be decrypted: ") +
           error.what();
  }
  if (result.is_null(row, 4)) return {};
  const auto filter = Filter::compile(result.text(row, 4));
  if (const auto* error = std::get_if<InputError>(&filter)) {
    return fmt::format("not called, its messages wait: its filter cannot be read: {} at {}",
                       error->detail, error->pointer);
  }
  return {};
}

// A row of kAnswer as JSON.
std::string shown(const pg::Result& result, int row, const SecretBox& box) {
  std::string json(result.text(row, 1));
  const std::string problem = problem_of(result, row, box);
  json.pop_back();
  json += R"(,"problem":)";
  if (problem.empty()) {
    json += "null";
  } else {
    append_json_string(json, problem);
  }
  return json + '}';
}

}  // namespace

Task<SubscriberPage> SubscriberAdmin::list(SubscriberFilter filter) {
  pg::Params params;
  params.i32(filter.before).text(filter.name).text(filter.event_type);
  params.text(filter.delivery_guarantee).text(word(filter.is_active)).text(word(filter.paused));
  params.i32(filter.limit + 1);
  auto connection = co_await queries_.lease();
  const pg::Result result = co_await connection->run(kList, std::move(params));
  SubscriberPage page;
  for (int row = 0; row < std::min(result.rows(), filter.limit); ++row) {
    page.rows.push_back(shown(result, row, context_.subscribers.box()));
  }
  if (result.rows() > filter.limit) page.next = result.i32(filter.limit - 1, 0);
  co_return page;
}

Task<std::optional<std::string>> SubscriberAdmin::one(const pg::Statement& statement,
                                                      pg::Params params) {
  auto connection = co_await queries_.lease();
  const pg::Result result = co_await connection->run(statement, std::move(params));
  if (result.rows() == 0) co_return std::nullopt;
  co_return shown(result, 0, context_.subscribers.box());
}

Task<std::optional<std::string>> SubscriberAdmin::get(Uuid id) {
  pg::Params params;
  params.uuid(id);
  auto found = co_await one(kGet, std::move(params));
  co_return found;
}

Task<std::optional<std::string>> SubscriberAdmin::pause(Uuid id,
                                                        std::optional<std::string> reason) {
  pg::Params params;
  params.uuid(id).text(reason);
  auto changed = co_await one(kPauseByCaller, std::move(params));
  tell();
  co_return changed;
}

Task<std::optional<std::string>> SubscriberAdmin::resume(Uuid id) {
  pg::Params params;
  params.uuid(id);
  auto changed = co_await one(kResume, std::move(params));
  tell();
  if (changed) changed = co_await get(id);  // RETURNING sees the health that a trigger forgets
  co_return changed;
}

Task<std::optional<std::string>> SubscriberAdmin::rotate_secret(Uuid id, SecretRotation wanted) {
  pg::Params params;
  params.uuid(id).text(wanted.secret).f64(static_cast<double>(wanted.overlap.count()));
  params.boolean(wanted.force);
  auto changed = co_await one(kRotate, std::move(params));
  tell();
  co_return changed;
}

Task<bool> SubscriberAdmin::remove(Uuid id) {
  pg::Params params;
  params.uuid(id);
  auto connection = co_await queries_.lease();
  const pg::Result result = co_await connection->run(kDelete, std::move(params));
  tell();
  co_return result.affected() > 0;
}

Task<void> SubscriberAdmin::learn_rules(Queries::Lease& connection) {
  if (!rules_.empty()) co_return;
  const pg::Result checks = co_await connection->run(kChecks, {});
  const pg::Result defaults = co_await connection->run(kDefaults, {});
  if (!rules_.empty()) co_return;  // another request was quicker, and may be using them
  SubscriberRules rules = read_rules(checks, defaults);
  judge_new_ = std::move(rules.judge_new);
  judge_change_ = std::move(rules.judge_change);
  insert_ = {"subscriber_create", rules.insert + " RETURNING s.id, " + kAnswer};
  rules_ = std::move(rules.all);
}

// The rules are asked first, to name all that are broken; the table itself has the last word.
Task<SubscriberChange> SubscriberAdmin::write(Queries::Lease& connection,
                                              const pg::Statement& judge,
                                              const pg::Statement& statement, pg::Params params) {
  std::vector<BrokenRule> broken;
  const pg::Result judged = co_await connection->run(judge, params);
  if (judged.rows() == 0) co_return std::monostate{};
  for (const std::string& number : judged.texts(0, 0)) {
    broken.push_back(rules_.at(static_cast<std::size_t>(std::stoul(number))));
  }
  if (!broken.empty()) co_return broken;
  try {
    const pg::Result written = co_await connection->run(statement, std::move(params));
    if (written.rows() == 0) co_return std::monostate{};
    tell();
    co_return SubscriberText{written.uuid(0, 0), shown(written, 0, context_.subscribers.box())};
  } catch (const pg::Error& error) {
    if (error.constraint.empty()) throw;
    broken.push_back({subscriber_column_of(error.constraint), error.constraint});
  }
  co_return broken;
}

Task<SubscriberChange> SubscriberAdmin::create(std::string fields) {
  auto connection = co_await queries_.lease();
  co_await learn_rules(connection);
  pg::Params params;
  params.text(fields);
  auto change = co_await write(connection, judge_new_, insert_, std::move(params));
  co_return change;
}

Task<SubscriberChange> SubscriberAdmin::change(Uuid id, std::string fields) {
  auto connection = co_await queries_.lease();
  co_await learn_rules(connection);
  pg::Params params;
  params.text(fields).uuid(id);
  auto change = co_await write(connection, judge_change_, kUpdate, std::move(params));
  if (auto* text = std::get_if<SubscriberText>(&change)) {  // as in resume()
    pg::Params row;
    row.uuid(id);
    const pg::Result now = co_await connection->run(kGet, std::move(row));
    if (now.rows() > 0) text->json = shown(now, 0, context_.subscribers.box());
  }
  co_return change;
}

}  // namespace eventhub::store
