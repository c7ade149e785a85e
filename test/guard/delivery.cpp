#include "eventhub/core/lanes.hpp"
#include "eventhub/core/metrics.hpp"
#include "eventhub/core/retry.hpp"
#include "eventhub/http/webhook.hpp"
#include "guard/path.hpp"
#include "http/client_answer.hpp"
#include "store/lane_batch.hpp"

namespace eventhub::guard {
namespace {

constexpr std::size_t kRound = 128;
constexpr std::size_t kKeys = 32;  // of the ordered subscriber: some messages wait for a commit
constexpr std::size_t kRowsMax = 512;
constexpr std::string_view kAnswer =
    "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: receiver\r\n"
    "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

SubscriberPtr subscriber(std::int32_t sid, OrderingKey ordering) {
  Subscriber row;
  row.sid = sid;
  row.id = uuid_random();
  row.webhook_url = "http://receiver.example.com:8080/hooks/orders";
  row.ordering = ordering;
  row.max_in_flight = 1'000;
  row.headers = {{"Authorization", "Bearer 0123456789abcdef0123456789abcdef"}};
  row.secrets = {"whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="};
  return std::make_shared<const Subscriber>(std::move(row));
}

SubscriberSetPtr subscribers() {
  auto set = std::make_shared<SubscriberSet>();
  set->version = 1;
  set->by_sid[1] = subscriber(1, OrderingKey::none);
  set->by_sid[2] = subscriber(2, OrderingKey::organization_id);
  return set;
}

class Delivery final : public Path {
 public:
  Delivery() : lanes_(LanesConfig{}, clock_) {
    lanes_.set_subscribers(subscribers());
    for (std::int16_t shard = 0; shard < kShards; ++shard) {
      shards_.push_back(shard);
      lanes_.acquire({.shard = shard, .parked = {}, .blocking = {}});
    }
    event_.id = uuid_v7(clock_.now());
    event_.created_at = clock_.now();
    event_.event_type = "order.created";
    event_.version = "v1";
    event_.traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    event_.payload = payload();
  }
  std::size_t round() const override { return kRound; }

  // Each event for both subscribers.
  void prepare() override {
    fed_.clear();
    delivered_ = 0;
    for (std::size_t i = 0; i < kRound / 2; ++i) {
      const std::int64_t seq = ++last_seq_;
      const std::uint64_t key = stable_hash(static_cast<std::uint64_t>(i % kKeys));
      const std::uint64_t of_seq = stable_hash(static_cast<std::uint64_t>(seq));
      FedMessage plain, keyed;
      plain.message = {{seq, 1}, shard_of(1, of_seq, kSpreadMax), std::nullopt};
      keyed.message = {{seq, 2}, shard_of(2, key, kSpreadMax), static_cast<std::int64_t>(key)};
      fed_.push_back(plain);
      fed_.push_back(keyed);
    }
    clock_.advance(Millis{100});
  }

  // The steps of the dispatcher's loops, the writer's always after all that may go.
  void run() override {
    lanes_.tick();
    lanes_.feed(fed_, shards_, last_seq_);
    do {
      while (const auto start = lanes_.next()) deliver(*start);
      write();
    } while (lanes_.has_ops() || delivered_ < kRound);
    require(delivered_ == kRound && lanes_.idle(), "a message was not delivered once");
  }

 private:
  void deliver(const Start& start) {
    const auto endpoint = endpoints_.of(start.subscriber);
    require(endpoint->error.empty(), "the subscriber cannot be called");
    event_.event_seq = start.ref.event_seq;
    const std::string headers = http::request_headers(*endpoint, {start.ref, start.attempt}, event_,
                                                      event_.payload, clock_.now());
    http::Answer answer;
    require(answer.feed(kAnswer) == kAnswer.size() && answer.keep_alive(), "no whole answer");
    AttemptResult result;
    result.kind = AttemptResult::Kind::answered;
    result.status = answer.parser().status();
    result.response = http::printable(answer.parser().body(), http::kBodyKept);
    result.duration = Millis{static_cast<std::int64_t>(headers.size() % 10)};
    settle(start, std::move(result));
    ++delivered_;
  }

  void settle(const Start& start, AttemptResult result) {
    const Verdict verdict = decide(result, start.attempt, *start.subscriber, Seconds{3'600}, 0.5);
    require(verdict.outcome == Outcome::delivered, "200 is not a delivery");
    Ended ended;
    ended.outcome = verdict.outcome;
    ended.http_status = static_cast<std::int16_t>(result.status);
    ended.duration = result.duration;
    ended.attempted_at = clock_.now();
    ended.error = result.error;
    ended.response = result.response;
    ended.reason = verdict.reason;
    metrics_.attempt(to_string(start.subscriber->id), verdict.outcome, "success", 0.004);
    lanes_.ended(start, std::move(ended));
    metrics_.delivered_end_to_end(0.02);
  }

  void write() {
    const std::vector<LaneOp> ops = lanes_.take_ops(kRowsMax);
    require(!ops.empty(), "messages wait for nothing");
    store::LaneBatch batch(ops, shards_, {});
    const auto calls = batch.take_calls();
    require(!calls.empty(), "operations without a statement");
    metrics_.batch("results", ops.size());
    const std::vector<LaneAnswer> answers(ops.size());
    for (std::size_t i = 0; i < ops.size(); ++i) lanes_.committed(ops[i], answers[i]);
  }

  ManualClock clock_;
  Lanes lanes_;
  Metrics metrics_{100};
  http::Endpoints endpoints_;
  std::vector<std::int16_t> shards_;
  Event event_;
  std::vector<FedMessage> fed_;
  std::int64_t last_seq_ = 0;
  std::size_t delivered_ = 0;
};

}  // namespace

std::unique_ptr<Path> make_delivery() {
  return std::make_unique<Delivery>();
}

}  // namespace eventhub::guard
