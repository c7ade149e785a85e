// The dead letter queue for the management API. Retries and discards are requests to the owners of
// shards, as by SQL (migrations/0002_people.sql).
#include "eventhub/store/dead_letters.hpp"

#include <algorithm>

#include "store/dead_letters_sql.hpp"

namespace eventhub::store {
namespace {

// $1 to $9.
pg::Params filter_params(const DeadLetterFilter& filter) {
  pg::Params params;
  params.uuid(filter.subscriber).text(filter.reason).text(filter.outcome);
  params.text(filter.event_type).text(filter.organization_id).text(filter.user_id);
  params.i32(filter.last_status).timestamp(filter.since).timestamp(filter.until);
  return params;
}

pg::Params page_params(const DeadLetterFilter& filter, std::optional<DeadLetterPlace> before,
                       int limit) {
  pg::Params params = filter_params(filter);
  std::optional<Time> time;
  if (before) time = before->failed_at;
  const MessageRef ref = before ? before->ref : MessageRef{};
  params.timestamp(time).i64(ref.event_seq).i32(ref.sid).i32(limit + 1);
  return params;
}

// A letter with its payload, which is JSON that PostgreSQL's own types may not be able to read.
std::string with_payload(const pg::Result& rows, int row) {
  std::string text(rows.text(row, 3));
  text.pop_back();
  text.append(",\"payload\":").append(rows.is_null(row, 4) ? "null" : rows.text(row, 4));
  return text + '}';
}

DeadLetterPlace place_of(const pg::Result& rows, int row) {
  return {rows.timestamp(row, 0), {rows.i64(row, 1), rows.i32(row, 2)}};
}

// Where the letter of this id is; nullopt when it is no id of a message.
std::optional<pg::Params> key_params(Uuid id) {
  const auto ref = decode_message_id(id);
  if (!ref) return std::nullopt;
  pg::Params params;
  params.i64(ref->event_seq).i32(ref->sid).uuid(id);
  return params;
}

DeadRetried numbers(const pg::Result& row) {
  return {row.i64(0, 0), row.i64(0, 1), row.i64(0, 2)};
}

}  // namespace

Task<DeadLetterPage> DeadLetters::list(DeadLetterFilter filter,
                                       std::optional<DeadLetterPlace> before, int limit) {
  pg::Params params = page_params(filter, before, limit);
  auto connection = co_await queries_.lease();
  const pg::Result rows = co_await connection->run(sql::kDeadList, std::move(params));
  DeadLetterPage page;
  for (int row = 0; row < std::min(rows.rows(), limit); ++row) {
    page.rows.emplace_back(rows.text(row, 3));
  }
  if (rows.rows() > limit) page.next = place_of(rows, limit - 1);
  co_return page;
}

Task<DeadLetterPage> DeadLetters::payloads(DeadLetterFilter filter,
                                           std::optional<DeadLetterPlace> before, int limit,
                                           std::int64_t bytes_max) {
  pg::Params params = page_params(filter, before, limit);
  params.i64(bytes_max);
  auto connection = co_await queries_.lease();
  const pg::Result rows = co_await connection->run(sql::kDeadPayloads, std::move(params));
  DeadLetterPage page;
  for (int row = 0; row < std::min(rows.rows(), limit); ++row) {
    page.rows.push_back(with_payload(rows, row));
  }
  const int last = static_cast<int>(page.rows.size()) - 1;
  if (last >= 0 && rows.boolean(last, 5)) page.next = place_of(rows, last);
  co_return page;
}

Task<std::optional<std::string>> DeadLetters::get(Uuid id) {
  auto params = key_params(id);
  if (!params) co_return std::nullopt;
  auto connection = co_await queries_.lease();
  const pg::Result rows = co_await connection->run(sql::kDeadGet, std::move(*params));
  if (rows.rows() == 0) co_return std::nullopt;
  co_return with_payload(rows, 0);
}

Task<DeadRetry> DeadLetters::retry(Uuid id, bool force) {
  auto params = key_params(id);
  if (!params) co_return DeadRetry::no_letter;
  params->text(force ? "true" : "false");
  auto connection = co_await queries_.lease();
  const pg::Result row = co_await connection->run(sql::kDeadRetry, std::move(*params));
  if (row.rows() == 0) co_return DeadRetry::no_letter;
  if (row.boolean(0, 2)) co_return DeadRetry::done;
  if (row.is_null(0, 0)) co_return DeadRetry::no_subscriber;
  if (!row.boolean(0, 1)) co_return DeadRetry::no_payload;
  const bool at_most_once = row.text(0, 0) == "at_most_once" && !force;
  co_return at_most_once ? DeadRetry::at_most_once : DeadRetry::under_way;
}

Task<DeadRetried> DeadLetters::count(DeadLetterFilter filter, bool force) {
  pg::Params params = filter_params(filter);
  params.text(force ? "true" : "false");
  auto connection = co_await queries_.lease();
  const pg::Result row = co_await connection->run(sql::kDeadCount, std::move(params));
  co_return numbers(row);
}

Task<DeadRetried> DeadLetters::retry_all(DeadLetterFilter filter, bool force,
                                         std::optional<double> rate) {
  pg::Params params = filter_params(filter);
  params.text(force ? "true" : "false").i32(kRetriedMax).f64(rate ? 1 / *rate : 0.0);
  auto connection = co_await queries_.lease();
  const pg::Result row = co_await connection->run(sql::kDeadRetryAll, std::move(params));
  co_return numbers(row);
}

Task<bool> DeadLetters::discard(Uuid id) {
  auto params = key_params(id);
  if (!params) co_return false;
  auto connection = co_await queries_.lease();
  const pg::Result row = co_await connection->run(sql::kDeadDiscard, std::move(*params));
  co_return row.rows() > 0;
}

}  // namespace eventhub::store
