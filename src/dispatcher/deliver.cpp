// Sending: what Lanes lets go becomes a webhook call, its result a verdict, the verdict a record.
// Lanes and the writer (own.cpp) go on from there.
#include <random>

#include "eventhub/core/fault.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/core/time_text.hpp"
#include "worker.hpp"

namespace eventhub::dispatcher {
namespace {

double random_share() {
  static std::mt19937_64 engine{std::random_device{}()};
  return std::uniform_real_distribution<>(0, 1)(engine);
}

// Nothing for what never went to the network: it says nothing about the receiver.
std::string_view status_label(const AttemptResult& result) {
  using Kind = AttemptResult::Kind;
  if (result.kind == Kind::refused || result.kind == Kind::expired) return {};
  if (result.kind != Kind::answered) return "network_error";
  return result.status >= 200 && result.status < 300 ? "success" : "http_error";
}

// What a person sends again goes out whatever the time is.
bool is_over(const Start& start, const Event& event, Time now) {
  return event.expires_at && *event.expires_at <= now && !start.redelivery;
}

// A message that waits for a retry ends when it expires, not when the retry is due. Woken by a
// clock that is set back a little in the meantime it would be sent once more.
Millis wait_within(Millis wait, const Event& event, const ServerClock& clock) {
  if (!event.expires_at) return wait;
  const auto left = std::chrono::ceil<Millis>(*event.expires_at - clock.now() + clock.doubt());
  return std::clamp(wait, Millis{0}, std::max(left, Millis{0}));
}

}  // namespace

// What may go now, if anything.
std::optional<Start> Worker::next_start() {
  const int most = context_.config.dispatcher.in_flight_max;
  if (in_flight_ >= most || stuck_ || !ownership_.may_send()) return std::nullopt;
  std::optional<Start> start = lanes_.next();
  if (start) ++in_flight_;
  if (!start && lanes_.next_due() < pump_due_) ready_.set();
  return start;
}

// Starts everything that may go now. Cheap when nothing may.
void Worker::pump() {
  while (std::optional<Start> start = next_start()) {
    spawn(context_.executor, "deliver", deliver_on(std::move(*start)));
  }
  wake_writer();
}

void Worker::wake_writer() {
  if (lanes_.write_due() < asleep_until_) work_.set();
}

// One delivery after the other, as long as there is one: a new coroutine for each costs more.
Task<void> Worker::deliver_on(Start first) {
  std::optional<Start> start = std::move(first);
  while (start) {
    co_await deliver(std::move(*start));
    --in_flight_;
    wake_writer();
    start = next_start();
  }
}

// Wakes for retries and the like that become due by themselves.
Task<void> Worker::pump_loop() {
  ++loops_;
  while (!stopped_) {
    const Mono due = lanes_.next_due();
    const Mono now = context_.clock.mono();
    const Millis wait = std::clamp(std::chrono::ceil<Millis>(due - now), Millis{1}, Millis{1'000});
    pump_due_ = now + wait;
    co_await ready_.wait(wait);
    pump_due_ = {};
    pump();
  }
  --loops_;
}

Worker::Sent Worker::impossible(std::string reason, std::string error) {
  Sent sent;
  sent.result.kind = AttemptResult::Kind::refused;
  sent.result.error = std::move(error);
  sent.result.sent = false;
  sent.reason = std::move(reason);
  return sent;
}

Worker::Sent Worker::expired(Time expires_at) {
  Sent sent;
  sent.result.kind = AttemptResult::Kind::expired;
  sent.result.error = "It was not delivered by " + format_time(expires_at);
  sent.result.sent = false;
  return sent;
}

Task<Worker::Sent> Worker::send(Start start, EventPtr event, Time sent_at) {
  const std::shared_ptr<http::Endpoint> endpoint = endpoints_.of(start.subscriber);
  if (!endpoint->error.empty()) co_return impossible("bad_endpoint", endpoint->error);
  std::string made;
  const std::string_view body = http::body_of(*start.subscriber, start.ref, *event, made);
  http::Client::Post post;
  post.url = &endpoint->url;
  post.headers =
      http::request_headers(*endpoint, {start.ref, start.attempt}, *event, body, sent_at);
  post.body = body;
  post.timeout = start.subscriber->timeout.value_or(context_.config.webhook.timeout);
  const bool may_resend = start.subscriber->guarantee == Guarantee::at_least_once;
  Sent sent;
  sent.result = co_await client_.post(std::move(post), may_resend);
  co_return sent;
}

Verdict Worker::settle(const Start& start, const Sent& sent, Time sent_at, const EventPtr& event) {
  const AttemptResult& result = sent.result;
  const Verdict verdict = decide(result, start.attempt, *start.subscriber,
                                 context_.config.webhook.retry_after_max, random_share());
  Ended ended;
  ended.outcome = verdict.outcome;
  ended.wait = verdict.wait;
  if (event && !start.redelivery) {
    ended.wait = wait_within(verdict.wait, *event, ownership_.clock());
  }
  ended.http_status = static_cast<std::int16_t>(result.status);
  ended.duration = result.duration;
  ended.attempted_at = sent_at;
  ended.error = verdict.detail.empty() || !sent.reason.empty() ? result.error : verdict.detail;
  ended.response = result.response;
  ended.reason = sent.reason.empty() ? verdict.reason : sent.reason;
  const double seconds = static_cast<double>(result.duration.count()) / 1000;
  context_.metrics.attempt(to_string(start.subscriber->id), verdict.outcome, status_label(result),
                           seconds);
  ended.sign = sign_of(result);
  lanes_.ended(start, std::move(ended));
  if (lanes_.health_urgent()) health_due_.set();
  return verdict;
}

Task<void> Worker::deliver(Start start) {
  EventPtr event = payloads_.cached(start.ref.event_seq);
  bool readable = true;
  if (!event) {
    try {
      event = co_await payloads_.get(start.ref.event_seq);
    } catch (const std::exception&) {
      readable = false;
    }
  }
  // Looked at again right before the request: reading the payload may have taken long.
  const bool may = ownership_.may_send() && lanes_.current(start);
  if (!readable || (event && !may)) {
    lanes_.not_sent(start);
    co_await sleep_for(Millis{50});
    co_return;
  }
  EVENTHUB_FAULT_POINT("disp.after_check_before_send");
  const Time sent_at = ownership_.clock().now();
  Sent sent;
  if (event && event->expunged) {
    sent = impossible("expunged", "the payload was taken away");
  } else if (event && is_over(start, *event, sent_at)) {
    sent = expired(*event->expires_at);
  } else if (event) {
    sent = co_await send(start, event, sent_at);
  } else {
    sent = impossible("retention", "the event is past its retention");
  }
  const AttemptResult& result = sent.result;
  // Others took all connections of the receiver's host: no fault of this message, no attempt of it.
  if (result.kind == AttemptResult::Kind::not_started) {
    lanes_.not_sent(start);
    co_return;
  }
  EVENTHUB_FAULT_POINT("disp.after_response_before_record");
  if (settle(start, sent, sent_at, event).pause_subscriber) {
    spawn(context_.executor, "pause",
          context_.subscribers.pause(start.ref.sid, "the receiver answered 410 Gone"));
  }
  if (event && result.status / 100 == 2 && result.kind == AttemptResult::Kind::answered) {
    const auto age = ownership_.clock().now() - event->created_at;
    context_.metrics.delivered_end_to_end(static_cast<double>(age.count()) / 1e6);
  }
}

}  // namespace eventhub::dispatcher
