// The sequencer's feed: events after the cursor, read from the partition by name so that the plan
// stays a primary-key range however many partitions there are.
#include <algorithm>

#include "eventhub/core/log.hpp"
#include "eventhub/store/sequencer.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kProbeEvery{1'000};

const pg::Statement kFanoutLastSeq{"fanout_last_seq", "SELECT last_value FROM event_seq"};
const pg::Statement kFirstFrom{"fanout_first_from",
                               "SELECT event_seq FROM events WHERE event_seq >= $1 "
                               "ORDER BY event_seq LIMIT 1"};

std::string branch(const Partition& partition) {
  return fmt::format(
      "(SELECT event_seq, event_type, organization_id, user_id FROM events{} "
      "WHERE event_seq > $1 ORDER BY event_seq LIMIT $2)",
      partition.suffix());
}

EventHeader header(const pg::Result& result, int row) {
  EventHeader event;
  event.event_seq = result.i64(row, 0);
  event.event_type = result.text(row, 1);
  event.organization_id = result.optional_text(row, 2);
  event.user_id = result.optional_text(row, 3);
  return event;
}

}  // namespace

// Two partitions in one snapshot: an event of the second proves that the first is complete, because
// event_seq is the order of commits. The version comes from that snapshot too.
pg::Statement Sequencer::read_statement() const {
  std::string name = "fanout_read" + current_->suffix();
  if (next_) name += next_->suffix();
  std::string text =
      "SELECT event_seq, event_type, organization_id, user_id, "
      "(SELECT version FROM subscribers_version) FROM (" +
      branch(*current_);
  if (next_) text += " UNION ALL " + branch(*next_);
  text += ") e ORDER BY event_seq LIMIT $2";
  return {std::move(name), std::move(text), "fanout_read"};
}

Task<Sequencer::Feed> Sequencer::read(int limit) {
  Feed feed;
  co_await find_partitions();
  if (!current_) co_return feed;
  if (take_fresh(feed, limit)) co_return feed;
  pg::Params params;
  params.i64(cursor_).i64(limit);
  const pg::Statement statement = read_statement();
  const pg::Result result = co_await connection_->run(statement, std::move(params));
  if (result.rows() == 0) {
    co_await skip_empty_range();
    co_return feed;
  }
  feed.events.reserve(static_cast<std::size_t>(result.rows()));
  for (int row = 0; row < result.rows(); ++row) feed.events.push_back(header(result, row));
  feed.subscribers_version = result.i64(0, 4);
  context_.partitions.saw(feed.events.back().event_seq);
  co_return feed;
}

// What this process has just accepted, within the partitions that are known.
bool Sequencer::take_fresh(Feed& feed, int limit) {
  const std::int64_t upper = next_ ? next_->upper : current_->upper;
  const std::int64_t room = std::min<std::int64_t>(limit, upper - 1 - cursor_);
  if (room <= 0) return false;
  FreshHeaders::Batch fresh = context_.fresh_headers.take(cursor_, static_cast<std::size_t>(room));
  feed.events = std::move(fresh.events);
  feed.subscribers_version = fresh.subscribers_version;
  return !feed.events.empty();
}

// The sizes of payloads are known without reading them, so that what is past the limit is not.
pg::Statement Sequencer::bodies_statement() const {
  const auto branch_of = [](const Partition& partition) {
    return fmt::format("SELECT event_seq, version, payload FROM events{} WHERE event_seq = ANY($1)",
                       partition.suffix());
  };
  std::string name = "fanout_bodies" + current_->suffix();
  if (next_) name += next_->suffix();
  std::string text =
      "SELECT event_seq, version, payload FROM (SELECT e.*, sum(octet_length(payload)) "
      "OVER (ORDER BY event_seq) - octet_length(payload) AS before FROM (" +
      branch_of(*current_);
  if (next_) text += " UNION ALL " + branch_of(*next_);
  text += ") e) s WHERE before < $2 ORDER BY event_seq";
  return {std::move(name), std::move(text), "fanout_bodies"};
}

Task<std::size_t> Sequencer::read_bodies(std::span<EventHeader* const> events,
                                         std::int64_t bytes_max) {
  std::vector<std::int64_t> wanted;
  wanted.reserve(events.size());
  for (const EventHeader* event : events) wanted.push_back(event->event_seq);
  pg::Params params;
  params.i64s(wanted).i64(bytes_max);
  const pg::Statement statement = bodies_statement();
  const pg::Result result = co_await connection_->run(statement, std::move(params));
  std::size_t filled = 0;
  std::int64_t bytes = 0;
  for (int row = 0; row < result.rows(); ++row) {
    while (filled < events.size() && wanted[filled] < result.i64(row, 0)) ++filled;  // deleted
    if (filled == events.size()) break;
    events[filled]->version = result.text(row, 1);
    events[filled]->payload = result.text(row, 2);
    bytes += static_cast<std::int64_t>(events[filled]->payload.size());
    ++filled;
  }
  co_return bytes < bytes_max ? events.size() : filled;
}

// The partition of the next event and the one after it, as far as they are known.
Task<void> Sequencer::find_partitions() {
  const std::int64_t wanted = cursor_ + 1;
  if (!current_ || wanted >= current_->upper) {
    current_ = co_await context_.partitions.find(wanted);
    if (!current_) current_ = co_await context_.partitions.next_from(wanted);
    next_.reset();
  }
  if (!current_ || next_) co_return;
  const std::int64_t upper = current_->upper;
  const std::vector<Partition>& all = context_.partitions.all();
  const auto after =
      std::ranges::find_if(all, [&](const Partition& p) { return p.lower >= upper; });
  if (after != all.end()) next_ = *after;
}

// Numbers that were taken but never committed leave gaps, a whole partition at worst. Nothing more
// can come below an event that is visible; look for one beyond the two partitions, then look at
// them once more.
Task<void> Sequencer::skip_empty_range() {
  const Mono now = context_.clock.mono();
  if (now - probed_at_ < kProbeEvery) co_return;
  probed_at_ = now;
  const std::int64_t upper = next_ ? next_->upper : current_->upper;
  const pg::Result last = co_await connection_->run(kFanoutLastSeq, pg::Params{});
  if (last.i64(0, 0) < upper) co_return;
  if (!next_) {
    co_await context_.partitions.reload();
    co_return;
  }
  pg::Params from;
  from.i64(upper);
  const pg::Result beyond = co_await connection_->run(kFirstFrom, std::move(from));
  if (beyond.rows() == 0) co_return;
  pg::Params params;
  params.i64(cursor_).i64(1);
  const pg::Statement statement = read_statement();
  const pg::Result again = co_await connection_->run(statement, std::move(params));
  if (again.rows() > 0) co_return;
  const std::int64_t settled = beyond.i64(0, 0) - 1;
  log::info("fan-out passes a range without events", {{"after", cursor_}, {"up_to", settled}});
  cursor_ = settled;
}

}  // namespace eventhub::store
