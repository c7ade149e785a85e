#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/records.hpp"
#include "bench/shape.hpp"

// Judges a run from the producer's and the sink's logs alone: what the hub says of itself does not
// count. Pure.
namespace eventhub::bench {

enum class Fault {
  lost,       // accepted, but no 2xx at one of its subscribers
  duplicate,  // more than one 2xx at one subscriber; at most once: more than one attempt
  order,      // one subscriber and key: an event came after one that was sent after its 202
  overlap,    // one subscriber and key: two requests in the air at one time
  unknown,    // delivered, but never accepted, or not to this subscriber
  altered,    // not the bytes that were sent, or another message id for the same message
};
inline constexpr std::size_t kFaults = 6;
std::string_view to_string(Fault fault);

struct Verdict {
  std::uint64_t posted = 0, accepted = 0, refused = 0, failed = 0,
                unanswered = 0;  // 4xx, 5xx, none
  std::uint64_t expected = 0;    // deliveries of all that was accepted
  std::uint64_t deliveries = 0;  // requests that the sink got
  std::array<std::uint64_t, kFaults> faults{};
  std::vector<std::string> examples;  // a few of each kind, to look up in a log
  bool idle = false;                  // nothing was to be posted

  std::uint64_t count(Fault fault) const { return faults[static_cast<std::size_t>(fault)]; }
  bool clean() const;
  // A run that tested nothing must not pass.
  bool tested() const { return idle ? posted == 0 : accepted > 0 && accepted * 2 >= posted; }
};

Verdict check(const Shape& shape, const Logs& logs);

}  // namespace eventhub::bench
