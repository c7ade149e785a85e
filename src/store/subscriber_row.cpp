// One row of `subscribers` as a Subscriber; called by subscribers.cpp for each.
#include "store/subscriber_row.hpp"

#include <stdexcept>

#include "eventhub/core/log.hpp"
#include "eventhub/core/subscriber_headers.hpp"

namespace eventhub::store {
namespace {

enum Column {
  kSid = 1,
  kId,
  kName,
  kPatterns,
  kUrl,
  kGuarantee,
  kOrderingEnabled,
  kOrderingKey,
  kRetryLimit,
  kBackoff,
  kJitter,
  kActive,
  kPaused,
  kOnDead,
  kMaxInFlight,
  kTimeout,
  kBody,
  kHeadersOk,
  kHeaderNames,
  kHeaderTexts,
  kHeaderOthers,
  kSecret,
  kPreviousSecret,
  kSpread,
};

[[noreturn]] void unusable(std::string_view column, std::string_view value) {
  throw std::runtime_error(fmt::format("{} is '{}'", column, value));
}

Guarantee guarantee(std::string_view text) {
  if (text == "at_least_once") return Guarantee::at_least_once;
  if (text == "at_most_once") return Guarantee::at_most_once;
  unusable("delivery_guarantee", text);
}

OrderingKey ordering(std::string_view text) {
  if (text == "organization_id") return OrderingKey::organization_id;
  if (text == "user_id") return OrderingKey::user_id;
  unusable("ordering_key", text);
}

OnDead on_dead(std::string_view text) {
  if (text == "continue") return OnDead::go_on;
  if (text == "block") return OnDead::block;
  unusable("on_dead", text);
}

BodyFormat body(std::string_view text) {
  if (text == "payload") return BodyFormat::payload;
  if (text == "envelope") return BodyFormat::envelope;
  if (text == "cloudevents_binary") return BodyFormat::cloudevents_binary;
  if (text == "cloudevents_structured") return BodyFormat::cloudevents_structured;
  unusable("body", text);
}

void read_headers(const pg::Result& result, int row, Subscriber& subscriber) {
  if (result.is_null(row, kHeadersOk) || !result.boolean(row, kHeadersOk)) {
    throw std::runtime_error("headers is not a JSON object");
  }
  const std::vector<std::string> names = result.texts(row, kHeaderNames);
  const std::vector<std::string> values = result.texts(row, kHeaderTexts);
  std::int64_t dropped = result.i64(row, kHeaderOthers);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!header_fault(names[i], values.at(i)).empty()) {
      ++dropped;
      continue;
    }
    subscriber.headers.emplace_back(names[i], values.at(i));
  }
  if (dropped > 0) {
    log::warn(
        "headers of a subscriber are left out: reserved or invalid names, or values that are not"
        " one line of text",
        {{"sid", subscriber.sid}, {"headers", dropped}});
  }
}

void read_retry(const pg::Result& result, int row, RetryPolicy& retry) {
  retry.limit = result.i32(row, kRetryLimit);
  retry.backoff_seconds = result.f64s(row, kBackoff);
  retry.jitter = result.f64(row, kJitter);
  if (retry.limit < 0 || retry.backoff_seconds.empty()) {
    throw std::runtime_error("retry_limit or retry_backoff_seconds cannot be used");
  }
}

void read_limits(const pg::Result& result, int row, Subscriber& subscriber) {
  subscriber.max_in_flight = result.i32(row, kMaxInFlight);
  if (subscriber.max_in_flight < 1) {
    unusable("max_in_flight", std::to_string(subscriber.max_in_flight));
  }
  subscriber.spread = result.i16(row, kSpread);
  if (subscriber.spread < 1 || subscriber.spread > kSpreadMax) {
    unusable("spread", std::to_string(subscriber.spread));
  }
  if (!result.is_null(row, kTimeout)) {
    subscriber.timeout = Millis{result.i32(row, kTimeout)};
    if (*subscriber.timeout <= Millis{0}) unusable("timeout_ms", "not positive");
  }
}

void read_fields(const pg::Result& result, int row, Subscriber& subscriber) {
  subscriber.name = result.text(row, kName);
  subscriber.patterns = result.texts(row, kPatterns);
  subscriber.webhook_url = result.text(row, kUrl);
  subscriber.guarantee = guarantee(result.text(row, kGuarantee));
  if (result.boolean(row, kOrderingEnabled)) {
    subscriber.ordering = ordering(result.text(row, kOrderingKey));
  }
  read_retry(result, row, subscriber.retry);
  subscriber.active = result.boolean(row, kActive);
  subscriber.paused = result.boolean(row, kPaused);
  subscriber.on_dead = on_dead(result.text(row, kOnDead));
  read_limits(result, row, subscriber);
  subscriber.body = body(result.text(row, kBody));
  read_headers(result, row, subscriber);
  if (!result.is_null(row, kSecret)) subscriber.secrets.emplace_back(result.text(row, kSecret));
  if (!result.is_null(row, kPreviousSecret)) {
    subscriber.secrets.emplace_back(result.text(row, kPreviousSecret));
  }
}

}  // namespace

SubscriberPtr read_subscriber(const pg::Result& result, int row) {
  Subscriber subscriber;
  subscriber.sid = result.i32(row, kSid);
  subscriber.id = result.uuid(row, kId);
  try {
    read_fields(result, row, subscriber);
  } catch (const std::exception& error) {
    log::error("a subscriber cannot be used and counts as inactive; correct its row",
               {{"sid", subscriber.sid},
                {"id", to_string(subscriber.id)},
                {"name", subscriber.name},
                {"error", error.what()}});
    subscriber.active = false;
  }
  return std::make_shared<const Subscriber>(std::move(subscriber));
}

}  // namespace eventhub::store
