// What each disturbance is. Everything goes through the tables as the hub itself keeps them
// (fill_sql.cpp), or through posts; the hub runs all the while, and the invariants hold at every
// commit.
#include "bench/disturb.hpp"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

#include "bench/fill_sql.hpp"
#include "bench/records.hpp"

namespace eventhub::bench {
namespace {

constexpr std::int64_t kChunk = 100'000;
// The hub makes partitions as its fan-out goes; what is written must not outrun it.
constexpr std::int64_t kAheadMax = 500'000;
// Queues as long as this leave the hub's memory; that takes dispatcher.park_after_ms, and has to be
// over before the clocks start.
constexpr std::int64_t kParkedFrom = 100'000;
constexpr std::int64_t kGiveUp = 300 * kSecond;
// Grows with whatever the hub does about what was prepared.
constexpr const char* kWork =
    "SELECT (SELECT cursor FROM sequencer) + (SELECT sum(lwm) FROM shards)::bigint"
    " + (SELECT n_tup_ins FROM pg_stat_user_tables WHERE relid = 'parked'::regclass)";
constexpr std::uint64_t kFollowerNumbers = std::uint64_t{3} << 40;

constexpr std::array<std::pair<Disturb, std::string_view>, 7> kNames{
    {{Disturb::none, "none"},
     {Disturb::backlog, "backlog"},
     {Disturb::longtx, "longtx"},
     {Disturb::slowdead, "slowdead"},
     {Disturb::blockedkey, "blockedkey"},
     {Disturb::keys, "keys"},
     {Disturb::growth, "growth"}}};

void pause(int milliseconds) {
  ::poll(nullptr, 0, milliseconds);
}

}  // namespace

std::string_view to_string(Disturb kind) {
  return std::ranges::find(kNames, kind, &std::pair<Disturb, std::string_view>::first)->second;
}

Disturb disturb_named(std::string_view name) {
  for (const auto& [kind, known] : kNames) {
    if (known == name) return kind;
  }
  throw std::invalid_argument(
      "--disturb is backlog, longtx, slowdead, blockedkey, keys, growth or none");
}

bool has_parameter(Disturb kind, std::string_view name) {
  switch (kind) {
    case Disturb::backlog:
      return name == "rows" || name == "dead";
    case Disturb::slowdead:
      return name == "slow-ms" || name == "dead";
    case Disturb::blockedkey:
    case Disturb::keys:
      return name == "rows";
    case Disturb::growth:
      return name == "rows" || name == "partitions";
    case Disturb::longtx:
    case Disturb::none:
      break;
  }
  return false;
}

std::string DisturbPlan::describe() const {
  const std::string_view dead = refuses ? "refuses connections" : "never answers";
  switch (kind) {
    case Disturb::backlog:
      return fmt::format("{} undelivered messages of a subscriber that {}", rows, dead);
    case Disturb::longtx:
      return "a transaction held open in PostgreSQL";
    case Disturb::slowdead:
      return fmt::format("one more subscriber takes {} ms, another one {}", slow.count(), dead);
    case Disturb::blockedkey:
      return fmt::format("one key refused, {} events behind it", rows);
    case Disturb::keys:
      return fmt::format("an idempotency key for every event, {} keys stored", rows);
    case Disturb::growth:
      return fmt::format("{} events stored in {} partitions", rows, partitions);
    case Disturb::none:
      break;
  }
  return "nothing";
}

std::uint32_t bystanders(Disturb kind) {
  return kind == Disturb::slowdead ? 2 : kind == Disturb::backlog ? 1 : 0;
}

Disturbance::Disturbance(DisturbPlan plan, Tools tools) : plan_(plan), tools_(std::move(tools)) {}

void Disturbance::change(Load& load) const {
  if (plan_.kind == Disturb::keys) load.idempotency = true;
}

void Disturbance::prepare() {
  switch (plan_.kind) {
    case Disturb::backlog:
      return backlog();
    case Disturb::longtx:
      holder_ = std::make_unique<HubDatabase>(tools_.conninfo);
      return holder_->hold_transaction();
    case Disturb::slowdead:
      return slow_and_dead();
    case Disturb::blockedkey:
      return blocked_key();
    case Disturb::keys:
      return stored_keys();
    case Disturb::growth:
      return growth();
    case Disturb::none:
      break;
  }
}

void Disturbance::verify() {
  if (holder_) holder_->end_transaction();
}

// The events are written by SQL, as the hub's statement writes them; the rest is the hub's own
// work: it fans them out, tries the first ones, and parks what its memory should not hold.
void Disturbance::backlog() {
  tools_.database.add_subscriber(tools_.shape.bystanders.first, {"bench.backlog"}, dead_url());
  std::int64_t last = tools_.database.last_event();
  for (std::int64_t done = 0; done < plan_.rows; done += kChunk) {
    last = tools_.database.number(
        insert_events_sql("bench.backlog", std::min(kChunk, plan_.rows - done)));
    wait_until_passed(last - kAheadMax, false);
    progress("events", done);
  }
  wait_until_passed(last, plan_.rows >= kParkedFrom);
  tools_.database.execute(kAnalyze);
}

void Disturbance::slow_and_dead() {
  std::vector<std::string> types;
  for (std::size_t kind = 0; kind < tools_.shape.kinds.size(); ++kind) {
    types.push_back(event_type(static_cast<std::uint8_t>(kind)));
  }
  const std::uint32_t slow = tools_.shape.bystanders.first;
  tools_.database.add_subscriber(slow, types, receiver_url(tools_.ports, slow));
  tools_.database.add_subscriber(slow + 1, types, dead_url());
}

void Disturbance::blocked_key() {
  Load followers;
  followers.closed = true;
  followers.events = static_cast<std::uint64_t>(plan_.rows);
  followers.seconds = 3'600;
  followers.one_key = true;
  followers.optional = true;
  followers.keys = 0;
  followers.part = 0;
  followers.first_key = kBlockedKey;
  followers.first_number = kFollowerNumbers;
  tools_.post(followers);
  wait_until_passed(tools_.database.last_event(), plan_.rows >= kParkedFrom);
  tools_.database.execute(kAnalyze);
}

// Evenly over the buckets that are alive, as on a hub that runs for long.
void Disturbance::stored_keys() {
  tools_.database.execute(make_key_bucket_sql());
  for (std::int64_t done = 0; done < plan_.rows;) {
    const std::int64_t chunk = std::min<std::int64_t>(10 * kChunk, plan_.rows - done);
    tools_.database.execute(insert_keys_sql(chunk));
    done += chunk;
    progress("keys", done);
  }
  tools_.database.execute("ANALYZE idempotency_keys");
}

// Events of a type that nobody wants first. When fan-out and every shard's low water have passed
// them, messages and attempts are added below: what is there has a final attempt, so nothing is
// open, and a restart reads none of it.
void Disturbance::growth() {
  const auto there = static_cast<int>(tools_.database.number("SELECT count(*) FROM partitions"));
  const int wanted = std::max(plan_.partitions - there, 1);
  make_partitions(wanted, std::max<std::int64_t>(plan_.rows / wanted, 1));
  const std::int64_t first = tools_.database.last_event() + 1;
  std::int64_t last = first - 1;
  for (std::int64_t done = 0; done < plan_.rows; done += kChunk) {
    last = tools_.database.number(
        insert_events_sql("bench.stored", std::min(kChunk, plan_.rows - done)));
    wait_until_passed(last - kAheadMax, false);
    progress("events", done);
  }
  wait_until_passed(last, true);
  for (std::int64_t from = first; from <= last; from += kChunk) {
    tools_.database.execute(insert_history_sql(from, std::min(from + kChunk - 1, last),
                                               tools_.database.first_subscriber()));
    progress("messages and attempts", from - first);
  }
  tools_.database.execute(kAnalyze);
}

// A few at a time: each locks a dozen tables and indexes.
void Disturbance::make_partitions(int count, std::int64_t rows_each) {
  constexpr int kAtOnce = 10;
  for (int made = 0; made < count; made += kAtOnce) {
    tools_.database.execute(make_partitions_sql(std::min(kAtOnce, count - made), rows_each));
  }
}

// Until every event up to there has its messages; with `low_water` also until no open message below
// is in the hub's memory alone.
void Disturbance::wait_until_passed(std::int64_t event_seq, bool low_water) {
  const std::string sql =
      fmt::format("SELECT least((SELECT cursor FROM sequencer), {})",
                  low_water ? "(SELECT min(lwm) FROM shards)" : std::to_string(event_seq));
  std::int64_t before = -1, moved = now_ns();
  while (true) {
    const std::int64_t now = tools_.database.number(sql);
    if (now >= event_seq) return;
    const std::int64_t done = tools_.database.number(kWork);
    if (done != before) moved = now_ns();
    if (now_ns() - moved > kGiveUp) {
      throw std::runtime_error(
          fmt::format("the hub stands still at event_seq {} of {}", now, event_seq));
    }
    before = done;
    pause(100);
  }
}

// Nobody accepts connections of either: the kernel answers for the one that hangs.
std::string Disturbance::dead_url() {
  dead_.push_back(plan_.refuses ? bind_without_listening() : listen_on_free_ports(1).front());
  return fmt::format("http://127.0.0.1:{}/dead", dead_.back().port);
}

void Disturbance::progress(std::string_view what, std::int64_t done) {
  if (now_ns() - said_ < 10 * kSecond) return;
  if (said_ != 0) tools_.say(fmt::format("{} of {} {}", done, plan_.rows, what));
  said_ = now_ns();
}

}  // namespace eventhub::bench
