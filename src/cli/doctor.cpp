// `eventhubd doctor`, the parts without a database: receivers, the hub's API, the report.
#include "eventhub/cli/doctor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/error.hpp"
#include "cli/listing.hpp"
#include "cli/reach.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "eventhub/core/utf8.hpp"

namespace eventhub::cli {
namespace {

using Level = Finding::Level;

constexpr Millis kReachWithin{3'000};

std::string_view level_name(Level level) {
  switch (level) {
    case Level::ok:
      return "ok";
    case Level::warn:
      return "warn";
    default:
      return "fail";
  }
}

Finding judge_receiver(const store::ReceiverRow& receiver, const std::string& place,
                       const Reach& reached) {
  Finding finding{
      .level = Level::ok, .what = "receiver of " + receiver.name, .found = place, .advice = {}};
  if (reached.error.empty()) {
    finding.found += " accepts connections";
    return finding;
  }
  // Nothing is sent to one that is not active.
  finding.level = receiver.active ? Level::fail : Level::warn;
  finding.found += ": " + reached.error;
  finding.advice = reached.blocked ? "deliveries end as blocked_by_policy; name its range in "
                                     "EVENTHUB_EGRESS_ALLOW_CIDRS if it is yours"
                                   : "start it, or correct it: eventhubd subscribers update NAME "
                                     "--webhook-url URL";
  return finding;
}

Finding answer_of(Session& session, const std::string& url) {
  Finding finding{.level = Level::ok, .what = "hub", .found = url + " is ready", .advice = {}};
  const auto ready = session.call(
      {.method = "GET", .target = "/readyz", .headers = {}, .body = {}, .repeatable = true});
  if (ready.status != 200) {
    finding.level = Level::fail;
    finding.found = fmt::format("{} answers {}: {}", url, ready.status, terminal_text(ready.body));
    finding.advice = "its log says why; GET /readyz?verbose says what is missing";
  }
  return finding;
}

Finding key_of(Session& session) {
  Finding finding{.level = Level::ok, .what = "API key", .found = "may read", .advice = {}};
  const auto answer = session.call({.method = "GET",
                                    .target = "/subscribers?limit=1",
                                    .headers = {},
                                    .body = {},
                                    .repeatable = true});
  if (answer.status / 100 != 2) {
    finding.level = Level::warn;
    finding.found = refusal_text(answer);
    finding.advice = "EVENTHUB_API_KEY or --key-file; a key with the scope read, or admin";
  }
  return finding;
}

void examine_subscribers(Session& session, Findings& findings) {
  for (const std::string& subscriber : all_subscribers(session)) {
    auto finding = judge_subscriber(subscriber);
    if (finding) findings.push_back(std::move(*finding));
  }
}

// For a command that a person copies: a name may be anything.
std::string shell_word(std::string_view text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace

std::optional<Finding> judge_subscriber(std::string_view json) {
  const Row row(json);
  const std::string name = row.text("name"), problem = row.text("problem");
  Finding finding{.level = Level::warn, .what = "subscriber " + name, .found = {}, .advice = {}};
  if (!problem.empty()) {
    finding.level = Level::fail;
    finding.found = problem;
    finding.advice = problem.find("its filter") != std::string::npos
                         ? fmt::format("eventhubd subscribers update '{}' --filter …", name)
                         : "name the key that encrypted it in secrets.master_key of every hub";
  } else if (row.is("paused", "true")) {
    const std::string reason = row.text("paused_reason");
    finding.found = "is paused" + (reason.empty() ? "" : ": " + reason);
    finding.advice = fmt::format("eventhubd subscribers resume {}", shell_word(name));
  } else if (row.find("circuit") != nullptr && !row.is("circuit", R"("closed")")) {
    finding.found = fmt::format("its circuit is {}: its receiver fails", row.text("circuit"));
    finding.advice = fmt::format("eventhubd subscribers test {} says how", shell_word(name));
  } else if (!row.text("failing_since").empty()) {
    finding.found = "nothing but failures since " + row.text("failing_since");
    finding.advice = fmt::format("eventhubd subscribers test {} says how", shell_word(name));
  } else {
    return std::nullopt;
  }
  return finding;
}

Findings examine_receivers(const std::vector<store::ReceiverRow>& receivers, const Config& config) {
  const http::EgressPolicy policy(config.egress);
  std::map<std::string, Reach> places;  // many subscribers may have one
  Findings findings;
  for (const store::ReceiverRow& receiver : receivers) {
    const auto url = http::parse_url(receiver.url);
    if (const auto* wrong = std::get_if<std::string>(&url)) {
      findings.push_back({Level::fail, "receiver of " + receiver.name, *wrong,
                          "correct its URL: eventhubd subscribers update NAME --webhook-url URL"});
      continue;
    }
    const auto& target = std::get<http::Url>(url);
    const std::string place = target.origin();
    if (!places.contains(place)) places[place] = reach(target, policy, kReachWithin);
    findings.push_back(judge_receiver(receiver, place, places[place]));
  }
  if (receivers.empty()) findings.push_back({Level::ok, "receivers", "no subscribers yet", ""});
  return findings;
}

Findings examine_api(const Invocation& invocation, const Environment& environment,
                     const std::function<std::string()>& own_url) {
  Values values;
  for (const auto& [name, given] : invocation.values) {
    for (const std::string& value : given) values.add(name, value);
  }
  Findings findings;
  std::string warning;
  const bool named = values.has("url") || environment.contains("EVENTHUB_URL");
  try {
    const ApiPlace place = api_place(values, environment, own_url, warning);
    Session session(place, true);
    findings.push_back(answer_of(session, http::redact_url(place.url)));
    if (findings.back().level == Level::ok) findings.push_back(key_of(session));
    if (findings.back().level == Level::ok) examine_subscribers(session, findings);
  } catch (const CallFailed& error) {
    findings.push_back({named ? Level::fail : Level::warn, "hub",
                        fmt::format("does not answer: {}", error.what()),
                        "start it, or name it: --url or EVENTHUB_URL"});
  } catch (const std::runtime_error& error) {
    findings.push_back({Level::fail, "hub", error.what(), "correct the option or the variable"});
  }
  return findings;
}

int report(const Findings& findings, bool json) {
  std::string text;
  for (const Finding& finding : findings) {
    const std::string level(level_name(finding.level));
    if (json) {
      ObjectText out;
      out.text("level", level);
      out.text("what", finding.what);
      out.text("found", finding.found);
      out.text("advice", finding.advice);
      text += out.done() + "\n";
    } else {
      text += Table::line({level, finding.what, finding.found}, {4, 24});
      if (!finding.advice.empty())
        text += fmt::format("      -> {}\n", terminal_text(finding.advice));
    }
  }
  print_text(text);
  const bool failed = std::any_of(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.level == Level::fail;
  });
  return failed ? kRefused : kDone;
}

}  // namespace eventhub::cli
