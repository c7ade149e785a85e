#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eventhub/store/queries.hpp"

namespace eventhub::store {

// Which dead letters are meant; what is not set does not matter.
struct DeadLetterFilter {
  std::optional<Uuid> subscriber;
  std::optional<std::string> reason, outcome, event_type, organization_id, user_id;
  std::optional<std::int32_t> last_status;
  std::optional<Time> since, until;  // died then or later; before
};

// The place of a row in the list: it may have died again since.
struct DeadLetterPlace {
  Time failed_at;
  MessageRef ref;
};

struct DeadLetterPage {
  std::vector<std::string> rows;
  std::optional<DeadLetterPlace> next;
};

enum class DeadRetry { done, no_letter, no_subscriber, at_most_once, no_payload, under_way };

// How many dead letters a filter matches, how many of them can be sent again, and were.
struct DeadRetried {
  std::int64_t matched = 0, retryable = 0, retried = 0;
};

// The dead letter queue for the management API, newest first.
class DeadLetters {
 public:
  // Most that one request sends again.
  static constexpr int kRetriedMax = 10'000;

  explicit DeadLetters(Queries& queries) : queries_(queries) {}

  Task<DeadLetterPage> list(DeadLetterFilter filter, std::optional<DeadLetterPlace> before,
                            int limit);
  // The same with payloads, cut where the rows have so many bytes; one row at least.
  Task<DeadLetterPage> payloads(DeadLetterFilter filter, std::optional<DeadLetterPlace> before,
                                int limit, std::int64_t bytes_max);
  // With its payload.
  Task<std::optional<std::string>> get(Uuid id);
  // Sends it again as the same message, before the others of its key.
  Task<DeadRetry> retry(Uuid id, bool force);
  Task<DeadRetried> count(DeadLetterFilter filter, bool force);
  // Sends those that match again, the oldest event first, `rate` a second.
  Task<DeadRetried> retry_all(DeadLetterFilter filter, bool force, std::optional<double> rate);
  // Gives it up. The owner of its shard does it, within a second; a key that it blocks goes on.
  Task<bool> discard(Uuid id);

 private:
  Queries& queries_;
};

}  // namespace eventhub::store
