// One row of `subscribers` as a Subscriber; called by subscribers.cpp for each.
#include "store/subscriber_row.hpp"

#include <set>
#include <stdexcept>

#include "eventhub/core/log.hpp"
#include "eventhub/core/retry.hpp"
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
  kPreviousSecretUntil,
  kSpread,
  kRateLimit,
  kCircuitFailures,
  kCircuitOpen,
  kRetryStatuses,
  kOrganization,
  kFilter,
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
  if (text.starts_with('/')) return OrderingKey::pointer;
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

std::string opened(const SecretBox& box, SecretUse use, std::string_view column,
                   std::string_view stored) {
  try {
    return box.open(use, stored);
  } catch (const SealedError& error) {
    throw SealedError(fmt::format("{}: {}", column, error.what()));
  }
}

void read_headers(const pg::Result& result, int row, const SecretBox& box, Subscriber& subscriber) {
  if (result.is_null(row, kHeadersOk) || !result.boolean(row, kHeadersOk)) {
    throw std::runtime_error("headers is not a JSON object");
  }
  const std::vector<std::string> names = result.texts(row, kHeaderNames);
  const std::vector<std::string> values = result.texts(row, kHeaderTexts);
  std::int64_t dropped = result.i64(row, kHeaderOthers);
  std::set<std::string> seen;
  for (std::size_t i = 0; i < names.size(); ++i) {
    std::string value = opened(box, SecretUse::header, "headers", values.at(i));
    const bool twice = !seen.insert(canonical_header(names[i])).second;
    if (twice || !header_fault(names[i], value).empty()) {
      ++dropped;
      continue;
    }
    subscriber.headers.emplace_back(names[i], std::move(value));
  }
  if (dropped > 0) {
    log::warn(
        "headers of a subscriber are left out: reserved or invalid names, the same name twice, or"
        " values that are not one line of text",
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
  retry.statuses.clear();
  for (const std::string& text : result.texts(row, kRetryStatuses)) {
    const std::optional<StatusRange> range = parse_statuses(text);
    if (!range) unusable("retry_statuses", text);
    retry.statuses.push_back(*range);
  }
}

void read_circuit(const pg::Result& result, int row, CircuitPolicy& circuit) {
  if (result.is_null(row, kCircuitFailures)) return;
  circuit.failures = result.i32(row, kCircuitFailures);
  circuit.open = Millis{result.i32(row, kCircuitOpen)};
  if (circuit.failures < 1 || circuit.open <= Millis{0}) {
    throw std::runtime_error("circuit_failures or circuit_open_ms cannot be used");
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
  if (!result.is_null(row, kRateLimit)) {
    subscriber.rate_limit = result.f64(row, kRateLimit);
    if (!(subscriber.rate_limit > 0)) unusable("rate_limit", "not positive");
  }
  if (!result.is_null(row, kTimeout)) {
    subscriber.timeout = Millis{result.i32(row, kTimeout)};
    if (*subscriber.timeout <= Millis{0}) unusable("timeout_ms", "not positive");
  }
}

void read_secrets(const pg::Result& result, int row, const SecretBox& box, Subscriber& subscriber) {
  const auto add = [&](int column, std::string_view name) {
    const std::string_view stored = result.text(row, column);
    subscriber.secrets.push_back(opened(box, SecretUse::signing, name, stored));
  };
  if (!result.is_null(row, kSecret)) add(kSecret, "secret");
  if (result.is_null(row, kPreviousSecret)) return;
  add(kPreviousSecret, "previous_secret");
  subscriber.last_secret_until = result.optional_timestamp(row, kPreviousSecretUntil);
}

// A filter that cannot be read: what might pass it waits, so nothing is lost and nothing is sent
// that nobody wants. The table refuses such a filter; this is for one that it never saw.
std::optional<Filter> read_filter(std::string_view text, Subscriber& subscriber) {
  auto filter = Filter::compile(text);
  if (auto* read = std::get_if<Filter>(&filter)) return std::move(*read);
  const auto& error = std::get<InputError>(filter);
  subscriber.paused = true;
  subscriber.problem =
      fmt::format("its filter cannot be read: {} at {}", error.detail, error.pointer);
  log::error("a subscriber is not called, its messages wait: its filter cannot be read",
             {{"sid", subscriber.sid}, {"name", subscriber.name}, {"error", subscriber.problem}});
  return std::nullopt;
}

void read_routing(const pg::Result& result, int row, Subscriber& subscriber) {
  Routing routing;
  routing.organization_id = result.optional_text(row, kOrganization);
  const bool filtered = !result.is_null(row, kFilter);
  if (filtered) routing.filter = read_filter(result.text(row, kFilter), subscriber);
  if (result.boolean(row, kOrderingEnabled)) {
    const std::string_view key = result.text(row, kOrderingKey);
    subscriber.ordering = ordering(key);
    if (subscriber.ordering == OrderingKey::pointer) routing.key = JsonPointer::parse(key);
    if (subscriber.ordering == OrderingKey::pointer && !routing.key) unusable("ordering_key", key);
  }
  if (routing.organization_id || routing.filter || routing.key) {
    subscriber.routing = std::make_shared<const Routing>(std::move(routing));
  }
}

void read_fields(const pg::Result& result, int row, const SecretBox& box, Subscriber& subscriber) {
  subscriber.name = result.text(row, kName);
  subscriber.patterns = result.texts(row, kPatterns);
  subscriber.webhook_url = result.text(row, kUrl);
  subscriber.guarantee = guarantee(result.text(row, kGuarantee));
  read_retry(result, row, subscriber.retry);
  subscriber.active = result.boolean(row, kActive);
  subscriber.paused = result.boolean(row, kPaused);
  read_routing(result, row, subscriber);  // before secrets, which may end this
  subscriber.on_dead = on_dead(result.text(row, kOnDead));
  read_limits(result, row, subscriber);
  read_circuit(result, row, subscriber.circuit);
  subscriber.body = body(result.text(row, kBody));
  read_headers(result, row, box, subscriber);
  read_secrets(result, row, box, subscriber);
}

}  // namespace

SubscriberPtr read_subscriber(const pg::Result& result, int row, const SecretBox& box) {
  Subscriber subscriber;
  subscriber.sid = result.i32(row, kSid);
  subscriber.id = result.uuid(row, kId);
  const auto complain = [&](std::string_view message, const std::exception& error) {
    log::error(message, {{"sid", subscriber.sid},
                         {"id", to_string(subscriber.id)},
                         {"name", subscriber.name},
                         {"error", error.what()}});
  };
  try {
    read_fields(result, row, box, subscriber);
  } catch (const SealedError& error) {
    complain("a subscriber is not called, its messages wait: its secrets cannot be decrypted",
             error);
    subscriber.paused = true;
    subscriber.problem = error.what();
  } catch (const std::exception& error) {
    complain("a subscriber cannot be used and counts as inactive; correct its row", error);
    subscriber.active = false;
  }
  return std::make_shared<const Subscriber>(std::move(subscriber));
}

}  // namespace eventhub::store
