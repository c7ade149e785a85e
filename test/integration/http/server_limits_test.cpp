// Limits and faults: time, connections, memory, descriptors, clients that vanish, and stopping.
#include <sys/resource.h>
#include <time.h>

#include "eventhub/core/log.hpp"
#include "integration/http/raw_requests.hpp"
#include "integration/http/server_fixture.hpp"

namespace eventhub::test {
namespace {

using Clock = std::chrono::steady_clock;

Millis since(Clock::time_point start) {
  return std::chrono::duration_cast<Millis>(Clock::now() - start);
}

double cpu_seconds() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

TEST_CASE("a header that is not complete in time gets 408, however busily it drips") {
  TestServer server;
  RawClient silent(server.port), stuck(server.port), dripping(server.port);
  const auto start = Clock::now();
  stuck.send("GET / HTTP/1.1\r\nHost:");
  dripping.send("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 50 && dripping.send("X: y\r\n") && since(start) < Millis{280}; ++i) {
    std::this_thread::sleep_for(Millis{20});
  }
  const Answer answer = stuck.answer();
  CHECK(answer.status == 408);
  CHECK(answer.header("Connection") == "close");
  CHECK(dripping.answer().status == 408);
  CHECK(since(start) >= Millis{290});
  CHECK(since(start) < Millis{1'000});
  CHECK(silent.closed());
  CHECK(silent.unread().empty());
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

TEST_CASE("without descriptors the server goes on with what it has and does not spin") {
  TestServer server(TestServer::patient());
  RawClient served(server.port);
  REQUIRE(served.ask(kGet).status == 200);
  std::vector<RawClient> waiting;
  for (int i = 0; i < 5; ++i) waiting.emplace_back();
  // The undefined behaviour sanitizer needs descriptors to check a type for the first time.
  const boost::system::error_code error(EMFILE, boost::system::system_category());
  log::info("about to run out of descriptors",
            {{"error", error.message()}, {"open", std::size_t{1}}});
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const int lowest_free = dup(0);
  close(lowest_free);
  const rlimit none{static_cast<rlim_t>(lowest_free), before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  for (RawClient& client : waiting) {
    client.connect(server.port);
    client.send(kGet);
  }
  const double cpu = cpu_seconds();
  const int unanswered = waiting.front().answer(Millis{300}).status;
  const double used = cpu_seconds() - cpu;
  const int still_served = served.ask(kGet).status;
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(unanswered == 0);
  CHECK(used < 0.1);
  CHECK(still_served == 200);
  for (RawClient& client : waiting) CHECK(client.answer().status == 200);
}

TEST_CASE("two thousand bad inputs leave no descriptor and no connection behind") {
  TestServer server(TestServer::patient());
  std::vector<RawRequest> requests = bad_requests();
  for (RawRequest& request : smuggling_requests()) requests.push_back(std::move(request));
  REQUIRE(RawClient(server.port).ask(kGet).status == 200);
  REQUIRE(server.reaches(0));
  const std::size_t before = open_descriptors();
  for (std::size_t i = 0; i < 2'000; ++i) {
    const RawRequest& request = requests[i % requests.size()];
    RawClient client(server.port);
    client.send(request.bytes);
    const auto answers = client.answers(request.answers);
    REQUIRE(answers.size() == request.answers);
    if (i % 3 == 0) client.reset();
  }
  CHECK(server.reaches(0));
  CHECK(open_descriptors() == before);
  CHECK(RawClient(server.port).ask(kGet).status == 200);
}

TEST_CASE("clients that vanish do no harm") {
  TestServer server(TestServer::patient());
  for (int i = 0; i < 20; ++i) {
    RawClient header(server.port), body(server.port), handler(server.port), answer(server.port);
    header.send("GET / HT");
    body.send(with("Content-Length: 100000\r\n", std::string(50'000, 'x')));
    handler.send(line("GET /slow HTTP/1.1") + kGet);
    if (i < 3) {
      answer.send(line("GET /big HTTP/1.1"));
      CHECK(answer.answers(1, Millis{100}).empty());
    }
    std::this_thread::sleep_for(Millis{2});
    for (RawClient* client : {&header, &body, &handler, &answer}) client->reset();
  }
  CHECK(server.reaches(0));
  CHECK(server.finished() >= 20);  // handlers ran to their end
  CHECK(RawClient(server.port).ask(kGet).status == 200);
}

TEST_CASE("a reader too slow for its answer is cut off") {
  TestServer server;
  RawClient client(nullptr, 4'096);
  client.connect(server.port);
  client.send(line("GET /big HTTP/1.1"));
  REQUIRE(server.reaches(1));
  CHECK(server.reaches(0, Millis{2'000}));
}

TEST_CASE("an answer larger than the socket's buffer arrives whole") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  const Answer answer = client.ask(line("GET /big HTTP/1.1"), Millis{20'000});
  CHECK(answer.body.size() == 32u << 20);
  CHECK(client.ask(kGet).status == 200);
}

TEST_CASE("stop closes idle connections at once and lets running requests finish") {
  TestServer server(TestServer::patient());
  RawClient idle(server.port), fresh(server.port), running(server.port), arriving(server.port);
  CHECK(idle.ask(kGet).status == 200);
  running.send(line("GET /slow HTTP/1.1") + kGet);
  arriving.send(post("/p", "hello").substr(0, 53));
  REQUIRE(server.reaches(4));
  std::this_thread::sleep_for(Millis{50});
  const auto start = Clock::now();
  server.stop();
  CHECK(idle.closed());
  CHECK(fresh.closed());
  CHECK(since(start) < Millis{150});
  CHECK_THROWS(RawClient(server.port));
  arriving.send(post("/p", "hello").substr(53));
  CHECK(arriving.answer().header("Connection") == "close");
  const Answer last = running.answer();
  CHECK(last.status == 200);
  CHECK(last.header("Connection") == "close");
  CHECK(running.closed());
  CHECK(running.unread().empty());
  running.close();
  arriving.close();
  CHECK(server.stopped(Millis{2'000}));
}

TEST_CASE("a server that is destroyed while requests run leaves nothing behind") {
  boost::asio::io_context loop;
  Metrics metrics(100);
  ServerConfig config = TestServer::patient();
  auto slow = [](const http::Request&) -> Task<http::Response> {
    co_await sleep_for(Millis{100});
    co_return http::Response{};
  };
  auto refuse = [](int, std::string_view) { return http::Response{}; };
  auto server = std::make_unique<http::Server>(loop.get_executor(), config, slow, refuse, metrics);
  const std::uint16_t port = server->listen();
  spawn(loop.get_executor(), "server", server->run());
  RawClient handled(port), idle(port);
  handled.send(kGet);
  loop.run_for(Millis{50});
  SECTION("and the loop goes on") {
    server.reset();
    loop.run_for(Millis{2'000});
    CHECK(loop.stopped());
    CHECK(handled.closed(Millis{100}));
  }
  SECTION("and the loop, too") {
    server.reset();
  }
}

TEST_CASE("an address that is taken is named") {
  TestServer server(TestServer::patient());
  boost::asio::io_context loop;
  Metrics metrics(100);
  ServerConfig config = TestServer::patient();
  config.port = server.port;
  http::Server second(loop.get_executor(), config, nullptr, nullptr, metrics);
  CHECK_THROWS_WITH(second.listen(), Catch::Contains("127.0.0.1:" + std::to_string(server.port)));
}

}  // namespace
}  // namespace eventhub::test
