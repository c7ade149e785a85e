// Verbs to series: with metrics_series.hpp the one place that knows prometheus-cpp. A verb finds
// its series in a small map and does one addition, well under a microsecond. Names, labels and
// meanings: docs/metrics.md (a test compares).
#include "eventhub/core/metrics.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <unordered_map>

#include "core/metrics_process.hpp"
#include "core/metrics_series.hpp"
#include "core/metrics_text.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub {
namespace {

// Values of labels that the code itself chooses (statements, queues, roles, routes times statuses).
constexpr std::size_t kOwnLabelValuesMax = 1'000;

const Buckets kDeliverySeconds{.005, .01, .05, .1, .5, 1, 2, 5, 10};
const Buckets kEndToEndSeconds{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 3600};
const Buckets kRequestSeconds{.001, .005, .01, .05, .1, .5, 1};
const Buckets kStatementSeconds{.0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1, 5};
const Buckets kRows{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000};
constexpr std::array<std::string_view, 3> kStatuses{"success", "http_error", "network_error"};
constexpr std::array<std::string_view, 7> kMethods{"GET",    "POST", "PUT",    "PATCH",
                                                   "DELETE", "HEAD", "OPTIONS"};
constexpr int kOutcomes = static_cast<int>(Outcome::refused);
constexpr int kReasons = static_cast<int>(WaitReason::scheduled);

struct SubscriberSeries {
  std::array<Counter*, kStatuses.size()> delivered;
  Histogram* latency;
  Gauge* pending;
};

// A total kept elsewhere.
void raise_to(Counter& counter, double total) {
  counter.Increment(std::max(0.0, total - counter.Value()));
}

}  // namespace

struct Metrics::Impl : MetricsRegistry {
  explicit Impl(std::size_t label_values_max);

  SubscriberSeries& subscriber(std::string_view id);
  Histogram& request(std::string_view method, std::string_view route, int status);
  void update_process();

  Labelled<Counter> events;
  Labelled<Histogram> statements{
      histograms("eventhub_db_statement_duration_seconds", "Duration of database statements."),
      "statement", kOwnLabelValuesMax, kStatementSeconds};
  Labelled<Histogram> batches{histograms("eventhub_batch_rows", "Rows per commit."), "queue",
                              kOwnLabelValuesMax, kRows};
  Labelled<Gauge> connections{gauges("eventhub_db_connections", "Connections to PostgreSQL."),
                              "state", kOwnLabelValuesMax};
  Labelled<Gauge> queues{gauges("eventhub_queue_bytes", "Bytes in the bounded queues and caches."),
                         "queue", kOwnLabelValuesMax};
  Labelled<Gauge> unsafe{gauges("eventhub_database_unsafe",
                                "1 while a setting of PostgreSQL weakens what the hub promises."),
                         "setting", kOwnLabelValuesMax};
  Labelled<Gauge> roles{gauges("eventhub_role_last_success_timestamp_seconds",
                               "When a role last did its work without an error."),
                        "role", kOwnLabelValuesMax};
  Labelled<Counter> errors{counters("eventhub_internal_errors_total",
                                    "Errors that a correct hub and a healthy system do not have."),
                           "where", kOwnLabelValuesMax};

  Labelled<Gauge> circuits;

  Family<Counter>& delivered_family =
      counters("eventhub_messages_delivered_total", "Webhook attempts by result.");
  Family<Histogram>& latency_family =
      histograms("eventhub_delivery_latency_seconds", "Duration of webhook attempts.");
  Family<Gauge>& pending_family =
      gauges("eventhub_pending_messages", "Open messages of the shards this process owns.");
  Capped<SubscriberSeries> subscribers;
  std::unordered_map<std::string, double> other_pending;  // of subscribers without their own series
  double other_pending_sum = 0;

  Family<Histogram>& request_family =
      histograms("eventhub_api_request_duration_seconds", "Duration of HTTP requests.");
  Capped<Histogram*> requests{kOwnLabelValuesMax};
  std::string request_key;  // scratch

  std::array<Counter*, kOutcomes + 1> outcomes{};
  std::array<Gauge*, kReasons + 1> reasons{};

  Histogram& end_to_end =
      histograms("eventhub_end_to_end_latency_seconds", "From an event's commit to its delivery.")
          .Add({}, kEndToEndSeconds);
  Counter& fanned_out = counter("eventhub_messages_fanned_out_total", "Messages made from events.");
  Counter& log_dropped = counter("eventhub_log_dropped_lines_total",
                                 "Log lines lost because nobody read standard output.");
  Counter& given_up = counter("eventhub_shards_given_up_total",
                              "Times that a process gave up its shards because it was held up.");
  Gauge& clock_difference = gauge("eventhub_database_clock_difference_seconds",
                                  "The database's clock minus this process's.");
  Gauge& dlq = gauge("eventhub_dlq_size", "Dead letters.");
  Gauge& oldest = gauge("eventhub_oldest_pending_age_seconds", "Age of the oldest open message.");
  Gauge& blocked = gauge("eventhub_blocked_keys", "Ordering keys that wait for their head.");
  Gauge& in_flight = gauge("eventhub_in_flight_attempts", "Webhooks in the air.");
  Gauge& shards = gauge("eventhub_owned_shards", "Shards this process delivers.");
  Gauge& partitions = gauge("eventhub_partitions", "Partitions of the events table.");
  Gauge& parked = gauge("eventhub_parked_messages", "Messages waiting in the table parked.");
  Gauge& closed = gauge("eventhub_ingest_closed",
                        "1 while events are refused as PostgreSQL's disk is nearly full.");
  Gauge& http = gauge("eventhub_http_connections", "Open HTTP connections to this process.");
  Counter& cpu = counter("process_cpu_seconds_total", "User and system CPU time.");
  Gauge& memory = gauge("process_resident_memory_bytes", "Resident memory.");
  Gauge& fds = gauge("process_open_fds", "Open file descriptors.");
  Gauge& fds_max = gauge("process_max_fds", "Limit of open file descriptors.");
};

Metrics::Impl::Impl(std::size_t label_values_max)
    : events(counters("eventhub_events_received_total", "Events accepted."), "event_type",
             label_values_max),
      circuits(gauges("eventhub_circuit_state",
                      "Circuits of subscribers: 0 closed, 1 half open, 2 open."),
               "subscriber_id", label_values_max),
      subscribers(label_values_max) {
  gauges("eventhub_build_info", "The version that runs.")
      .Add({{"version", EVENTHUB_VERSION}})
      .Set(1);
  gauge("process_start_time_seconds", "Unix time of the start.").Set(process_start_seconds());
  auto& attempts = counters("eventhub_delivery_attempts_total", "Finished attempts by outcome.");
  for (std::size_t i = 1; i < outcomes.size(); ++i)
    outcomes[i] = &attempts.Add({{"outcome", std::string(to_string(static_cast<Outcome>(i)))}});
  auto& waiting = gauges("eventhub_waiting_messages", "Open messages that may not go out now.");
  for (std::size_t i = 1; i < reasons.size(); ++i)
    reasons[i] = &waiting.Add({{"reason", std::string(to_string(static_cast<WaitReason>(i)))}});
}

SubscriberSeries& Metrics::Impl::subscriber(std::string_view id) {
  return subscribers.of(id, [this](const std::string& name) {
    SubscriberSeries series{};
    for (std::size_t i = 0; i < kStatuses.size(); ++i)
      series.delivered[i] =
          &delivered_family.Add({{"subscriber_id", name}, {"status", std::string(kStatuses[i])}});
    series.latency = &latency_family.Add({{"subscriber_id", name}}, kDeliverySeconds);
    series.pending = &pending_family.Add({{"subscriber_id", name}});
    return series;
  });
}

Histogram& Metrics::Impl::request(std::string_view method, std::string_view route, int status) {
  if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end()) method = kOther;
  request_key.assign(method).append(1, ' ').append(route).append(1, ' ').append(
      std::to_string(status));
  return *requests.of(request_key, [&](const std::string& name) {
    const bool other = name == kOther;
    return &request_family.Add({{"method", other ? kOther : std::string(method)},
                                {"route", other ? kOther : std::string(route)},
                                {"status", other ? kOther : std::to_string(status)}},
                               kRequestSeconds);
  });
}

void Metrics::Impl::update_process() {
  const ProcessStats stats = read_process_stats();
  raise_to(cpu, stats.cpu_seconds);
  memory.Set(stats.resident_bytes);
  fds.Set(stats.open_fds);
  fds_max.Set(stats.max_fds);
  raise_to(log_dropped, static_cast<double>(log::dropped()));
}

Metrics::Metrics(std::size_t label_values_max) : impl_(std::make_unique<Impl>(label_values_max)) {
  db_connections("idle", 0);
  db_connections("in_use", 0);
}
Metrics::~Metrics() = default;

void Metrics::event_received(std::string_view event_type) {
  impl_->events.of(event_type).Increment();
}

void Metrics::api_request(std::string_view method, std::string_view route, int status,
                          double seconds) {
  impl_->request(method, route, status).Observe(seconds);
}

void Metrics::attempt(std::string_view subscriber_id, Outcome outcome, std::string_view status,
                      double seconds) {
  impl_->outcomes.at(static_cast<std::size_t>(outcome))->Increment();
  const auto* known = std::find(kStatuses.begin(), kStatuses.end(), status);
  if (known == kStatuses.end()) return;  // nothing was sent
  SubscriberSeries& series = impl_->subscriber(subscriber_id);
  series.delivered.at(static_cast<std::size_t>(known - kStatuses.begin()))->Increment();
  series.latency->Observe(seconds);
}

void Metrics::delivered_end_to_end(double seconds) {
  impl_->end_to_end.Observe(seconds);
}

void Metrics::db_statement(std::string_view statement, double seconds) {
  impl_->statements.of(statement).Observe(seconds);
}

void Metrics::batch(std::string_view queue, std::size_t rows) {
  impl_->batches.of(queue).Observe(static_cast<double>(rows));
}

void Metrics::message_fanned_out(std::size_t messages) {
  impl_->fanned_out.Increment(static_cast<double>(messages));
}

void Metrics::log_dropped(std::uint64_t total) {
  raise_to(impl_->log_dropped, static_cast<double>(total));
}

void Metrics::role_success(std::string_view role) {
  const std::chrono::duration<double> now = SystemClock().now().time_since_epoch();
  impl_->roles.of(role).Set(now.count());
}

void Metrics::internal_error(std::string_view where) {
  impl_->errors.of(where).Increment();
}

void Metrics::shards_given_up() {
  impl_->given_up.Increment();
}

void Metrics::database_unsafe(std::string_view setting, bool is_unsafe) {
  impl_->unsafe.of(setting).Set(is_unsafe ? 1 : 0);
}

void Metrics::ingest_closed(bool is_closed) {
  impl_->closed.Set(is_closed ? 1 : 0);
}

void Metrics::database_clock_difference(double seconds) {
  impl_->clock_difference.Set(seconds);
}

void Metrics::pending(std::string_view subscriber_id, double messages) {
  SubscriberSeries& series = impl_->subscriber(subscriber_id);
  if (!impl_->subscribers.is_other(series)) return series.pending->Set(messages);
  const auto [known, fresh] = impl_->other_pending.try_emplace(std::string(subscriber_id), 0);
  impl_->other_pending_sum += messages - known->second;
  known->second = messages;
  if (messages == 0) impl_->other_pending.erase(known);
  series.pending->Set(impl_->other_pending_sum);
}

void Metrics::waiting(WaitReason reason, double messages) {
  if (reason == WaitReason::none) return;
  impl_->reasons.at(static_cast<std::size_t>(reason))->Set(messages);
}

void Metrics::circuit(std::string_view subscriber_id, Circuit circuit) {
  const double state = circuit == Circuit::open ? 2 : circuit == Circuit::half_open ? 1 : 0;
  impl_->circuits.of(subscriber_id).Set(state);
}

void Metrics::db_connections(std::string_view state, double connections) {
  impl_->connections.of(state).Set(connections);
}

void Metrics::queue_bytes(std::string_view queue, double bytes) {
  impl_->queues.of(queue).Set(bytes);
}

void Metrics::dlq_size(double rows) {
  impl_->dlq.Set(rows);
}
void Metrics::oldest_pending_age(double seconds) {
  impl_->oldest.Set(seconds);
}
void Metrics::blocked_keys(double keys) {
  impl_->blocked.Set(keys);
}
void Metrics::in_flight(double attempts) {
  impl_->in_flight.Set(attempts);
}
void Metrics::owned_shards(double shards) {
  impl_->shards.Set(shards);
}
void Metrics::partitions(double count) {
  impl_->partitions.Set(count);
}
void Metrics::parked(double rows) {
  impl_->parked.Set(rows);
}
void Metrics::http_connections(double open) {
  impl_->http.Set(open);
}

std::string Metrics::expose() const {
  impl_->update_process();
  std::vector<prometheus::MetricFamily> families = impl_->registry.Collect();
  // What this process has not counted yet is named all the same: who asks for it gets nothing, not
  // an unknown name.
  for (const prometheus::MetricFamily& family : impl_->declared) {
    const auto same = [&family](const auto& other) { return other.name == family.name; };
    if (std::none_of(families.begin(), families.end(), same)) families.push_back(family);
  }
  return to_text(families);
}

}  // namespace eventhub
