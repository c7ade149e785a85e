// The smallest possible client: one request, twelve bytes of its answer. Called by `eventhubd
// healthcheck`, which bounds its time.
#include "eventhub/http/probe.hpp"

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include "eventhub/http/unix_socket.hpp"
#include "http/as_tuple.hpp"

namespace eventhub::http {
namespace {

namespace asio = boost::asio;

template <class Stream>
Task<std::string> exchange(Stream& stream, std::string request) {
  auto [unsent, sent] = co_await asio::async_write(stream, asio::buffer(request), as_tuple);
  if (unsent || sent != request.size()) co_return unsent.message();
  std::array<char, 12> answer{};
  auto [unread, got] = co_await asio::async_read(stream, asio::buffer(answer), as_tuple);
  co_return unread ? unread.message() : std::string(answer.data(), got);
}

Task<std::string> exchange_with_tls(asio::ip::tcp::socket& socket, std::string request) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  asio::ssl::stream<asio::ip::tcp::socket&> stream(socket, context);
  auto [refused] = co_await stream.async_handshake(asio::ssl::stream_base::client, as_tuple);
  if (refused) co_return "TLS: " + refused.message();
  std::string answer = co_await exchange(stream, std::move(request));
  co_return answer;
}

// Why there is no connection, or empty.
Task<std::string> connect(asio::ip::tcp::socket& socket, const Url& url, const std::string& path) {
  boost::system::error_code error;
  if (!path.empty()) {
    socket = connect_unix(socket.get_executor(), path, error);
    co_return error ? error.message() : "";
  }
  asio::ip::tcp::resolver resolver(socket.get_executor());
  std::string port = std::to_string(url.port);
  auto [no_address, addresses] = co_await resolver.async_resolve(url.host, port, as_tuple);
  if (no_address) co_return no_address.message();
  auto [refused, endpoint] = co_await asio::async_connect(socket, addresses, as_tuple);
  co_return refused ? refused.message() : "";
}

}  // namespace

Task<std::string> probe(Url url, std::string socket_path) {
  auto executor = co_await asio::this_coro::executor;
  asio::ip::tcp::socket socket(executor);
  const std::string failure = co_await connect(socket, url, socket_path);
  if (!failure.empty()) co_return failure;
  std::string request = "GET " + url.target + " HTTP/1.1\r\nHost: " + url.authority() +
                        "\r\nConnection: close\r\n\r\n";
  std::string answer;
  if (url.tls) {
    answer = co_await exchange_with_tls(socket, std::move(request));
  } else {
    answer = co_await exchange(socket, std::move(request));
  }
  co_return answer;
}

}  // namespace eventhub::http
