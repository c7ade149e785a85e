// One row of `subscribers` as a Subscriber; called by subscribers.cpp for each.
#include "store/subscriber_row.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <stdexcept>

#include "eventhub/core/log.hpp"

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
  unusable("body", text);
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) {
    return std::tolower(static_cast<unsigned char>(x)) ==
           std::tolower(static_cast<unsigned char>(y));
  });
}

// Names that the delivery itself decides: a second field of the name would be ambiguous, or forged.
bool reserved(std::string_view name) {
  constexpr std::array names{
      "host",       "content-length", "transfer-encoding", "connection",   "keep-alive",
      "te",         "trailer",        "upgrade",           "expect",       "traceparent",
      "tracestate", "user-agent",     "content-type",      "x-message-id", "x-delivery-attempt"};
  constexpr std::array<std::string_view, 2> prefixes{"webhook-", "x-event-"};
  const auto same = [&](std::string_view n) { return same_ignoring_case(n, name); };
  const auto begins = [&](std::string_view p) {
    return same_ignoring_case(name.substr(0, p.size()), p);
  };
  return std::ranges::any_of(names, same) || std::ranges::any_of(prefixes, begins);
}

// A token of RFC 9110.
bool valid_name(std::string_view name) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !name.empty() && std::ranges::all_of(name, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || marks.find(c) != marks.npos;
  });
}

bool valid_value(std::string_view value) {
  return std::ranges::none_of(value, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t') || byte == 0x7F;
  });
}

void read_headers(const pg::Result& result, int row, Subscriber& subscriber) {
  if (result.is_null(row, kHeadersOk) || !result.boolean(row, kHeadersOk)) {
    throw std::runtime_error("headers is not a JSON object");
  }
  const std::vector<std::string> names = result.texts(row, kHeaderNames);
  const std::vector<std::string> values = result.texts(row, kHeaderTexts);
  std::int64_t dropped = result.i64(row, kHeaderOthers);
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (reserved(names[i]) || !valid_name(names[i]) || !valid_value(values.at(i))) {
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
