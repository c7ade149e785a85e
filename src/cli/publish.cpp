// `eventhubd publish`: every event has an idempotency key, so that what was not answered can be
// sent again.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <iostream>

#include "cli/commands.hpp"
#include "cli/error.hpp"
#include "cli/files.hpp"
#include "cli/progress.hpp"
#include "eventhub/core/ids.hpp"

namespace eventhub::cli {
namespace {

constexpr int kTries = 5;
constexpr std::int64_t kRetryAfterMax = 60;

std::string payload_of(const Values& values) {
  if (const auto path = values.text("file")) {
    auto file = opened_file("file", *path);
    return all_of(file);
  }
  const auto given = values.text("payload");
  if (given && *given != "-") return *given;
  if (!given && ::isatty(STDIN_FILENO) != 0) {
    throw UsageError("publish: a payload is needed: '{…}', --file FILE or standard input");
  }
  return all_of(std::cin);
}

// The event whose payload is `payload`, or `line` itself when it is a whole event.
std::string event_text(const Values& values, const std::string& payload) {
  const auto type = values.text("type");
  if (!type) return payload;
  ObjectText event;
  event.text("event_type", *type);
  for (const auto& [option, member] :
       {std::pair{"event-version", "version"}, {"org", "organization_id"}, {"user", "user_id"}}) {
    if (const auto value = values.text(option)) event.text(member, *value);
  }
  const Time now = SystemClock{}.now();
  for (const auto& [option, member] :
       {std::pair{"deliver-after", "deliver_after"}, {"expires-at", "expires_at"}}) {
    if (const auto value = values.text(option)) {
      event.text(member, time_to_come(option, *value, now));
    }
  }
  event.json("payload", payload);
  return event.done();
}

bool may_try_again(const CallAnswer& answer) {
  return answer.status == 503 || answer.status == 429;
}

Millis wait_before(const CallAnswer& answer, int attempt) {
  const std::string_view text = answer.header("retry-after");
  std::int64_t seconds = attempt;
  std::from_chars(text.data(), text.data() + text.size(), seconds);
  return Millis{1'000 * std::clamp<std::int64_t>(seconds, 0, kRetryAfterMax)};
}

// The answer to an event, asked for again while the hub is overloaded or its answer got lost.
CallAnswer post_event(Session& session, const std::string& event, const std::string& key) {
  for (int attempt = 1;; ++attempt) {
    try {
      Call call{
          .method = "POST", .target = "/events", .headers = {}, .body = event, .repeatable = true};
      call.headers.emplace_back("Idempotency-Key", key);
      auto answer = session.call(std::move(call));
      if (!may_try_again(answer) || attempt == kTries) return answer;
      pause_for(wait_before(answer, attempt));
    } catch (const CallFailed& error) {
      if (!error.sent || attempt == kTries) throw;
    }
  }
}

bool is_whole_json(const std::string& text) {
  return !validate_json(text, 1'000).has_value();
}

// Somebody else may answer there, with anything.
std::string id_of(const CallAnswer& answer) {
  const std::string id = Row(answer.body).text("event_id");
  if (!parse_uuid(id)) throw RefusedError("what answers there is no hub: there is no event_id");
  return id;
}

int publish_one(Session& session, const Values& values) {
  if (!values.has("type")) throw UsageError("publish: an event type is needed");
  const std::string payload = payload_of(values);
  if (!is_whole_json(payload)) throw UsageError("publish: the payload is not valid JSON");
  const std::string key = values.text("idempotency-key").value_or(to_string(uuid_random()));
  const auto answer = post_event(session, event_text(values, payload), key);
  if (answer.status / 100 != 2) throw RefusedError(refusal_text(answer));
  const std::string id = id_of(answer);
  if (session.json()) {
    print_json(answer.body);
  } else {
    print_text(id + "\n");
    if (answer.status == 200) tell("this idempotency key had made this event before");
  }
  return kDone;
}

// Why it was refused; empty when it was not.
std::string publish_line(Session& session, const Values& values, const std::string& line,
                         const std::string& prefix, std::int64_t number) {
  CallAnswer answer;
  try {
    const std::string event = event_text(values, line);
    answer = post_event(session, event, fmt::format("{}-{}", prefix, number));
  } catch (const CallFailed&) {
    tell(
        fmt::format("line {}, and what follows it, was not answered; the same lines again with "
                    "--idempotency-key {} make no second event of those before",
                    number, prefix));
    throw;
  }
  if (answer.status / 100 != 2) return refusal_text(answer);
  const std::string id = id_of(answer);
  if (session.json()) {
    print_json(answer.body);
  } else {
    print_text(id + "\n");
  }
  return {};
}

// A line per event: its id, or with --json the whole answer. Lines that are refused are told and
// left out.
int publish_lines(Session& session, const Values& values, std::istream& input) {
  const std::string prefix = values.text("idempotency-key").value_or(to_string(uuid_random()));
  Progress progress("published", "events", 0, true);
  std::int64_t number = 0, refused = 0;
  for (std::string line; std::getline(input, line);) {
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    std::string why = is_whole_json(line) ? "" : "is not valid JSON";
    if (why.empty()) why = publish_line(session, values, line, prefix, number);
    if (!why.empty()) {
      ++refused;
      tell(fmt::format("line {}: {}", number, why));
    }
    progress.add(why.empty() ? 1 : 0);
  }
  check_whole(input);
  if (refused > 0) {
    tell(fmt::format("{} of {} lines were refused; the others are published", refused, number));
  }
  return refused == 0 ? kDone : kRefused;
}

}  // namespace

int publish(Session& session, const Values& values) {
  if (!values.has("ndjson")) return publish_one(session, values);
  if (const auto path = values.text("file")) {
    auto file = opened_file("file", *path);
    return publish_lines(session, values, file);
  }
  return publish_lines(session, values, std::cin);
}

}  // namespace eventhub::cli
