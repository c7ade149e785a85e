// Filters and ordering keys written by SQL: the table takes what the hub can read, nothing else.
#include <boost/asio/io_context.hpp>

#include "eventhub/core/filter.hpp"
#include "eventhub/store/subscribers.hpp"
#include "support/catch.hpp"
#include "support/private_postgres.hpp"
#include "support/run_task.hpp"
#include "unit/core/filter_cases.hpp"

namespace eventhub::test {
namespace {

struct FilterTable {
  TestDatabase db;
  boost::asio::io_context io;
  Metrics metrics{10};
  store::Database database{executor_of(io), db.config(), metrics};
  store::Subscribers subscribers{database};

  // The columns' values as SQL; the constraint that refused them, or nothing.
  std::string refused(const std::string& columns, const std::string& values) {
    return db.query(R"(DO $do$ DECLARE told text; BEGIN
      INSERT INTO subscribers (name, event_type, webhook_url, created_by, )" +
                    columns + ") VALUES ('n', 'a', 'http://localhost:1/', 'me', " + values + R"();
      PERFORM set_config('test.refused', '', false);
      EXCEPTION WHEN check_violation THEN GET STACKED DIAGNOSTICS told = CONSTRAINT_NAME;
      PERFORM set_config('test.refused', told, false); END $do$;
      SELECT current_setting('test.refused'))");
  }
  std::string refused_filter(const std::string& filter) {
    return refused("filter", "$f$" + filter + "$f$");
  }
};

}  // namespace

TEST_CASE("filters: the table takes what the hub can read, and nothing else") {
  FilterTable f;
  for (const std::string& filter : good_filters()) {
    INFO(filter.substr(0, 200));
    CHECK(f.refused_filter(filter).empty());
  }
  for (const auto& [filter, pointer, only_compiled] : bad_filters()) {
    if (only_compiled) continue;
    INFO(filter.substr(0, 200));
    CHECK(f.refused_filter(filter).starts_with("filter_is_"));
  }
  const SubscriberSetPtr set = run(f.io, f.subscribers.refresh());
  CHECK(set->by_sid.size() == good_filters().size());
  for (const auto& [sid, subscriber] : set->by_sid) {
    INFO(subscriber->problem);
    CHECK(subscriber->problem.empty());
    REQUIRE(subscriber->routing);
    CHECK(subscriber->routing->filter);
  }
}

TEST_CASE("filters: a place in the payload is an ordering key, and every row is read") {
  FilterTable f;
  for (const char* key : {"/a", "/", "/a~0~1b/0/\xC3\xA4", "//"}) {
    INFO(key);
    CHECK(f.refused("ordering_enabled, ordering_key", std::string("true, '") + key + "'").empty());
  }
  for (const char* key : {"a", "/~", "/a~", "x/a", "organization"}) {
    INFO(key);
    CHECK(f.refused("ordering_key", std::string("'") + key + "'").starts_with("ordering_key_is_"));
  }
  CHECK(f.refused("ordering_key", "'/a'").empty());  // not ordered, but may be
  const SubscriberSetPtr set = run(f.io, f.subscribers.refresh());
  for (const auto& [sid, subscriber] : set->by_sid) {
    CHECK(subscriber->active);
    CHECK((subscriber->ordering == OrderingKey::pointer) == (subscriber->routing != nullptr));
  }
  CHECK(set->by_sid.size() == 5);
}

}  // namespace eventhub::test
