#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eventhub/core/match.hpp"
#include "eventhub/store/context.hpp"
#include "eventhub/store/queries.hpp"

namespace eventhub::store {

// Which stored events are meant: those of a time or of numbers, both ends of numbers included.
struct ReplayRange {
  std::optional<Time> from, to;  // accepted then or later; before
  std::optional<std::int64_t> from_seq, to_seq;
  std::optional<std::string> event_type;  // a pattern
  std::optional<std::string> organization_id;
};

struct ReplayWish {
  bool dry_run = false;        // count only
  bool force = false;          // also what a subscriber at most once was sent before
  std::optional<double> rate;  // messages a second; at once without
  std::string by;              // who asks
};

struct ReplayDone {
  std::int64_t matched = 0;              // events of the range that match the subscriber
  std::int64_t lacking = 0;              // of those, without a message for it until now
  std::int64_t open = 0;                 // still to be sent, or being sent again
  std::int64_t sendable = 0;             // can be sent
  std::int64_t sent = 0;                 // will be sent by this request
  std::int64_t to_seq = 0;               // the end of the range
  std::optional<std::int64_t> next_seq;  // go on here; nullopt at the end of the range
};

// Stored events for a subscriber once more, or for the first time: messages that are over become
// redeliveries, as a retry of a dead letter does; for an event that had no message one is made
// beside its redelivery. Only events that every shard has behind it (its low water) are looked at,
// so that what is made here is open by its redelivery and by nothing else.
class Replay {
 public:
  static constexpr int kMessagesMax = 10'000;           // sent by one request
  static constexpr std::int64_t kEventsMax = 100'000;   // looked at by one request
  static constexpr std::int64_t kWaitingMax = 100'000;  // of one subscriber, not sent yet

  Replay(Context& context, Queries& queries) : context_(context), queries_(queries) {}

  // nullopt: there is no such subscriber.
  Task<std::optional<ReplayDone>> run(Uuid subscriber, ReplayRange range, ReplayWish wish);

 private:
  // The range in numbers (after, to], and how far every shard is.
  struct Bounds {
    std::int64_t after = 0, to = 0, settled = 0;
  };
  Task<Bounds> bounds_of(pg::Connection& connection, ReplayRange range);
  Task<void> send(pg::Connection& connection, const Subscriber& to, std::vector<Message> messages,
                  ReplayWish wish, ReplayDone& done);

  Context& context_;
  Queries& queries_;
};

}  // namespace eventhub::store
