// Replays: events are read in windows, matched as the fan-out does, and become redeliveries.
#include "eventhub/store/replay.hpp"

#include <algorithm>
#include <span>

#include "store/history_scan.hpp"
#include "store/replay_sql.hpp"

namespace eventhub::store {
namespace {

constexpr std::int64_t kReplayWindow = 5'000;    // events of one read
constexpr std::int64_t kReplayBytes = 16 << 20;  // of payloads in memory, but for a larger one
constexpr Millis kReplayTime{1'500};             // no window is begun later than that

SubscriberPtr subscriber_of(const SubscriberSet& all, const Uuid& id) {
  for (const auto& [sid, subscriber] : all.by_sid) {
    if (subscriber->id == id) return subscriber;
  }
  return nullptr;
}

// Of this one alone, which need not be active now.
Matcher matcher_of(const Subscriber& subscriber) {
  auto active = std::make_shared<Subscriber>(subscriber);
  active->active = true;
  auto set = std::make_shared<SubscriberSet>();
  set->by_sid.emplace(active->sid, std::move(active));
  return Matcher(std::move(set));
}

std::vector<EventHeader> headers(const pg::Result& rows,
                                 const std::optional<std::string>& pattern) {
  std::vector<EventHeader> events;
  for (int row = 0; row < rows.rows(); ++row) {
    EventHeader event;
    event.event_seq = rows.i64(row, 0);
    event.event_type = rows.text(row, 1);
    event.organization_id = rows.optional_text(row, 2);
    event.user_id = rows.optional_text(row, 3);
    if (pattern && !pattern_matches(*pattern, event.event_type)) continue;
    events.push_back(std::move(event));
  }
  return events;
}

// Payloads for the first of `events` that somebody's filter or key looks into. Returns how many of
// them, from the first on, can be matched; at least one.
Task<std::size_t> complete(pg::Connection& connection, const Matcher& matcher,
                           std::span<EventHeader> events) {
  std::vector<EventHeader*> wanted;
  std::vector<std::int64_t> seqs;
  for (EventHeader& event : events) {
    if (!matcher.reads_bodies() || !matcher.needs_body(event)) continue;
    wanted.push_back(&event);
    seqs.push_back(event.event_seq);
  }
  if (wanted.empty()) co_return events.size();
  pg::Params params;
  params.i64s(seqs).i64(seqs.front()).i64(seqs.back()).i64(kReplayBytes);
  const pg::Result rows = co_await connection.run(sql::kReplayBodies, std::move(params));
  std::size_t filled = 0;
  std::int64_t bytes = 0;
  for (int row = 0; row < rows.rows(); ++row) {
    while (seqs[filled] < rows.i64(row, 0)) ++filled;  // past its retention by now
    wanted[filled]->version = rows.text(row, 1);
    wanted[filled]->payload = rows.text(row, 2);
    bytes += static_cast<std::int64_t>(wanted[filled]->payload.size());
    ++filled;
  }
  if (bytes < kReplayBytes || filled == wanted.size()) co_return events.size();
  co_return static_cast<std::size_t>(wanted[filled] - events.data());
}

Task<std::vector<Message>> matching(pg::Connection& connection, const Matcher& matcher,
                                    std::vector<EventHeader> events) {
  std::vector<Message> messages;
  std::span<EventHeader> rest(events);
  while (!rest.empty()) {
    const std::size_t whole = co_await complete(connection, matcher, rest);
    for (EventHeader& event : rest.first(whole)) {
      matcher.match(event, messages);
      std::string().swap(event.payload);
    }
    rest = rest.subspan(whole);
  }
  co_return messages;
}

}  // namespace

Task<Replay::Bounds> Replay::bounds_of(pg::Connection& connection, ReplayRange range) {
  const pg::Result row = co_await connection.run(sql::kReplayBounds, {});
  const std::int64_t lowest = row.i64(0, 0) - 1, last = row.i64(0, 1);
  Bounds bounds{lowest, last, row.i64(0, 2)};
  if (range.to) bounds.to = co_await accepted_before(connection, lowest, last, *range.to);
  if (range.to_seq) bounds.to = std::min(last, *range.to_seq);
  if (range.from) bounds.after = co_await accepted_before(connection, lowest, last, *range.from);
  if (range.from_seq) bounds.after = std::max(lowest, *range.from_seq - 1);
  co_return bounds;
}

Task<void> Replay::send(pg::Connection& connection, const Subscriber& to,
                        std::vector<Message> messages, ReplayWish wish, ReplayDone& done) {
  std::vector<std::int64_t> seqs;
  std::vector<std::int16_t> shards;
  std::vector<std::optional<std::int64_t>> khashes;
  for (const Message& message : messages) {
    seqs.push_back(message.ref.event_seq);
    shards.push_back(message.shard);
    khashes.push_back(message.khash);
  }
  pg::Params params;
  params.i64s(seqs).i16s(shards).i64s(khashes).i32(to.sid).i64(seqs.front()).i64(seqs.back());
  params.boolean(to.guarantee == Guarantee::at_least_once || wish.force).boolean(wish.dry_run);
  params.f64(wish.rate ? 1 / *wish.rate : 0.0).text(wish.by);
  const pg::Result row = co_await connection.run(sql::kReplay, std::move(params));
  done.matched += static_cast<std::int64_t>(seqs.size());
  done.lacking += row.i64(0, 0);
  done.open += row.i64(0, 1);
  done.sendable += row.i64(0, 2);
  done.sent += row.i64(0, 3);
}

Task<std::optional<ReplayDone>> Replay::run(Uuid id, ReplayRange range, ReplayWish wish) {
  const Mono begun = context_.clock.mono();
  const SubscriberSetPtr all = co_await context_.subscribers.refresh();
  const SubscriberPtr subscriber = subscriber_of(*all, id);
  if (!subscriber) co_return std::nullopt;
  const Matcher matcher = matcher_of(*subscriber);
  auto connection = co_await queries_.lease();
  const Bounds bounds = co_await bounds_of(*connection, range);
  pg::Params count;
  count.i32(subscriber->sid).i64(kWaitingMax);
  const pg::Result waiting = co_await connection->run(sql::kReplayWaiting, std::move(count));
  const std::int64_t most = std::min<std::int64_t>(kMessagesMax, kWaitingMax - waiting.i64(0, 0));
  const std::int64_t upto = std::min({bounds.to, bounds.settled, bounds.after + kEventsMax});
  ReplayDone done;
  done.to_seq = bounds.to;
  std::int64_t after = bounds.after;
  while (after < upto && (wish.dry_run || done.sent < most)) {
    const std::int64_t end = std::min(after + kReplayWindow, upto);
    pg::Params window;
    window.i64(after).i64(end).text(range.organization_id);
    const pg::Result rows = co_await connection->run(sql::kReplayEvents, std::move(window));
    std::vector<EventHeader> events = headers(rows, range.event_type);
    std::vector<Message> messages = co_await matching(*connection, matcher, std::move(events));
    const auto room = static_cast<std::size_t>(wish.dry_run ? kMessagesMax : most - done.sent);
    const bool cut = messages.size() > room;
    if (cut) messages.resize(room);
    after = cut ? messages.back().ref.event_seq : end;
    if (!messages.empty()) {
      co_await send(*connection, *subscriber, std::move(messages), wish, done);
    }
    if (context_.clock.mono() - begun > kReplayTime) break;
  }
  if (after < bounds.to) done.next_seq = after + 1;
  co_return done;
}

}  // namespace eventhub::store
