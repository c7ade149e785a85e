// Times as text.
#include "eventhub/core/time_text.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

std::string again(std::string_view text) {
  const auto time = parse_time(text);
  return time ? format_time(*time) : "no time";
}

TEST_CASE("a time is read with any offset and written in UTC") {
  CHECK(again("2026-01-31T08:00:00Z") == "2026-01-31T08:00:00.000Z");
  CHECK(again("2026-01-31t08:00:00.1239999z") == "2026-01-31T08:00:00.123Z");
  CHECK(again("2026-01-01 00:30:00+01:00") == "2025-12-31T23:30:00.000Z");
  CHECK(again("2024-02-29T23:59:60-00:30") == "2024-03-01T00:30:00.000Z");
  CHECK(parse_time("1970-01-01T00:00:00.000001Z") == Time{Micros{1}});
}

TEST_CASE("what is no time is not read") {
  for (const char* text :
       {"", "2026-01-31", "2026-01-31T08:00:00", "2026-02-29T08:00:00Z", "2026-13-01T08:00:00Z",
        "2026-01-31T24:00:00Z", "2026-01-31T08:60:00Z", "2026-01-31T08:00:00.Z", "26-01-31T08:00Z",
        "2026-01-31T08:00:00+1", "2026-01-31T08:00:00+25:00", "2026-01-31T08:00:00Z ",
        "0000-01-31T08:00:00Z", "now"}) {
    INFO(text);
    CHECK_FALSE(parse_time(text));
  }
}

}  // namespace
}  // namespace eventhub
