// The statements of SubscriberHealth. Each leaves rows alone that another process has changed
// since, so a report that comes late, or twice, does no harm. Times are the database's. Called by
// src/dispatcher/health.cpp; Housekeeping pauses who has failed for too long.
#include "eventhub/store/subscriber_health.hpp"

#include <functional>

namespace eventhub::store {
namespace {

// Since when is told by the first report after a success, so it is never earlier than it was.
const pg::Statement kFailed{"health_failed", R"(
INSERT INTO subscriber_health AS h (sid, failing_since, last_failure)
SELECT s.sid, now(), now() FROM subscribers s WHERE s.sid = ANY($1) AND NOT s.paused ORDER BY 1
ON CONFLICT (sid) DO UPDATE SET failing_since = coalesce(h.failing_since, now()),
  last_failure = now())"};

const pg::Statement kSucceeded{"health_succeeded", R"(
UPDATE subscriber_health SET failing_since = NULL, last_failure = NULL
WHERE sid = ANY($1) AND failing_since IS NOT NULL)"};

const pg::Statement kOpen{"circuit_open", R"(
INSERT INTO subscriber_health AS h (sid, circuit, opened_at, until)
SELECT u.sid, 'open', now(), now() + u.ms * interval '1 ms'
FROM unnest($1::int4[], $2::int8[]) u(sid, ms) JOIN subscribers s ON s.sid = u.sid ORDER BY 1
ON CONFLICT (sid) DO UPDATE SET circuit = 'open', opened_at = now(), until = excluded.until
WHERE h.circuit = 'closed' AND NOT h.spent)"};

const pg::Statement kProbe{"circuit_probe", R"(
UPDATE subscriber_health h
SET circuit = 'half_open', prober = $3, until = now() + u.ms * interval '1 ms'
FROM unnest($1::int4[], $2::int8[]) u(sid, ms)
WHERE h.sid = u.sid AND h.circuit <> 'closed' AND h.until <= now())"};

const pg::Statement kReopen{"circuit_reopen", R"(
UPDATE subscriber_health h
SET circuit = 'open', prober = NULL, until = now() + u.ms * interval '1 ms'
FROM unnest($1::int4[], $2::int8[]) u(sid, ms)
WHERE h.sid = u.sid AND h.circuit = 'half_open' AND h.prober = $3)"};

// $2: nothing was delivered, it was only held for too long.
const pg::Statement kClose{"circuit_close", R"(
UPDATE subscriber_health
SET circuit = 'closed', spent = $2, prober = NULL, opened_at = NULL, until = NULL
WHERE sid = ANY($1) AND (circuit <> 'closed' OR spent AND NOT $2))"};

const pg::Statement kTidy{"health_tidy", R"(
DELETE FROM subscriber_health
WHERE sid = ANY($1) AND failing_since IS NULL AND circuit = 'closed' AND NOT spent)"};

const pg::Statement kRead{"health_read", R"(
SELECT sid, failing_since IS NOT NULL, circuit, spent, prober IS NOT DISTINCT FROM $1,
       (extract(epoch FROM now() - coalesce(opened_at, now())) * 1000)::int8,
       (extract(epoch FROM coalesce(until, now()) - now()) * 1000)::int8
FROM subscriber_health)"};

using Reports = std::vector<HealthReport>;

class ReportCalls {
 public:
  ReportCalls(const Reports& reports, const Uuid& node) : reports_(reports), node_(node) {}

  std::vector<pg::Call> all() {
    of(kSucceeded, [](const HealthReport& r) { return r.succeeded; });
    of(kFailed, [](const HealthReport& r) { return r.failed; });
    timed(kOpen, CircuitWish::open, &HealthReport::open, false);
    timed(kProbe, CircuitWish::probe, &HealthReport::probe, true);
    timed(kReopen, CircuitWish::reopen, &HealthReport::open, true);
    close(CircuitWish::close, false);
    close(CircuitWish::give_up, true);
    of(kTidy, [](const HealthReport& r) { return r.succeeded || r.wish == CircuitWish::close; });
    calls_.push_back({&kRead, {}});
    calls_.back().params.uuid(node_);
    return std::move(calls_);
  }

 private:
  std::vector<std::int32_t> sids(const std::function<bool(const HealthReport&)>& wanted) const {
    std::vector<std::int32_t> found;
    for (const HealthReport& report : reports_) {
      if (wanted(report)) found.push_back(report.sid);
    }
    return found;
  }

  pg::Params* of(const pg::Statement& statement,
                 const std::function<bool(const HealthReport&)>& wanted) {
    const std::vector<std::int32_t> found = sids(wanted);
    if (found.empty()) return nullptr;
    calls_.push_back({&statement, {}});
    calls_.back().params.i32s(found);
    return &calls_.back().params;
  }

  void timed(const pg::Statement& statement, CircuitWish wish, Millis HealthReport::*wait,
             bool with_node) {
    pg::Params* params = of(statement, [wish](const HealthReport& r) { return r.wish == wish; });
    if (params == nullptr) return;
    std::vector<std::int64_t> waits;
    for (const HealthReport& report : reports_) {
      if (report.wish == wish) waits.push_back((report.*wait).count());
    }
    params->i64s(waits);
    if (with_node) params->uuid(node_);
  }

  void close(CircuitWish wish, bool spent) {
    pg::Params* params = of(kClose, [wish](const HealthReport& r) { return r.wish == wish; });
    if (params != nullptr) params->boolean(spent);
  }

  const Reports& reports_;
  const Uuid& node_;
  std::vector<pg::Call> calls_;
};

Circuit circuit_of(std::string_view text) {
  if (text == to_string(Circuit::open)) return Circuit::open;
  return text == to_string(Circuit::half_open) ? Circuit::half_open : Circuit::closed;
}

}  // namespace

Task<std::vector<HealthSeen>> SubscriberHealth::exchange(Reports reports) {
  Database::Lease lease = co_await context_.database.lease();
  std::vector<pg::Call> calls = ReportCalls(reports, context_.node).all();
  const std::vector<pg::Result> results = co_await lease->run_all(std::move(calls));
  const Mono now = context_.clock.mono();
  const pg::Result& rows = results.back();
  std::vector<HealthSeen> seen;
  for (int i = 0; i < rows.rows(); ++i) {
    HealthSeen one;
    one.sid = rows.i32(i, 0);
    one.failing = rows.boolean(i, 1);
    one.circuit = circuit_of(rows.text(i, 2));
    one.spent = rows.boolean(i, 3);
    one.ours = rows.boolean(i, 4);
    one.opened = now - Millis{rows.i64(i, 5)};
    one.until = now + Millis{rows.i64(i, 6)};
    seen.push_back(one);
  }
  co_return seen;
}

}  // namespace eventhub::store
