// Lanes: what the health of receivers does to how many may be in the air, and what their answers do
// to it. The rules are in health.cpp.
#include <algorithm>

#include "lanes_state.hpp"

namespace eventhub {
namespace {

// Beyond the time-out of its request: until somebody else may make a probe whose process was lost.
constexpr Millis kProbeMargin{5'000};

}  // namespace

// The timer of a subscriber: it has a token of its rate, or its slow start lets more go.
void Lanes::Impl::wake(std::int32_t sid) {
  const auto found = subscriber_states.find(sid);
  if (found == subscriber_states.end()) return;
  SubscriberState& state = found->second;
  state.resting = false;
  if (state.step_due != Mono{} && state.step_due <= clock.mono()) return step(state);
  list(state);
}

void Lanes::Impl::step(SubscriberState& state) {
  update_cap(state);
  const Mono due = state.health.next_step(clock.mono()).value_or(Mono{});
  if (due != Mono{} && due != state.step_due)
    timers.push({due, {kSubscriberTimer, state.sid, {}}, {}});
  state.step_due = due;
  list(state);
}

// Resumed: what was held goes out slowly at first. Another address: nothing is known of it.
void Lanes::Impl::renewed(SubscriberState& state, const Subscriber& before) {
  const bool was_held = before.paused || !before.active;
  if (was_held && !state.held()) {
    state.health.resume(clock.mono());
  } else if (before.webhook_url != state.row->webhook_url) {
    state.health.forget();
  } else {
    return;
  }
  health.erase(state.sid);
  step(state);
}

void Lanes::Impl::attempted(SubscriberState& state, Sign sign) {
  if (!state.row) return;
  if (state.health.ended(sign, state.row->circuit, clock.mono())) step(state);
  health_urgent = health_urgent || state.health.urgent();
}

std::vector<HealthReport> Lanes::health_reports() {
  Impl& s = *impl_;
  s.health_urgent = false;
  std::vector<HealthReport> reports;
  const Mono now = s.clock.mono();
  for (auto& [sid, state] : s.subscriber_states) {
    if (!state.row || !state.health.watched()) continue;
    const Millis lease = state.row->timeout.value_or(s.config.default_timeout) + kProbeMargin;
    const HealthReport report = state.health.report(*state.row, !state.ready.empty(),
                                                    s.config.circuit_hold_max, lease, now);
    if (!report.empty()) reports.push_back(report);
  }
  std::sort(reports.begin(), reports.end(), [](auto& a, auto& b) { return a.sid < b.sid; });
  return reports;
}

bool Lanes::health_urgent() const {
  return impl_->health_urgent;
}

void Lanes::set_health(const std::vector<HealthSeen>& rows) {
  Impl& s = *impl_;
  const Mono now = s.clock.mono();
  s.health.clear();
  for (const HealthSeen& row : rows) s.health[row.sid] = row;
  for (auto& [sid, state] : s.subscriber_states) {
    const auto row = s.health.find(sid);
    if (row == s.health.end() && !state.health.watched()) continue;
    if (state.health.seen(row == s.health.end() ? nullptr : &row->second, now)) s.step(state);
  }
}

}  // namespace eventhub
