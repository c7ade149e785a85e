// The bench's own HTTP: what it writes is what it can read, and no prefix of a message is taken for
// the whole.
#include "bench/wire.hpp"

#include "bench/report.hpp"
#include "bench/shape.hpp"
#include "support/catch.hpp"

using namespace eventhub;
using namespace eventhub::bench;

namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 202 Accepted\r\ncontent-length: 84\r\nContent-Type: application/json\r\n\r\n"
    R"({"event_id":"01890a5d-ac96-774b-bcce-b302099a8057","message":"x","latency_ms":8})"
    "    ";

constexpr std::string_view kWebhook =
    "POST /s/17 HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Length: 4\r\n"
    "X-Message-Id: 01890a5d-ac96-774b-bcce-b302099a8057\r\n"
    "x-event-id: 01890a5d-ac96-774b-bcce-b302099a8058\r\n"
    "X-Event-Seq: 9007199254740993\r\nX-Delivery-Attempt: 3\r\n\r\n{\"\"}";

}  // namespace

TEST_CASE("an answer is read when it is complete, and not before") {
  for (std::size_t n = 0; n < kAnswer.size(); ++n) CHECK_FALSE(read_answer(kAnswer.substr(0, n)));
  const auto answer = read_answer(kAnswer);
  REQUIRE(answer);
  CHECK(answer->status == 202);
  CHECK(answer->size == kAnswer.size());
  CHECK_FALSE(answer->close);
  REQUIRE(answer->event_id);
  CHECK(to_string(*answer->event_id) == "01890a5d-ac96-774b-bcce-b302099a8057");
  CHECK(read_answer("HTTP/1.1 503 X\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")->close);
  CHECK_THROWS_AS(read_answer("SSH-2.0\r\n\r\n"), BadHttp);
}

TEST_CASE("a webhook is read when it is complete, and not before") {
  for (std::size_t n = 0; n < kWebhook.size(); ++n) {
    CHECK_FALSE(read_webhook(kWebhook.substr(0, n)));
  }
  const std::string two = std::string(kWebhook) + "POST /s/18";
  const auto webhook = read_webhook(two);
  REQUIRE(webhook);
  CHECK(webhook->size == kWebhook.size());
  CHECK(webhook->subscriber == 17);
  CHECK(webhook->seq == 9'007'199'254'740'993);
  CHECK(webhook->attempt == 3);
  CHECK(to_string(webhook->message_id) == "01890a5d-ac96-774b-bcce-b302099a8057");
  CHECK(to_string(webhook->event_id) == "01890a5d-ac96-774b-bcce-b302099a8058");
  CHECK(webhook->body == "{\"\"}");
  CHECK_THROWS_AS(read_webhook("GET /s/1 HTTP/1.1\r\n\r\n"), BadHttp);
  CHECK_THROWS_AS(read_webhook("POST /s/1 HTTP/1.1\r\nX-Event-Seq: 1x\r\n\r\n"), BadHttp);
  CHECK_THROWS_AS(read_webhook("POST /s/1 HTTP/1.1\r\nHost: a\r\n\r\n"), BadHttp);
}

TEST_CASE("a post carries the payload, the key and the idempotency key") {
  Post post;
  post.number = 42;
  post.key = 7;
  post.counter = 3;
  std::string request;
  PostWriter(3000, 300, "run").write(request, post);
  CHECK(request.find("X-Idempotency-Key: run-42\r\n") != std::string::npos);
  CHECK(request.find(R"("organization_id":"org-7")") != std::string::npos);
  const auto body = request.substr(request.find("\r\n\r\n") + 4);
  CHECK(request.find("Content-Length: " + std::to_string(body.size()) + "\r\n") !=
        std::string::npos);
  const auto at = body.find("\"payload\":") + 10;
  const Payload payload = read_payload(body.substr(at, body.size() - at - 1), 300);
  CHECK(payload.intact);
  CHECK(payload.number == 42);

  post.key = kNoKey;
  PostWriter(3000, 300, "").write(request, post);
  CHECK(request.find("Idempotency") == std::string::npos);
  CHECK(request.find("organization_id") == std::string::npos);
}

TEST_CASE("a post is read when it is complete, and not before") {
  std::string request;
  PostWriter(3000, 300, "run").write(request, Post{});
  for (std::size_t n = 0; n < request.size(); ++n) CHECK_FALSE(read_post(request.substr(0, n)));
  const std::string two = request + "POST /events";
  const auto post = read_post(two);
  REQUIRE(post);
  CHECK(post->size == request.size());
  CHECK(request.ends_with(post->body));
  CHECK(post->body.starts_with("{\"event_type\":"));
  CHECK_THROWS_AS(read_post(kWebhook), BadHttp);
  CHECK_THROWS_AS(read_post("POST /events HTTP/1.1\r\nHost: a\r\n\r\n"), BadHttp);
}

TEST_CASE("latencies count from the intended time, without the warm-up and what was not accepted") {
  Logs logs;
  for (std::uint64_t n = 0; n < 100; ++n) {
    Post post;
    post.number = n;
    post.intended = static_cast<std::int64_t>(n) * 10'000'000;
    post.sent = post.intended + 1'000'000;
    post.answered = post.intended + static_cast<std::int64_t>(n + 1) * 1'000'000;
    post.status = n == 99 ? 503 : 202;
    post.part = n >= 10;
    logs.posts.push_back(post);
    Receipt receipt;
    receipt.number = n;
    receipt.received = post.intended + 200'000'000;
    receipt.status = 200;
    logs.receipts.push_back(receipt);
  }
  Measured measured;
  measured.hub_cpu = 89 * 60'000;
  const Report report = make_report(logs, shape_with_fanout(1), Verdict{}, measured, 1);
  CHECK(report.events == 89);
  CHECK(report.deliveries == 89);
  CHECK(report.accept.p50 == Approx(55));
  CHECK(report.accept.max == Approx(99));
  CHECK(report.end_to_end.p50 == Approx(200));
  CHECK(report.late.p99 == Approx(1));
  CHECK(report.hub_us == Approx(60));
}
