// The rules of `eventhubd listen`, and what is told of the database: pure parts of the app.
#include "app/listen.hpp"
#include "app/migrate.hpp"
#include "support/catch.hpp"

using namespace eventhub;
using namespace eventhub::app;

TEST_CASE("a rule names a path and what differs there") {
  const ListenRule base{.status = 200, .fail_share = 0.5, .fail_status = 503, .delay_ms = 7};
  SECTION("a status for all") {
    const auto [path, rule] = parse_rule("/a:status=410", base);
    CHECK(path == "/a");
    CHECK(status_of(rule, "any", "1", 1) == 410);
    CHECK(rule.delay_ms == 7);
  }
  SECTION("a status for a share, the others as usual") {
    const auto [path, rule] = parse_rule("/a:status=500,share=1,delay_ms=50", base);
    CHECK(status_of(rule, "any", "1", 1) == 500);
    CHECK(rule.status == 200);
    CHECK(rule.delay_ms == 50);
  }
  SECTION("a share alone fails with the usual status") {
    const auto [path, rule] = parse_rule("/a:share=1", base);
    CHECK(status_of(rule, "any", "1", 1) == 503);
  }
}

TEST_CASE("a rule that cannot be read is refused, naming what is wrong") {
  for (const char* text : {"a:status=200", "/a", "/a:status=99", "/a:status=20x", "/a:share=1.5",
                           "/a:share=nan", "/a:delay_ms=-1", "/a:speed=3", "/a:status"}) {
    INFO(text);
    CHECK_THROWS_AS(parse_rule(text, {}), ConfigError);
  }
}

TEST_CASE("the same attempt always gets the same answer, and about the share of all fail") {
  const ListenRule rule{.fail_share = 0.1};
  int failed = 0;
  int retried_well = 0;
  for (int i = 0; i < 10'000; ++i) {
    const std::string id = "message-" + std::to_string(i);
    const int first = status_of(rule, id, "1", 42);
    CHECK(first == status_of(rule, id, "1", 42));
    if (first != 503) continue;
    ++failed;
    retried_well += status_of(rule, id, "2", 42) == 200;
  }
  CHECK(failed > 850);
  CHECK(failed < 1'150);
  CHECK(retried_well > failed * 8 / 10);
}

TEST_CASE("the database is told to people without its password") {
  DatabaseConfig database;
  database.password = "hidden";
  CHECK(describe(database) == "localhost:5432 (database eventhub, user eventhub)");
  database.url = "postgresql://me:hid@den@db.example:5433/hub?password=hidden";
  CHECK(describe(database) == "db.example:5433/hub");
  database.url = "host=db password=hidden";
  CHECK(describe(database) == "DATABASE_URL");
}
