// What a run is compared with: the batch that makes as many commits, and the shares of the limits.
#include "bench/baseline.hpp"

#include "support/catch.hpp"

using namespace eventhub::bench;

namespace {

// 1,000 events in 2 s, and 7,000 requests in 2 s for 3.5 each.
Baseline measured() {
  Baseline baseline;
  baseline.postgres = {60, 1'000, 2, 20, 1.5};
  baseline.http = {3.5, 7'000, 2, 30, 25};
  return baseline;
}

bool holds(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("the raw batches commit as often per event as the hub did") {
  CHECK(batch_of(0.03) == 100);
  CHECK(batch_of(3) == 1);
  CHECK(batch_of(7) == 1);
  CHECK(batch_of(0) == 1);
  CHECK(batch_of(1e-9) == 10'000);
}

TEST_CASE("the fan-out of a half is that of both kinds of events together") {
  CHECK(mean_fanout(shape_with_fanout(2.5)) == 2.5);
  CHECK(mean_fanout(shape_with_fanout(10)) == 10);
  CHECK(mean_fanout({}) == 0);
}

TEST_CASE("the hub's share of both limits is given in text and JSON") {
  const Baseline baseline = measured();
  CHECK(events_per_second(baseline.postgres) == 500);
  CHECK(events_per_second(baseline.http) == 1'000);
  CHECK(holds(baseline_text(baseline, 250),
              "hub reaches 50.0 % of raw PostgreSQL, 25.0 % of bare HTTP"));
  const std::string json = baseline_json(baseline, 250);
  CHECK(holds(json, R"("batch": 60, "commits_per_event": 0.05,)"));
  CHECK(holds(json, R"("hub_percent_of_postgresql": 50,)"));
  CHECK(holds(json, R"("hub_percent_of_http": 25})"));
}

TEST_CASE("nothing measured is no limit") {
  CHECK(events_per_second(RawPostgres{}) == 0);
  CHECK(events_per_second(BareHttp{}) == 0);
  CHECK(holds(baseline_text({}, 250), "hub reaches 0.0 %"));
}
