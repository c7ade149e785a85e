// The HTTP server over real sockets: what a client sees when all goes well, and the exact answers
// to bytes that are not HTTP as we speak it.
#include "integration/http/raw_requests.hpp"
#include "integration/http/server_fixture.hpp"

namespace eventhub::test {
namespace {

void check(TestServer& server, const RawRequest& request) {
  INFO(request.name);
  RawClient client(server.port);
  client.send(request.bytes);
  const auto answers = client.answers(request.answers);
  REQUIRE(answers.size() == request.answers);
  CHECK(answers.back().status == request.status);
  CHECK((answers.back().header("Connection") == "close") == request.closed);
  if (request.closed) {
    CHECK(client.closed());
    CHECK(client.unread().empty());
    CHECK_FALSE(client.was_reset());
  } else {
    const Answer probe = client.ask("GET /probe HTTP/1.1\r\nHost: hub\r\n\r\n");
    CHECK(probe.status == 200);
    CHECK(probe.body == "GET /probe? ");
  }
}

void check_all(const std::vector<RawRequest>& requests) {
  TestServer server(TestServer::patient());
  for (const RawRequest& request : requests) check(server, request);
  for (const std::string& request : server.seen())
    CHECK(request.find("smuggled") == std::string::npos);
  CHECK(server.reaches(0));
}

TEST_CASE("good requests are answered and the connection stays") {
  check_all(good_requests());
}

TEST_CASE("ambiguous requests are refused and what follows them is never a request") {
  check_all(smuggling_requests());
}

TEST_CASE("malformed and oversized requests get their exact status") {
  check_all(bad_requests());
}

TEST_CASE("the handler sees method, path, query, headers and body") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  CHECK(client.ask(line("GET /a/b%20c?d=e?f HTTP/1.1")).body == "GET /a/b%20c?d=e?f ");
  CHECK(client.ask(post("/p", "hello")).body == "POST /p? hello");
  CHECK(client.ask(with(kChunked, "3\r\nhel\r\n02;x\r\nlo\r\n0\r\nX: y\r\n\r\n")).body ==
        "POST /p? hello");
  const Answer answer = client.ask(kGet);
  CHECK(answer.head.starts_with("HTTP/1.1 200 OK\r\nDate: "));
  CHECK(answer.header("Content-Type") == "text/plain");
  CHECK(answer.header("Content-Length") == "9");
  CHECK(answer.header("Connection").empty());
}

// What a client is told before it has sent its body, and what becomes of the connection.
TEST_CASE("who is not admitted is told before his body, and the connection ends with it") {
  TestServer server(TestServer::patient());
  const std::string expect = "Expect: 100-continue\r\n";
  for (const std::string& bytes :
       {post("/not", std::string(50, 'x'), expect).substr(0, 80),
        "POST /not HTTP/1.1\r\nHost: hub\r\n" + expect + "Content-Length: 50\r\n\r\n",
        std::string("POST /not HTTP/1.1\r\nHost: hub\r\nContent-Length: 50\r\n\r\nhalf"),
        std::string("POST /not HTTP/1.1\r\nHost: hub\r\nContent-Length: 500000\r\n\r\nhalf"),
        "POST /not HTTP/1.1\r\nHost: hub\r\n" + kChunked + "\r\n5\r\nhel"}) {
    INFO(bytes);
    RawClient client(server.port);
    const Answer answer = client.ask(bytes);
    CHECK(answer.status == 403);
    CHECK(answer.header("Connection") == "close");
    client.send(kSmuggled);
    client.finish_sending();
    CHECK(client.closed());
    CHECK(client.unread().empty());
  }
  CHECK(server.seen().empty());
}

TEST_CASE("who is not admitted and sent all of it keeps his connection") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  client.send(post("/wait", "hello") + "GET /not HTTP/1.1\r\nHost: hub\r\n\r\n" +
              post("/p", "there"));
  const auto answers = client.answers(3);
  REQUIRE(answers.size() == 3);
  CHECK(answers[0].status == 429);
  CHECK(answers[0].header("Connection").empty());
  CHECK(answers[1].status == 403);
  CHECK(answers[2].body == "POST /p? there");
  const Answer failed = client.ask(post("/fault", "x"));
  CHECK(failed.status == 500);
  CHECK(failed.body == "an internal error");
}

TEST_CASE("who sends a large body all the same reads why it was refused") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  CHECK(client.ask(post("/not", std::string(1 << 20, 'x'))).status == 403);
  client.finish_sending();
  CHECK(client.closed());
  CHECK_FALSE(client.was_reset());
}

TEST_CASE("requests cut at every byte are answered like whole ones") {
  TestServer server(TestServer::patient());
  const std::string with_expect = with("Expect: fun\r\nContent-Length: 1\r\n", "x");
  const std::vector<RawRequest> requests{
      {"GET", kGet, 200, false},
      {"after a blank line", "\r\n" + kGet, 200, false},
      {"body", post("/p", "hello"), 200, false},
      {"chunks", with(kChunked, "5;a\r\nhello\r\n1\r\nx\r\n0\r\nX: y\r\n\r\n"), 200, false},
      {"no chunk", with(kChunked, "0\r\n\r\n"), 200, false},
      {"two", post("/p", "hello") + kGet, 200, false, 2},
      {"closing", line("GET / HTTP/1.0", ""), 200, true},
      {"bare LF", "GET / HTTP/1.1\nHost: hub\n\n", 400, true},
      {"CL and TE", with("Content-Length: 5\r\n" + kChunked, "0\r\n\r\n"), 400, true},
      {"version", line("GET / HTTP/3.0"), 505, true},
      {"expectation", with_expect, 417, true},
  };
  for (const RawRequest& request : requests) {
    for (std::size_t cut = 1; cut < request.bytes.size(); ++cut) {
      INFO(request.name << " cut at " << cut);
      RawClient client(server.port);
      client.send(request.bytes.substr(0, cut));
      std::this_thread::sleep_for(Micros(300));
      client.send(request.bytes.substr(cut));
      const auto answers = client.answers(request.answers);
      REQUIRE(answers.size() == request.answers);
      REQUIRE(answers.back().status == request.status);
      if (request.closed) REQUIRE(client.closed());
    }
  }
}

TEST_CASE("a request sent byte by byte is answered") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  for (const char byte : with(kChunked, "5\r\nhello\r\n0\r\n\r\n") + post("/q", "x"))
    client.send({&byte, 1});
  const auto answers = client.answers(2);
  REQUIRE(answers.size() == 2);
  CHECK(answers[0].body == "POST /p? hello");
  CHECK(answers[1].body == "POST /q? x");
}

TEST_CASE("pipelined requests are answered in order") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  std::string requests = post("/slow", "0");
  for (int i = 1; i < 500; ++i) requests += post("/p", std::to_string(i));
  client.send(requests);
  const auto answers = client.answers(500);
  REQUIRE(answers.size() == 500);
  CHECK(answers[0].body == "POST /slow? 0");
  for (std::size_t i = 1; i < 500; ++i) REQUIRE(answers[i].body == "POST /p? " + std::to_string(i));
}

TEST_CASE("bodies of every size up to the limit arrive whole") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  for (const std::size_t size :
       {1u, 3'900u, 4'096u, 4'097u, 16'383u, 16'384u, 100'000u, 1u << 20}) {
    INFO(size);
    std::string body(size, 'a');
    for (std::size_t i = 0; i < size; i += 7) body[i] = static_cast<char>('a' + i % 26);
    CHECK(client.ask(post("/p", body) + kGet).body == "POST /p? " + body);
    CHECK(client.answer().status == 200);
    const std::string chunked = fmt::format("{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", 1,
                                            body.substr(0, 1), size - 1, body.substr(1));
    if (size > 1) CHECK(client.ask(with(kChunked, chunked)).body == "POST /p? " + body);
  }
}

TEST_CASE("HEAD has the length of GET and no body") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  client.send(line("HEAD /ok HTTP/1.1"));
  CHECK(client.answer(RawClient::Limit(5'000), true).header("Content-Length") == "10");
  CHECK(client.ask(kGet).status == 200);
  client.send(line("HEAD /ok HTTP/1.1", ""));
  CHECK(client.answer(RawClient::Limit(5'000), true).status == 400);
  CHECK(client.closed());
  CHECK(client.unread().empty());
}

TEST_CASE("204 has neither a body nor a length") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  const Answer answer = client.ask(line("GET /none HTTP/1.1"));
  CHECK(answer.status == 204);
  CHECK(answer.header("Content-Length").empty());
  CHECK(client.ask(kGet).status == 200);
}

TEST_CASE("HTTP/1.0 is told whether the connection stays") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  CHECK(client.ask(line("GET / HTTP/1.0", "Connection: keep-alive\r\n")).header("Connection") ==
        "keep-alive");
  CHECK(client.ask(line("GET / HTTP/1.0", "")).header("Connection") == "close");
  CHECK(client.closed());
}

TEST_CASE("100 Continue is sent when the body is wanted, and only then") {
  TestServer server(TestServer::patient());
  const std::string expect = "Expect: 100-continue\r\n";
  {
    RawClient client(server.port);
    CHECK(client.ask(with(expect + "Content-Length: 5\r\n")).status == 100);
    CHECK(client.ask("hello").body == "POST /p? hello");
    CHECK(client.ask(with(expect + kChunked)).status == 100);
    CHECK(client.ask("1\r\nx\r\n0\r\n\r\n").body == "POST /p? x");
    CHECK(client.ask(with(expect + "Content-Length: 5\r\n", "hello")).status == 200);
    CHECK(client.ask(with(expect + "Content-Length: 0\r\n")).status == 200);
  }
  RawClient too_big(server.port);
  CHECK(too_big.ask(with(expect + "Content-Length: 1048577\r\n")).status == 413);
  CHECK(too_big.closed());
}

TEST_CASE("a client that stops sending early but listens is told") {
  TestServer server(TestServer::patient());
  for (const std::string& bytes : {kGet.substr(0, 20), post("/p", "hello").substr(0, 53)}) {
    RawClient client(server.port);
    client.send(bytes);
    client.finish_sending();
    CHECK(client.answer().status == 400);
  }
  RawClient whole(server.port);
  whole.send(kGet);
  whole.finish_sending();
  CHECK(whole.answer().status == 200);
  CHECK(whole.closed());
}

TEST_CASE("a handler that throws gives 500 and the process lives on") {
  TestServer server(TestServer::patient());
  RawClient client(server.port);
  const Answer answer = client.ask(line("GET /throw HTTP/1.1"));
  CHECK(answer.status == 500);
  CHECK(answer.body.find("on purpose") == std::string::npos);
  CHECK(client.closed());
  CHECK(RawClient(server.port).ask(kGet).status == 200);
}

}  // namespace
}  // namespace eventhub::test
