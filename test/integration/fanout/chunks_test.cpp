#include "fanout/chunks.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

// `subscribers` of every event type "hit".
Matcher matcher_of(int subscribers) {
  auto set = std::make_shared<SubscriberSet>();
  for (std::int32_t sid = 1; sid <= subscribers; ++sid) {
    Subscriber s;
    s.sid = sid;
    s.patterns = {"hit"};
    set->by_sid[sid] = std::make_shared<const Subscriber>(std::move(s));
  }
  return Matcher(set);
}

std::vector<EventHeader> events(const std::string& kinds) {  // 'h' is a hit, '-' is not
  std::vector<EventHeader> out;
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    EventHeader event;
    event.event_seq = static_cast<std::int64_t>(i) + 1;
    event.event_type = kinds[i] == 'h' ? "hit" : "miss";
    out.push_back(event);
  }
  return out;
}

struct Cut {
  std::size_t rows;
  std::int64_t through;
  bool operator==(const Cut&) const = default;
};

std::vector<Cut> cuts(const std::string& kinds, int subscribers, std::size_t rows_max) {
  const std::vector<EventHeader> list = events(kinds);
  const Matcher matcher = matcher_of(subscribers);
  Chunks chunks(list, matcher, rows_max);
  std::vector<Cut> out;
  Chunk chunk;
  std::int64_t last = 0;
  while (chunks.next(chunk)) {
    for (const Message& message : chunk.messages) {
      CHECK(message.ref.event_seq >= last);
      CHECK(message.ref.event_seq <= chunk.through);
      last = message.ref.event_seq;
    }
    out.push_back({chunk.messages.size(), chunk.through});
  }
  return out;
}

}  // namespace

TEST_CASE("events are cut into commits between events, never inside one") {
  CHECK(cuts("hhhh", 3, 8) == std::vector<Cut>{{6, 2}, {6, 4}});
  CHECK(cuts("hhhh", 4, 8) == std::vector<Cut>{{8, 2}, {8, 4}});
  CHECK(cuts("hhh", 1300, 1300) == std::vector<Cut>{{1300, 1}, {1300, 2}, {1300, 3}});
  CHECK(cuts("hh", 7, 1000) == std::vector<Cut>{{14, 2}});
}

TEST_CASE("an event larger than a commit gets one of its own") {
  CHECK(cuts("h--h-", 20, 8) == std::vector<Cut>{{20, 3}, {20, 5}});
}

TEST_CASE("events without messages move the cursor with their neighbours") {
  CHECK(cuts("---", 3, 8) == std::vector<Cut>{{0, 3}});
  CHECK(cuts("h-h-h-", 3, 6) == std::vector<Cut>{{6, 4}, {3, 6}});
  CHECK(cuts("hh-", 0, 6) == std::vector<Cut>{{0, 3}});
  CHECK(cuts("", 3, 6).empty());
}

TEST_CASE("every pair comes exactly once whatever the sizes") {
  for (const int subscribers : {1, 2, 3, 5, 7, 1300}) {
    for (const std::size_t rows_max : {1U, 2U, 10U, 1000U, 8000U}) {
      std::size_t rows = 0;
      const std::vector<Cut> all = cuts("hh-hhh--hhhhhh-h", subscribers, rows_max);
      for (const Cut& cut : all) rows += cut.rows;
      CHECK(rows == 12U * static_cast<std::size_t>(subscribers));
      CHECK(all.back().through == 16);
    }
  }
}

}  // namespace eventhub
