// Retry-After: what is accepted is what the C library reads, too, and every date that can be
// written is read back. The input is a time (8 bytes) and then the header's value.
#include <algorithm>
#include <cstring>
#include <ctime>
#include <string>

#include "eventhub/core/retry.hpp"
#include "fuzz/fuzz.hpp"
#include "http/server_response.hpp"

namespace eventhub::fuzz {
namespace {

const Time kNow{Seconds{1'800'000'000}};  // in 2027
constexpr std::int64_t kYear = 31'556'952;

// strptime is lenient, so it reads whatever we do.
bool c_library_reads(const std::string& value, Time at) {
  for (const char* format :
       {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"}) {
    std::tm fields{};
    const char* end = strptime(value.c_str(), format, &fields);
    if (end == nullptr || *end != '\0') continue;
    if (format[1] == 'A') {  // which century is not strptime's to say
      const std::time_t seconds = std::chrono::floor<Seconds>(at).time_since_epoch().count();
      std::tm ours{};
      gmtime_r(&seconds, &ours);
      if (ours.tm_year % 100 == fields.tm_year % 100) fields.tm_year = ours.tm_year;
    }
    if (Time{Seconds{timegm(&fields)}} == at) return true;
  }
  return false;
}

void judge(std::string_view value) {
  const auto wait = parse_retry_after(value, kNow);
  const std::string padded = " \t" + std::string(value) + "\t ";
  require(parse_retry_after(padded, kNow) == wait, "white space around the value does not count");
  if (!wait) return;
  const auto first = value.find_first_not_of(" \t");
  const std::string bare(value.substr(first, value.find_last_not_of(" \t") - first + 1));
  require(wait->count() >= 0, "no wait is negative");
  if (bare.front() >= '0' && bare.front() <= '9') {
    require(std::to_string(wait->count() / 1000) ==
                bare.substr(std::min(bare.find_first_not_of('0'), bare.size() - 1)),
            "seconds are what the digits say");
  } else {
    require(*wait > Millis{0} && *wait <= Seconds{kYear * 8'000}, "a date is ahead, before 10000");
    require(c_library_reads(bare, kNow + *wait), "the C library reads the same date");
  }
}

void date_is_read_back(std::int64_t number) {
  const Seconds ahead{number % (kYear * 40)};
  const Time at = kNow + ahead;
  const auto expected = ahead > Seconds{0} ? std::optional<Millis>(ahead) : std::nullopt;
  const std::string line = http::date_line(at);
  const std::string imf = line.substr(6, line.size() - 8);
  require(parse_retry_after(imf, kNow) == expected, "the server's own Date is read back");
  const std::time_t seconds = std::chrono::floor<Seconds>(at).time_since_epoch().count();
  std::tm fields{};
  gmtime_r(&seconds, &fields);
  char text[64];
  std::strftime(text, sizeof text, "%A, %d-%b-%y %H:%M:%S GMT", &fields);
  require(parse_retry_after(text, kNow) == expected, "an RFC 850 date is read back");
  std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &fields);
  require(parse_retry_after(text, kNow) == expected, "an asctime date is read back");
}

}  // namespace
}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::int64_t number = 0;
  if (size < sizeof number) return 0;
  std::memcpy(&number, data, sizeof number);
  eventhub::fuzz::date_is_read_back(number);
  eventhub::fuzz::judge(eventhub::fuzz::text_of(data + sizeof number, size - sizeof number));
  return 0;
}
