// Statements that exist once per partition: a session that lives long forgets those it no longer
// uses, on the server too.
#include "pg_fixture.hpp"
#include "support/catch.hpp"

namespace eventhub::test {
namespace {

const pg::Statement kPlain{"plain", "SELECT -1"};
const pg::Statement kKnown{
    "known", "SELECT count(*)::int4 FROM pg_prepared_statements WHERE name LIKE 'rows%'"};
const pg::Statement kOldest{"oldest",
                            "SELECT count(*)::int4 FROM (SELECT name FROM pg_prepared_statements"
                            " ORDER BY prepare_time LIMIT 2) s WHERE name IN ('plain', 'rows_p0')"};

pg::Statement of_partition(int number) {
  const std::string n = std::to_string(number);
  return {"rows_p" + n, "SELECT " + n, "rows"};
}

int answer(boost::asio::io_context& io, pg::Connection& connection,
           const pg::Statement& statement) {
  return run(io, connection.run(statement, pg::Params())).i32(0, 0);
}

}  // namespace

TEST_CASE_METHOD(PgFixture, "a thousand partitions later a session knows few of their statements") {
  const auto connection = connect();
  CHECK(answer(io, *connection, kPlain) == -1);
  int most = 0;
  for (int i = 0; i < 1'000; ++i) {
    REQUIRE(answer(io, *connection, of_partition(i)) == i);
    REQUIRE(answer(io, *connection, of_partition(0)) == 0);
    if (i % 50 == 0) most = std::max(most, answer(io, *connection, kKnown));
  }
  CHECK(most > 0);
  CHECK(most < 140);
  CHECK(answer(io, *connection, of_partition(1)) == 1);  // forgotten, so prepared anew
  // What is used all the time was never forgotten.
  CHECK(answer(io, *connection, kOldest) == 2);
}

TEST_CASE_METHOD(PgFixture, "a failed transaction makes no session forget what the server knows") {
  const auto connection = connect();
  for (int i = 0; i < 200; ++i) {
    REQUIRE(answer(io, *connection, of_partition(i)) == i);
    run_sql(*connection, "BEGIN");
    error_of(io, connection->exec("SELECT 1 / 0"));
    CHECK(error_of(io, connection->run(of_partition(i), pg::Params())).sqlstate == "25P02");
    run_sql(*connection, "ROLLBACK");
  }
  CHECK(answer(io, *connection, kKnown) < 140);
}

TEST_CASE_METHOD(PgFixture, "all partitions' statements are one in the metrics") {
  Metrics metrics{10};
  const auto connection = run(io, pg::Connection::open(options(), &metrics));
  for (int i = 0; i < 20; ++i) answer(io, *connection, of_partition(i));
  const std::string all = metrics.expose();
  CHECK_THAT(all, Catch::Matchers::Contains("_count{statement=\"rows\"} 20"));
  CHECK_THAT(all, !Catch::Matchers::Contains("rows_p"));
}

}  // namespace eventhub::test
