#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

#include "eventhub/core/subscriber.hpp"

// What becomes of a receiver that fails: its circuit, its slow start, and since when it has done
// nothing but fail. Pure. Each dispatcher has a Health per subscriber; the table subscriber_health
// is what they know together (store/subscriber_health.hpp).
namespace eventhub {

// What one attempt says of the receiver. A failure is what is tried again: no answer, 429, 5xx.
// Another answer than 2xx is no success, but whoever gives it is there.
enum class Sign : std::uint8_t { none, delivered, answered, failed };

// The words are the same in SQL, API and metrics.
enum class Circuit : std::uint8_t { closed, open, half_open };
std::string_view to_string(Circuit circuit);

// What a process asks of the table, because its circuit should change.
enum class CircuitWish : std::uint8_t {
  none,
  open,     // so many failures in a row
  probe,    // open for long enough: this process would send one message
  reopen,   // its message failed
  close,    // one was delivered
  give_up,  // closed although nothing was delivered: held for circuit_hold_max
};

struct HealthReport {
  std::int32_t sid = 0;
  bool succeeded = false;  // since the last report
  bool failed = false;     // … and nothing but that since the last success
  CircuitWish wish = CircuitWish::none;
  Millis open{0};   // reopen, open: for so long
  Millis probe{0};  // probe: so long until another process may have it
  bool empty() const { return !succeeded && !failed && wish == CircuitWish::none; }
};

// A row of the table, in this process's time.
struct HealthSeen {
  std::int32_t sid = 0;
  bool failing = false;
  Circuit circuit = Circuit::closed;
  bool spent = false;  // closed after circuit_hold_max, and stays so until somebody answers
  bool ours = false;   // half_open: this process sends the one
  Mono opened{};       // the first time since the last success
  Mono until{};        // open: a probe may go; half_open: another one may
};

class Health {
 public:
  static constexpr int kNoBound = std::numeric_limits<int>::max();

  // So many requests may be in the air, all processes together: 0 or 1 while the circuit is not
  // closed, 1, 2, 4 … after it was, each second more.
  int most(Mono now) const;
  // The one that may go while the circuit is half open is this process's.
  bool probing() const { return circuit_ == Circuit::half_open && ours_; }
  bool holding() const { return circuit_ != Circuit::closed; }
  Circuit circuit() const { return circuit_; }
  // When most() changes by itself.
  std::optional<Mono> next_step(Mono now) const;

  // Whether a success says anything new, or there is something to tell.
  bool watched() const {
    return failing_since_ != Mono{} || failures_ > 0 || failing_ || holding() || spent_ || urgent();
  }
  // True when most() is another one now.
  bool ended(Sign sign, const CircuitPolicy& policy, Mono now);
  // A person resumed the subscriber: everything begins anew, slowly.
  void resume(Mono now);
  void forget() { *this = Health{}; }

  // Something to tell that should not wait.
  bool urgent() const { return wish_ != CircuitWish::none; }
  // What to tell now; `waits`: a message of the subscriber would go.
  HealthReport report(const Subscriber& row, bool waits, Millis hold_max, Millis lease, Mono now);
  // The table after that report; nullptr: it has no row. True when most() is another one now.
  bool seen(const HealthSeen* row, Mono now);

 private:
  void close(Mono now);

  Circuit circuit_ = Circuit::closed;
  bool ours_ = false;
  bool spent_ = false;
  bool failing_ = false;                            // in the table
  CircuitWish wish_ = CircuitWish::none;            // asked until the table has it
  CircuitWish told_ = CircuitWish::none;            // with the last report
  int failures_ = 0;                                // in a row
  Mono failing_since_{}, failed_{};                 // nothing but failures here, the last one
  Mono reported_{};                                 // failures
  std::uint32_t successes_ = 0;                     // as far as they say anything
  std::uint32_t telling_ = 0, told_successes_ = 0;  // with the last report, in the table
  Mono opened_{}, until_{};
  Mono slow_since_{};  // slow start; Mono{}: none
};

}  // namespace eventhub
