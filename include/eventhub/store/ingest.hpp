#pragma once
#include <deque>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "eventhub/core/event.hpp"
#include "eventhub/store/context.hpp"

namespace eventhub::store {

// 128-bit hashes: of (scope, key) and of the request (type, version, organization, user, payload).
struct IdempotencyKey {
  Uuid key;
  Uuid fingerprint;
};

struct Accepted {
  Uuid event_id;
  bool replayed = false;  // the key was seen before: event_id is the first one's
};

enum class AcceptError {
  overloaded,       // the queue is full: 503 + Retry-After
  unavailable,      // no database: 503, nothing was committed
  no_room,          // its disk is nearly full: 503
  unknown_outcome,  // the commit may have happened: 503 + retry_with_same_idempotency_key
  key_reused,       // same key, other request: 422
  refused,          // PostgreSQL refused this row (its neighbours went through): 400
};

using AcceptResult = std::variant<Accepted, AcceptError>;

// One of several that are accepted together.
struct NewRow {
  NewEvent event;
  std::optional<IdempotencyKey> key;
};

// Group commit: joins the requests that arrive while a commit is under way and writes them with the
// next, under the ordering lock, so that event_seq is the order of acceptance. Resumes a caller
// when its event is committed. Bounds: batch rows and bytes, queue bytes.
class Ingest {
 public:
  explicit Ingest(Context& context);
  ~Ingest();
  Task<AcceptResult> accept(NewEvent event, std::optional<IdempotencyKey> key);
  // All of them in one commit, in this order; an answer for each in the same order. They are in
  // several commits only when PostgreSQL refuses one of them. `overloaded` and `unavailable` before
  // they wait for a commit are the answer of all.
  Task<std::vector<AcceptResult>> accept_all(std::vector<NewRow> rows);
  // The committing loop, until stop() and the queue is empty.
  Task<void> run();
  void stop();
  // Last time a commit succeeded or the connection was found alive; for /readyz.
  bool connected() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eventhub::store
