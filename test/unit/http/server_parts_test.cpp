// The writer of answers, the receive buffer and the look-up of headers: pure, no sockets.
#include <cstring>

#include "http/gate.hpp"
#include "http/server_input.hpp"
#include "http/server_response.hpp"
#include "support/catch.hpp"

namespace eventhub::http {
namespace {

TEST_CASE("the head of an answer") {
  Response response;
  response.body = "{}";
  response.headers = "X: y\r\n";
  std::string out;
  CHECK(append_head(out, response, "Date: d\r\n", {}));
  CHECK(out ==
        "HTTP/1.1 200 OK\r\nDate: d\r\nContent-Type: application/json\r\nContent-Length: 2\r\nX: "
        "y\r\n\r\n");
  out.clear();
  CHECK_FALSE(append_head(out, response, "", {.close = true, .head_only = true, .http_1_0 = true}));
  CHECK(out.ends_with("Content-Length: 2\r\nX: y\r\nConnection: close\r\n\r\n"));
  out.clear();
  response.status = 204;
  CHECK_FALSE(append_head(out, response, "", {.http_1_0 = true}));
  CHECK(out == "HTTP/1.1 204 No Content\r\nX: y\r\nConnection: keep-alive\r\n\r\n");
}

TEST_CASE("dates and headers as text") {
  CHECK(date_line(Time{Seconds{784'111'777}}) == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
  CHECK(date_line(Time{Seconds{0}}) == "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n");
  CHECK(has_header("A: b\r\nRetry-After: 3\r\n", "retry-after"));
  CHECK_FALSE(has_header("A: retry-after\r\nX-Retry-After: 3\r\n", "retry-after"));
  CHECK_FALSE(has_header("", "retry-after"));
}

TEST_CASE("headers of a request are found whatever their case") {
  Request request;
  request.headers = {{"A", "1"}, {"a", "2"}, {"B", ""}};
  CHECK(request.header("a") == "1");
  CHECK(request.count("A") == 2);
  CHECK(request.header("b").data() != nullptr);
  CHECK(request.header("c").data() == nullptr);
}

TEST_CASE("the receive buffer keeps its bytes through growth, moves and cuts") {
  Input input;
  std::string expected;
  const auto receive = [&](std::size_t bytes, char byte) {
    while (bytes > 0) {
      const auto space = input.space();
      const std::size_t now = std::min(bytes, space.size());
      std::memset(space.data(), byte, now);
      input.received(now);
      expected.append(now, byte);
      bytes -= now;
    }
  };
  receive(3'000, 'a');
  input.consume(2'999);
  expected.erase(0, 2'999);
  receive(3'500, 'b');
  CHECK(input.pending() == expected);
  receive(40'000, 'c');
  input.erase(10, 100);
  expected.erase(10, 100);
  CHECK(input.pending() == expected);
  CHECK(input.pending(5) == std::string_view(expected).substr(5));
  input.consume(input.pending().size());
  CHECK(input.pending().empty());
  CHECK_FALSE(input.has_room(5'000));
  input.make_room(5'000);
  CHECK(input.tail().size() >= 5'000);
}

}  // namespace
}  // namespace eventhub::http
