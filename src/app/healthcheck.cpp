// `eventhubd healthcheck`: the smallest possible client, so that a container image needs no curl.
#include "app/healthcheck.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <iostream>

#include "eventhub/core/async.hpp"
#include "eventhub/http/url.hpp"

namespace eventhub::app {
namespace {

namespace asio = boost::asio;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

struct Exchange {
  http::Url url;
  std::string request;
  std::array<char, 32> answer{};
  std::string outcome = "no answer within 3 s";
};

// Sends the request and reads as far as the status. `exchange` outlives the io_context's run.
Task<void> ask(Executor executor, Exchange& exchange) {
  asio::ip::tcp::resolver resolver(executor);
  auto [no_address, addresses] =
      co_await resolver.async_resolve(exchange.url.host, std::to_string(exchange.url.port), kTuple);
  asio::ip::tcp::socket socket(executor);
  if (no_address) {
    exchange.outcome = no_address.message();
    co_return;
  }
  auto [refused, endpoint] = co_await asio::async_connect(socket, addresses, kTuple);
  if (refused) {
    exchange.outcome = refused.message();
    co_return;
  }
  auto [unsent, sent] = co_await asio::async_write(socket, asio::buffer(exchange.request), kTuple);
  if (unsent || sent != exchange.request.size()) {
    exchange.outcome = unsent.message();
    co_return;
  }
  const auto want = asio::buffer(exchange.answer.data(), 12);
  auto [unread, got] = co_await asio::async_read(socket, want, kTuple);
  exchange.outcome = unread ? unread.message() : std::string(exchange.answer.data(), got);
}

}  // namespace

int healthcheck(const std::string& url) {
  const auto parsed = http::parse_url(url);
  Exchange exchange;
  if (const auto* wrong = std::get_if<std::string>(&parsed)) {
    exchange.outcome = *wrong;
  } else if (std::get<http::Url>(parsed).tls) {
    exchange.outcome = "only http is supported";
  } else {
    exchange.url = std::get<http::Url>(parsed);
    exchange.request = "GET " + exchange.url.target +
                       " HTTP/1.1\r\nHost: " + exchange.url.authority() +
                       "\r\nConnection: close\r\n\r\n";
    asio::io_context context(1);
    spawn(context.get_executor(), "healthcheck", ask(context.get_executor(), exchange));
    context.run_for(Millis{3'000});
  }
  if (exchange.outcome.starts_with("HTTP/1.1 200")) return 0;
  std::cerr << "eventhubd: " << url << ": " << exchange.outcome << std::endl;
  return 1;
}

}  // namespace eventhub::app
