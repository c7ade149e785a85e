#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "eventhub/core/lanes.hpp"
#include "eventhub/store/context.hpp"

namespace eventhub::store {

// A window of `messages`: every row with after < event_seq <= end, no LIMIT (a LIMIT would end
// inside an event and skip messages).
struct FeedWindow {
  std::int64_t end = 0;
  bool more = false;  // there were messages beyond it already
  std::int64_t subscribers_version = 0;
  std::vector<FedMessage> messages;
};

// Reads what the fan-out wrote, by name of the partition, on one connection.
class MessageFeed {
 public:
  MessageFeed(Context& context, pg::Connection& connection)
      : context_(context), connection_(connection) {}

  // The last message there is, in whatever partition, or the cursor when that is further.
  Task<std::int64_t> end_of_messages();
  // How far messages are complete: everything up to there is visible to a later statement. `after`
  // chooses the partitions to look at.
  Task<std::int64_t> horizon(std::int64_t after);
  // Rows of (after, min(horizon, after + events, end of the partition)] for `shards`; empty window
  // with end == after when there is nothing new. Learns the next horizon in the same round trip.
  // What the fan-out of this process has just committed comes from memory.
  Task<FeedWindow> read(std::int64_t after, int events, const std::vector<std::int16_t>& shards);
  // The same for a shard just taken: without final and parked messages, with attempts; one
  // snapshot.
  Task<FeedWindow> rebuild(std::int64_t after, int events, const std::vector<std::int16_t>& shards);

 private:
  std::optional<FeedWindow> take_fresh(std::int64_t after, int events,
                                       const std::vector<std::int16_t>& shards);
  Task<std::int64_t> end_of_window(std::int64_t after, int events);
  // The window's end, and the partition to read it from; none when there is nothing to read.
  Task<std::optional<Partition>> begin(FeedWindow& window, std::int64_t after, int events);
  Task<std::optional<pg::Statement>> horizon_statement(std::int64_t after);
  void take_horizon(const pg::Result& result);

  Context& context_;
  pg::Connection& connection_;
  std::int64_t horizon_ = 0;
  std::int64_t version_ = 0;
};

}  // namespace eventhub::store
