// What the connections of one server share, and the scan for late ones. Accepting is in
// server_accept.cpp.
#include "http/server_core.hpp"

#include <unistd.h>

#include <algorithm>

#include "eventhub/core/log.hpp"
#include "eventhub/http/unix_socket.hpp"
#include "http/server_connection.hpp"
#include "http/server_tls.hpp"

namespace eventhub::http {
namespace {

constexpr Millis kScanMax{250};
// So much of bodies_in_flight_bytes_max is for one address, and one body at least.
constexpr std::int64_t kBodySharesMin = 4;

// Late by at most this much; nothing to be exact about.
Millis scan_interval(const ServerConfig& config) {
  const Millis shortest =
      std::min({config.header_timeout, config.body_timeout, config.idle_timeout});
  return std::clamp(shortest / 20, Millis{10}, kScanMax);
}

}  // namespace

ServerCore::ServerCore(Executor executor, const ServerConfig& config, Handler handler,
                       Refusal refusal, Metrics& metrics)
    : executor_(executor),
      config_(config),
      handler_(std::move(handler)),
      refusal_(std::move(refusal)),
      metrics_(&metrics),
      acceptor_(executor),
      tls_(config.tls_certificate_file.empty() || on_unix_socket()
               ? nullptr
               : std::make_unique<ServerTls>(config)),
      scan_timer_(executor),
      closed_(executor) {}

ServerCore::~ServerCore() = default;

bool ServerCore::on_unix_socket() const {
  return is_unix(config_.bind);
}

void ServerCore::add(ServerConnection& connection) {
  connection.self = connections_.insert(connections_.end(), &connection);
  if (connection.turned_away.empty()) {
    connection.share = &per_ip_[connection.address];  // stays where it is
    ++connection.share->connections;
  } else {
    ++turned_away_;
  }
  report();
  arm();
}

void ServerCore::remove(ServerConnection& connection) {
  connections_.erase(connection.self);
  if (!connection.turned_away.empty()) {
    --turned_away_;
  } else if (--connection.share->connections == 0) {
    per_ip_.erase(connection.address);
  }
  if (connections_.empty()) scan_timer_.cancel();
  report();
  closed_.set();
}

void ServerCore::report() const {
  if (metrics_ != nullptr) metrics_->http_connections(static_cast<double>(connections_.size()));
}

// One timer for all deadlines, running only while there are connections.
void ServerCore::arm() {
  if (scanning_ || connections_.empty()) return;
  scanning_ = true;
  scan_timer_.expires_after(scan_interval(config_));
  scan_timer_.async_wait([weak = weak_from_this()](boost::system::error_code) {
    const auto server = weak.lock();
    if (server) server->scan();
  });
}

void ServerCore::scan() {
  scanning_ = false;
  const Mono now = mono();
  for (ServerConnection* connection : connections_) connection->expire_if_late(now);
  arm();
}

void ServerCore::stop() {
  if (stopping_) return;
  stopping_ = true;
  boost::system::error_code ignored;
  // Before the next process may think that it was left behind.
  if (on_unix_socket() && acceptor_.is_open()) {
    ::unlink(std::string(unix_path(config_.bind)).c_str());
  }
  acceptor_.close(ignored);
  for (ServerConnection* connection : connections_) connection->stop_if_idle();
  closed_.set();
}

// The Server is destroyed: what still runs finds its socket closed.
void ServerCore::abandon() {
  stop();
  metrics_ = nullptr;
  boost::system::error_code ignored;
  for (ServerConnection* connection : connections_) connection->socket.close(ignored);
}

Limits ServerCore::limits() const {
  Limits limits;
  limits.header_bytes_max = static_cast<std::size_t>(config_.header_bytes_max);
  limits.body_bytes_max = static_cast<std::uint64_t>(config_.body_bytes_max);
  return limits;
}

std::string_view ServerCore::reason_to_refuse_body(const Share& share, std::uint64_t bytes) const {
  const std::int64_t all = config_.bodies_in_flight_bytes_max;
  const std::int64_t of_one = std::max(all / kBodySharesMin, config_.body_bytes_max);
  if (body_bytes_ + bytes > static_cast<std::uint64_t>(all)) {
    return "too many request bodies at once";
  }
  if (!on_unix_socket() && share.body_bytes + bytes > static_cast<std::uint64_t>(of_one)) {
    return "too many request bodies at once from this address";
  }
  return {};
}

// What it does wrong is our fault, not the client's, and not the process's end.
std::optional<Response> ServerCore::admit(Request& request) {
  if (!handler_.admit) return std::nullopt;
  try {
    return handler_.admit(request);
  } catch (const std::exception& error) {
    handler_failed(error.what());
  }
  return refuse({500, "an internal error"});
}

std::string_view ServerCore::date() {
  const Time now = clock_.now();
  const auto second = std::chrono::floor<Seconds>(now.time_since_epoch());
  if (second != date_second_) {
    date_second_ = second;
    date_ = date_line(now);
  }
  return date_;
}

Response ServerCore::refuse(Refused why) {
  Response response;
  try {
    response = refusal_(why.status, why.detail);
  } catch (const std::exception& error) {
    log::error("building a refusal failed", {{"status", why.status}, {"error", error.what()}});
    response = {};
    response.content_type = {};
    response.status = why.status;
  }
  response.close = true;
  if (why.status == 503 && !has_header(response.headers, "retry-after")) {
    response.headers += "Retry-After: 1\r\n";
  }
  return response;
}

void ServerCore::handler_failed(std::string_view what) {
  log::error("a request handler failed", {{"error", what}});
  if (metrics_ != nullptr) metrics_->internal_error("http_handler");
}

}  // namespace eventhub::http
