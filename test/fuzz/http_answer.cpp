// What a webhook answers: however its bytes are cut, the hub sees the same status and decides the
// same.
#include "eventhub/core/retry.hpp"
#include "fuzz/fuzz.hpp"
#include "http/client_answer.hpp"

namespace eventhub::fuzz {
namespace {

constexpr std::size_t kBufferMax = 16 << 10;  // of a connection
constexpr std::size_t kBodyRead = 64 << 10;   // webhook.response_bytes_max

struct Seen {
  bool has_status = false, complete = false, failed = false, keep_alive = false;
  int status = 0;
  std::optional<std::string> retry_after;
  std::string body;
  bool operator==(const Seen&) const = default;
};

// As Client::Impl::read_answer does, on bytes in memory.
Seen read(std::string_view bytes, const std::vector<std::size_t>& pieces) {
  http::Answer answer;
  std::string unread;
  const auto ended = [&answer] {
    return answer.complete() || answer.failed() || answer.body_bytes() > kBodyRead;
  };
  const auto feed = [&] {
    const std::size_t taken = answer.feed(unread);
    require(taken <= unread.size(), "no more is taken than there is");
    unread.erase(0, taken);
  };
  for (std::size_t piece : pieces) {
    while (piece > 0 && !ended() && unread.size() < kBufferMax) {
      const std::size_t now = std::min(piece, kBufferMax - unread.size());
      unread += bytes.substr(0, now);
      bytes.remove_prefix(now);
      piece -= now;
      feed();
    }
  }
  if (!ended() && unread.size() < kBufferMax) {
    feed();
    if (!answer.complete()) answer.end_of_stream();
  }
  Seen seen;
  seen.has_status = answer.has_status();
  seen.complete = answer.complete();
  seen.failed = answer.failed();
  seen.keep_alive = answer.keep_alive();
  require(seen.has_status || !answer.error().empty() || unread.size() >= kBufferMax,
          "what has no status has an error");
  if (!seen.has_status) return seen;
  seen.status = answer.parser().status();
  seen.retry_after = answer.parser().retry_after();
  seen.body = answer.parser().body();
  return seen;
}

void text_is_storable(std::string_view bytes) {
  const std::string text = http::printable(bytes, http::kBodyKept);
  require(text.size() <= http::kBodyKept, "no more is kept than may be");
  require(text.find('\0') == std::string::npos, "PostgreSQL takes no NUL");
  require(http::printable(text, http::kBodyKept) == text, "what is kept is UTF-8");
}

void decided_within_bounds(const Seen& seen) {
  constexpr Millis kRetryAfterMax{3'600'000};
  AttemptResult result;
  if (seen.has_status) {
    require(seen.status >= 200 && seen.status <= 599, "a status is a final one");
    result.kind = AttemptResult::Kind::answered;
    result.status = seen.status;
    if (seen.retry_after) {
      result.retry_after = parse_retry_after(*seen.retry_after, Time{Seconds{1'800'000'000}});
    }
  }
  const Verdict verdict = decide(result, 1, Subscriber{}, kRetryAfterMax, 0);
  const bool delivered = seen.has_status && seen.status < 300;
  require((verdict.outcome == Outcome::delivered) == delivered, "2xx alone is delivered");
  require(verdict.wait >= Millis{0} && verdict.wait <= kRetryAfterMax, "no wait is too long");
}

}  // namespace
}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace eventhub::fuzz;
  const std::string_view bytes = text_of(data, size);
  const auto ways = cuttings(bytes);
  const Seen whole = read(bytes, ways.front());
  for (const auto& pieces : ways) {
    require(read(bytes, pieces) == whole, "an answer is the same however it is cut");
  }
  decided_within_bounds(whole);
  text_is_storable(whole.body);
  text_is_storable(bytes);
  return 0;
}
