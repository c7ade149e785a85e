// `eventhubd subscribers apply`: reads the file and all subscribers, plans (apply_plan.cpp), does.
#include <fmt/format.h>

#include <cstdlib>
#include <map>

#include "cli/apply_plan.hpp"
#include "cli/commands.hpp"
#include "cli/error.hpp"
#include "cli/files.hpp"
#include "cli/listing.hpp"
#include "cli/table.hpp"
#include "eventhub/core/config.hpp"

namespace eventhub::cli {
namespace {

using ChangeKind = PlannedChange::Kind;

std::vector<Wanted> wanted_by(const std::string& path) {
  auto file = opened_file("file", path);
  const std::string text = all_of(file);
  const auto variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  try {
    return read_subscriber_file(text, path, variable);
  } catch (const ConfigError& error) {
    throw UsageError(error.what());
  }
}

std::string joined_names(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + name;
  return all;
}

void print_change(const Session& session, const PlannedChange& change, bool dry_run) {
  const std::string what(to_string(change.kind));
  if (!session.json()) {
    print_text(Table::line({what, change.name, joined_names(change.members)}, {9, 30}));
    return;
  }
  ObjectText out;
  out.text("action", what);
  out.text("name", change.name);
  std::string members;
  for (const std::string& name : change.members) {
    if (!members.empty()) members += ',';
    append_json_string(members, name);
  }
  out.json("members", "[" + members + "]");
  out.json("dry_run", dry_run ? "true" : "false");
  print_json(out.done());
}

// A secret that was made is not shown: what this prints is often kept, in a log of CI.
void create_one(Session& session, const PlannedChange& change) {
  const std::string made = session.post("/subscribers", change.body);
  if (Row(made).find("secret") == nullptr) return;
  tell(
      fmt::format("{}: signed with a secret that was made for it; for one that you can give to "
                  "its receiver: eventhubd subscribers rotate-secret {}",
                  change.name, Row(made).text("id")));
}

void carry_out(Session& session, const PlannedChange& change) {
  const std::string path = "/subscribers/" + change.id;
  switch (change.kind) {
    case ChangeKind::create:
      create_one(session, change);
      break;
    case ChangeKind::change:
      session.patch(path, change.body);
      break;
    case ChangeKind::remove:
      session.discard(path);
      break;
    case ChangeKind::unchanged:
      break;
  }
}

}  // namespace

int apply_subscribers(Session& session, const Values& values) {
  const auto wanted = wanted_by(values.needed("file"));
  const bool dry_run = values.has("dry-run");
  const auto present = all_subscribers(session);
  std::vector<Row> rows(present.begin(), present.end());
  const auto plan = plan_changes(
      wanted, rows, {.prune = values.has("prune"), .write_secrets = values.has("write-secrets")});
  std::map<ChangeKind, int> counts;
  int refused = 0;
  for (const PlannedChange& change : plan) {
    try {
      if (!dry_run) carry_out(session, change);
      ++counts[change.kind];
      print_change(session, change, dry_run);
    } catch (const RefusedError& error) {
      ++refused;
      tell(fmt::format("{} {}: {}", to_string(change.kind), change.name, error.what()));
    }
  }
  tell(fmt::format("{} to create, {} to change, {} to delete, {} unchanged{}",
                   counts[ChangeKind::create], counts[ChangeKind::change],
                   counts[ChangeKind::remove], counts[ChangeKind::unchanged],
                   dry_run       ? "; nothing was done: --dry-run"
                   : refused > 0 ? fmt::format("; {} refused", refused)
                                 : "; done"));
  return refused == 0 ? kDone : kRefused;
}

}  // namespace eventhub::cli
