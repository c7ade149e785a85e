// Listening and accepting, with a way out when connections, addresses or descriptors are used up.
// Starts serve() of server_session.cpp for every connection.
#include <algorithm>
#include <boost/asio/ip/v6_only.hpp>
#include <system_error>

#include "eventhub/core/log.hpp"
#include "eventhub/http/unix_socket.hpp"
#include "http/as_tuple.hpp"
#include "http/server_core.hpp"
#include "http/server_session.hpp"
#include "http/server_tls.hpp"

namespace eventhub::http {
namespace {

namespace asio = boost::asio;
// Beyond the limits so many more are accepted at a time, only to be told 503; then accepting waits.
constexpr std::size_t kTurnedAwayMax = 64;
constexpr Millis kAcceptBackOff{50};
constexpr Millis kClosedWait{250};

// The owner of a v6 address has its /64.
asio::ip::address owner_of(const asio::ip::address& address) {
  if (!address.is_v6()) return address;
  const asio::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return asio::ip::make_address_v4(asio::ip::v4_mapped, v6);
  auto bytes = v6.to_bytes();
  std::fill(bytes.begin() + 8, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes);
}

std::string place_of(const ServerConfig& config) {
  if (is_unix(config.bind)) return config.bind;
  const bool v6 = config.bind.find(':') != std::string::npos;
  return fmt::format("{}:{}", v6 ? "[" + config.bind + "]" : config.bind, config.port);
}

}  // namespace

std::uint16_t ServerCore::listen() {
  try {
    if (on_unix_socket()) {
      acceptor_ = listen_unix(executor_, std::string(unix_path(config_.bind)));
      return 0;
    }
    const tcp::endpoint endpoint(asio::ip::make_address(config_.bind), config_.port);
    acceptor_.open(endpoint.protocol());
    acceptor_.set_option(tcp::acceptor::reuse_address(true));
    if (endpoint.address().is_v6()) acceptor_.set_option(asio::ip::v6_only(false));
    acceptor_.bind(endpoint);
    acceptor_.listen(asio::socket_base::max_listen_connections);
    return acceptor_.local_endpoint().port();
  } catch (const boost::system::system_error& error) {
    throw std::system_error(error.code(), "cannot listen on " + place_of(config_));
  }
}

Task<void> ServerCore::run(std::shared_ptr<ServerCore> server) {
  while (!server->stopping_) {
    if (server->full()) {
      co_await server->closed_.wait(kClosedWait);
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
  while (!server->connections_.empty()) co_await server->closed_.wait(kClosedWait);
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
  const auto of_peer = on_unix_socket() ? per_ip_.end() : per_ip_.find(peer);
  if (of_peer != per_ip_.end() && of_peer->second.connections >= config_.connections_per_ip_max) {
    return "too many connections from this address";
  }
  return {};
}

void ServerCore::open(tcp::socket socket) {
  if (accept_failing_) log::info("accepting connections again");
  accept_failing_ = false;
  boost::system::error_code error;
  asio::ip::address peer;  // of a Unix socket unspecified: any address
  socket.non_blocking(true, error);
  if (!error && !on_unix_socket()) peer = socket.remote_endpoint(error).address();
  if (!error && !on_unix_socket()) socket.set_option(tcp::no_delay(true), error);
  if (error) return;  // gone already
  const asio::ip::address owner = owner_of(peer);
  auto connection = std::make_shared<ServerConnection>(shared_from_this(), std::move(socket), owner,
                                                       reason_to_turn_away(owner));
  if (tls_) connection->tls = tls_->make(connection->socket, mono());
  spawn(executor_, "http connection", serve(std::move(connection)));
}

}  // namespace eventhub::http
