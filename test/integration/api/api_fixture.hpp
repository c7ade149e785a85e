#pragma once
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "eventhub/api/api.hpp"
#include "integration/store/ingest_fixture.hpp"

namespace eventhub::test {

struct Answer {
  int status = 0;
  std::string head, body;
  bool has(std::string_view line) const {
    return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
  }
  bool says(std::string_view text) const { return body.find(text) != std::string::npos; }
};

// A whole api process: server, handlers, ingest, database.
struct ApiFixture : IngestFixture {
  explicit ApiFixture(const Change& change = {}, bool with_ingest = true)
      : IngestFixture(1'000'000, [&](Config& made) {
          made.server.bind = "127.0.0.1";
          made.server.port = 0;
          if (!with_ingest) made.roles = {"dispatcher"};
          if (change) change(made);
        }) {
    health.started = clock.now();
    health.migrated = true;
    run(io, keys.refresh());
    store::Ingest* ingest = with_ingest ? &started() : nullptr;
    server.emplace(executor_of(io), config.server, api::make_handler(context, keys, ingest, health),
                   api::make_refusal(), metrics);
    port = server->listen();
    spawn(executor_of(io), "server", serve(*server, &running));
    until([this] { return running > 0; });
  }
  ~ApiFixture() {
    server->stop();
    for (auto& ingest : ingests) ingest->stop();
    until([this] { return running == 0; });
  }

  static Task<void> serve(http::Server& server, int* running) {
    ++*running;
    co_await server.run();
    --*running;
  }

  // One request on a connection of its own, its answer read to the end.
  static Task<std::string> exchange(std::uint16_t port, std::string text) {
    using boost::asio::ip::tcp;
    auto executor = co_await boost::asio::this_coro::executor;
    tcp::socket socket(executor);
    co_await socket.async_connect({boost::asio::ip::address_v4::loopback(), port},
                                  boost::asio::use_awaitable);
    co_await boost::asio::async_write(socket, boost::asio::buffer(text),
                                      boost::asio::use_awaitable);
    std::string answer;
    boost::system::error_code end;
    for (std::array<char, 4096> piece; !end;) {
      const std::size_t size = co_await socket.async_read_some(
          boost::asio::buffer(piece), boost::asio::redirect_error(boost::asio::use_awaitable, end));
      answer.append(piece.data(), size);
    }
    co_return answer;
  }

  static Answer read(const std::string& text) {
    Answer answer;
    const auto split = text.find("\r\n\r\n");
    if (split == std::string::npos) throw std::runtime_error("no answer: " + text);
    answer.head = text.substr(0, split + 2);
    answer.body = text.substr(split + 4);
    answer.status = std::stoi(text.substr(9, 3));
    return answer;
  }

  static std::string request_text(const std::string& method, const std::string& target,
                                  const std::string& headers, const std::string& body) {
    return method + " " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" +
           headers + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  Answer send(const std::string& method, const std::string& target, const std::string& headers = {},
              const std::string& body = {}) {
    return read(run(io, exchange(port, request_text(method, target, headers, body))));
  }
  Answer get(const std::string& target) { return send("GET", target); }
  Answer post(const std::string& body, const std::string& headers = {}) {
    return send("POST", "/events", "Content-Type: application/json\r\n" + headers, body);
  }

  store::Keys keys{database, wakeups, clock};
  api::Health health{};
  std::optional<http::Server> server;
  std::uint16_t port = 0;
};

}  // namespace eventhub::test
