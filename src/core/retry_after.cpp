// Reads a Retry-After header: seconds, or one of the three HTTP dates of RFC 9110 5.6.7.
#include <algorithm>
#include <array>

#include "eventhub/core/retry.hpp"

namespace eventhub {
namespace {

// Takes a fixed grammar apart from left to right; `ok` turns false at the first misfit and stays
// so.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  void literal(std::string_view expected) {
    if (!rest_.starts_with(expected)) return fail();
    rest_.remove_prefix(expected.size());
  }
  int digits(std::size_t count) {
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (i >= rest_.size() || rest_[i] < '0' || rest_[i] > '9') return fail(), 0;
      value = value * 10 + (rest_[i] - '0');
    }
    rest_.remove_prefix(count);
    return value;
  }
  template <std::size_t N>
  int one_of(const std::array<std::string_view, N>& words) {
    for (std::size_t i = 0; i < N; ++i) {
      if (rest_.starts_with(words[i])) {
        rest_.remove_prefix(words[i].size());
        return static_cast<int>(i);
      }
    }
    return fail(), 0;
  }
  bool skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool finished() const { return ok_ && rest_.empty(); }

 private:
  void fail() {
    ok_ = false;
    rest_ = {};
  }
  std::string_view rest_;
  bool ok_ = true;
};

constexpr std::array<std::string_view, 7> kDays{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::array<std::string_view, 7> kLongDays{"Monday", "Tuesday",  "Wednesday", "Thursday",
                                                    "Friday", "Saturday", "Sunday"};
constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct Civil {
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
};

void read_clock(Reader& in, Civil& out) {
  out.hour = in.digits(2);
  in.literal(":");
  out.minute = in.digits(2);
  in.literal(":");
  out.second = in.digits(2);
}

// Sun, 06 Nov 1994 08:49:37 GMT
bool read_imf(Reader in, Civil& out) {
  in.one_of(kDays);
  in.literal(", ");
  out.day = in.digits(2);
  in.literal(" ");
  out.month = in.one_of(kMonths) + 1;
  in.literal(" ");
  out.year = in.digits(4);
  in.literal(" ");
  read_clock(in, out);
  in.literal(" GMT");
  return in.finished();
}

// Sunday, 06-Nov-94 08:49:37 GMT; a year that seems more than 50 years ahead is in the past.
bool read_rfc850(Reader in, Civil& out, Time now) {
  in.one_of(kLongDays);
  in.literal(", ");
  out.day = in.digits(2);
  in.literal("-");
  out.month = in.one_of(kMonths) + 1;
  in.literal("-");
  out.year = in.digits(2);
  in.literal(" ");
  read_clock(in, out);
  in.literal(" GMT");
  const std::chrono::year_month_day today{std::chrono::floor<std::chrono::days>(now)};
  const int this_year = static_cast<int>(today.year());
  out.year += this_year - this_year % 100;
  if (out.year > this_year + 50) out.year -= 100;
  return in.finished();
}

// Sun Nov  6 08:49:37 1994
bool read_asctime(Reader in, Civil& out) {
  in.one_of(kDays);
  in.literal(" ");
  out.month = in.one_of(kMonths) + 1;
  in.literal(" ");
  out.day = in.skip(' ') ? in.digits(1) : in.digits(2);
  in.literal(" ");
  read_clock(in, out);
  in.literal(" ");
  out.year = in.digits(4);
  return in.finished();
}

std::optional<Time> to_time(const Civil& civil) {
  const std::chrono::year_month_day date{std::chrono::year{civil.year},
                                         std::chrono::month{static_cast<unsigned>(civil.month)},
                                         std::chrono::day{static_cast<unsigned>(civil.day)}};
  if (!date.ok() || civil.hour > 23 || civil.minute > 59 || civil.second > 60) return std::nullopt;
  return Time{std::chrono::sys_days{date}} + std::chrono::hours{civil.hour} +
         std::chrono::minutes{civil.minute} + std::chrono::seconds{civil.second};
}

std::optional<Millis> parse_seconds(std::string_view value) {
  constexpr std::size_t kDigitsMax = 15;  // fits 64 bits as milliseconds
  if (value.size() > kDigitsMax) return std::nullopt;
  std::int64_t seconds = 0;
  for (const char c : value) {
    if (c < '0' || c > '9') return std::nullopt;
    seconds = seconds * 10 + (c - '0');
  }
  return Millis{seconds * 1000};
}

std::string_view trim_blanks(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::optional<Millis> parse_retry_after(std::string_view value, Time now) {
  value = trim_blanks(value);
  if (value.empty()) return std::nullopt;
  if (value.front() >= '0' && value.front() <= '9') return parse_seconds(value);
  Civil civil;
  if (!read_imf(Reader{value}, civil) && !read_rfc850(Reader{value}, civil, now) &&
      !read_asctime(Reader{value}, civil)) {
    return std::nullopt;
  }
  const std::optional<Time> at = to_time(civil);
  if (!at || *at <= now) return std::nullopt;
  return std::chrono::ceil<Millis>(*at - now);
}

}  // namespace eventhub
