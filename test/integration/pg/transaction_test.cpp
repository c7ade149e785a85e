// A pipeline is one transaction: all of it or nothing, also when the commit itself fails.
#include "pg_fixture.hpp"
#include "support/catch.hpp"

namespace eventhub::test {
namespace {

const Statement insert{"insert", "INSERT INTO t VALUES ($1)"};
const Statement count{"count", "SELECT count(*) FROM t"};

Call add(std::int32_t id) {
  return Call{&insert, std::move(Params().i32(id))};
}

std::vector<Call> adds(std::initializer_list<std::int32_t> ids) {
  std::vector<Call> calls;
  for (const auto id : ids) calls.push_back(add(id));
  return calls;
}

}  // namespace

TEST_CASE_METHOD(PgFixture, "all calls of a pipeline commit together, results in order") {
  const auto connection = connect();
  run_sql(*connection, "CREATE TABLE t (id integer PRIMARY KEY)");
  auto calls = adds({1, 2, 3});
  calls.push_back({&count, Params()});
  calls.push_back(add(4));
  const auto results = run(io, connection->run_all(std::move(calls)));
  REQUIRE(results.size() == 5);
  CHECK(results[0].affected() == 1);
  CHECK(results[3].i64(0, 0) == 3);
  CHECK(db.query("SELECT count(*) FROM public.t") == "4");
  CHECK(run(io, connection->run_all({})).empty());
}

TEST_CASE_METHOD(PgFixture, "an error in the middle undoes all and leaves the connection usable") {
  const auto connection = connect();
  run_sql(*connection, "CREATE TABLE t (id integer PRIMARY KEY)");
  const Error error = error_of(io, connection->run_all(adds({1, 2, 2, 3})));
  CHECK(error.sqlstate == "23505");
  CHECK(error.constraint == "t_pkey");
  CHECK(error.bad_data());
  CHECK_FALSE(error.connection_lost);
  CHECK_FALSE(error.outcome_unknown);
  CHECK_THAT(error.what(), Catch::Matchers::Contains("insert"));
  CHECK(connection->healthy());
  const Result none = run(io, connection->run(count, Params()));
  CHECK(none.i64(0, 0) == 0);
  const auto again = run(io, connection->run_all(adds({1, 2, 3})));
  CHECK(again.size() == 3);
  CHECK(db.query("SELECT count(*) FROM public.t") == "3");
}

TEST_CASE_METHOD(PgFixture, "a statement that cannot be prepared fails every time, others go on") {
  const auto connection = connect();
  run_sql(*connection, "CREATE TABLE t (id integer PRIMARY KEY)");
  const Statement broken{"broken", "SELECT nonsense FROM t"};
  for (int i = 0; i < 2; ++i) {
    std::vector<Call> calls = adds({1});
    calls.push_back({&broken, Params()});
    calls.push_back({&count, Params()});
    const Error error = error_of(io, connection->run_all(std::move(calls)));
    CHECK(error.sqlstate == "42703");
    CHECK_FALSE(error.connection_lost);
  }
  const Result none = run(io, connection->run(count, Params()));
  CHECK(none.i64(0, 0) == 0);
}

TEST_CASE_METHOD(PgFixture, "a deferred constraint that fails at commit fails the pipeline") {
  const auto connection = connect();
  run_sql(*connection,
          "CREATE TABLE p (id integer PRIMARY KEY);"
          "CREATE TABLE t (id integer REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
  const Error error = error_of(io, connection->run_all(adds({1, 2})));
  CHECK(error.sqlstate == "23503");
  CHECK_FALSE(error.connection_lost);
  CHECK_FALSE(error.outcome_unknown);
  const Error single = error_of(io, connection->run(insert, std::move(Params().i32(1))));
  CHECK(single.sqlstate == "23503");
  const Result none = run(io, connection->run(count, Params()));
  CHECK(none.i64(0, 0) == 0);
}

TEST_CASE_METHOD(PgFixture, "a row without a partition is told from a violated CHECK") {
  const auto connection = connect();
  run_sql(*connection,
          "CREATE TABLE t (id integer CONSTRAINT id_is_small CHECK (id < 100)) "
          "PARTITION BY RANGE (id); CREATE TABLE t0 PARTITION OF t FOR VALUES FROM (0) TO (10);"
          "CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (90) TO (200)");
  const Error missing = error_of(io, connection->run_all(adds({1, 50})));
  CHECK(missing.missing_partition());
  CHECK(missing.bad_data());
  const Error check = error_of(io, connection->run_all(adds({1, 150})));
  CHECK(check.sqlstate == "23514");
  CHECK(check.constraint == "id_is_small");
  CHECK_FALSE(check.missing_partition());
}

TEST_CASE_METHOD(PgFixture, "a statement whose table changed is prepared anew") {
  const auto connection = connect();
  run_sql(*connection, "CREATE TABLE t (id integer); INSERT INTO t VALUES (1)");
  const Statement all{"all", "SELECT * FROM t"};
  CHECK(run(io, connection->run(all, Params())).i32(0, 0) == 1);
  run_sql(*connection, "ALTER TABLE t ALTER id TYPE bigint");
  const Error error = error_of(io, connection->run(all, Params()));
  CHECK(error.sqlstate == "0A000");
  CHECK(run(io, connection->run(all, Params())).i64(0, 0) == 1);
  run_sql(*connection, "DEALLOCATE ALL");
  CHECK(error_of(io, connection->run(all, Params())).sqlstate == "26000");
  CHECK(run(io, connection->run(all, Params())).i64(0, 0) == 1);
}

TEST_CASE_METHOD(PgFixture, "one name with two texts or two kinds of parameters is a mistake") {
  const auto connection = connect();
  const Statement one{"same", "SELECT $1"}, two{"same", "SELECT $1, 2"};
  run(io, connection->run(one, std::move(Params().i32(1))));
  CHECK_THROWS_AS(run(io, connection->run(two, std::move(Params().i32(1)))), std::logic_error);
  CHECK_THROWS_AS(run(io, connection->run(one, std::move(Params().i64(1)))), std::logic_error);
  CHECK(run(io, connection->run(one, std::move(Params().i32(7)))).i32(0, 0) == 7);
}

TEST_CASE_METHOD(PgFixture, "exec runs several statements and shows an open transaction") {
  const auto connection = connect();
  run_sql(*connection, "CREATE TABLE t (id integer); INSERT INTO t VALUES (1), (2)");
  CHECK(run(io, connection->run(count, Params())).i64(0, 0) == 2);
  CHECK_FALSE(connection->in_transaction());
  run_sql(*connection, "BEGIN");
  CHECK(connection->in_transaction());
  const Error error = error_of(io, connection->exec("SELECT 1/0"));
  CHECK(error.sqlstate == "22012");
  CHECK(connection->in_transaction());
  run_sql(*connection, "ROLLBACK");
  CHECK_FALSE(connection->in_transaction());
  CHECK(connection->healthy());
}

TEST_CASE_METHOD(PgFixture, "pipelines larger than every buffer go both ways at once") {
  const auto connection = connect();
  const Statement echo{"echo", "SELECT repeat($1, 8)"};
  const std::string megabyte(1 << 20, 'x');
  std::vector<Call> calls;
  for (int i = 0; i < 8; ++i) calls.push_back({&echo, std::move(Params().text(megabyte))});
  const auto results = run(io, connection->run_all(std::move(calls)));
  REQUIRE(results.size() == 8);
  for (const Result& result : results) CHECK(result.text(0, 0).size() == 8 << 20);
}

}  // namespace eventhub::test
