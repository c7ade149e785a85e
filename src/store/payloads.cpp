// Payload reads for the dispatcher: one batched statement for all senders that wait.
#include "eventhub/store/payloads.hpp"

#include <algorithm>

#include "eventhub/core/log.hpp"

namespace eventhub::store {
namespace {

constexpr std::int64_t kBatchMax = 128;  // rows of a read: as cheap per row as more

std::string select_text(const std::string& suffix) {
  return "SELECT event_seq, id, created_at, event_type, version, organization_id, user_id,"
         " traceparent, payload, expires_at, payload_expunged_at IS NOT NULL FROM events" +
         suffix + " WHERE event_seq = ANY($1)";
}

const pg::Statement kDeadPayloads{
    "dead_letter_payloads",
    "SELECT DISTINCT ON (event_seq) event_seq, event_id, coalesce(accepted_at, failed_at), "
    "event_type,"
    " version, organization_id, user_id, NULL::text, payload, NULL::timestamptz, false FROM "
    "dead_letter_queue"
    " WHERE event_seq = ANY($1) AND payload IS NOT NULL AND event_id IS NOT NULL"};

std::int64_t cost(const Event& event) {
  return static_cast<std::int64_t>(event.payload.size() + sizeof(Event) + 200);
}

// An event that gives back its bytes when its last holder lets go.
struct Counted : Event {
  explicit Counted(Event&& event) : Event(std::move(event)) {}
  ~Counted() { *in_use -= bytes; }
  std::shared_ptr<std::int64_t> in_use;
  std::int64_t bytes = 0;
};

Event event_of(const pg::Result& rows, int row) {
  Event event;
  event.event_seq = rows.i64(row, 0);
  event.id = rows.uuid(row, 1);
  event.created_at = rows.timestamp(row, 2);
  event.event_type = rows.text(row, 3);
  event.version = rows.text(row, 4);
  event.organization_id = rows.optional_text(row, 5);
  event.user_id = rows.optional_text(row, 6);
  event.traceparent = rows.optional_text(row, 7);
  event.payload = rows.text(row, 8);
  if (!rows.is_null(row, 9)) event.expires_at = rows.timestamp(row, 9);
  event.expunged = rows.boolean(row, 10);
  return event;
}

}  // namespace

EventPtr Payloads::count(Event&& given) {
  auto event = std::make_shared<Counted>(std::move(given));
  event->in_use = in_use_;
  event->bytes = cost(*event);
  *in_use_ += event->bytes;
  largest_ = std::max(event->bytes, largest_ - largest_ / 256);
  return event;
}

struct Payloads::Waiter {
  explicit Waiter(const Executor& executor) : done(executor) {}
  Wakeup done;
  bool answered = false;
  bool failed = false;
  EventPtr event;
};

Payloads::Payloads(Context& context) : context_(context), work_(context.executor) {}

EventPtr Payloads::cached(std::int64_t event_seq) {
  const auto found = cache_.find(event_seq);
  if (found == cache_.end()) return take_fresh(event_seq);
  ages_.splice(ages_.begin(), ages_, found->second.age);
  return found->second.event;
}

// Accepted by this process a moment ago.
EventPtr Payloads::take_fresh(std::int64_t event_seq) {
  if (full()) return nullptr;
  std::optional<Event> fresh = context_.fresh_events.take(event_seq);
  if (!fresh) return nullptr;
  EventPtr event = count(std::move(*fresh));
  keep(event);
  return event;
}

// What is in use comes back as deliveries end, each within its time-out.
bool Payloads::full() const {
  return *in_use_ - bytes_ >= context_.config.dispatcher.in_flight_bytes_max;
}

void Payloads::keep(EventPtr event) {
  const std::int64_t seq = event->event_seq;
  if (cache_.contains(seq)) return;
  bytes_ += cost(*event);
  ages_.push_front(seq);
  cache_[seq] = {std::move(event), ages_.begin()};
  while (bytes_ > context_.config.dispatcher.payload_cache_bytes_max && ages_.size() > 1) {
    const auto oldest = cache_.find(ages_.back());
    bytes_ -= cost(*oldest->second.event);
    cache_.erase(oldest);
    ages_.pop_back();
  }
}

void Payloads::clear() {
  cache_.clear();
  ages_.clear();
  bytes_ = 0;
  ++generation_;
  context_.fresh_events.clear();
}

Task<EventPtr> Payloads::get(std::int64_t event_seq) {
  EventPtr here = cached(event_seq);
  if (here) co_return here;
  auto waiter = std::make_shared<Waiter>(context_.executor);
  auto& waiters = wanted_[event_seq];
  if (waiters.empty()) queue_.push_back(event_seq);
  waiters.push_back(waiter);
  work_.set();
  while (!waiter->answered) co_await waiter->done.wait(Seconds{1});
  if (waiter->failed) throw pg::Error("the payload could not be read", "", true, false);
  co_return waiter->event;
}

void Payloads::answer(std::int64_t event_seq, const EventPtr& event, bool failed) {
  const auto found = wanted_.find(event_seq);
  if (found == wanted_.end()) return;
  const auto waiters = std::move(found->second);
  wanted_.erase(found);
  for (const auto& waiter : waiters) {
    waiter->answered = true;
    waiter->failed = failed;
    waiter->event = event;
    waiter->done.set();
  }
}

Task<void> Payloads::fetch(pg::Connection& connection, std::vector<std::int64_t> wanted) {
  std::sort(wanted.begin(), wanted.end());
  const std::uint64_t generation = generation_;
  std::vector<std::int64_t> missing;
  std::size_t at = 0;
  while (at < wanted.size()) {
    const std::optional<Partition> partition = co_await context_.partitions.find(wanted[at]);
    std::vector<std::int64_t> of_one;
    const std::int64_t upper = partition ? partition->upper : wanted[at] + 1;
    while (at < wanted.size() && wanted[at] < upper) of_one.push_back(wanted[at++]);
    if (partition) {
      const std::string suffix = partition->suffix();
      const pg::Statement select{"payloads" + suffix, select_text(suffix), "payloads"};
      pg::Params params;
      params.i64s(of_one);
      const pg::Result rows = co_await connection.run(select, std::move(params));
      for (int i = 0; i < rows.rows(); ++i) {
        EventPtr event = count(event_of(rows, i));
        if (generation == generation_) keep(event);
        answer(event->event_seq, event, false);
      }
    }
    for (const std::int64_t seq : of_one) {
      if (wanted_.contains(seq)) missing.push_back(seq);
    }
  }
  if (!missing.empty()) co_await fetch_dead(connection, std::move(missing));
}

Task<void> Payloads::fetch_dead(pg::Connection& connection, std::vector<std::int64_t> wanted) {
  pg::Params params;
  params.i64s(wanted);
  const pg::Result rows = co_await connection.run(kDeadPayloads, std::move(params));
  for (int i = 0; i < rows.rows(); ++i) {
    EventPtr event = count(event_of(rows, i));
    answer(event->event_seq, event, false);
  }
  for (const std::int64_t seq : wanted) answer(seq, nullptr, false);
}

std::vector<std::int64_t> Payloads::next_batch() {
  const std::int64_t budget = context_.config.dispatcher.payload_cache_bytes_max;
  const std::int64_t rows = std::clamp<std::int64_t>(budget / (largest_ + 1), 1, kBatchMax);
  const std::size_t count = std::min(queue_.size(), static_cast<std::size_t>(rows));
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  std::vector<std::int64_t> batch(queue_.begin(), end);
  queue_.erase(queue_.begin(), end);
  return batch;
}

// False when the database could not be read.
Task<bool> Payloads::read_batch(pg::ConnectionPtr& connection, std::vector<std::int64_t> batch) {
  bool dropped = false;  // another process has dropped a partition
  try {
    if (!connection || !connection->healthy()) {
      connection = co_await context_.database.connect(Profile::hot);
    }
    co_await fetch(*connection, batch);
  } catch (const pg::Error& error) {
    dropped = error.sqlstate == "42P01" && !error.connection_lost;
    if (!dropped) {
      log::warn("payloads could not be read", {{"error", error.what()}});
      connection.reset();
      co_return false;
    }
  }
  if (!dropped) co_return true;
  const std::size_t before = context_.partitions.all().size();
  try {
    co_await context_.partitions.reload();
  } catch (const pg::Error& error) {
    log::warn("payloads could not be read", {{"error", error.what()}});
    co_return false;
  }
  if (context_.partitions.all().size() == before) co_return false;  // not dropped by us
  for (const std::int64_t seq : batch) {
    if (wanted_.contains(seq)) queue_.push_back(seq);
  }
  co_return true;
}

Task<void> Payloads::run() {
  pg::ConnectionPtr connection;
  while (!stopping_ || !queue_.empty()) {
    if (queue_.empty()) {
      co_await work_.wait(Seconds{1});
      continue;
    }
    if (full() && !stopping_) {
      co_await sleep_for(Millis{20});
      continue;
    }
    const std::vector<std::int64_t> batch = next_batch();
    const bool read = co_await read_batch(connection, batch);
    if (read) continue;
    for (const std::int64_t seq : batch) answer(seq, nullptr, true);
    co_await sleep_for(Millis{100});
  }
}

void Payloads::stop() {
  stopping_ = true;
  work_.set();
}

}  // namespace eventhub::store
