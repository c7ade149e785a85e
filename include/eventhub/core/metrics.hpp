#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "eventhub/core/health.hpp"
#include "eventhub/core/message.hpp"

namespace eventhub {

// All metrics as verbs; prometheus-cpp is known to metrics.cpp alone. Names: docs/metrics.md.
// Labels of unbounded number (subscriber_id, event_type) are capped at `label_values_max`: the
// first N seen, the rest count as `other`.
class Metrics {
 public:
  explicit Metrics(std::size_t label_values_max);
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void event_received(std::string_view event_type);
  void api_request(std::string_view method, std::string_view route, int status, double seconds);
  // One finished attempt. `status` label of the specification: success, http_error, network_error.
  void attempt(std::string_view subscriber_id, Outcome outcome, std::string_view status,
               double seconds);
  // Commit of the event to the final 2xx.
  void delivered_end_to_end(double seconds);
  void db_statement(std::string_view statement, double seconds);
  void batch(std::string_view queue, std::size_t rows);
  void message_fanned_out(std::size_t messages);
  void log_dropped(std::uint64_t total);
  void role_success(std::string_view role);  // sets eventhub_role_last_success_timestamp_seconds
  void internal_error(std::string_view where);
  void shards_given_up();

  // Gauges.
  void pending(std::string_view subscriber_id, double messages);
  void waiting(WaitReason reason, double messages);
  void circuit(std::string_view subscriber_id, Circuit circuit);
  void dlq_size(double rows);
  void oldest_pending_age(double seconds);
  void blocked_keys(double keys);
  void in_flight(double attempts);
  void owned_shards(double shards);
  void partitions(double count);
  void parked(double rows);
  void db_connections(std::string_view state, double connections);  // idle, in_use
  void queue_bytes(std::string_view queue, double bytes);
  void database_unsafe(std::string_view setting, bool is_unsafe);
  void ingest_closed(bool is_closed);
  void database_clock_difference(double seconds);
  void http_connections(double open);

  // text/plain; version=0.0.4
  std::string expose() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eventhub
