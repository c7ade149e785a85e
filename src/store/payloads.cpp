// Payload reads for the dispatcher: one batched statement for all senders that wait.
#include "eventhub/store/payloads.hpp"

#include <algorithm>

#include "eventhub/core/log.hpp"

namespace eventhub::store {
namespace {

constexpr std::size_t kBatch = 500;

std::string select_text(const std::string& suffix) {
  return "SELECT event_seq, id, created_at, event_type, version, organization_id, user_id,"
         " traceparent, payload FROM events" +
         suffix + " WHERE event_seq = ANY($1)";
}

const pg::Statement kDeadPayloads{
    "dead_letter_payloads",
    "SELECT DISTINCT ON (event_seq) event_seq, event_id, coalesce(accepted_at, failed_at), "
    "event_type,"
    " version, organization_id, user_id, NULL::text, payload FROM dead_letter_queue"
    " WHERE event_seq = ANY($1) AND payload IS NOT NULL AND event_id IS NOT NULL"};

EventPtr read_event(const pg::Result& rows, int i) {
  auto event = std::make_shared<Event>();
  event->event_seq = rows.i64(i, 0);
  event->id = rows.uuid(i, 1);
  event->created_at = rows.timestamp(i, 2);
  event->event_type = rows.text(i, 3);
  event->version = rows.text(i, 4);
  event->organization_id = rows.optional_text(i, 5);
  event->user_id = rows.optional_text(i, 6);
  event->traceparent = rows.optional_text(i, 7);
  event->payload = rows.text(i, 8);
  return event;
}

std::int64_t cost(const Event& event) {
  return static_cast<std::int64_t>(event.payload.size() + sizeof(Event) + 200);
}

}  // namespace

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
  if (found == cache_.end()) return nullptr;
  ages_.splice(ages_.begin(), ages_, found->second.age);
  return found->second.event;
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

std::shared_ptr<Payloads::Waiter> Payloads::ask(std::int64_t event_seq) {
  auto waiter = std::make_shared<Waiter>(context_.executor);
  auto& waiters = wanted_[event_seq];
  if (waiters.empty()) queue_.push_back(event_seq);
  waiters.push_back(waiter);
  work_.set();
  return waiter;
}

Task<EventPtr> Payloads::answered(std::shared_ptr<Waiter> waiter) {
  while (!waiter->answered) co_await waiter->done.wait(Seconds{1});
  if (waiter->failed) throw pg::Error("the payload could not be read", "", true, false);
  co_return waiter->event;
}

Task<EventPtr> Payloads::get(std::int64_t event_seq) {
  EventPtr here = cached(event_seq);
  if (here) co_return here;
  here = co_await answered(ask(event_seq));
  co_return here;
}

Task<std::vector<EventPtr>> Payloads::get_all(std::vector<std::int64_t> event_seqs) {
  std::vector<EventPtr> events;
  std::vector<std::shared_ptr<Waiter>> waiters;
  for (const std::int64_t seq : event_seqs) {
    events.push_back(cached(seq));
    waiters.push_back(events.back() ? nullptr : ask(seq));
  }
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (waiters[i]) events[i] = co_await answered(waiters[i]);
  }
  co_return events;
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
        EventPtr event = read_event(rows, i);
        keep(event);
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
    EventPtr event = read_event(rows, i);
    answer(event->event_seq, event, false);
  }
  for (const std::int64_t seq : wanted) answer(seq, nullptr, false);
}

Task<void> Payloads::run() {
  pg::ConnectionPtr connection;
  while (!stopping_ || !queue_.empty()) {
    if (queue_.empty()) {
      co_await work_.wait(Seconds{1});
      continue;
    }
    const std::size_t count = std::min(queue_.size(), kBatch);
    std::vector<std::int64_t> batch(queue_.begin(),
                                    queue_.begin() + static_cast<std::ptrdiff_t>(count));
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
    bool failed = false;
    try {
      if (!connection || !connection->healthy()) {
        connection = co_await context_.database.connect(Profile::hot);
      }
      co_await fetch(*connection, batch);
    } catch (const std::exception& error) {
      log::warn("payloads could not be read", {{"error", error.what()}});
      failed = true;
      connection.reset();
    }
    if (!failed) continue;
    for (const std::int64_t seq : batch) answer(seq, nullptr, true);
    co_await sleep_for(Millis{100});
  }
}

void Payloads::stop() {
  stopping_ = true;
  work_.set();
}

}  // namespace eventhub::store
