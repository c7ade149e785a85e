// The statements of Ingest, their parameters and their answers. Called by ingest_commit.cpp.
#include "ingest_sql.hpp"

#include <unordered_map>

#include "eventhub/core/fault.hpp"
#include "eventhub/store/database.hpp"

namespace eventhub::store {

const pg::Statement kIngestPing{"ingest_ping", "SELECT 1"};
const pg::Statement kIngestLastSeq{"ingest_last_seq", "SELECT last_value FROM event_seq"};

namespace {

const pg::Statement kLockOrder{"ingest_lock", "SELECT pg_advisory_xact_lock($1, $2)"};

// All INSERTs answer alike: a row for each key that was there before, then one with the last
// event_seq.
const pg::Statement kInsert{"ingest_insert", R"(
WITH written AS (
  INSERT INTO events (id, event_type, version, organization_id, user_id, traceparent, payload)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                       $7::text[])
  RETURNING event_seq)
SELECT NULL::uuid, NULL::uuid, NULL::uuid, max(event_seq) FROM written)"};

// Nobody else writes keys while we hold the lock, so who finds no row has won. NOT IN is a hashed
// subplan whatever the planner believes; old.k is never NULL.
const pg::Statement kInsertKeyed{"ingest_insert_keyed", R"(
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
  RETURNING event_seq)
SELECT k, fingerprint, event_id, NULL::bigint FROM old
UNION ALL SELECT NULL, NULL, NULL, max(event_seq) FROM written)"};

// As above for a batch with a time in it: what is to go out later goes to `outbox`.
const pg::Statement kInsertTimed{"ingest_insert_timed", R"(
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
  RETURNING event_seq)
SELECT k, fingerprint, event_id, NULL::bigint FROM old
UNION ALL SELECT NULL, NULL, NULL, max(event_seq) FROM written)"};

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
enum class InsertKind { plain, keyed, timed };

InsertKind insert_kind(std::span<const WaitingPtr> rows) {
  InsertKind kind = InsertKind::plain;
  for (const auto& row : rows) {
    if (row->event.timed()) return InsertKind::timed;
    if (row->key) kind = InsertKind::keyed;
  }
  return kind;
}

const pg::Statement& insert_of(InsertKind kind) {
  if (kind == InsertKind::timed) return kInsertTimed;
  return kind == InsertKind::keyed ? kInsertKeyed : kInsert;
}

pg::Params insert_params(std::span<const WaitingPtr> rows, InsertKind kind) {
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

std::vector<pg::Call> insert_calls(std::span<const WaitingPtr> rows, std::int32_t lock_space) {
  const InsertKind kind = insert_kind(rows);
  pg::Params lock;
  lock.i32(lock_space).i32(static_cast<std::int32_t>(Lock::ordering));
  std::vector<pg::Call> calls;
  calls.reserve(2);
  if (!EVENTHUB_MUTANT("id_cursor")) calls.push_back({&kLockOrder, std::move(lock)});
  calls.push_back({&insert_of(kind), insert_params(rows, kind)});
  return calls;
}

std::int64_t read_inserted(std::span<const WaitingPtr> rows, const pg::Result& result) {
  std::unordered_map<Uuid, StoredKey, UuidHash> old;
  std::int64_t last = 0;
  for (int row = 0; row < result.rows(); ++row) {
    if (result.is_null(row, 0)) {
      last = result.optional_i64(row, 3).value_or(0);
    } else {
      old.emplace(result.uuid(row, 0), StoredKey{result.uuid(row, 1), result.uuid(row, 2)});
    }
  }
  for (const auto& row : rows) {
    const auto found = row->key ? old.find(row->key->key) : old.end();
    if (found == old.end()) {
      row->result = Accepted{row->id, false};
    } else {
      row->stored = found->second;
      row->result = judge(*row->key, found->second);
    }
  }
  return last;
}

}  // namespace eventhub::store
