// Faults: no descriptors, garbage by the thousand, clients that vanish, and the server's own end.
#include <sys/resource.h>

#include <fstream>

#include "eventhub/core/log.hpp"
#include "integration/http/raw_requests.hpp"
#include "integration/http/server_fixture.hpp"

namespace eventhub::test {
namespace {

// Running or waiting for a processor, all threads: what spinning costs, also on a busy machine.
double busy_seconds() {
  double nanoseconds = 0;
  DIR* threads = opendir("/proc/self/task");
  while (const dirent* thread = readdir(threads)) {
    double running = 0, waiting = 0;
    const std::string directory = "/proc/self/task/" + std::string(thread->d_name);
    std::ifstream(directory + "/schedstat") >> running >> waiting;
    nanoseconds += running + waiting;
  }
  closedir(threads);
  return nanoseconds * 1e-9;
}

Task<void> wait_once(Wakeup& wakeup) {
  co_await wakeup.wait(Millis{1});
}

// The undefined behaviour sanitizer needs descriptors of its own to check a type for the first
// time, so everything that happens without descriptors happens once with them.
void rehearse(TestServer& server) {
  RawClient client(server.port);
  REQUIRE(client.ask(kGet).status == 200);
  std::this_thread::sleep_for(Millis{600});  // the scan for late connections
  const boost::system::error_code error(EMFILE, boost::system::system_category());
  log::warn("about to run out of descriptors",
            {{"error", error.message()}, {"open", std::size_t{1}}});
  log::flush(1'000);
  boost::asio::io_context loop;
  Wakeup wakeup(test::executor_of(loop));
  spawn(test::executor_of(loop), "back-off", wait_once(wakeup));
  loop.run();
}

TEST_CASE("without descriptors the server goes on with what it has and does not spin") {
  TestServer server(TestServer::patient());
  rehearse(server);
  RawClient served(server.port);
  REQUIRE(served.ask(kGet).status == 200);
  std::vector<RawClient> waiting;
  for (int i = 0; i < 5; ++i) waiting.emplace_back();
  const double busy_before = busy_seconds();
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
  const int unanswered = waiting.front().answer(Millis{600}).status;
  const int still_served = served.ask(kGet).status;
  setrlimit(RLIMIT_NOFILE, &before);
  const double busy = busy_seconds() - busy_before;
  CHECK(unanswered == 0);
  CHECK(busy < 0.3);
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
    RawClient header(server.port), body(server.port), handler(server.port), answer(nullptr, 4'096);
    answer.connect(server.port);
    header.send("GET / HT");
    body.send(with("Content-Length: 100000\r\n", std::string(50'000, 'x')));
    handler.send(line("GET /slow HTTP/1.1") + kGet);
    if (i < 3) {
      answer.send(line("GET /big HTTP/1.1"));
      REQUIRE(server.handles("GET /big", i + 1));
    }
    REQUIRE(server.handles("GET /slow", i + 1));
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
  REQUIRE(server.handles("GET /slow", 1));
  server.stop();
  CHECK(idle.closed());
  CHECK(fresh.closed());
  CHECK(server.finished() == 1);  // the slow request is still running
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

TEST_CASE("stop does not wait for a next request behind an answer that is being written") {
  TestServer server(TestServer::patient());
  RawClient client(nullptr, 4 << 10);
  client.connect(server.port);
  client.send(line("GET /big HTTP/1.1"));
  REQUIRE(server.handles("GET /big", 1));
  std::this_thread::sleep_for(Millis{50});  // the answer fills the socket and waits
  server.stop();
  CHECK(client.answer(Millis{20'000}).body.size() == 32u << 20);
  CHECK(client.closed(Millis{2'000}));
  CHECK(server.stopped(Millis{2'000}));
}

TEST_CASE("stop closes a connection that was accepted a moment before") {
  boost::asio::io_context loop;
  Metrics metrics(100);
  auto handler = [](const http::Request&) -> Task<http::Response> { co_return http::Response{}; };
  auto refuse = [](int, std::string_view) { return http::Response{}; };
  http::Server server(test::executor_of(loop), TestServer::patient(), handler, refuse, metrics);
  const std::uint16_t port = server.listen();
  spawn(test::executor_of(loop), "server", server.run());
  RawClient client(port);
  while (metrics.expose().find("\neventhub_http_connections 1") == std::string::npos)
    REQUIRE(loop.run_one_for(Millis{20'000}) == 1);
  server.stop();
  loop.run_for(Millis{2'000});
  CHECK(loop.stopped());
  CHECK(client.closed(Millis{100}));
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
  auto server =
      std::make_unique<http::Server>(test::executor_of(loop), config, slow, refuse, metrics);
  const std::uint16_t port = server->listen();
  spawn(test::executor_of(loop), "server", server->run());
  RawClient handled(port), idle(port), arriving(port);
  handled.send(kGet);
  arriving.send(post("/p", "hello").substr(0, 53));
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
  http::Server second(test::executor_of(loop), config, nullptr, nullptr, metrics);
  CHECK_THROWS_WITH(second.listen(), Catch::Contains("127.0.0.1:" + std::to_string(server.port)));
}

}  // namespace
}  // namespace eventhub::test
