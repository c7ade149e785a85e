#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/store/queries.hpp"

namespace eventhub::store {

// Which events or messages are wanted; what is not set does not matter.
struct HistoryFilter {
  std::optional<std::string> event_type, organization_id, user_id;
  std::optional<Time> since, until;  // accepted then or later; before
  // Of messages only:
  std::optional<Uuid> subscriber;
  std::optional<std::string> status;
};

// Rows as the API shows them, newest first. `next`: look on below it; nullopt at the end. A page
// may be short, or empty, and not the last: a request looks at so many rows and no more.
struct HistoryPage {
  std::vector<std::string> rows;
  std::optional<MessageRef> next;
};

enum class Resent {
  done,
  no_message,
  no_subscriber,
  at_most_once,  // and not forced
  open,          // it was not delivered yet and is not dead
  under_way,     // it is being sent again already
};

enum class Cancelled { done, no_event, too_late };

// What became of events: read for people, on connections of their own. Tables are read in windows
// of event_seq from the newest down, so that every statement touches few partitions and is short.
class History {
 public:
  explicit History(Queries& queries) : queries_(queries) {}

  Task<HistoryPage> events(HistoryFilter filter, std::optional<MessageRef> before, int limit);
  Task<HistoryPage> messages(HistoryFilter filter, std::optional<MessageRef> before, int limit);
  // With its payload, and its messages with their attempts. One that is to go out later, too.
  Task<std::optional<std::string>> event(Uuid id);
  // Takes back an event that is to go out later, while it is not on its way.
  Task<Cancelled> cancel(Uuid id);
  // Takes its payload away, wherever it is kept. False: there is no such event.
  Task<bool> expunge(Uuid id);
  // With its attempts.
  Task<std::optional<std::string>> message(Uuid id);
  // Sends a message that was delivered or died again, before the others of its key.
  Task<Resent> send_again(Uuid message, bool force);

 private:
  Queries& queries_;
};

}  // namespace eventhub::store
