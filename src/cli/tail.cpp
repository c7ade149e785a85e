// `eventhubd tail`: asks again and again for the newest rows and prints those that are new.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/commands.hpp"
#include "cli/error.hpp"
#include "cli/listing.hpp"
#include "cli/table.hpp"
#include "eventhub/core/time_text.hpp"

namespace eventhub::cli {
namespace {

constexpr std::int64_t kTailPage = 200;
constexpr int kPagesMax = 100;       // of one look: 20,000 rows; older ones are passed over
constexpr Seconds kLateLetters{10};  // letters are dated by the processes that wrote them

struct Tailed {
  std::string path;
  std::vector<Column> columns;
  std::vector<std::size_t> widths;
};

Tailed tailed(const std::string& what) {
  if (what == "events") {
    return {"/events",
            {{"accepted", "accepted_at"},
             {"type", "event_type"},
             {"org", "organization_id"},
             {"user", "user_id"},
             {"id", "id"}},
            {24, 24, 12, 12, 36}};
  }
  if (what == "messages") {
    return {"/messages",
            {{"accepted", "accepted_at"},
             {"type", "event_type"},
             {"subscriber", "subscriber"},
             {"status", "status"},
             {"reason", "reason"},
             {"id", "id"}},
            {24, 24, 20, 9, 8, 36}};
  }
  if (what == "dlq") {
    return {"/dlq",
            {{"died", "failed_at"},
             {"type", "event_type"},
             {"subscriber", "subscriber"},
             {"reason", "reason"},
             {"last status", "last_status"},
             {"id", "id"}},
            {24, 24, 20, 17, 11, 36}};
  }
  throw UsageError("tail: \"" + what + "\" is none of events, messages, dlq");
}

// Which rows were printed. Events and messages come in the order of event_seq; dead letters by a
// time that may be a little late, so those near the newest are remembered by their ids.
class Seen {
 public:
  explicit Seen(bool by_time) : by_time_(by_time) {}
  bool is_new(const Row& row) const {
    return by_time_ ? !letters_.contains(key_of(row)) : seq_of(row) > last_;
  }
  // The rows of one look, when all are printed.
  void took(const Row& row) {
    if (by_time_) {
      letters_[key_of(row)] = row.text("failed_at");
      newest_ = std::max(newest_, row.text("failed_at"));
    } else {
      next_ = std::max(next_, seq_of(row));
    }
  }
  void look_is_over() {
    last_ = std::max(last_, next_);
    const std::string oldest = since();
    std::erase_if(letters_, [&](const auto& letter) { return letter.second < oldest; });
  }
  // From when on to ask; empty: everything.
  std::string since() const {
    const auto time = parse_time(newest_);
    return time ? format_time(*time - kLateLetters) : "";
  }

 private:
  static double seq_of(const Row& row) {
    const JsonValue* seq = row.find("event_seq");
    return seq == nullptr ? 0 : number_in(*seq).value_or(0);
  }
  static std::string key_of(const Row& row) {
    return row.text("id") + row.text("failed_at") + row.text("subscriber_id");
  }
  bool by_time_;
  double last_ = 0, next_ = 0;
  std::map<std::string, std::string> letters_;
  std::string newest_;
};

class Tail {
 public:
  Tail(Session& session, const Values& values)
      : session_(session),
        what_(tailed(values.text("what").value_or("events"))),
        seen_(what_.path == "/dlq"),
        last_(values.integer("last", 0, kTailPage, 10)),
        left_(values.integer("count", 1, 1'000'000'000, 0)),
        counted_(values.has("count")) {
    for (const auto& [option, member] :
         {std::pair{"type", "event_type"}, {"org", "organization_id"}, {"user", "user_id"}}) {
      if (const auto value = values.text(option)) wanted_.emplace_back(member, *value);
    }
    const auto which = values.text("subscriber");
    if (which && what_.path == "/events") {
      throw UsageError("tail: an event has no subscriber: tail messages --subscriber …");
    }
    if (which) wanted_.emplace_back("subscriber_id", subscriber_id(session, *which));
  }

  // What is there already: the last of it is printed, all of it is not new.
  void begin() {
    const std::string body = page("");
    const auto rows = Row(body).rows("data");
    if (!session_.json()) print_heads();
    std::vector<const Row*> shown;
    for (const Row& row : rows) {
      seen_.took(row);
      if (fits(row) && static_cast<std::int64_t>(shown.size()) < last_) shown.push_back(&row);
    }
    seen_.look_is_over();
    for (auto row = shown.rbegin(); row != shown.rend(); ++row) print(**row);
  }

  // Nothing counts as seen before the whole look was answered.
  void look() {
    std::vector<std::string> fresh;  // newest first, as they come
    std::string cursor;
    for (int pages = 0; pages < kPagesMax; ++pages) {
      const std::string body = page(cursor);
      const Row read(body);
      bool all_new = true;
      for (const Row& row : read.rows("data")) {
        const bool is_new = seen_.is_new(row);
        all_new = all_new && is_new;
        if (is_new) fresh.emplace_back(row.json());
      }
      cursor = read.text("next_cursor");
      if (!all_new || cursor.empty()) break;
    }
    for (auto text = fresh.rbegin(); text != fresh.rend(); ++text) {
      const Row row(*text);
      seen_.took(row);
      if (fits(row)) print(row);
    }
    seen_.look_is_over();
  }

  bool over() const { return counted_ && left_ <= 0; }

 private:
  std::string page(const std::string& cursor) {
    Target target(what_.path);
    target.add("limit", std::to_string(kTailPage));
    if (what_.path == "/dlq" && !seen_.since().empty()) target.add("since", seen_.since());
    if (!cursor.empty()) target.add("cursor", cursor);
    return session_.get(target.text());
  }

  void print_heads() const {
    std::vector<std::string> heads;
    for (const Column& column : what_.columns) heads.push_back(column.head);
    print_text(Table::line(heads, what_.widths));
  }

  bool fits(const Row& row) const {
    return std::all_of(wanted_.begin(), wanted_.end(),
                       [&row](const auto& want) { return row.text(want.first) == want.second; });
  }

  void print(const Row& row) {
    if (over()) return;
    --left_;
    if (session_.json()) {
      print_json(row.json());
    } else {
      print_text(Table::line(cells_of(row, what_.columns), what_.widths));
    }
  }

  Session& session_;
  Tailed what_;
  Seen seen_;
  std::int64_t last_, left_;
  bool counted_;
  std::vector<std::pair<std::string, std::string>> wanted_;
};

}  // namespace

int tail(Session& session, const Values& values) {
  const Millis interval{values.integer("interval", 50, 3'600'000, 1'000)};
  Tail tail(session, values);
  tail.begin();
  bool told = false;
  while (!tail.over()) {
    pause_for(interval);
    std::string wrong;
    try {
      tail.look();
    } catch (const CallFailed& error) {
      wrong = error.what();
    } catch (const RefusedError& error) {
      if (error.status < 500 && error.status != 429) throw;
      wrong = error.what();
    }
    if (!wrong.empty() && !told) tell(wrong + "; asking again until it answers");
    told = !wrong.empty();
  }
  return kDone;
}

}  // namespace eventhub::cli
