#pragma once
#include <string>

#include "eventhub/core/metrics.hpp"
#include "http/server_connection.hpp"

namespace eventhub::guard {

// A connection of the server whose socket was never opened: its bytes come from memory.
struct Peer {
  Peer();
  boost::asio::io_context io;
  Metrics metrics{100};
  std::shared_ptr<http::ServerCore> core;
  std::unique_ptr<http::ServerConnection> connection;
};

// A request as producers send it: POST /events, keep-alive, an idempotency key, a trace context.
std::string post_request();

// Has `connection` read the request to the end of its body.
void receive(http::ServerConnection& connection, std::string_view request);

}  // namespace eventhub::guard
