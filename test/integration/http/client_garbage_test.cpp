// Answers that are not HTTP, or not quite: each is a network error, and the client goes on.
#include "integration/http/client_world.hpp"
#include "support/webhook_imposter.hpp"

using namespace eventhub;
using namespace eventhub::test;

namespace {

const std::string kOk = "HTTP/1.1 200 OK\r\n";

std::string repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

std::vector<std::string> corpus() {
  return {
      "garbage",
      "garbage\r\n\r\n",
      "\r\n\r\n",
      std::string(64, '\0'),
      "\xff\xfe\xfd\xfc\r\n\r\n",
      "SSH-2.0-OpenSSH_9.2\r\n",
      "220 mail ESMTP\r\n",
      "<html>HTTP/0.9</html>",
      "\x15\x03\x01\x02\x02\x16",                // a TLS alert
      std::string("\0\0\x12\x04\0\0\0\0\0", 9),  // an HTTP/2 frame
      "HTTP/2 200\r\n\r\n",
      "HTTP/2.0 200 OK\r\n\r\n",
      "HTTP/1.2 200 OK\r\n\r\n",
      "HTTP/0.9 200 OK\r\n\r\n",
      "http/1.1 200 OK\r\n\r\n",
      "ICY 200 OK\r\n\r\n",
      " HTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1  200 OK\r\n\r\n",
      "HTTP/1.1\t200 OK\r\n\r\n",
      "HTTP/1.1 000 Zero\r\n\r\n",
      "HTTP/1.1 999 Much\r\n\r\n",
      "HTTP/1.1 600 Much\r\n\r\n",
      "HTTP/1.1 -1 Minus\r\n\r\n",
      "HTTP/1.1 20 Short\r\n\r\n",
      "HTTP/1.1 2000 Long\r\n\r\n",
      "HTTP/1.1 2x0 OK\r\n\r\n",
      "HTTP/1.1 OK\r\n\r\n",
      "HTTP/1.1 200 O\0K\r\n\r\n" + std::string(1, '\0'),
      "HTTP/1.1 200 OK\n\n",
      "HTTP/1.1 200 OK\r\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
      repeat("HTTP/1.1 100 Continue\r\n\r\n", 9) + kOk + "\r\n",
      repeat("HTTP/1.1 102 Processing\r\n\r\n", 10000),
      kOk + "No colon here\r\n\r\n",
      kOk + ": no name\r\n\r\n",
      kOk + "Space : before\r\n\r\n",
      kOk +
          "X: a\x01"
          "b\r\n\r\n",
      kOk + std::string("X: a\0b\r\n\r\n", 10),
      kOk + "X: bare\rreturn\r\n\r\n",
      kOk + "\xc3\xa4: x\r\n\r\n",
      kOk + repeat("X: y\r\n", 101) + "\r\n",
      kOk + "X: " + std::string(17000, 'y') + "\r\n\r\n",
      kOk + "Content-Length: -1\r\n\r\n",
      kOk + "Content-Length: +1\r\n\r\n",
      kOk + "Content-Length: 0x1\r\n\r\n",
      kOk + "Content-Length: 99999999999999999999999\r\n\r\n",
      kOk + "Content-Length: 1 1\r\n\r\na",
      kOk + "Content-Length: 1, 1\r\n\r\na",
      kOk + "Content-Length: \r\n\r\n",
      kOk + "Content-Length: 1\r\nContent-Length: 1\r\n\r\na",
      kOk + "Content-Length: 1\r\nContent-Length: 2\r\n\r\naa",
      kOk + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      kOk + "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
      kOk + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      kOk + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
      kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      kOk + "Transfer-Encoding: identity\r\n\r\n",
      kOk + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  };
}

}  // namespace

TEST_CASE("garbage is a network error and never a status") {
  ClientWorld world;
  world.timeout = 2s;
  WebhookImposter sink;
  for (const std::string& bytes : corpus()) {
    CAPTURE(bytes.substr(0, 100));
    sink.then(Reply::raw(bytes));
    const AttemptResult result = world.post(sink.url());
    CHECK(result.kind == Kind::network_error);
    CHECK(result.status == 0);
    CHECK_FALSE(result.error.empty());
    CHECK(result.sent);
    CHECK(result.duration < 1s);
    CHECK(world.post(sink.url()).status == 200);
  }
}

TEST_CASE("every prefix of an answer is a network error, every end after its header a status") {
  ClientWorld world;
  WebhookImposter sink;
  const std::string header = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string answer = header + "5\r\nhello\r\n0\r\n\r\n";
  for (std::size_t length = 0; length < answer.size(); ++length) {
    CAPTURE(length);
    sink.then(Reply::raw(answer.substr(0, length)));
    const AttemptResult result = world.post(sink.url());
    CHECK(result.kind == (length < header.size() ? Kind::network_error : Kind::answered));
  }
}

TEST_CASE("the body of garbage frames does not stop the client") {
  ClientWorld world;
  WebhookImposter sink;
  const std::string chunked = "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string& body :
       {std::string("zz\r\n"), std::string("-1\r\n"), std::string("5\r\nhello!!"),
        std::string("ffffffffffffffffffff\r\n"), std::string("5\nhello"),
        "5;" + std::string(100'000, 'x'), "0\r\nX: " + std::string(100'000, 'x'),
        std::string("0\r\n: \r\n\r\n"), std::string("8000000000000000\r\nabc")}) {
    CAPTURE(body.substr(0, 40));
    sink.then(Reply::raw(chunked + body));
    const AttemptResult result = world.post(sink.url());
    CHECK(result.kind == Kind::answered);
    CHECK(result.status == 500);
  }
}
