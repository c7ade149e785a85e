#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eventhub/store/database.hpp"

namespace eventhub::store {

// events, messages and delivery_attempts are cut alike by event_seq: partition n holds
// [lower, upper). The table `partitions` lists them; this is its cached copy.
struct Partition {
  std::int32_t number = 0;
  std::int64_t lower = 0, upper = 0;
  std::string suffix() const { return "_p" + std::to_string(number); }
};

class Partitions {
 public:
  explicit Partitions(Database& database) : database_(database) {}
  // The partition that holds `event_seq`; reloads when unknown; nullopt when there is none
  // (dropped, or not made yet).
  Task<std::optional<Partition>> find(std::int64_t event_seq);
  // As find, but from the cache only. A partition dropped by another process is still in it: after
  // SQLSTATE 42P01 call reload().
  std::optional<Partition> cached(std::int64_t event_seq) const;
  // The partition with the lowest `lower` greater than or equal to `event_seq` (after a dropped
  // range).
  Task<std::optional<Partition>> next_from(std::int64_t event_seq);
  // Makes partitions until one holds `event_seq` and the next one exists too. Safe against others
  // (advisory lock).
  Task<void> ensure(std::int64_t event_seq);
  // Cheap: starts ensure() in the background when `event_seq` is in the last known partition.
  void saw(std::int64_t event_seq);
  Task<void> reload();
  const std::vector<Partition>& all() const { return partitions_; }

 private:
  Task<void> ensure_later(std::int64_t event_seq);
  Task<void> load(pg::Connection& connection);
  Database& database_;
  std::vector<Partition> partitions_;  // ascending
  bool ensuring_ = false;
};

}  // namespace eventhub::store
