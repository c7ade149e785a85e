// `eventhubd replay`: as many requests as it takes, each going on where the one before ended.
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/error.hpp"
#include "cli/listing.hpp"
#include "cli/progress.hpp"
#include "cli/table.hpp"

namespace eventhub::cli {
namespace {

constexpr Millis kReplayPause{1'000};  // before a request that may find more than the last one

std::int64_t number_of(const Row& row, std::string_view name) {
  const JsonValue* value = row.find(name);
  const auto number = value == nullptr ? std::nullopt : number_in(*value);
  return static_cast<std::int64_t>(number.value_or(0));
}

struct Replayed {
  std::int64_t matched = 0, fresh = 0, open = 0, sendable = 0, sent = 0;
};

class Replayer {
 public:
  Replayer(Session& session, const Values& values)
      : session_(session),
        values_(values),
        path_(path_of("/subscribers", subscriber_id(session, values.needed("subscriber")),
                      "/replay")) {
    if (values.has("from") == values.has("from-seq")) {
      throw UsageError("replay: --from or --from-seq is needed, and not both");
    }
  }

  // The whole range. When it does not get on: a dry run ends, the other one waits.
  Replayed all(bool dry_run) {
    Replayed sum;
    next_.clear();
    Progress progress(dry_run ? "counted" : "planned", "messages", total_, session_.json());
    for (bool waited = false;;) {
      const std::string before = next_;
      last_ = ask(dry_run);
      const Row done(last_);
      sum.matched += number_of(done, "matched");
      sum.fresh += number_of(done, "new");
      sum.open += number_of(done, "open");
      sum.sendable += number_of(done, "sendable");
      sum.sent += number_of(done, "sent");
      progress.add(number_of(done, dry_run ? "matched" : "sent"));
      if (session_.json() && (!dry_run || values_.has("dry-run"))) print_json(last_);
      next_ = done.text("next_seq");
      to_ = done.text("to_seq");
      if (next_.empty() || (dry_run && next_ == before)) break;
      if (next_ != before) continue;
      if (!waited) {
        tell(
            fmt::format("waiting for what is to be sent first; --from-seq {} --to-seq {} goes on "
                        "another time",
                        next_, to_));
      }
      waited = true;
      pause_for(kReplayPause);
    }
    total_ = sum.sendable;
    return sum;
  }

 private:
  std::string ask(bool dry_run) {
    ObjectText body;
    if (next_.empty()) {
      add_time("from", body);
      add_time("to", body);
      add_number("from-seq", "from_seq", body);
      add_number("to-seq", "to_seq", body);
    } else {
      body.json("from_seq", next_);
      body.json("to_seq", to_);
    }
    if (const auto type = values_.text("type")) body.text("event_type", *type);
    if (const auto org = values_.text("org")) body.text("organization_id", *org);
    if (const auto rate = values_.positive("rate")) body.json("rate", fmt::format("{}", *rate));
    if (values_.has("force")) body.json("force", "true");
    if (dry_run) body.json("dry_run", "true");
    return session_.post(path_, body.done());
  }
  void add_time(const char* name, ObjectText& body) const {
    if (const auto value = values_.text(name)) {
      body.text(name, time_argument(name, *value, session_.clock().now()));
    }
  }
  void add_number(const char* option, const char* member, ObjectText& body) const {
    if (!values_.has(option)) return;
    body.json(member, std::to_string(values_.integer(option, 0, kSeqLast, 0)));
  }

  static constexpr std::int64_t kSeqLast = 9'000'000'000'000'000'000;
  Session& session_;
  const Values& values_;
  std::string path_;
  std::string last_;       // answer
  std::string next_, to_;  // as it says
  std::int64_t total_ = 0;
};

}  // namespace

int replay(Session& session, const Values& values) {
  const bool dry_run = values.has("dry-run");
  Replayer replayer(session, values);
  Replayed sum = replayer.all(true);
  if (!dry_run) sum = replayer.all(false);
  if (session.json()) return kDone;
  print_text(
      field_lines({{"events that match", std::to_string(sum.matched)},
                   {"without a message until now", std::to_string(sum.fresh)},
                   {"still to be sent anyway", std::to_string(sum.open)},
                   {"can be sent", std::to_string(sum.sendable)},
                   {"will be sent", dry_run ? "none: --dry-run" : std::to_string(sum.sent)}}));
  return kDone;
}

}  // namespace eventhub::cli
