// Raw PostgreSQL: what every event of the hub must be written for, by one connection that does
// nothing else, at the same durability and with the same settings as the hub's own sessions.
#include <fmt/format.h>
#include <libpq-fe.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bench/baseline.hpp"
#include "bench/cpu.hpp"
#include "bench/records.hpp"
#include "eventhub/pg/statement.hpp"

namespace eventhub::bench {
namespace {

constexpr std::int64_t kSaveEvery = kSecond;  // as often as the hub saves its cursor

// Copies of the hub's tables with all their indexes, partitioned alike. LIKE takes the default of
// event_seq along, which would count up the hub's own sequence.
constexpr const char* kSetUp = R"(
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS eventhub_bench CASCADE;
CREATE SCHEMA eventhub_bench;
SET search_path = eventhub_bench;
CREATE SEQUENCE event_seq MINVALUE 1 CACHE 1;
CREATE TABLE events (LIKE eventhub.events INCLUDING ALL) PARTITION BY RANGE (event_seq);
ALTER TABLE events ALTER event_seq SET DEFAULT nextval('event_seq');
CREATE TABLE messages (LIKE eventhub.messages INCLUDING ALL) PARTITION BY RANGE (event_seq);
CREATE TABLE delivery_attempts (LIKE eventhub.delivery_attempts INCLUDING ALL)
  PARTITION BY RANGE (event_seq);
CREATE TABLE events_p0 PARTITION OF events FOR VALUES FROM (MINVALUE) TO (MAXVALUE)
  WITH (fillfactor = 100, autovacuum_vacuum_insert_threshold = -1);
CREATE TABLE messages_p0 PARTITION OF messages FOR VALUES FROM (MINVALUE) TO (MAXVALUE)
  WITH (fillfactor = 100, autovacuum_vacuum_insert_threshold = -1);
CREATE TABLE delivery_attempts_p0 PARTITION OF delivery_attempts
  FOR VALUES FROM (MINVALUE) TO (MAXVALUE)
  WITH (fillfactor = 100, autovacuum_vacuum_insert_threshold = -1);
CREATE TABLE sequencer (LIKE eventhub.sequencer INCLUDING ALL) WITH (fillfactor = 50);
INSERT INTO sequencer DEFAULT VALUES;
SET synchronous_commit = on;
SET jit = off;
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_bitmapscan = off;)";

const pg::Statement kEvents{"events", R"(
WITH written AS (
  INSERT INTO events (id, event_type, version, organization_id, user_id, traceparent, payload)
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
                       $7::text[])
  RETURNING event_seq)
SELECT max(event_seq) FROM written)"};
const pg::Statement kMessages{"messages", R"(
INSERT INTO messages (event_seq, sid, shard, khash)
SELECT * FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::int8[]))"};
const pg::Statement kAttempts{"attempts", R"(
INSERT INTO delivery_attempts (event_seq, sid, shard, attempt, outcome, http_status, latency_ms,
                               attempted_at, next_attempt_at, error, response)
SELECT * FROM unnest($1::int8[], $2::int4[], $3::int2[], $4::int2[], $5::int2[], $6::int2[],
                     $7::int4[], $8::timestamptz[], $9::timestamptz[], $10::text[], $11::text[]))"};
const pg::Statement kCursor{"cursor", "UPDATE sequencer SET cursor = $1 WHERE cursor < $1"};

using Text = std::optional<std::string_view>;
using ResultPtr = std::unique_ptr<PGresult, void (*)(PGresult*)>;

// A connection whose tables are those of the schema above.
class Scratch {
 public:
  explicit Scratch(const std::string& conninfo)
      : connection_(PQconnectdb(conninfo.c_str()), &PQfinish) {
    if (PQstatus(connection_.get()) != CONNECTION_OK) fail();
    check(PQexec(connection_.get(), kSetUp));
    for (const pg::Statement* statement : {&kEvents, &kMessages, &kAttempts, &kCursor}) {
      check(PQprepare(connection_.get(), statement->name.c_str(), statement->text.c_str(), 0,
                      nullptr));
    }
  }
  ~Scratch() { PQclear(PQexec(connection_.get(), "DROP SCHEMA eventhub_bench CASCADE")); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // One commit.
  ResultPtr run(const pg::Statement& statement, const pg::Params& params) {
    std::vector<const char*> values;
    std::vector<int> lengths, formats;
    for (const pg::Params::Value& value : params.values()) {
      values.push_back(value.null ? nullptr : value.bytes.data());
      lengths.push_back(static_cast<int>(value.bytes.size()));
      formats.push_back(1);
    }
    return check(PQexecPrepared(connection_.get(), statement.name.c_str(),
                                static_cast<int>(values.size()), values.data(), lengths.data(),
                                formats.data(), 0));
  }
  pid_t backend() const { return PQbackendPID(connection_.get()); }

 private:
  ResultPtr check(PGresult* result) {
    ResultPtr owned(result, &PQclear);
    const ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) fail();
    return owned;
  }
  [[noreturn]] void fail() const {
    throw std::runtime_error(std::string("raw PostgreSQL: ") + PQerrorMessage(connection_.get()));
  }

  std::unique_ptr<PGconn, void (*)(PGconn*)> connection_;
};

class RawRun {
 public:
  explicit RawRun(const RawPlan& plan) : plan_(plan), scratch_(plan.database) {}

  void for_seconds(double seconds) {
    const std::int64_t end = now_ns() + static_cast<std::int64_t>(seconds * kSecond);
    while (now_ns() < end) batch();
  }
  std::uint64_t events() const { return events_; }

  // ns of all of PostgreSQL, 0 when it is not on this machine.
  std::int64_t postgres_cpu() const {
    const ProcessTable processes;
    const pid_t postmaster = processes.parent_of(scratch_.backend());
    return postmaster > 1 ? processes.cpu_of_tree(postmaster) : 0;
  }

 private:
  void batch() {
    const std::int64_t last = insert_events();
    const std::int64_t first = last - plan_.batch + 1;
    insert_messages(first);
    insert_attempts();
    if (now_ns() - saved_ > kSaveEvery) {
      scratch_.run(kCursor, pg::Params().i64(last));
      saved_ = now_ns();
    }
    events_ += plan_.batch;
  }

  // The highest event_seq; the others are those before it.
  std::int64_t insert_events() {
    const std::uint32_t n = plan_.batch;
    std::vector<Uuid> ids(n);
    std::vector<std::string> types(n), organizations(n), users(n), payloads(n);
    for (std::uint32_t i = 0; i < n; ++i) {
      const std::uint64_t number = events_ + i;
      const std::uint32_t key =
          plan_.keys > 0 ? static_cast<std::uint32_t>(number % plan_.keys) : kNoKey;
      ids[i] = uuid_v7(clock_.now());
      types[i] = event_type(plan_.shape.kind_of(number));
      organizations[i] = fmt::format("org-{}", key);
      users[i] = fmt::format("u-{}", key);
      append_payload(payloads[i], number, key, 0, plan_.shape.payload_bytes);
    }
    const std::vector<Text> versions(n, "1.0"), none(n);
    const auto texts = [](const std::vector<std::string>& from) {
      return std::vector<Text>(from.begin(), from.end());
    };
    const bool keyed = plan_.keys > 0;
    pg::Params params;
    params.uuids(std::span<const Uuid>(ids)).texts(texts(types)).texts(versions);
    params.texts(keyed ? texts(organizations) : none).texts(keyed ? texts(users) : none);
    params.texts(none).texts(texts(payloads));
    const ResultPtr result = scratch_.run(kEvents, params);
    return std::stoll(PQgetvalue(result.get(), 0, 0));
  }

  void insert_messages(std::int64_t first) {
    seqs_.clear();
    sids_.clear();
    shards_.clear();
    std::vector<std::optional<std::int64_t>> hashes;
    for (std::uint32_t i = 0; i < plan_.batch; ++i) {
      const Shape::Range range = plan_.shape.kinds[plan_.shape.kind_of(events_ + i)];
      for (std::uint32_t s = range.first; s < range.first + range.count; ++s) {
        seqs_.push_back(first + i);
        sids_.push_back(static_cast<std::int32_t>(s));
        shards_.push_back(static_cast<std::int16_t>((first + i + s) % 64));
        const bool ordered = plan_.keys > 0 && plan_.shape.ordered(s);
        hashes.push_back(ordered ? std::optional<std::int64_t>(first + i) : std::nullopt);
      }
    }
    scratch_.run(kMessages, pg::Params().i64s(seqs_).i32s(sids_).i16s(shards_).i64s(hashes));
  }

  // All were delivered at once.
  void insert_attempts() {
    const std::size_t n = seqs_.size();
    const std::vector<std::int16_t> ones(n, 1), statuses(n, 200);
    const std::vector<std::int32_t> latencies(n, 1);
    const std::vector<std::optional<Time>> times(n, clock_.now()), never(n);
    const std::vector<Text> none(n);
    pg::Params params;
    params.i64s(seqs_).i32s(sids_).i16s(shards_).i16s(ones).i16s(ones).i16s(statuses);
    params.i32s(latencies).timestamps(times).timestamps(never).texts(none).texts(none);
    scratch_.run(kAttempts, params);
  }

  const RawPlan plan_;
  Scratch scratch_;
  SystemClock clock_;
  std::uint64_t events_ = 0;
  std::int64_t saved_ = 0;
  std::vector<std::int64_t> seqs_;  // of the batch's messages, as are the next two
  std::vector<std::int32_t> sids_;
  std::vector<std::int16_t> shards_;
};

}  // namespace

RawPostgres raw_postgres(const RawPlan& plan) {
  RawRun run(plan);
  run.for_seconds(plan.seconds / 5);  // until caches are warm and files have grown
  const std::uint64_t events = run.events();
  const std::int64_t postgres = run.postgres_cpu();
  const std::int64_t client = cpu_of_process(::getpid());
  const std::int64_t begun = now_ns();
  run.for_seconds(plan.seconds);
  const std::int64_t ended = now_ns();
  RawPostgres raw;
  raw.batch = plan.batch;
  raw.events = run.events() - events;
  raw.seconds = static_cast<double>(ended - begun) / kSecond;
  const auto per_event = [&](std::int64_t ns) {
    return static_cast<double>(ns) / 1'000 / static_cast<double>(raw.events);
  };
  raw.client_us = per_event(cpu_of_process(::getpid()) - client);
  raw.postgres_us = per_event(run.postgres_cpu() - postgres);
  return raw;
}

}  // namespace eventhub::bench
