// The bytes that are sent, without a server; test/integration/pg checks that a server reads them
// so.
#include "eventhub/pg/error.hpp"
#include "eventhub/pg/statement.hpp"
#include "pg/wire.hpp"
#include "support/catch.hpp"

using namespace eventhub;
using pg::Params;
namespace wire = pg::wire;

namespace {
std::string bytes(std::initializer_list<int> values) {
  std::string out;
  for (const int value : values) out += static_cast<char>(value);
  return out;
}
}  // namespace

TEST_CASE("integers go out big-endian with the oid of their width") {
  Params params;
  params.i16(std::int16_t{-2}).i32(1).i64(std::nullopt).boolean(true);
  const auto& values = params.values();
  REQUIRE(values.size() == 4);
  CHECK(values[0].oid == 21);
  CHECK(values[0].bytes == bytes({0xff, 0xfe}));
  CHECK(values[1].bytes == bytes({0, 0, 0, 1}));
  CHECK(values[2].null);
  CHECK(values[2].oid == 20);
  CHECK(values[3].bytes == bytes({1}));
  CHECK(params.bytes() == 2 + 4 + 0 + 1);
}

TEST_CASE("an empty array has no dimension, another one has its count and NULLs as -1") {
  Params params;
  params.i32s(std::span<const std::int32_t>{});
  CHECK(params.values()[0].bytes == bytes({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 23}));
  const std::vector<std::optional<std::int16_t>> values{std::int16_t{5}, std::nullopt};
  params.i16s(values);
  CHECK(params.values()[1].oid == 1005);
  CHECK(params.values()[1].bytes == bytes({0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 21,  0,   0,   0,
                                           2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 5, 255, 255, 255, 255}));
}

TEST_CASE("times keep their microseconds and the ends mean infinity") {
  const Time millennium{std::chrono::seconds{946'684'800}};
  CHECK(wire::from_time(millennium) == 0);
  CHECK(wire::to_time(0) == millennium);
  const Time before{Micros{-1}};
  CHECK(wire::to_time(wire::from_time(before)) == before);
  CHECK(wire::from_time(Time::max()) == INT64_MAX);
  CHECK(wire::from_time(Time::min()) == INT64_MIN);
  CHECK(wire::to_time(INT64_MAX) == Time::max());
  CHECK(wire::to_time(INT64_MIN) == Time::min());
  // The latest timestamptz PostgreSQL knows is past the range of Time.
  CHECK(wire::to_time(9'223'371'331'199'999'999) == Time::max());
}

TEST_CASE("error classes decide whether a batch is split") {
  CHECK(pg::Error("", "23505", false, false).bad_data());
  CHECK(pg::Error("", "22021", false, false).bad_data());
  CHECK(pg::Error("", "21000", false, false).bad_data());
  CHECK_FALSE(pg::Error("", "40001", false, false).bad_data());
  CHECK_FALSE(pg::Error("", "25006", false, false).bad_data());
  CHECK_FALSE(pg::Error("", "", true, true).bad_data());
  pg::Error missing("", "23514", false, false);
  CHECK(missing.missing_partition());
  missing.constraint = "some_check";
  CHECK_FALSE(missing.missing_partition());
}
