// `eventhubd dlq …`.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>

#include "cli/commands.hpp"
#include "cli/error.hpp"
#include "cli/listing.hpp"
#include "cli/progress.hpp"
#include "cli/table.hpp"

namespace eventhub::cli {
namespace {

const std::vector<Column> kDeadColumns{{"died", "failed_at"},          {"type", "event_type"},
                                       {"subscriber", "subscriber"},   {"reason", "reason"},
                                       {"last status", "last_status"}, {"attempts", "attempts"},
                                       {"retrying", "retrying"},       {"id", "id"},
                                       {"last error", "last_error"}};

constexpr const char* kDeadFilters[][2] = {
    {"reason", "reason"},   {"outcome", "outcome"},     {"last-status", "last_status"},
    {"type", "event_type"}, {"org", "organization_id"}, {"user", "user_id"},
    {"since", "since"},     {"until", "until"}};

// The filter in words of the API.
std::vector<std::pair<std::string, std::string>> dead_filter(Session& session,
                                                             const Values& values) {
  std::vector<std::pair<std::string, std::string>> filter;
  if (const auto which = values.text("subscriber")) {
    filter.emplace_back("subscriber", subscriber_id(session, *which));
  }
  for (const auto& [option, member] : kDeadFilters) {
    const std::string name = option;
    auto value = values.text(name);
    if (!value) continue;
    if (name == "last-status") values.integer(name, 100, 999, 0);
    if (name == "since" || name == "until") {
      value = time_argument(name, *value, session.clock().now());
    }
    filter.emplace_back(member, *value);
  }
  return filter;
}

Target dead_target(Session& session, const Values& values, const std::string& path) {
  Target target(path);
  for (const auto& [name, value] : dead_filter(session, values)) target.add(name, value);
  return target;
}

std::int64_t count_in(const Row& row, std::string_view name) {
  const JsonValue* value = row.find(name);
  const auto number = value == nullptr ? std::nullopt : number_in(*value);
  return static_cast<std::int64_t>(number.value_or(0));
}

struct RetryAll {
  std::int64_t matched = 0, retryable = 0, retried = 0;
};

class Retrier {
 public:
  Retrier(Session& session, const Values& values)
      : session_(session), rate_(values.positive("rate")), force_(values.has("force")) {
    ObjectText filter;
    for (const auto& [name, value] : dead_filter(session, values)) {
      if (name == "last_status") {
        filter.json(name, value);
      } else {
        filter.text(name, value);
      }
    }
    if (filter.empty() != values.has("every")) {
      throw UsageError(filter.empty() ? "dlq retry-all: name a filter, or --every for all letters"
                                      : "dlq retry-all: --every and a filter do not go together");
    }
    filter_ = filter.done();
  }

  RetryAll ask(bool dry_run) {
    ObjectText body;
    body.json("filter", filter_);
    if (rate_) body.json("rate", fmt::format("{}", *rate_));
    if (force_) body.json("force", "true");
    if (dry_run) body.json("dry_run", "true");
    last_ = session_.post("/dlq/retry", body.done());
    const Row done(last_);
    return {count_in(done, "matched"), count_in(done, "retryable"), count_in(done, "retried")};
  }

  // As many requests as it takes; a request plans its letters at the rate, so the next one waits
  // until they are due.
  RetryAll all() {
    RetryAll sum = ask(true);
    Progress progress("sent again", "letters", sum.retryable, false);
    for (;;) {
      const RetryAll done = ask(false);
      sum.retried += done.retried;
      progress.add(done.retried);
      if (session_.json()) print_json(last_);
      if (done.retried == 0 || done.retried >= done.retryable) return sum;
      if (rate_) {
        const double seconds = std::ceil(static_cast<double>(done.retried) / *rate_);
        pause_for(Millis{static_cast<std::int64_t>(seconds) * 1'000});
      }
    }
  }

  const std::string& last() const { return last_; }

 private:
  Session& session_;
  std::optional<double> rate_;
  bool force_;
  std::string filter_;
  std::string last_;
};

// Where an export goes: standard output, or a file that gets its name when it is whole.
class ExportFile {
 public:
  explicit ExportFile(std::optional<std::string> path) : path_(std::move(path)) {
    if (!path_) return;
    file_.open(part(), std::ios::binary | std::ios::trunc);
    if (!file_) throw UsageError(fmt::format("--output: \"{}\" cannot be written", part()));
  }
  void write(const std::string& lines) {
    std::ostream& out = path_ ? static_cast<std::ostream&>(file_) : std::cout;
    out << lines;
    if (!out) throw RefusedError("the letters cannot be written; is the disk full?");
  }
  void done() {
    if (!path_) return;
    file_.close();
    if (!file_ || std::rename(part().c_str(), path_->c_str()) != 0) {
      throw RefusedError(fmt::format("\"{}\" cannot be written", *path_));
    }
  }

 private:
  std::string part() const { return *path_ + ".part"; }
  std::optional<std::string> path_;
  std::ofstream file_;
};

}  // namespace

int list_dead(Session& session, const Values& values) {
  return print_list(session, values, dead_target(session, values, "/dlq"), kDeadColumns);
}

int show_dead(Session& session, const Values& values) {
  const std::string body = session.get(path_of("/dlq", values.needed("id")));
  if (session.json()) {
    print_json(body);
    return kDone;
  }
  const Row letter(body);
  print_text(fields_of(letter, {"payload"}) + "\n" +
             (letter.find("payload") ? std::string(letter.find("payload")->text) : "") + "\n");
  return kDone;
}

int retry_dead(Session& session, const Values& values) {
  return each_id(session, values, [&](const std::string& id) {
    return session.post(path_of("/dlq", id, "/retry"),
                        values.has("force") ? R"({"force":true})" : "");
  });
}

int discard_dead(Session& session, const Values& values) {
  return each_id(session, values,
                 [&](const std::string& id) { return session.discard(path_of("/dlq", id)); });
}

int retry_all_dead(Session& session, const Values& values) {
  Retrier retrier(session, values);
  const bool dry_run = values.has("dry-run");
  const RetryAll sum = dry_run ? retrier.ask(true) : retrier.all();
  if (session.json()) {
    if (dry_run) print_json(retrier.last());
    return kDone;
  }
  print_text(
      field_lines({{"matched", std::to_string(sum.matched)},
                   {"can be sent again", std::to_string(sum.retryable)},
                   {"sent again", dry_run ? "none: --dry-run" : std::to_string(sum.retried)}}));
  return kDone;
}

int export_dead(Session& session, const Values& values) {
  const Target target = dead_target(session, values, "/dlq/export");
  ExportFile file(values.text("output"));
  Progress progress("exported", "letters", 0, !values.has("output"));
  std::int64_t letters = 0;
  std::string cursor;
  do {
    Target page = target;
    if (!cursor.empty()) page.add("cursor", cursor);
    const auto answer = session.fetch(page.text());
    file.write(answer.body);
    const auto lines = std::count(answer.body.begin(), answer.body.end(), '\n');
    progress.add(lines);
    letters += lines;
    cursor = answer.header("x-next-cursor");
  } while (!cursor.empty());
  file.done();
  if (values.has("output")) tell(fmt::format("{} letters exported", letters));
  return kDone;
}

}  // namespace eventhub::cli
