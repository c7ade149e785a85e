// Every type there and back through a real server: NULLs, empty and large arrays, large texts.
#include "pg_fixture.hpp"
#include "support/catch.hpp"

using namespace eventhub;
using eventhub::test::PgFixture;
using pg::Params;
using pg::Result;
using pg::Statement;
using test::run;

namespace {
constexpr Time moment{Micros{1'800'000'000'123'456}};
}

TEST_CASE_METHOD(PgFixture, "single values keep their value") {
  const auto connection = connect();
  const Statement echo{"echo", "SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9"};
  Uuid id;
  id.bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255};
  Params params;
  params.i16(-32768).i32(-2147483647 - 1).i64(INT64_MIN).f64(-0.1).boolean(true);
  params.text("snowman ☃ \\u0000 '; --").bytea(std::string_view("\0\xff", 2)).uuid(id);
  params.timestamp(moment);
  const Result result = run(io, connection->run(echo, params));
  REQUIRE(result.rows() == 1);
  CHECK(result.i16(0, 0) == -32768);
  CHECK(result.i32(0, 1) == -2147483647 - 1);
  CHECK(result.i64(0, 2) == INT64_MIN);
  CHECK(result.f64(0, 3) == -0.1);
  CHECK(result.boolean(0, 4));
  CHECK(result.text(0, 5) == "snowman ☃ \\u0000 '; --");
  CHECK(result.text(0, 6) == std::string_view("\0\xff", 2));
  CHECK(result.uuid(0, 7) == id);
  CHECK(result.timestamp(0, 8) == moment);
}

TEST_CASE_METHOD(PgFixture, "NULLs are NULL and reading them as values is refused") {
  const auto connection = connect();
  const Statement echo{"echo", "SELECT $1, $2, $3, $4, $5, $6, $7, $8"};
  Params params;
  params.i16({}).i32({}).i64({}).f64({}).text({}).bytea({}).uuid({}).timestamp({});
  const Result result = run(io, connection->run(echo, params));
  for (int column = 0; column < 8; ++column) CHECK(result.is_null(0, column));
  CHECK_FALSE(result.optional_i64(0, 2));
  CHECK_FALSE(result.optional_text(0, 4));
  CHECK_FALSE(result.optional_timestamp(0, 7));
  CHECK_THROWS_AS(result.i64(0, 2), std::logic_error);
  CHECK_THROWS_AS(result.text(0, 4), std::logic_error);
  CHECK_THROWS_AS(result.i32(0, 2), std::logic_error);
  CHECK_THROWS_AS(result.i16(1, 0), std::logic_error);
  CHECK_THROWS_AS(result.i16(0, 8), std::logic_error);
  CHECK_THROWS_AS(result.is_null(-1, 0), std::logic_error);
}

TEST_CASE_METHOD(PgFixture, "what the server computes is read with its own type") {
  const auto connection = connect();
  const Result result = select(*connection,
                               "SELECT '{\"a\": 1}'::jsonb, '{\"a\":  1}'::json, 'x'::varchar, "
                               "ARRAY['a', '', 'ü'], '{5,0.5}'::float8[], 'infinity'::timestamptz, "
                               "'{}'::text[], '2000-01-01 00:00:00Z'::timestamptz, count(*) "
                               "FROM generate_series(1, 3)");
  CHECK(result.jsonb(0, 0) == "{\"a\": 1}");
  CHECK(result.text(0, 1) == "{\"a\":  1}");
  CHECK(result.text(0, 2) == "x");
  CHECK(result.texts(0, 3) == std::vector<std::string>{"a", "", "ü"});
  CHECK(result.f64s(0, 4) == std::vector<double>{5, 0.5});
  CHECK(result.timestamp(0, 5) == Time::max());
  CHECK(result.texts(0, 6).empty());
  CHECK(result.timestamp(0, 7) == Time{std::chrono::seconds{946'684'800}});
  CHECK(result.i64(0, 8) == 3);
  CHECK_THROWS_AS(result.texts(0, 4), std::logic_error);
  CHECK_THROWS_AS(result.f64(0, 8), std::logic_error);
}

TEST_CASE_METHOD(PgFixture, "arrays arrive element by element, NULLs among them") {
  const auto connection = connect();
  const Statement echo{"unnest",
                       "SELECT a, b, c, d, e, f, g FROM unnest($1::int2[], $2::int4[], $3::int8[], "
                       "$4::bool[], $5::text[], $6::uuid[], $7::timestamptz[]) "
                       "AS t(a, b, c, d, e, f, g)"};
  using std::optional;
  const std::vector<optional<std::int16_t>> shorts{1, {}, -3};
  const std::vector<optional<std::int32_t>> ints{{}, 70'000, -1};
  const std::vector<optional<std::int64_t>> longs{INT64_MAX, {}, 0};
  const std::vector<optional<std::string_view>> texts{"", {}, "x\\u0000"};
  const std::vector<optional<Uuid>> ids{Uuid{}, {}, Uuid{}};
  const std::vector<optional<Time>> times{moment, {}, Time::min()};
  Params params;
  params.i16s(shorts).i32s(ints).i64s(longs).booleans({true, false, true});
  params.texts(texts).uuids(ids).timestamps(times);
  const Result result = run(io, connection->run(echo, params));
  REQUIRE(result.rows() == 3);
  CHECK(result.i16(2, 0) == -3);
  CHECK(result.is_null(1, 0));
  CHECK(result.is_null(0, 1));
  CHECK(result.i32(1, 1) == 70'000);
  CHECK(result.i64(0, 2) == INT64_MAX);
  CHECK(result.boolean(0, 3));
  CHECK_FALSE(result.boolean(1, 3));
  CHECK(result.text(0, 4).empty());
  CHECK(result.is_null(1, 4));
  CHECK(result.text(2, 4) == "x\\u0000");
  CHECK(result.uuid(0, 5) == Uuid{});
  CHECK(result.is_null(1, 5));
  CHECK(result.timestamp(0, 6) == moment);
  CHECK(result.timestamp(2, 6) == Time::min());
}

TEST_CASE_METHOD(PgFixture, "empty and large arrays") {
  const auto connection = connect();
  const Statement sums{"sums",
                       "SELECT cardinality($1::int8[])::bigint, coalesce((SELECT sum(v) FROM "
                       "unnest($1::int8[]) v), 0)::bigint, cardinality($2::text[])::bigint"};
  Params none;
  none.i64s(std::span<const std::int64_t>{}).texts(std::span<const std::string_view>{});
  const Result empty = run(io, connection->run(sums, none));
  CHECK(empty.i64(0, 0) == 0);
  CHECK(empty.i64(0, 2) == 0);

  std::vector<std::int64_t> numbers(100'000);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int64_t>(i);
  const std::vector<std::string_view> texts(100'000, "some text");
  Params many;
  many.i64s(numbers).texts(texts);
  const Result large = run(io, connection->run(sums, many));
  CHECK(large.i64(0, 0) == 100'000);
  CHECK(large.i64(0, 1) == 4'999'950'000);
  CHECK(large.i64(0, 2) == 100'000);
}

TEST_CASE_METHOD(PgFixture, "a text of a mebibyte with an escaped NUL stays byte by byte") {
  const auto connection = connect();
  run(io, connection->exec("CREATE TABLE payloads (payload text NOT NULL)"));
  std::string payload = R"({"nul":"\u0000","pad":")";
  payload += std::string(1 << 20, 'x') + "\"}";
  const Statement insert{"insert", "INSERT INTO payloads VALUES ($1)"};
  const Result inserted = run(io, connection->run(insert, Params().text(payload)));
  CHECK(inserted.affected() == 1);
  const Result read = select(*connection, "SELECT payload FROM payloads");
  CHECK(read.text(0, 0) == payload);
  const auto error =
      test::error_of(io, connection->run(insert, Params().text(std::string_view("a\0b", 3))));
  CHECK(error.bad_data());
  CHECK_FALSE(error.connection_lost);
}
