// The way lists of events and messages are read: windows of event_seq, from the newest down. Called
// by history.cpp.
#include "store/history_scan.hpp"

#include <algorithm>

namespace eventhub::store {
namespace {

constexpr std::int64_t kFirstWindow = 500;  // events; each further one is larger
constexpr std::int64_t kLargestWindow = 16'000;
constexpr std::int64_t kScanMax = 100'000;  // events of a request
constexpr Millis kScanTime{1'500};          // no window is begun later than that

const pg::Statement kBounds{
    "history_bounds",
    "SELECT last_value, coalesce((SELECT min(lower) FROM partitions), 0) FROM event_seq"};

const pg::Statement kAcceptedFrom{
    "history_accepted_from",
    "SELECT event_seq, created_at FROM events WHERE event_seq >= $1 AND event_seq <= $2"
    " ORDER BY event_seq LIMIT 1"};

struct Range {
  std::int64_t after = 0, upto = 0;
};

Task<Range> range_of(pg::Connection& connection, const HistoryFilter& filter,
                     std::optional<MessageRef> before) {
  const pg::Result bounds = co_await connection.run(kBounds, {});
  Range range{bounds.i64(0, 1) - 1, bounds.i64(0, 0)};
  if (before) range.upto = std::min(range.upto, before->event_seq);
  const auto [after, upto] = range;
  if (filter.until) range.upto = co_await accepted_before(connection, after, upto, *filter.until);
  if (filter.since) range.after = co_await accepted_before(connection, after, upto, *filter.since);
  co_return range;
}

}  // namespace

// Times grow with the number.
Task<std::int64_t> accepted_before(pg::Connection& connection, std::int64_t after,
                                   std::int64_t upto, Time time) {
  while (after < upto) {
    const std::int64_t middle = after + (upto - after + 1) / 2;
    pg::Params params;
    params.i64(middle).i64(upto);
    const pg::Result found = co_await connection.run(kAcceptedFrom, std::move(params));
    const bool later = found.rows() == 0 || found.timestamp(0, 1) >= time;
    if (later) {
      upto = middle - 1;
    } else {
      after = found.i64(0, 0);
    }
  }
  co_return after;
}

pg::Params history_params(std::int64_t after, std::int64_t upto, MessageRef before, int limit,
                          const HistoryFilter& filter, bool of_messages) {
  pg::Params params;
  params.i64(after).i64(upto).i64(before.event_seq).i32(before.sid).i32(limit);
  params.text(filter.event_type).text(filter.organization_id).text(filter.user_id);
  params.timestamp(filter.since).timestamp(filter.until);
  if (of_messages) params.uuid(filter.subscriber).text(filter.status);
  return params;
}

Task<HistoryPage> scan_history(pg::Connection& connection, HistoryQuery query, HistoryFilter filter,
                               std::optional<MessageRef> before, int limit, bool of_messages) {
  const Mono begun = SystemClock{}.mono();
  const Range range = co_await range_of(connection, filter, before);
  const std::int64_t lowest = std::max(range.after, range.upto - kScanMax);
  MessageRef place = before.value_or(MessageRef{range.upto + 1, 0});
  HistoryPage page;
  std::int64_t window = kFirstWindow;
  for (std::int64_t upto = range.upto; upto > lowest;
       window = std::min(window * 4, kLargestWindow)) {
    const std::int64_t after = std::max(lowest, upto - window);
    const int wanted = limit - static_cast<int>(page.rows.size());
    auto params = history_params(after, upto, place, wanted + 1, filter, of_messages);
    const pg::Result rows = co_await connection.run(query.statement, std::move(params));
    for (int row = 0; row < std::min(rows.rows(), wanted); ++row) {
      page.rows.push_back(query.text(rows, row));
      place = {rows.i64(row, 0), rows.i32(row, 1)};
    }
    if (rows.rows() > wanted) {
      page.next = place;
      co_return page;
    }
    upto = after;
    place = {after + 1, 0};
    if (SystemClock{}.mono() - begun > kScanTime) break;
  }
  if (place.event_seq > range.after + 1) page.next = place;
  co_return page;
}

}  // namespace eventhub::store
