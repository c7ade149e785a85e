// Limits of time, connections and memory.
#include "integration/http/raw_requests.hpp"
#include "integration/http/server_fixture.hpp"

namespace eventhub::test {
namespace {

using Clock = std::chrono::steady_clock;

Millis since(Clock::time_point start) {
  return std::chrono::duration_cast<Millis>(Clock::now() - start);
}

TEST_CASE("a header that is not complete in time gets 408") {
  TestServer server;
  RawClient silent(server.port), stuck(server.port);
  const auto start = Clock::now();
  stuck.send("GET / HTTP/1.1\r\nHost:");
  const Answer answer = stuck.answer();
  CHECK(answer.status == 408);
  CHECK(answer.header("Connection") == "close");
  CHECK(since(start) >= Millis{290});
  CHECK(since(start) < Millis{1'000});
  CHECK(silent.closed());
  CHECK(silent.unread().empty());
}

TEST_CASE("dripping does not buy time for a header") {
  TestServer server;
  RawClient client(server.port);
  const auto start = Clock::now();
  client.send("GET / HTTP/1.1\r\n");
  int status = 0;
  while (status == 0 && since(start) < Millis{3'000}) {
    client.send("X: y\r\n");
    status = client.answer(Millis{40}).status;
  }
  CHECK(status == 408);
  CHECK(since(start) < Millis{1'000});
}

TEST_CASE("a body that is not complete in time gets 408") {
  TestServer server;
  for (const std::string& bytes : {post("/p", "hello").substr(0, 53), with(kChunked, "5\r\nhe"),
                                   with("Content-Length: 100000\r\n", "he")}) {
    RawClient client(server.port);
    const auto start = Clock::now();
    client.send(bytes);
    CHECK(client.answer().status == 408);
    CHECK(since(start) >= Millis{290});
    CHECK(client.closed());
  }
  CHECK(server.reaches(0));
}

// Sends a body of 10,000 bytes in such pieces and says what came of it, and after how long.
std::pair<int, Millis> drip(const ServerConfig& config, std::size_t piece, Millis pause) {
  TestServer server(config);
  RawClient client(server.port);
  const auto start = Clock::now();
  client.send("POST /p HTTP/1.1\r\nHost: hub\r\nContent-Length: 10000\r\n\r\n");
  int status = 0;
  for (std::size_t sent = 0; sent < 10'000 && status == 0; sent += piece) {
    client.send(std::string(std::min(piece, 10'000 - sent), 'x'));
    status = client.answer(pause).status;
  }
  if (status == 0) status = client.answer().status;
  return {status, since(start)};
}

TEST_CASE("a body that comes slower than the least rate gets 408 long before its deadline") {
  ServerConfig config = TestServer::patient();
  config.body_rate_min = 2'000;
  config.body_rate_after = Millis{200};
  const auto [status, took] = drip(config, 20, Millis{40});
  CHECK(status == 408);
  CHECK(took >= Millis{200});
  CHECK(took < Millis{2'000});
  CHECK(drip(config, 500, Millis{40}).first == 200);
  config.body_rate_min = 0;
  CHECK(drip(config, 200, Millis{40}).first == 200);
}

TEST_CASE("an idle connection is closed without a word") {
  TestServer server;
  RawClient client(server.port);
  CHECK(client.ask(kGet).status == 200);
  const auto start = Clock::now();
  CHECK(client.closed());
  CHECK(client.unread().empty());
  CHECK_FALSE(client.was_reset());
  CHECK(since(start) >= Millis{250});
  CHECK(since(start) < Millis{1'000});
}

TEST_CASE("a handler may take longer than every time limit of the connection") {
  ServerConfig config = TestServer::quick();
  config.header_timeout = config.body_timeout = config.idle_timeout = Millis{100};
  TestServer server(config);
  RawClient client(server.port);
  CHECK(client.ask(post("/slow", "x")).status == 200);
  CHECK(client.ask(post("/slow", std::string(10'000, 'x'))).status == 200);
}

TEST_CASE("connections over the limit are told 503, and one that closes makes room") {
  ServerConfig config = TestServer::patient();
  config.connections_max = 3;
  TestServer server(config);
  std::vector<RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(server.port);
    REQUIRE(clients.back().ask(kGet).status == 200);
  }
  RawClient fourth(server.port);
  const Answer answer = fourth.ask(kGet);
  CHECK(answer.status == 503);
  CHECK(answer.header("Retry-After") == "1");
  CHECK(fourth.closed());
  CHECK(fourth.unread().empty());
  fourth.close();
  clients.pop_back();
  REQUIRE(server.reaches(2));
  CHECK(RawClient(server.port).ask(kGet).status == 200);
}

TEST_CASE("many connections over the limit take no more than a few descriptors") {
  ServerConfig config = TestServer::patient();
  config.connections_max = 1;
  TestServer server(config);
  RawClient first(server.port);
  REQUIRE(first.ask(kGet).status == 200);
  std::vector<RawClient> others;
  for (int i = 0; i < 100; ++i) others.emplace_back(server.port);
  for (int i = 0; i < 20; ++i) {
    CHECK(server.connections() <= 65);
    std::this_thread::sleep_for(Millis{5});
  }
  CHECK(first.ask(kGet).status == 200);
  for (RawClient& other : others) CHECK(other.answer(Millis{20'000}).status == 503);
}

TEST_CASE("one address cannot take all connections") {
  ServerConfig config = TestServer::patient();
  config.connections_per_ip_max = 2;
  TestServer server(config);
  RawClient a(server.port), b(server.port), c(server.port), elsewhere(server.port, "127.0.0.2");
  CHECK(a.ask(kGet).status == 200);
  CHECK(b.ask(kGet).status == 200);
  CHECK(c.ask(kGet).status == 503);
  CHECK(elsewhere.ask(kGet).status == 200);
}

TEST_CASE("bodies in flight are bounded, and a finished one makes room") {
  ServerConfig config = TestServer::patient();
  config.bodies_in_flight_bytes_max = 10'000;
  TestServer server(config);
  RawClient first(server.port), second(server.port), third(server.port);
  first.send(post("/slow", std::string(8'000, 'x')));
  std::this_thread::sleep_for(Millis{100});
  const Answer refused = second.ask(post("/p", std::string(8'000, 'x')));
  CHECK(refused.status == 503);
  CHECK(refused.header("Retry-After") == "1");
  CHECK(third.ask(with(kChunked, "1f40\r\n" + std::string(8'000, 'x') + "\r\n0\r\n\r\n")).status ==
        503);
  CHECK(RawClient(server.port).ask(kGet).status == 200);
  CHECK(first.answer().status == 200);
  CHECK(first.ask(post("/p", std::string(8'000, 'x'))).status == 200);
}

TEST_CASE("one address cannot take the room of all bodies") {
  ServerConfig config = TestServer::patient();
  config.body_bytes_max = 10'000;
  config.bodies_in_flight_bytes_max = 100'000;
  TestServer server(config);
  const std::string most =
      "POST /p HTTP/1.1\r\nHost: hub\r\nContent-Length: 10000\r\n\r\n" + std::string(9'999, 'x');
  std::vector<RawClient> holding;
  for (int i = 0; i < 2; ++i) {
    holding.emplace_back(server.port);
    holding.back().send(most);
  }
  std::this_thread::sleep_for(Millis{100});
  const std::string whole = post("/p", std::string(8'000, 'x'));
  RawClient third(server.port), elsewhere(server.port, "127.0.0.2");
  const Answer refused = third.ask(whole);
  CHECK(refused.status == 503);
  CHECK(refused.body == "too many request bodies at once from this address");
  CHECK(elsewhere.ask(whole).status == 200);
  CHECK(RawClient(server.port).ask(post("/p", "small")).status == 200);
  holding.front().send("x");
  CHECK(holding.front().answer().status == 200);
  CHECK(RawClient(server.port).ask(whole).status == 200);
}

TEST_CASE("a promised body that does not come holds no room") {
  ServerConfig config = TestServer::patient();
  config.bodies_in_flight_bytes_max = 1 << 20;
  TestServer server(config);
  std::vector<RawClient> promising;
  for (int i = 0; i < 20; ++i) {
    promising.emplace_back(server.port);
    promising.back().send(with("Content-Length: 1000000\r\n", "x"));
  }
  std::this_thread::sleep_for(Millis{50});
  CHECK(RawClient(server.port).ask(post("/p", std::string(500'000, 'x'))).status == 200);
}

}  // namespace
}  // namespace eventhub::test
