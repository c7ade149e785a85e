// The gate and the parser before it: pure, no sockets.
#include "http/gate.hpp"

#include "http/server_parser.hpp"
#include "support/catch.hpp"

namespace eventhub::http {
namespace {

const std::string kChunkedField = "Transfer-Encoding: chunked\r\n\r\n";

Headers fields(std::initializer_list<std::pair<std::string_view, std::string_view>> list) {
  return list;
}

int judge(std::string_view method, std::string_view target, const Headers& headers,
          int version = 11, std::optional<std::uint64_t> length = {}) {
  const Limits limits;
  return gate({"", method, target, version, &headers, length}, limits).status;
}
int judge(const Headers& headers, int version = 11) {
  return judge("POST", "/", headers, version);
}

TEST_CASE("the gate lets requests through that have one meaning") {
  CHECK(judge("GET", "/", fields({{"Host", "hub"}})) == 0);
  CHECK(judge("GET", "/a?b", fields({{"hOST", "hub:3000"}, {"Content-Length", "0"}})) == 0);
  CHECK(judge(fields({{"Host", "hub"}, {"Transfer-Encoding", "Chunked"}})) == 0);
  CHECK(judge(fields({{"Host", "hub"}, {"Expect", "100-Continue"}})) == 0);
  CHECK(judge(fields({}), 10) == 0);
}

TEST_CASE("the gate refuses what has two") {
  CHECK(judge(fields({})) == 400);
  CHECK(judge(fields({{"Host", "a"}, {"host", "a"}})) == 400);
  CHECK(judge(fields({{"Host", "a"}, {"Content-Length", "1"}, {"Content-Length", "1"}})) == 400);
  CHECK(judge(fields({{"Host", "a"}, {"Content-Length", "1, 1"}})) == 400);
  CHECK(judge(fields({{"Host", "a"}, {"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}})) ==
        400);
  CHECK(judge(fields(
            {{"Host", "a"}, {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}})) ==
        400);
  CHECK(judge(fields({{"Host", "a"}, {"Transfer-Encoding", "xchunked"}})) == 501);
  CHECK(judge(fields({{"Host", "a"}, {"Transfer-Encoding", "chunked, identity"}})) == 501);
  CHECK(judge(fields({{"Transfer-Encoding", "chunked"}}), 10) == 400);
  CHECK(judge(fields({{"Host", "a"}, {"Expect", "more"}})) == 417);
  for (const char* named : {"Content-Length", "close, transfer-encoding", "keep-alive,HOST",
                            " host ", "close,,host", "\thost,close"}) {
    INFO(named);
    CHECK(judge(fields({{"Host", "a"}, {"Connection", named}})) == 400);
    CHECK(judge(fields({{"connection", named}}), 10) == 400);
  }
  for (const char* harmless : {"close", "keep-alive, TE", "hosts", "x-host", ""}) {
    INFO(harmless);
    CHECK(judge(fields({{"Host", "a"}, {"Connection", harmless}})) == 0);
  }
}

TEST_CASE("the gate takes bodies as they are, in UTF-8") {
  const auto with = [](const char* name, const char* value) {
    return judge(fields({{"Host", "a"}, {name, value}}));
  };
  for (const char* coding :
       {"gzip", "identity, gzip", "br", "x", "gzip,identity", "\"identity\""}) {
    INFO(coding);
    CHECK(with("content-encoding", coding) == 415);
  }
  CHECK(with("Content-Encoding", "Identity") == 0);
  CHECK(with("Content-Encoding", "identity, identity") == 0);
  CHECK(with("Content-Encoding", "") == 0);
  for (const char* type :
       {"application/json; charset=utf-16", "application/json;CHARSET=\"latin1\"",
        "application/json; charset=utf-8; charset=utf-7", "text/plain ; a=b ; charset = utf-16",
        "application/json; charset=", "application/json; charset"}) {
    INFO(type);
    CHECK(with("Content-Type", type) == 415);
  }
  for (const char* type :
       {"application/json", "application/json; charset=UTF-8", "application/json;charset=\"utf-8\"",
        "application/json; charset=utf8; a=b", "application/json; xcharset=utf-16", "",
        "application/json;"}) {
    INFO(type);
    CHECK(with("Content-Type", type) == 0);
  }
}

TEST_CASE("the gate judges the request line") {
  const Headers host = fields({{"Host", "a"}});
  CHECK(judge("BREW", "/", host) == 501);
  CHECK(judge("get", "/", host) == 501);
  CHECK(judge("QUERY", "/", host) == 0);
  CHECK(judge("CONNECT", "/", host) == 400);
  CHECK(judge("GET", "*", host) == 400);
  CHECK(judge("GET", "http://a/", host) == 400);
  CHECK(judge("GET", "", host) == 400);
  CHECK(judge("GET", "/\x80", host) == 400);
  CHECK(judge("GET", "/" + std::string(8'191, 'a'), host) == 0);
  CHECK(judge("GET", "/" + std::string(8'192, 'a'), host) == 414);
}

TEST_CASE("the gate judges sizes exactly") {
  const Headers host = fields({{"Host", "a"}});
  CHECK(judge("POST", "/", host, 11, 1 << 20) == 0);
  CHECK(judge("POST", "/", host, 11, (1 << 20) + 1) == 413);
  Headers many(100, {"X", "y"});
  many[0] = {"Host", "a"};
  CHECK(judge(many) == 0);
  many.emplace_back("X", "y");
  CHECK(judge(many) == 431);
  const Limits limits;
  const std::string raw(limits.header_bytes_max + 1, ' ');
  CHECK(gate({raw, "GET", "/", 11, &host, {}}, limits).status == 431);
  CHECK(gate({std::string_view(raw).substr(1), "GET", "/", 11, &host, {}}, limits).status == 0);
}

TEST_CASE("folded lines are found in the bytes") {
  const Headers host = fields({{"Host", "a"}});
  const Limits limits;
  CHECK(
      gate({"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "GET", "/", 11, &host, {}}, limits).status ==
      400);
  CHECK(
      gate({"GET / HTTP/1.1\r\nHost:\r\n\ta\r\n\r\n", "GET", "/", 11, &host, {}}, limits).status ==
      400);
  CHECK(gate({"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "GET", "/", 11, &host, {}}, limits).status ==
        0);
}

TEST_CASE("a header without an end is blamed on its first line or on its fields") {
  const Limits limits;
  CHECK(too_long("GET /" + std::string(9'000, 'a'), limits).status == 414);
  CHECK(too_long("GET / HTTP/1.1\r\nX: " + std::string(9'000, 'a'), limits).status == 431);
}

TEST_CASE("the parser's views survive a buffer that moves between two pieces") {
  const std::string whole =
      "POST /p?q HTTP/1.1\r\nHost: hub\r\nX-Long: value\r\nContent-Length: 3\r\n\r\nabc";
  for (std::size_t cut = 1; cut < whole.size() - 3; ++cut) {
    RequestParser parser((Limits()));
    auto first = std::make_unique<std::string>(whole.substr(0, cut));
    REQUIRE(parser.header(*first) == Step::more);
    first.reset();
    const std::string second = whole;
    REQUIRE(parser.header(second) == Step::done);
    Headers headers;
    const Head head = parser.views(second.data(), headers);
    CHECK(head.method == "POST");
    CHECK(head.target == "/p?q");
    CHECK(head.content_length == 3);
    CHECK(headers == fields({{"Host", "hub"}, {"X-Long", "value"}, {"Content-Length", "3"}}));
    CHECK(second.substr(parser.header_bytes()) == "abc");
  }
}

TEST_CASE("a parser is used again after any request") {
  RequestParser parser((Limits()));
  CHECK(parser.header("nonsense\r\n\r\n") == Step::refused);
  CHECK(parser.refused().status == 400);
  parser.reset();
  CHECK(parser.header("HEAD / HTTP/1.0\r\n\r\n") == Step::done);
  CHECK(parser.is_head());
  CHECK(parser.version() == 10);
  parser.reset();
  CHECK_FALSE(parser.is_head());
}

TEST_CASE("chunks come out the same wherever they are cut") {
  const std::string header = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string wire :
       {"5;x\r\nhello\r\n6\r\n world\r\n000\r\nT: v\r\n\r\n", "0\r\n\r\n", "00;y\r\n\r\n"}) {
    for (std::size_t cut = 0; cut < wire.size(); ++cut) {
      RequestParser parser((Limits()));
      REQUIRE(parser.header(header) == Step::done);
      std::string body;
      std::size_t consumed = 0, more = 0;
      REQUIRE(parser.chunks(std::string_view(wire).substr(0, cut), body, consumed) == Step::more);
      REQUIRE(parser.chunks(std::string_view(wire).substr(consumed), body, more) == Step::done);
      CHECK(consumed + more == wire.size());
      CHECK(body == (wire.front() == '5' ? "hello world" : ""));
    }
  }
}

TEST_CASE("chunks come out the same byte by byte") {
  for (const std::string wire : {"5\r\nhello\r\n0\r\n\r\n", "0\r\n\r\n", "00;y\r\nT: v\r\n\r\n"}) {
    INFO(wire);
    RequestParser parser((Limits()));
    REQUIRE(parser.header("POST / HTTP/1.1\r\nHost: a\r\n" + kChunkedField) == Step::done);
    std::string body, pending;
    Step step = Step::more;
    for (const char byte : wire) {
      REQUIRE(step == Step::more);
      pending += byte;
      std::size_t consumed = 0;
      step = parser.chunks(pending, body, consumed);
      pending.erase(0, consumed);
    }
    CHECK(step == Step::done);
    CHECK(body == (wire.front() == '5' ? "hello" : ""));
  }
}

TEST_CASE("chunk extensions are ignored up to a limit") {
  RequestParser parser((Limits()));
  REQUIRE(parser.header("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") ==
          Step::done);
  const std::string chunk = "1;" + std::string(1'000, 'e') + "\r\nx\r\n";
  std::string body, pending;
  Step step = Step::more;
  std::size_t consumed = 0, chunks = 0;
  for (; step == Step::more && chunks < 100; ++chunks) {
    pending += chunk;
    step = parser.chunks(pending, body, consumed);
    pending.erase(0, consumed);
  }
  CHECK(step == Step::refused);
  CHECK(parser.refused().status == 431);
  CHECK(chunks == 17);
}

}  // namespace
}  // namespace eventhub::http
