// The cached list of partitions, and making the next ones with create_next_partition() of the
// schema.
#include "eventhub/store/partitions.hpp"

#include <algorithm>
#include <stdexcept>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kRetryPause{1'000};
constexpr int kAtOnceMax = 1'000;

const pg::Statement kList{"partitions_list",
                          "SELECT number, lower, upper FROM partitions ORDER BY lower"};
const pg::Statement kLockPartitions{"partitions_lock", "SELECT pg_advisory_xact_lock($1, $2)"};
// Sees what the former holder of the lock made: its snapshot is taken after the lock.
const pg::Statement kCreate{"partitions_create",
                            "SELECT create_next_partition() "
                            "WHERE (SELECT count(*) FROM partitions WHERE upper > $1) < 2"};

// The first partition that ends above `event_seq`.
auto ending_above(const std::vector<Partition>& partitions, std::int64_t event_seq) {
  return std::ranges::upper_bound(partitions, event_seq, {}, &Partition::upper);
}

}  // namespace

std::optional<Partition> Partitions::cached(std::int64_t event_seq) const {
  const auto found = ending_above(partitions_, event_seq);
  if (found == partitions_.end() || found->lower > event_seq) return std::nullopt;
  return *found;
}

Task<std::optional<Partition>> Partitions::find(std::int64_t event_seq) {
  std::optional<Partition> found = cached(event_seq);
  // Partitions are made upwards: what lies below the first known one is gone for good.
  const bool gone = !partitions_.empty() && event_seq < partitions_.front().lower;
  if (found || gone) co_return found;
  co_await reload();
  co_return cached(event_seq);
}

Task<std::optional<Partition>> Partitions::next_from(std::int64_t event_seq) {
  auto found = std::ranges::lower_bound(partitions_, event_seq, {}, &Partition::lower);
  if (found == partitions_.end()) {
    co_await reload();
    found = std::ranges::lower_bound(partitions_, event_seq, {}, &Partition::lower);
  }
  if (found == partitions_.end()) co_return std::nullopt;
  co_return *found;
}

Task<void> Partitions::ensure(std::int64_t event_seq) {
  Database::Lease connection = co_await database_.lease();
  for (int made = 0; made < kAtOnceMax; ++made) {
    std::vector<pg::Call> calls(2);
    calls[0].statement = &kLockPartitions;
    calls[0].params.i32(database_.lock_space()).i32(static_cast<std::int32_t>(Lock::partitions));
    calls[1].statement = &kCreate;
    calls[1].params.i64(event_seq);
    EVENTHUB_FAULT_BEFORE_COMMIT("partition.create");
    const std::vector<pg::Result> results = co_await connection->run_all(std::move(calls));
    EVENTHUB_FAULT_POINT_IF(results[1].rows() > 0, "partition.created");
    if (results[1].rows() == 0) {
      co_await load(*connection);
      co_return;
    }
  }
  throw std::logic_error("event_seq is far beyond the last partition");
}

void Partitions::saw(std::int64_t event_seq) {
  if (ensuring_ || (!partitions_.empty() && event_seq < partitions_.back().lower)) return;
  ensuring_ = true;
  spawn(database_.executor(), "partitions", ensure_later(event_seq));
}

Task<void> Partitions::ensure_later(std::int64_t event_seq) {
  std::string refusal;
  try {
    co_await ensure(event_seq);
  } catch (const std::exception& error) {
    refusal = error.what();
  }
  if (!refusal.empty()) {
    // Not urgent: one partition of room is left, and an insert without one makes it.
    log::warn("cannot make the next partition yet", {{"error", refusal}});
    co_await sleep_for(kRetryPause);
  }
  ensuring_ = false;
}

Task<void> Partitions::reload() {
  Database::Lease connection = co_await database_.lease();
  co_await load(*connection);
}

Task<void> Partitions::load(pg::Connection& connection) {
  const pg::Result result = co_await connection.run(kList, {});
  std::vector<Partition> fresh;
  for (int row = 0; row < result.rows(); ++row) {
    fresh.push_back({result.i32(row, 0), result.i64(row, 1), result.i64(row, 2)});
  }
  partitions_ = std::move(fresh);
}

}  // namespace eventhub::store
