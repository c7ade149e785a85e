// What a subscriber sees of a webhook, and what the hub learns from its answer.
#include "integration/http/client_world.hpp"
#include "support/webhook_imposter.hpp"

using namespace eventhub;
using namespace eventhub::test;

TEST_CASE("the request is what was asked for, byte for byte") {
  ClientWorld world;
  WebhookImposter sink;
  world.body = std::string("{\"a\":\"\0\\u0000\"}", 16);
  world.headers = "Content-Type: application/json\r\nX-Message-Id: 7\r\n";
  const AttemptResult result = world.post(sink.url("/hook/a?b=c%20d"));
  CHECK(result.kind == Kind::answered);
  CHECK(result.status == 200);
  CHECK(result.error.empty());
  CHECK(result.sent);
  REQUIRE(sink.requests().size() == 1);
  const Received request = sink.requests()[0];
  CHECK(request.body == world.body);
  CHECK(request.target == "/hook/a?b=c%20d");
  CHECK(request.head ==
        "POST /hook/a?b=c%20d HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(sink.port()) +
            "\r\nContent-Type: application/json\r\nX-Message-Id: 7\r\n"
            "Content-Length: 16");
}

TEST_CASE("an empty and a large body arrive") {
  ClientWorld world;
  WebhookImposter sink;
  world.body = "";
  CHECK(world.post(sink.url()).status == 200);
  world.body = std::string(8 << 20, 'y');
  CHECK(world.post(sink.url()).status == 200);
  const auto requests = sink.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].header("Content-Length") == "0");
  CHECK(requests[1].body == world.body);
}

TEST_CASE("every status is reported as it is") {
  ClientWorld world;
  WebhookImposter sink;
  for (const int status : {200, 201, 202, 204, 299, 300, 301, 302, 304, 307, 308, 400, 401, 404,
                           408, 410, 418, 422, 429, 451, 499, 500, 501, 502, 503, 504, 599}) {
    CAPTURE(status);
    const bool empty = status == 204 || status == 304;
    sink.then(Reply::with(status, empty ? "" : "why", "Location: http://169.254.169.254/\r\n"));
    const AttemptResult result = world.post(sink.url());
    CHECK(result.kind == Kind::answered);
    CHECK(result.status == status);
    CHECK(result.error == (status / 100 == 2 ? "" : "HTTP " + std::to_string(status)));
    CHECK(result.response == (status / 100 == 2 || empty ? "" : "why"));
  }
  CHECK(sink.connections() == 1);
}

TEST_CASE("the connection is kept and used again") {
  ClientWorld world;
  WebhookImposter sink;
  for (int i = 0; i < 50; ++i) CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.requests().size() == 50);
  CHECK(sink.connections() == 1);
}

TEST_CASE("answers in every framing keep the connection when HTTP says so") {
  ClientWorld world;
  WebhookImposter sink;
  const auto keep = Reply::Then::keep;
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  sink.then(
      Reply::raw(ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n", keep));
  sink.then(Reply::raw(ok + "Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\n\r\n", keep));
  sink.then(Reply::raw("HTTP/1.1 204 No Content\r\n\r\n", keep));
  sink.then(Reply::raw("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" +
                           ok + "Content-Length: 0\r\n\r\n",
                       keep));
  sink.then(
      Reply::raw("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", keep));
  for (int i = 0; i < 5; ++i) CHECK(world.post(sink.url()).error.empty());
  CHECK(sink.connections() == 1);
  sink.then(Reply::raw(ok + "Connection: close\r\nContent-Length: 2\r\n\r\nok", keep));
  sink.then(Reply::raw("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", keep));
  sink.then(Reply::raw(ok + "\r\nuntil the end", Reply::Then::close));
  sink.then(Reply::raw(ok + "Content-Length: 2\r\n\r\nokHTTP/1.1 500 Second\r\n\r\n", keep));
  for (int i = 0; i < 4; ++i) CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.connections() == 4);
  CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.connections() == 5);
}

TEST_CASE("an answer sent byte by byte is read") {
  ClientWorld world;
  WebhookImposter sink;
  Reply slow = Reply::raw(
      "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n"
      "1\r\na\r\n2\r\nbc\r\n0\r\n\r\n",
      Reply::Then::keep);
  slow.drip = 1ms;
  sink.then(slow);
  const AttemptResult result = world.post(sink.url());
  CHECK(result.status == 429);
  CHECK(result.response == "abc");
  CHECK(result.retry_after == 7s);
  CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.connections() == 1);
}

TEST_CASE("Retry-After is read, garbage is ignored") {
  ClientWorld world;
  WebhookImposter sink;
  sink.then(Reply::with(503, "", "Retry-After: 120\r\n"));
  CHECK(world.post(sink.url()).retry_after == 120s);
  sink.then(Reply::with(503, "", "retry-after: Fri, 31 Dec 2100 23:59:59 GMT\r\n"));
  CHECK(world.post(sink.url()).retry_after > std::chrono::hours{24});
  sink.then(Reply::with(503, "", "Retry-After: soon\r\n"));
  CHECK(world.post(sink.url()).retry_after == std::nullopt);
}

TEST_CASE("the first KiB of a refusal is kept as text the database can store") {
  ClientWorld world;
  WebhookImposter sink;
  sink.then(Reply::with(500, std::string(5000, 'e')));
  CHECK(world.post(sink.url()).response == std::string(1024, 'e'));
  sink.then(Reply::with(500, std::string("a\0b\xff\xc3\xa4\xed\xa0\x80z", 10)));
  const std::string r = "\xef\xbf\xbd";
  CHECK(world.post(sink.url()).response == "a" + r + "b" + r + "\xc3\xa4" + r + r + r + "z");
  sink.then(Reply::with(500, std::string(1023, 'a') + "\xc3\xa4"));
  const std::string cut = world.post(sink.url()).response;
  CHECK(cut.size() <= 1024);
  CHECK(cut.starts_with(std::string(1023, 'a')));
}

TEST_CASE("a busy origin gets at most its connections, the others wait their turn") {
  ClientWorld world;
  world.webhook.connections_per_origin_max = 4;
  WebhookImposter sink;
  sink.always(Reply::with(200).after(20ms));
  Batch batch(world);
  for (int i = 0; i < 20; ++i) batch.add(sink.url("/" + std::to_string(i)));
  batch.finish();
  for (std::size_t i = 0; i < batch.size(); ++i) CHECK(batch[i].status == 200);
  CHECK(sink.connections() == 4);
  CHECK(sink.requests().size() == 20);
}

TEST_CASE("an attempt that gets no connection in time was not made") {
  ClientWorld world;
  world.webhook.connections_per_origin_max = 1;
  WebhookImposter sink;
  sink.always(Reply::silence());
  WebhookImposter healthy;
  Batch batch(world);
  batch.add(sink.url(), 1500ms);
  batch.add(sink.url(), 300ms);
  batch.add(healthy.url(), 1500ms);
  batch.finish();
  CHECK(batch[0].kind == Kind::timeout);
  CHECK(batch[0].sent);
  CHECK(batch[1].kind == Kind::not_started);
  CHECK_FALSE(batch[1].sent);
  CHECK(batch[1].error == "timed out after 300 ms, waiting for a free connection");
  CHECK(batch[1].duration < 1s);
  CHECK(batch[2].status == 200);
  CHECK(batch[2].duration < 300ms);
  CHECK(sink.requests().size() == 1);
}

TEST_CASE("after a time-out the origin's connections are free again") {
  ClientWorld world;
  world.webhook.connections_per_origin_max = 1;
  world.timeout = 100ms;
  WebhookImposter sink;
  sink.then(Reply::silence());
  CHECK(world.post(sink.url()).kind == Kind::timeout);
  CHECK(world.post(sink.url()).status == 200);
}

TEST_CASE("idle connections are closed after webhook.idle") {
  ClientWorld world;
  world.webhook.idle = 200ms;
  WebhookImposter sink;
  CHECK(world.post(sink.url()).status == 200);
  world.work(100ms);
  CHECK(sink.open_connections() == 1);
  world.work(250ms);
  CHECK(sink.wait_for_open_connections(0));
  CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.connections() == 2);
}

TEST_CASE("close() fails what is in the air and takes nothing new") {
  ClientWorld world;
  WebhookImposter sink;
  sink.always(Reply::silence());
  Batch batch(world);
  for (int i = 0; i < 3; ++i) batch.add(sink.url());
  CHECK(world.work_until([&] { return sink.requests().size() == 3; }));
  world.client().close();
  batch.finish();
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(batch[i].kind == Kind::network_error);
    CHECK(batch[i].error == "given up at shutdown, waiting for the answer");
    CHECK(batch[i].sent);
  }
  const AttemptResult late = world.post(sink.url());
  CHECK(late.kind == Kind::network_error);
  CHECK_FALSE(late.sent);
}

TEST_CASE("private addresses are refused before a packet is sent") {
  ClientWorld world;
  world.egress.allow_cidrs = {};
  WebhookImposter sink;
  const std::string port = std::to_string(sink.port());
  for (const std::string host :
       {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"}) {
    CAPTURE(host);
    const AttemptResult result = world.post("http://" + host + ":" + port + "/");
    CHECK(result.kind == Kind::refused);
    CHECK_FALSE(result.sent);
    CHECK(result.error.find("egress.allow_cidrs") != std::string::npos);
  }
  world.work(50ms);
  CHECK(sink.connections() == 0);
}

TEST_CASE("https only refuses plain URLs") {
  ClientWorld world;
  world.egress.https_only = true;
  WebhookImposter sink;
  const AttemptResult result = world.post(sink.url());
  CHECK(result.kind == Kind::refused);
  CHECK(sink.connections() == 0);
}
