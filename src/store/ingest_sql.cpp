// The statements of Ingest, their parameters and their answers. Called by ingest_commit.cpp.
#include "ingest_sql.hpp"

#include <algorithm>
#include <unordered_map>

#include "eventhub/core/fault.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {

const pg::Statement kIngestPing{"ingest_ping", "SELECT 1"};
const pg::Statement kIngestLastSeq{"ingest_last_seq", "SELECT last_value FROM event_seq"};

namespace {

const pg::Statement kLockOrder{"ingest_lock", "SELECT pg_advisory_xact_lock($1, $2)"};

// All INSERTs answer alike: a row for each key that was there before (k, fingerprint, event_id),
// then one for each event, or one for all, without a key and with the (last) event_seq.
constexpr std::string_view kOld =
    "SELECT k, fingerprint, event_id, NULL::bigint, NULL::timestamptz, NULL::bigint FROM old "
    "UNION ALL ";
constexpr std::string_view kEach =
    "SELECT NULL::uuid, NULL::uuid, id, event_seq, created_at, "
    "(SELECT version FROM subscribers_version) FROM written";
constexpr std::string_view kLast =
    "SELECT NULL::uuid, NULL::uuid, NULL::uuid, max(event_seq), NULL::timestamptz, NULL::bigint "
    "FROM written";

constexpr std::string_view kInsert = R"(
WITH written AS (
  INSERT INTO events (id, event_type, version, organization_id, user_id, traceparent, payload)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                       $7::text[])
  RETURNING id, event_seq, created_at)
)";

// A batch of one, as they all are while events are rare: arrays would be a twentieth of what
// PostgreSQL does.
constexpr std::string_view kInsertOne = R"(
INSERT INTO events (id, event_type, version, organization_id, user_id, traceparent, payload)
VALUES ($1, $2, $3, $4, $5, $6, $7)
RETURNING NULL::uuid, NULL::uuid, id, event_seq, created_at,
          (SELECT version FROM subscribers_version)
)";

// Nobody else writes keys while we hold the lock, so who finds no row has won. NOT IN is a hashed
// subplan whatever the planner believes; old.k is never NULL.
constexpr std::string_view kInsertKeyed = R"(
WITH old AS MATERIALIZED (
  SELECT k, fingerprint, event_id FROM idempotency_keys WHERE k = ANY($8::uuid[])
), remembered AS (
  INSERT INTO idempotency_keys (k, fingerprint, event_id)
  SELECT n.k, n.fingerprint, n.id
  FROM unnest($8::uuid[], $9::uuid[], $1::uuid[]) AS n(k, fingerprint, id)
  WHERE n.k IS NOT NULL AND n.k NOT IN (SELECT old.k FROM old)
), written AS (
  INSERT INTO events (id, event_type, version, organization_id, user_id, traceparent, payload)
  SELECT n.id, n.event_type, n.version, n.organization_id, n.user_id, n.traceparent, n.payload
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
              $7::text[], $8::uuid[])
    AS n(id, event_type, version, organization_id, user_id, traceparent, payload, k)
  WHERE n.k IS NULL OR n.k NOT IN (SELECT old.k FROM old)
  RETURNING id, event_seq, created_at)
)";

// As above for a batch with a time in it: what is to go out later goes to `outbox`.
constexpr std::string_view kInsertTimed = R"(
WITH old AS MATERIALIZED (
  SELECT k, fingerprint, event_id FROM idempotency_keys WHERE k = ANY($8::uuid[])
), given AS MATERIALIZED (
  SELECT n.*, coalesce(n.due_at > now(), false) AS later
  FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
              $8::uuid[], $9::uuid[], $10::timestamptz[], $11::timestamptz[]) WITH ORDINALITY
    AS n(id, event_type, version, organization_id, user_id, traceparent, payload, k, fingerprint,
         due_at, expires_at, place)
  WHERE n.k IS NULL OR n.k NOT IN (SELECT old.k FROM old)
), remembered AS (
  INSERT INTO idempotency_keys (k, fingerprint, event_id)
  SELECT k, fingerprint, id FROM given WHERE k IS NOT NULL
), filed AS (
  INSERT INTO outbox (id, event_id, event_type, version, organization_id, user_id, traceparent,
                      payload, due_at, expires_at, posted)
  OVERRIDING SYSTEM VALUE
  SELECT nextval('outbox_filed_id'), g.* FROM (
    SELECT id, event_type, version, organization_id, user_id, traceparent, payload, due_at,
           expires_at, true
    FROM given WHERE later ORDER BY place) g
), written AS (
  INSERT INTO events (id, event_type, version, organization_id, user_id, traceparent, payload,
                      expires_at)
  SELECT id, event_type, version, organization_id, user_id, traceparent, payload, expires_at
  FROM given WHERE NOT later ORDER BY place
  RETURNING id, event_seq, created_at)
)";

template <class T, class Get>
std::vector<T> column(std::span<const WaitingPtr> rows, Get get) {
  std::vector<T> values;
  values.reserve(rows.size());
  for (const auto& row : rows) values.push_back(get(*row));
  return values;
}

using Text = std::string_view;
using MaybeText = std::optional<std::string_view>;
using MaybeUuid = std::optional<Uuid>;
using MaybeTime = std::optional<Time>;

// What an INSERT has to know of the batch.
enum class InsertKind { one, plain, keyed, timed };

InsertKind insert_kind(std::span<const WaitingPtr> rows) {
  InsertKind kind = rows.size() == 1 ? InsertKind::one : InsertKind::plain;
  for (const auto& row : rows) {
    if (row->event.timed()) return InsertKind::timed;
    if (row->key) kind = InsertKind::keyed;
  }
  return kind;
}

pg::Statement insert_of(std::string name, std::string_view insert, bool old, bool each) {
  std::string text(insert);
  if (old) text += kOld;
  text += each ? kEach : kLast;
  return {std::move(name), std::move(text)};
}

const pg::Statement kOne{"ingest_insert_one", std::string(kInsertOne)};
const pg::Statement kPlain[] = {insert_of("ingest_insert", kInsert, false, false),
                                insert_of("ingest_insert_each", kInsert, false, true)};
const pg::Statement kKeyed[] = {insert_of("ingest_insert_keyed", kInsertKeyed, true, false),
                                insert_of("ingest_insert_keyed_each", kInsertKeyed, true, true)};
const pg::Statement kTimed = insert_of("ingest_insert_timed", kInsertTimed, true, false);

const pg::Statement& insert_of(InsertKind kind, bool each) {
  if (kind == InsertKind::one) return kOne;
  if (kind == InsertKind::timed) return kTimed;
  return kind == InsertKind::keyed ? kKeyed[each] : kPlain[each];
}

Event event_of(Waiting& row, std::int64_t seq, Time created_at) {
  Event event;
  event.event_seq = seq;
  event.id = row.id;
  event.created_at = created_at;
  event.event_type = std::move(row.event.event_type);
  event.version = std::move(row.event.version);
  event.organization_id = std::move(row.event.organization_id);
  event.user_id = std::move(row.event.user_id);
  event.traceparent = std::move(row.event.traceparent);
  event.payload = std::move(row.event.payload);
  return event;
}

pg::Params one_params(const Waiting& row) {
  const NewEvent& event = row.event;
  pg::Params params;
  params.uuid(row.id).text(event.event_type).text(event.version).text(event.organization_id);
  params.text(event.user_id).text(event.traceparent).text(event.payload);
  return params;
}

pg::Params insert_params(std::span<const WaitingPtr> rows, InsertKind kind) {
  if (kind == InsertKind::one) return one_params(*rows.front());
  pg::Params params;
  params.uuids(std::span<const Uuid>(column<Uuid>(rows, [](auto& w) { return w.id; })));
  params.texts(
      std::span<const Text>(column<Text>(rows, [](auto& w) { return Text(w.event.event_type); })));
  params.texts(
      std::span<const Text>(column<Text>(rows, [](auto& w) { return Text(w.event.version); })));
  params.texts(std::span<const MaybeText>(
      column<MaybeText>(rows, [](auto& w) { return MaybeText(w.event.organization_id); })));
  params.texts(std::span<const MaybeText>(
      column<MaybeText>(rows, [](auto& w) { return MaybeText(w.event.user_id); })));
  params.texts(std::span<const MaybeText>(
      column<MaybeText>(rows, [](auto& w) { return MaybeText(w.event.traceparent); })));
  params.texts(
      std::span<const Text>(column<Text>(rows, [](auto& w) { return Text(w.event.payload); })));
  if (kind == InsertKind::plain) return params;
  params.uuids(std::span<const MaybeUuid>(column<MaybeUuid>(
      rows, [](auto& w) { return w.key ? MaybeUuid(w.key->key) : std::nullopt; })));
  params.uuids(std::span<const MaybeUuid>(column<MaybeUuid>(
      rows, [](auto& w) { return w.key ? MaybeUuid(w.key->fingerprint) : std::nullopt; })));
  if (kind == InsertKind::keyed) return params;
  params.timestamps(std::span<const MaybeTime>(
      column<MaybeTime>(rows, [](auto& w) { return w.event.deliver_after; })));
  params.timestamps(std::span<const MaybeTime>(
      column<MaybeTime>(rows, [](auto& w) { return w.event.expires_at; })));
  return params;
}

}  // namespace

std::vector<pg::Call> insert_calls(std::span<const WaitingPtr> rows, std::int32_t lock_space,
                                   bool each) {
  const InsertKind kind = insert_kind(rows);
  pg::Params lock;
  lock.i32(lock_space).i32(static_cast<std::int32_t>(Lock::ordering));
  std::vector<pg::Call> calls;
  calls.reserve(2);
  if (!EVENTHUB_MUTANT("id_cursor")) calls.push_back({&kLockOrder, std::move(lock)});
  calls.push_back({&insert_of(kind, each), insert_params(rows, kind)});
  return calls;
}

std::int64_t read_inserted(std::span<const WaitingPtr> rows, const pg::Result& result,
                           Written& written) {
  std::unordered_map<Uuid, StoredKey, UuidHash> old;
  std::unordered_map<Uuid, std::pair<std::int64_t, Time>, UuidHash> places;
  std::int64_t last = 0;
  for (int row = 0; row < result.rows(); ++row) {
    if (!result.is_null(row, 0)) {
      old.emplace(result.uuid(row, 0), StoredKey{result.uuid(row, 1), result.uuid(row, 2)});
      continue;
    }
    const std::int64_t seq = result.optional_i64(row, 3).value_or(0);
    last = std::max(last, seq);
    if (result.is_null(row, 2)) continue;
    written.subscribers_version = result.i64(row, 5);
    places[result.uuid(row, 2)] = {seq, result.timestamp(row, 4)};
  }
  for (const auto& row : rows) {
    const auto found = row->key ? old.find(row->key->key) : old.end();
    if (found != old.end()) {
      row->stored = found->second;
      row->result = judge(*row->key, found->second);
      continue;
    }
    row->result = Accepted{row->id, false};
    const auto place = places.find(row->id);
    if (place == places.end()) continue;
    written.events.push_back(event_of(*row, place->second.first, place->second.second));
  }
  return last;
}

}  // namespace eventhub::store
