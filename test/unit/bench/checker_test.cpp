// The checker finds every kind of fault in made-up logs, and nothing in a good one.
#include "bench/checker.hpp"

#include <filesystem>

#include "bench/breaks.hpp"
#include "support/catch.hpp"

using namespace eventhub;
using namespace eventhub::bench;

namespace {

Uuid id_of(std::uint64_t high, std::uint64_t low) {
  Uuid id;
  id.bytes[0] = static_cast<std::uint8_t>(high);
  for (std::size_t i = 0; i < 8; ++i) {
    id.bytes[15 - i] = static_cast<std::uint8_t>(low >> (8 * i));
  }
  return id;
}

constexpr std::int64_t kMilli = 1'000'000;

// A run without faults: one event per 10 ms over `keys` keys, accepted after 2 ms, received 3 ms
// later by each of its subscribers, which take 4 ms.
Logs good_logs(const Shape& shape, std::uint64_t events, std::uint32_t keys) {
  Logs logs;
  for (std::uint64_t n = 0; n < events; ++n) {
    Post post;
    post.number = n;
    post.kind = shape.kind_of(n);
    post.key = static_cast<std::uint32_t>(n % keys);
    post.counter = static_cast<std::uint32_t>(n / keys);
    post.intended = post.sent = static_cast<std::int64_t>(n) * 10 * kMilli + kMilli;
    post.answered = post.sent + 2 * kMilli;
    post.status = 202;
    post.event_id = id_of(1, n);
    logs.posts.push_back(post);
    for (std::uint32_t s = 0; s < shape.subscribers(); ++s) {
      if (!shape.goes_to(post.kind, s)) continue;
      Receipt receipt;
      receipt.received = post.answered + 3 * kMilli;
      receipt.answered = receipt.received + 4 * kMilli;
      receipt.number = n;
      receipt.seq = n + 1;
      receipt.message_id = id_of(2, n * 100 + s);
      receipt.event_id = post.event_id;
      receipt.key = post.key;
      receipt.counter = post.counter;
      receipt.subscriber = s;
      receipt.attempt = 1;
      receipt.status = 200;
      receipt.intact = 1;
      logs.receipts.push_back(receipt);
    }
  }
  return logs;
}

Shape ordered_shape() {
  Shape shape = shape_with_fanout(2.5);
  shape.order = Order::all;
  return shape;
}

Receipt& receipt_of(Logs& logs, std::uint64_t number, std::uint32_t subscriber) {
  for (Receipt& receipt : logs.receipts) {
    if (receipt.number == number && receipt.subscriber == subscriber) return receipt;
  }
  throw std::runtime_error("no such receipt");
}

}  // namespace

TEST_CASE("a run without faults is clean, and all of it is counted") {
  const Shape shape = ordered_shape();
  const Verdict verdict = check(shape, good_logs(shape, 100, 7));
  CHECK(verdict.clean());
  CHECK(verdict.tested());
  CHECK(verdict.accepted == 100);
  CHECK(verdict.expected == 250);
  CHECK(verdict.deliveries == 250);
}

TEST_CASE("every break of a log is found, as what it is") {
  const Shape shape = ordered_shape();
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    Logs logs = good_logs(shape, 100, 7);
    break_logs(fault, shape, logs);
    const Verdict verdict = check(shape, logs);
    INFO(to_string(fault));
    CHECK_FALSE(verdict.clean());
    CHECK(verdict.count(fault) >= 1);
    CHECK_FALSE(verdict.examples.empty());
    CHECK(fault_named(to_string(fault)) == fault);
  }
}

TEST_CASE("one lost delivery of many subscribers is named") {
  const Shape shape = shape_with_fanout(10);
  Logs logs = good_logs(shape, 20, 3);
  std::erase_if(logs.receipts, [](const Receipt& r) { return r.number == 7 && r.subscriber == 4; });
  const Verdict verdict = check(shape, logs);
  CHECK(verdict.count(Fault::lost) == 1);
  REQUIRE(verdict.examples.size() == 1);
  CHECK(verdict.examples[0].find("event 7 at subscriber 4") != std::string::npos);
}

TEST_CASE("an answer other than 2xx is not a delivery; a later 2xx makes up for it") {
  const Shape shape = ordered_shape();
  Logs logs = good_logs(shape, 20, 20);
  receipt_of(logs, 4, 0).status = 503;
  CHECK(check(shape, logs).count(Fault::lost) == 1);
  Receipt second = receipt_of(logs, 4, 0);
  second.status = 200;
  second.attempt = 2;
  second.received += 20 * kMilli;
  second.answered += 20 * kMilli;
  logs.receipts.push_back(second);
  CHECK(check(shape, logs).clean());

  SECTION("but at most once it is an attempt too many") {
    Shape once = shape;
    once.at_most_once = true;
    CHECK(check(once, logs).count(Fault::duplicate) == 1);
  }
}

TEST_CASE("X-Message-Id and X-Event-Seq stay the same on every attempt") {
  const Shape shape = ordered_shape();
  Logs logs = good_logs(shape, 20, 20);
  receipt_of(logs, 4, 0).status = 503;
  Receipt second = receipt_of(logs, 4, 0);
  second.status = 200;
  second.received += 20 * kMilli;
  second.answered += 20 * kMilli;
  SECTION("the message id") {
    second.message_id = id_of(3, 3);
  }
  SECTION("the sequence number") {
    second.seq = 1'000;
  }
  logs.receipts.push_back(second);
  CHECK(check(shape, logs).count(Fault::altered) == 1);
}

TEST_CASE("order is asked only of ordered subscribers, and only per key") {
  Shape shape = shape_with_fanout(1);
  Logs logs = good_logs(shape, 20, 2);
  std::swap(receipt_of(logs, 4, 0).received, receipt_of(logs, 6, 0).received);
  std::swap(receipt_of(logs, 4, 0).answered, receipt_of(logs, 6, 0).answered);
  shape.order = Order::none;
  CHECK(check(shape, logs).clean());
  shape.order = Order::half;  // subscriber 0 asks for it
  CHECK(check(shape, logs).count(Fault::order) == 1);

  Logs other_keys = good_logs(shape, 20, 2);
  receipt_of(other_keys, 4, 0).received += 12 * kMilli;  // after event 5, of the other key
  receipt_of(other_keys, 4, 0).answered += 12 * kMilli;
  CHECK(check(shape, other_keys).clean());
}

TEST_CASE("events that were under way at one time have no order") {
  Shape shape = shape_with_fanout(1);
  shape.order = Order::all;
  Logs logs = good_logs(shape, 20, 1);
  std::swap(receipt_of(logs, 4, 0).received, receipt_of(logs, 5, 0).received);
  std::swap(receipt_of(logs, 4, 0).answered, receipt_of(logs, 5, 0).answered);
  std::swap(receipt_of(logs, 4, 0).seq, receipt_of(logs, 5, 0).seq);
  CHECK(check(shape, logs).count(Fault::order) > 0);
  logs.posts[4].answered = logs.posts[5].sent;  // its 202 came too late to be first
  CHECK(check(shape, logs).clean());
}

TEST_CASE("an X-Event-Seq below that of an older event of the key is a fault for all subscribers") {
  const Shape shape = shape_with_fanout(1);
  Logs logs = good_logs(shape, 20, 2);
  std::swap(receipt_of(logs, 4, 0).seq, receipt_of(logs, 6, 0).seq);
  CHECK(check(shape, logs).count(Fault::order) == 1);
}

TEST_CASE("what was never accepted must not be delivered") {
  const Shape shape = ordered_shape();
  SECTION("refused") {
    Logs logs = good_logs(shape, 20, 3);
    logs.posts[6].status = 400;
    CHECK(check(shape, logs).count(Fault::unknown) == 2);
  }
  SECTION("without an answer nobody knows: both are right") {
    Logs logs = good_logs(shape, 20, 3);
    logs.posts[6].status = 0;
    logs.posts[6].answered = 0;
    CHECK(check(shape, logs).clean());
    std::erase_if(logs.receipts, [](const Receipt& r) { return r.number == 6; });
    CHECK(check(shape, logs).clean());
  }
  SECTION("to a subscriber of another event type") {
    Logs logs = good_logs(shape, 20, 3);
    Receipt stray = receipt_of(logs, 6, 0);
    stray.subscriber = 3;
    logs.receipts.push_back(stray);
    CHECK(check(shape, logs).count(Fault::unknown) == 1);
  }
  SECTION("under another id than the 202 said") {
    Logs logs = good_logs(shape, 20, 3);
    receipt_of(logs, 6, 0).event_id = id_of(9, 9);
    CHECK(check(shape, logs).count(Fault::unknown) == 1);
  }
}

TEST_CASE("a run in which nothing was accepted tested nothing") {
  const Shape shape = ordered_shape();
  Logs logs = good_logs(shape, 20, 3);
  for (Post& post : logs.posts) post.status = 503;
  CHECK_FALSE(check(shape, logs).tested());
  CHECK_FALSE(check(shape, Logs{}).tested());
}

TEST_CASE("an idle run is right when nothing was posted, and only then") {
  Shape shape = shape_with_fanout(2);
  shape.idle = true;
  CHECK(check(shape, {}).tested());
  CHECK_FALSE(check(shape, good_logs(shape, 5, 5)).tested());
}

TEST_CASE("what disturbs is checked for being what was posted, not for being all of it") {
  Shape shape = shape_with_fanout(2);
  Logs logs = good_logs(shape, 20, 20);
  Receipt stray = receipt_of(logs, 3, 0);
  stray.subscriber = 2;
  stray.message_id = id_of(2, 999);
  logs.receipts.push_back(stray);
  CHECK(check(shape, logs).count(Fault::unknown) == 1);
  shape.bystanders = {2, 1};
  CHECK(check(shape, logs).clean());
  CHECK(check(shape, logs).expected == 40);
  SECTION("nor does it stand in for a delivery that is lost") {
    std::erase_if(logs.receipts,
                  [](const Receipt& r) { return r.number == 3 && r.subscriber == 1; });
    CHECK(check(shape, logs).count(Fault::lost) == 1);
  }
  SECTION("its bytes are") {
    logs.receipts.back().intact = 0;
    CHECK(check(shape, logs).count(Fault::altered) == 1);
  }
  SECTION("and a made-up event is one") {
    logs.receipts.back().number = 999;
    CHECK(check(shape, logs).count(Fault::unknown) == 1);
  }
}

TEST_CASE("an optional event need not come; what comes of it must be right") {
  const Shape shape = ordered_shape();
  Logs logs = good_logs(shape, 20, 20);
  logs.posts[4].optional = 1;
  std::erase_if(logs.receipts, [](const Receipt& r) { return r.number == 4 && r.subscriber == 0; });
  CHECK(check(shape, logs).clean());
  CHECK(check(shape, logs).expected == 48);
  SECTION("it does not stand in for one that must come") {
    std::erase_if(logs.receipts,
                  [](const Receipt& r) { return r.number == 6 && r.subscriber == 0; });
    CHECK(check(shape, logs).count(Fault::lost) == 1);
  }
  SECTION("twice is once too often") {
    Receipt again = receipt_of(logs, 4, 1);
    again.received = again.answered = again.answered + kMilli;
    logs.receipts.push_back(again);
    CHECK(check(shape, logs).count(Fault::duplicate) == 1);
  }
}

TEST_CASE("a break that the log has no place for is an error, not a pass") {
  const Shape unordered = shape_with_fanout(2.5);
  Logs logs = good_logs(unordered, 20, 3);
  CHECK_THROWS(break_logs(Fault::order, unordered, logs));
  Logs empty;
  CHECK_THROWS(break_logs(Fault::lost, unordered, empty));
}

TEST_CASE("logs and shape are read back as they were written") {
  const auto directory = std::filesystem::temp_directory_path() / "eventhub-bench-test";
  std::filesystem::remove_all(directory);
  std::filesystem::create_directories(directory);
  Shape shape = ordered_shape();
  shape.at_most_once = true;
  shape.payload_bytes = 123;
  shape.idle = true;
  shape.bystanders = {5, 2};
  const Logs logs = good_logs(shape, 1500, 7);
  {
    LogWriter<Post> posts(posts_file(directory));
    LogWriter<Receipt> receipts(receipts_file(directory));
    for (const Post& post : logs.posts) posts.add(post);
    for (const Receipt& receipt : logs.receipts) receipts.add(receipt);
  }
  save(shape, shape_file(directory));
  const Shape loaded = load_shape(shape_file(directory));
  CHECK(loaded.order == Order::all);
  CHECK(loaded.idle);
  CHECK(loaded.bystander(6));
  CHECK_FALSE(loaded.bystander(7));
  CHECK(loaded.at_most_once);
  CHECK(loaded.payload_bytes == 123);
  CHECK(loaded.subscribers() == 5);
  const Logs read = read_logs(directory);
  CHECK(read.posts.size() == 1500);
  CHECK(read.receipts.size() == 3750);
  CHECK(check(loaded, read).clean());
  std::filesystem::resize_file(posts_file(directory), 100);
  CHECK_THROWS(read_logs(directory));
  std::filesystem::remove_all(directory);
}

TEST_CASE("a payload carries its numbers and shows every change") {
  for (const std::uint32_t bytes : {10U, 300U, 70'000U}) {
    std::string body;
    append_payload(body, 12345, 67, 8, bytes);
    if (bytes >= 300) CHECK(body.size() == bytes);
    const Payload payload = read_payload(body, bytes);
    CHECK(payload.number == 12345);
    CHECK(payload.key == 67);
    CHECK(payload.counter == 8);
    CHECK(payload.intact);
    CHECK_FALSE(read_payload(body + " ", bytes).intact);
    CHECK_FALSE(read_payload(body.substr(0, body.size() - 1), bytes).intact);
    if (bytes >= 300) {
      body[body.size() / 2] = 'y';
      CHECK_FALSE(read_payload(body, bytes).intact);
    }
  }
  CHECK_FALSE(read_payload("", 300).intact);
  CHECK_FALSE(read_payload("{\"n\":}", 300).intact);
}

TEST_CASE("the fan-out of a shape is what was asked for") {
  const Shape half = shape_with_fanout(2.5);
  CHECK(half.subscribers() == 5);
  CHECK(half.kinds.size() == 2);
  CHECK(half.goes_to(0, 1));
  CHECK_FALSE(half.goes_to(0, 2));
  CHECK(half.goes_to(1, 2));
  CHECK(shape_with_fanout(1000).subscribers() == 1000);
  CHECK_THROWS(shape_with_fanout(0));
  CHECK_THROWS(shape_with_fanout(2.25));
}
