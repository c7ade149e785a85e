// Listening, accepting, counting and the scan for late connections. Starts serve() of
// server_session.cpp for every connection.
#include "http/server_core.hpp"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <system_error>

#include "eventhub/core/log.hpp"
#include "http/server_session.hpp"

namespace eventhub::http {
namespace {

namespace asio = boost::asio;
constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);
// Beyond the limits so many more are accepted at a time, only to be told 503; then accepting waits.
constexpr std::size_t kTurnedAwayMax = 64;
constexpr Millis kAcceptBackOff{50};
constexpr Millis kScanMax{250};

// The owner of a v6 address has its /64.
asio::ip::address owner_of(const asio::ip::address& address) {
  if (!address.is_v6()) return address;
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6);
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes);
}

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
      scan_timer_(executor),
      closed_(executor) {}

std::uint16_t ServerCore::listen() {
  try {
    const tcp::endpoint endpoint(asio::ip::make_address(config_.bind), config_.port);
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    if (endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false));
    acceptor_.bind(endpoint);
    acceptor_.listen(asio::socket_base::max_listen_connections);
    return acceptor_.local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    const bool v6 = config_.bind.find(':') != std::string::npos;
    const std::string host = v6 ? "[" + config_.bind + "]" : config_.bind;
    throw std::system_error(error.code(),
                            fmt::format("cannot listen on {}:{}", host, config_.port));
  }
}

Task<void> ServerCore::run(std::shared_ptr<ServerCore> server) {
  while (!server->stopping_) {
    if (server->full()) {
      co_await server->closed_.wait(kScanMax);
      continue;
    }
    auto [error, socket] = co_await server->acceptor_.async_accept(as_tuple);
    if (server->stopping_) break;
    if (error) {
      co_await server->back_off(error);
    } else {
      server->open(std::move(socket));
    }
  }
  while (!server->connections_.empty()) co_await server->closed_.wait(kScanMax);
}

// Out of descriptors or memory: the listening socket stays readable, so trying again at once would
// spin.
Task<void> ServerCore::back_off(boost::system::error_code error) {
  if (!accept_failing_) {
    log::warn("cannot accept connections, trying again",
              {{"error", error.message()}, {"open", connections_.size()}});
  }
  accept_failing_ = true;
  co_await closed_.wait(kAcceptBackOff);
}

bool ServerCore::full() const {
  return turned_away_ >= kTurnedAwayMax;
}

std::string_view ServerCore::reason_to_turn_away(const asio::ip::address& peer) const {
  const std::size_t served = connections_.size() - turned_away_;
  if (served >= static_cast<std::size_t>(config_.connections_max)) return "too many connections";
  const auto of_peer = per_ip_.find(peer);
  if (of_peer != per_ip_.end() && of_peer->second >= config_.connections_per_ip_max) {
    return "too many connections from this address";
  }
  return {};
}

void ServerCore::open(tcp::socket socket) {
  if (accept_failing_) log::info("accepting connections again");
  accept_failing_ = false;
  boost::system::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  if (!error) socket.non_blocking(true, error);
  if (!error) socket.set_option(tcp::no_delay(true), error);
  if (error) return;  // gone already
  const asio::ip::address owner = owner_of(peer.address());
  auto connection = std::make_shared<Connection>(shared_from_this(), std::move(socket), owner,
                                                 reason_to_turn_away(owner));
  spawn(executor_, "http connection", serve(std::move(connection)));
}

void ServerCore::add(Connection& connection) {
  connection.self = connections_.insert(connections_.end(), &connection);
  if (connection.turned_away.empty()) {
    ++per_ip_[connection.address];
  } else {
    ++turned_away_;
  }
  report();
  arm();
}

void ServerCore::remove(Connection& connection) {
  connections_.erase(connection.self);
  if (!connection.turned_away.empty()) {
    --turned_away_;
  } else if (const auto of_peer = per_ip_.find(connection.address); --of_peer->second == 0) {
    per_ip_.erase(of_peer);
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
  for (Connection* connection : connections_) connection->expire_if_late(now);
  arm();
}

void ServerCore::stop() {
  if (stopping_) return;
  stopping_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (Connection* connection : connections_) connection->stop_if_idle();
  closed_.set();
}

// The Server is destroyed: what still runs finds its socket closed.
void ServerCore::abandon() {
  stop();
  metrics_ = nullptr;
  boost::system::error_code ignored;
  for (Connection* connection : connections_) connection->socket.close(ignored);
}

Limits ServerCore::limits() const {
  Limits limits;
  limits.header_bytes_max = static_cast<std::size_t>(config_.header_bytes_max);
  limits.body_bytes_max = static_cast<std::uint64_t>(config_.body_bytes_max);
  return limits;
}

bool ServerCore::bodies_fit(std::uint64_t bytes) const {
  return body_bytes_ + bytes <= static_cast<std::uint64_t>(config_.bodies_in_flight_bytes_max);
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
