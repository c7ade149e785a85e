// Events that are accepted together: one commit, whatever else happens to it.
#include <fmt/format.h>

#include "ingest_fixture.hpp"

namespace eventhub {
namespace {

using store::AcceptError;
using test::event_of;
using test::IngestFixture;
using test::key_of;

using GroupResults = std::optional<std::vector<store::AcceptResult>>;

Task<void> accept_group(store::Ingest& ingest, std::vector<store::NewRow> rows,
                        std::shared_ptr<GroupResults> results) {
  auto found = co_await ingest.accept_all(std::move(rows));
  *results = std::move(found);
}

std::shared_ptr<GroupResults> begin_group(IngestFixture& hub, store::Ingest& ingest,
                                          std::vector<store::NewRow> rows) {
  auto results = std::make_shared<GroupResults>();
  spawn(test::executor_of(hub.io), "group", accept_group(ingest, std::move(rows), results));
  return results;
}

std::vector<store::NewRow> rows_of(const std::string& name, int count, int bad = -1) {
  std::vector<store::NewRow> rows;
  for (int i = 0; i < count; ++i) {
    const std::string text = i == bad ? "\xFF" : std::to_string(i);
    rows.push_back({event_of("[\"" + text + "\"]", name), std::nullopt});
  }
  return rows;
}

long accepted_of(const GroupResults& results) {
  return std::count_if(results->begin(), results->end(), [](const store::AcceptResult& result) {
    return std::holds_alternative<store::Accepted>(result);
  });
}

// How many transactions wrote a group's rows, and whether in order.
std::string written(IngestFixture& hub, const std::string& name) {
  return hub.db.query(
      "SELECT count(DISTINCT xmin::text), count(*), array_agg(event_seq ORDER BY event_seq) = "
      "array_agg(event_seq ORDER BY substring(payload FROM '\\d+')::int) FROM events "
      "WHERE user_id = '" +
      name + "'");
}

TEST_CASE("groups are not split between commits, larger than a batch or not") {
  IngestFixture hub(1'000'000, [](Config& config) { config.ingest.batch_rows_max = 10; });
  auto& ingest = hub.add_ingest();
  std::vector<IngestFixture::RequestPtr> single;
  std::vector<std::shared_ptr<GroupResults>> groups;
  for (int i = 0; i < 5; ++i) {
    groups.push_back(begin_group(hub, ingest, rows_of("g" + std::to_string(i), 7 + 5 * i)));
    for (int j = 0; j < 3; ++j) single.push_back(hub.begin(ingest, event_of("[]")));
  }
  hub.start_on(ingest, single);
  hub.until([&] {
    return std::all_of(groups.begin(), groups.end(),
                       [](auto& group) { return group->has_value(); });
  });
  for (int i = 0; i < 5; ++i) {
    INFO(i);
    CHECK(accepted_of(*groups[static_cast<std::size_t>(i)]) == 7 + 5 * i);
    CHECK(written(hub, "g" + std::to_string(i)) == fmt::format("1|{}|t", 7 + 5 * i));
  }
  CHECK(hub.db.query("SELECT count(DISTINCT xmin::text) FROM events") == "9");
}

TEST_CASE("a row that PostgreSQL refuses splits its own group and no other") {
  IngestFixture hub;
  auto& ingest = hub.add_ingest();
  const auto before = begin_group(hub, ingest, rows_of("before", 100));
  const auto bad = begin_group(hub, ingest, rows_of("bad", 40, 30));
  const auto after = begin_group(hub, ingest, rows_of("after", 100));
  hub.start_on(ingest, {hub.begin(ingest, event_of("[]"))});
  hub.until([&] { return after->has_value(); });
  CHECK(accepted_of(*before) == 100);
  CHECK(accepted_of(*bad) == 39);
  CHECK(std::get<AcceptError>((**bad)[30]) == AcceptError::refused);
  CHECK(accepted_of(*after) == 100);
  CHECK(written(hub, "before") == "1|100|t");
  CHECK(written(hub, "after") == "1|100|t");
}

TEST_CASE("a key that comes twice in a group, and once outside of it, is one event") {
  IngestFixture hub;
  auto& ingest = hub.add_ingest();
  const auto outside = hub.begin(ingest, event_of("[]"), key_of(1, 1));
  const auto group = begin_group(hub, ingest,
                                 {{event_of("[]"), key_of(1, 1)},
                                  {event_of("[2]"), key_of(2, 2)},
                                  {event_of("[2]"), key_of(2, 2)},
                                  {event_of("[3]"), key_of(2, 3)}});
  hub.start_on(ingest, {outside});
  hub.until([&] { return group->has_value(); });
  const auto& results = **group;
  const auto id = [](const store::AcceptResult& result) {
    return std::get<store::Accepted>(result).event_id;
  };
  CHECK(id(results[0]) == outside->value().event_id);
  CHECK(id(results[1]) == id(results[2]));
  CHECK(std::get<store::Accepted>(results[2]).replayed);
  CHECK(std::get<AcceptError>(results[3]) == AcceptError::key_reused);
  CHECK(hub.db.query("SELECT count(*) FROM events") == "2");
}

TEST_CASE("a group is bounded by the queue, and an empty one is nothing") {
  IngestFixture hub(1'000'000, [](Config& config) { config.ingest.queue_bytes_max = 20'000; });
  auto& ingest = hub.add_ingest();
  const auto first = hub.begin(ingest, event_of("[]"));
  hub.io.poll();
  const auto group = begin_group(hub, ingest, rows_of("g", 200));
  const auto none = begin_group(hub, ingest, {});
  hub.start_on(ingest, {first});
  hub.until([&] { return group->has_value() && none->has_value(); });
  CHECK((*none)->empty());
  for (const auto& result : **group) {
    CHECK(std::get<AcceptError>(result) == AcceptError::overloaded);
  }
  CHECK(hub.db.query("SELECT count(*) FROM events") == "1");
}

struct GroupCounts {
  int whole = 0, none = 0, unknown = 0, mixed = 0, running = 0;
  bool stop = false;
};

Task<void> produce_groups(store::Ingest& ingest, std::string name, GroupCounts* counts,
                          std::vector<std::string>* sure, std::vector<std::string>* never) {
  ++counts->running;
  for (int i = 0; !counts->stop; ++i) {
    const std::string group = name + "-" + std::to_string(i);
    GroupResults results = co_await ingest.accept_all(rows_of(group, 20));
    const long accepted = accepted_of(results);
    const auto* error = std::get_if<AcceptError>(&results->front());
    if (accepted == 20) {
      ++counts->whole;
      sure->push_back(group);
    } else if (accepted > 0) {
      ++counts->mixed;
    } else if (*error == AcceptError::unknown_outcome) {
      ++counts->unknown;
    } else {
      ++counts->none;
      never->push_back(group);
      co_await sleep_for(Millis{10});
    }
  }
  --counts->running;
}

TEST_CASE("killed sessions: a group is there whole or not at all") {
  GroupCounts counts;
  std::vector<std::string> sure, never;
  IngestFixture hub;
  auto& ingest = hub.started();
  for (int i = 0; i < 16; ++i) {
    spawn(test::executor_of(hub.io), "produce",
          produce_groups(ingest, std::to_string(i), &counts, &sure, &never));
  }
  for (int kill = 0; kill < 8; ++kill) {
    hub.wait(Millis{30 + kill * 11});
    const int before = counts.whole;
    hub.db.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()");
    hub.until([&] { return counts.whole > before + 10; });
  }
  counts.stop = true;
  hub.until([&] { return counts.running == 0; });
  CHECK(counts.mixed == 0);
  const auto found = [&](const std::vector<std::string>& names) {
    return hub.db.query(fmt::format(
        "SELECT count(*) FROM unnest('{{{}}}'::text[]) n WHERE EXISTS (SELECT FROM events "
        "WHERE user_id = n)",
        fmt::join(names, ",")));
  };
  CHECK(found(sure) == std::to_string(sure.size()));
  CHECK(found(never) == "0");
  CHECK(hub.db.query("SELECT count(*) FROM (SELECT FROM events GROUP BY user_id "
                     "HAVING count(*) <> 20 OR count(DISTINCT xmin::text) <> 1) x") == "0");
}

}  // namespace
}  // namespace eventhub
