// Draining `parked`: all shards of a subscriber that was down fill one part of memory, together.
#include <algorithm>
#include <numeric>

#include "eventhub/core/lanes.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

constexpr std::int32_t kSid = 7;

std::shared_ptr<SubscriberSet> one_subscriber() {
  auto row = std::make_shared<Subscriber>();
  row->sid = kSid;
  row->max_in_flight = 64;
  row->spread = kSpreadMax;
  auto set = std::make_shared<SubscriberSet>();
  set->by_sid[kSid] = row;
  return set;
}

// Rows asked of the database at once, with nothing here to be counted beside them.
int asked(Lanes& lanes) {
  int rows = 0;
  for (const LaneOp& op : lanes.take_ops(10'000)) {
    if (const auto* load = std::get_if<LoadLane>(&op)) rows += load->limit;
  }
  return rows;
}

}  // namespace

TEST_CASE("lanes drain into their subscriber's part of memory, loads under way included") {
  const ManualClock clock;
  LanesConfig config;
  config.queue_rows_max = GENERATE(1'000, 20'000, 200'000);
  Lanes lanes(config, clock);
  lanes.set_subscribers(one_subscriber());
  for (std::int16_t shard = 0; shard < kShards; ++shard) {
    lanes.acquire(Takeover{shard, 0, false, false, {{kSid, 10'000}}, {}});
  }
  lanes.tick();
  const int part = config.queue_rows_max / 8;
  const int few = kShards * std::max(1, config.queue_rows_max / 1024);
  const int rows = asked(lanes);
  CHECK(rows >= std::min(part, kShards * config.load_rows) / 2);
  CHECK(rows <= part + std::min(few, kShards * 18));
  lanes.tick();
  CHECK(asked(lanes) == 0);  // until they are here
  lanes.reset();
  lanes.set_subscribers(one_subscriber());
  lanes.acquire(Takeover{0, 0, false, false, {{kSid, 10'000}}, {}});
  lanes.tick();
  CHECK(asked(lanes) > 0);  // what the lost session was asked is forgotten
}

}  // namespace eventhub
