#include "guard/connection.hpp"

#include <boost/asio/io_context.hpp>
#include <cstring>

#include "guard/path.hpp"

namespace eventhub::guard {

Peer::Peer()
    : core(std::make_shared<http::ServerCore>(io.get_executor(), ServerConfig{}, nullptr, nullptr,
                                              metrics)),
      connection(std::make_unique<http::ServerConnection>(core, http::tcp::socket(io),
                                                          boost::asio::ip::address_v4::loopback(),
                                                          std::string_view{})) {}

std::string payload() {
  std::string text = R"({"order_id":"ord_5f2b8c1e","total":129.90,"currency":"EUR","paid":true,)"
                     R"("lines":[{"sku":"A-1042","quantity":2,"price":49.95},)"
                     R"({"sku":"B-7","quantity":1,"price":30}],"note":")";
  const std::string_view end = R"("})";
  text.append(300 - text.size() - end.size(), 'n').append(end);
  return text;
}

std::string post_request() {
  const std::string body = R"({"event_type":"order.created","organization_id":"org_42",)"
                           R"("user_id":"user_4711","payload":)" +
                           payload() + "}";
  return "POST /events HTTP/1.1\r\nHost: events.example.com\r\nContent-Type: application/json\r\n"
         "User-Agent: producer/1.0\r\nAccept: */*\r\n"
         "X-Idempotency-Key: 7f6d0a52-2b6e-4d0c-9a55-0c8f1f0e8a11\r\n"
         "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n"
         "Content-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + body;
}

void receive(http::ServerConnection& connection, std::string_view request) {
  using http::Step;
  require(connection.begin_request(), "the server stops");
  require(connection.parse_header() == Step::more, "there is a header already");
  const auto space = connection.header_space();
  require(space.size() >= request.size(), "the request does not fit into one read");
  std::memcpy(space.data(), request.data(), request.size());
  require(connection.received({}, request.size()) == Step::more, "the read fails");
  require(connection.parse_header() == Step::done, "the header is refused");
  require(connection.begin_body() == Step::done, "the body is refused");
  connection.no_deadline();
}

}  // namespace eventhub::guard
