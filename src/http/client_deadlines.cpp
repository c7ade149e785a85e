// One timer for the deadlines of all attempts and look-ups; client.cpp and resolver.cpp say what
// expires.
#include "http/client_deadlines.hpp"

#include <algorithm>

namespace eventhub::http {
namespace {

// Deadlines this close together share a wake-up.
constexpr Millis kResolution{10};

}  // namespace

void Timed::expire_at(Mono deadline) {
  disarm();
  deadline_ = deadline;
  deadlines_.add(*this);
}

void Timed::disarm() {
  if (armed_) deadlines_.remove(*this);
}

Deadlines::Deadlines(const Executor& executor, const Clock& clock)
    : timer_(executor), clock_(clock), alive_(std::make_shared<bool>(true)) {}

void Deadlines::add(Timed& timed) {
  timed.previous_ = nullptr;
  timed.next_ = first_;
  if (first_ != nullptr) first_->previous_ = &timed;
  first_ = &timed;
  timed.armed_ = true;
  if (timed.deadline_ < armed_for_) arm(timed.deadline_);
}

void Deadlines::remove(Timed& timed) {
  if (cursor_ == &timed) cursor_ = timed.next_;
  if (timed.next_ != nullptr) timed.next_->previous_ = timed.previous_;
  if (timed.previous_ != nullptr) timed.previous_->next_ = timed.next_;
  if (first_ == &timed) first_ = timed.next_;
  timed.armed_ = false;
}

void Deadlines::arm(Mono at) {
  armed_for_ = at;
  timer_.expires_after(std::max<Mono::duration>(at - clock_.mono(), kResolution));
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](boost::system::error_code error) {
    if (!error && !alive.expired()) scan();
  });
}

void Deadlines::scan() {
  const Mono now = clock_.mono();
  Mono earliest = Mono::max();
  armed_for_ = Mono::min();  // expire() may add; this scan arms once, at its end
  for (Timed* timed = first_; timed != nullptr; timed = cursor_) {
    cursor_ = timed->next_;
    if (timed->deadline_ > now) continue;
    remove(*timed);
    timed->expire();
  }
  cursor_ = nullptr;
  for (Timed* timed = first_; timed != nullptr; timed = timed->next_) {
    earliest = std::min(earliest, timed->deadline_);
  }
  armed_for_ = Mono::max();
  if (earliest != Mono::max()) arm(earliest);
}

void Deadlines::stop() {
  timer_.cancel();
  armed_for_ = Mono::max();
}

void Deadlines::expire_all() {
  for (Timed* timed = first_; timed != nullptr; timed = cursor_) {
    cursor_ = timed->next_;
    remove(*timed);
    timed->expire();
  }
  cursor_ = nullptr;
}

}  // namespace eventhub::http
