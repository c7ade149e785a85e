// What `eventhubd subscribers apply` has to do. Pure but for files of secrets; table-tested.
#include "cli/apply_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cli/error.hpp"
#include "cli/files.hpp"
#include "eventhub/core/subscriber_headers.hpp"
#include "eventhub/core/toml_json.hpp"
#include "eventhub/store/subscriber_admin.hpp"

namespace eventhub::cli {
namespace {

using JsonKind = JsonValue::Kind;

// What is secret is not in the file: NAME_env and NAME_file say where NAME is.
class Lookup {
 public:
  Lookup(std::string subscriber, const Variables& variables)
      : subscriber_(std::move(subscriber)), variables_(variables) {}

  // NAME of NAME_env or NAME_file; empty for other names.
  static std::string name_of(const std::string& written) {
    for (const std::string_view ending : {"_env", "_file"}) {
      if (written.ends_with(ending)) return written.substr(0, written.size() - ending.size());
    }
    return {};
  }
  std::string value_of(const JsonMember& member) const {
    if (member.name.ends_with("_file")) return first_line_of(shown(member.value), "secret");
    const auto value = variables_(shown(member.value));
    if (value) return *value;
    throw UsageError(fmt::format("{}: there is no variable {}", subscriber_, shown(member.value)));
  }
  std::string auth(std::string_view written) const {
    ObjectText out;
    const Row row(written);
    for (const JsonMember& member : row.members()) {
      const std::string name = name_of(member.name);
      if (name.empty()) {
        out.json(member.name, member.value.text);
      } else {
        out.text(name, value_of(member));
      }
    }
    return out.done();
  }

 private:
  std::string subscriber_;
  const Variables& variables_;
};

void add_unset(const Row& row, ObjectText& out) {
  const JsonValue* unset = row.find("unset");
  if (unset == nullptr) return;
  if (unset->kind != JsonKind::array) throw UsageError("unset must be a list of names");
  for (const JsonValue& item : json_items(*unset)) out.json(shown(item), "null");
}

Wanted read_wanted(const Row& row, const std::string& path, const Variables& variables) {
  Wanted wanted{.name = row.text("name"), .json = {}};
  if (wanted.name.empty()) throw UsageError(path + ": a [[subscriber]] has no name");
  const Lookup lookup(wanted.name, variables);
  ObjectText out;
  for (const JsonMember& member : row.members()) {
    if (member.name == "unset") continue;
    if (Lookup::name_of(member.name) == "secret") {
      out.text("secret", lookup.value_of(member));
    } else if (member.name == "auth" && member.value.kind == JsonKind::object) {
      out.json("auth", lookup.auth(member.value.text));
    } else if (member.name == "auth" || store::is_subscriber_column(member.name)) {
      out.json(member.name, member.value.text);
    } else {
      throw UsageError(fmt::format("{}: {}: a subscriber has no \"{}\" that can be written", path,
                                   wanted.name, member.name));
    }
  }
  add_unset(row, out);
  wanted.json = out.done();
  return wanted;
}

std::set<std::string> header_names(const JsonValue& headers) {
  std::set<std::string> names;
  if (headers.kind != JsonKind::object) return names;
  const Row row(headers.text);
  for (const JsonMember& member : row.members()) names.insert(canonical_header(member.name));
  return names;
}

std::set<std::string> present_headers(const Row& present) {
  std::set<std::string> names;
  const JsonValue* list = present.find("header_names");
  if (list == nullptr) return names;
  for (const JsonValue& item : json_items(*list)) names.insert(shown(item));
  return names;
}

// The headers of a PATCH: all that are wanted, and null for the others.
std::string headers_patch(const JsonValue& wanted, const std::set<std::string>& present) {
  ObjectText out;
  const Row headers(wanted.text);
  const auto names = header_names(wanted);
  for (const JsonMember& member : headers.members()) out.json(member.name, member.value.text);
  for (const std::string& name : present) {
    if (!names.contains(name)) out.json(name, "null");
  }
  return out.done();
}

// Fills in what differs. What cannot be read back is taken to be as it was written last, unless it
// is to be written again.
class Difference {
 public:
  Difference(const Row& present, bool write_secrets)
      : present_(present), write_secrets_(write_secrets) {}

  void add(const JsonMember& member) {
    if (member.name == "headers" && member.value.kind == JsonKind::object) return headers(member);
    if (member.name == "secret") return unreadable(member, present_.is("has_secret", "true"));
    if (member.name == "auth") {
      return unreadable(member, present_headers(present_).contains(std::string(kAuthorization)));
    }
    const JsonValue* there = present_.find(member.name);
    if (there == nullptr || !same_value(member.value, *there)) put(member, member.value.text);
  }

  // A pattern in the one place means: none in the other.
  void only_one_of(const Row& wanted, const std::string& given, const std::string& other) {
    const JsonValue* there = present_.find(other);
    if (wanted.find(given) == nullptr || wanted.find(other) != nullptr) return;
    if (there != nullptr && there->kind != JsonKind::null) put({other, {}}, "null");
  }

  PlannedChange done(std::string name) && {
    PlannedChange change{
        .kind = members_.empty() ? PlannedChange::Kind::unchanged : PlannedChange::Kind::change,
        .name = std::move(name),
        .id = present_.text("id"),
        .body = body_.done(),
        .members = std::move(members_)};
    return change;
  }

 private:
  void put(const JsonMember& member, std::string_view json) {
    members_.push_back(member.name);
    body_.json(member.name, json);
  }
  // Authorization is left to `auth`, unless it is here.
  void headers(const JsonMember& member) {
    const auto wanted = header_names(member.value);
    auto present = present_headers(present_);
    if (!wanted.contains(std::string(kAuthorization))) present.erase(std::string(kAuthorization));
    if (wanted != present || write_secrets_) put(member, headers_patch(member.value, present));
  }
  // Of what cannot be read back it is known only whether it is `there`.
  void unreadable(const JsonMember& member, bool there) {
    const bool wanted = member.value.kind != JsonKind::null;
    if (wanted != there || (wanted && write_secrets_)) put(member, member.value.text);
  }

  const Row& present_;
  bool write_secrets_;
  ObjectText body_;
  std::vector<std::string> members_;
};

PlannedChange creation(const Wanted& wanted) {
  PlannedChange change{.kind = PlannedChange::Kind::create,
                       .name = wanted.name,
                       .id = {},
                       .body = {},
                       .members = {}};
  ObjectText body;
  const Row row(wanted.json);
  for (const JsonMember& member : row.members()) {
    // Null is what the others begin with; a secret is made unless it is null.
    const bool said = member.value.kind != JsonKind::null || member.name == "secret";
    if (said) body.json(member.name, member.value.text);
  }
  change.body = body.done();
  return change;
}

PlannedChange change_of(const Wanted& wanted, const Row& present, bool write_secrets) {
  const Row row(wanted.json);
  Difference difference(present, write_secrets);
  for (const JsonMember& member : row.members()) difference.add(member);
  difference.only_one_of(row, "event_type", "event_types");
  difference.only_one_of(row, "event_types", "event_type");
  return std::move(difference).done(wanted.name);
}

std::vector<const Row*> called(const std::string& name, const std::vector<Row>& present) {
  std::vector<const Row*> found;
  for (const Row& row : present) {
    if (row.text("name") == name) found.push_back(&row);
  }
  return found;
}

}  // namespace

std::string_view to_string(PlannedChange::Kind kind) {
  switch (kind) {
    case PlannedChange::Kind::create:
      return "create";
    case PlannedChange::Kind::change:
      return "change";
    case PlannedChange::Kind::remove:
      return "delete";
    default:
      return "unchanged";
  }
}

std::vector<Wanted> read_subscriber_file(std::string_view text, const std::string& path,
                                         const Variables& variables) {
  const std::string json = toml_to_json(text, path);
  const Row file(json);
  for (const JsonMember& member : file.members()) {
    if (member.name != "subscriber" || member.value.kind != JsonKind::array) {
      throw UsageError(
          fmt::format("{}: \"{}\": there are [[subscriber]] tables only", path, member.name));
    }
  }
  std::vector<Wanted> all;
  std::set<std::string> names;
  for (const Row& row : file.rows("subscriber")) {
    all.push_back(read_wanted(row, path, variables));
    if (!names.insert(all.back().name).second) {
      throw UsageError(fmt::format("{}: {} is there more than once", path, all.back().name));
    }
  }
  return all;
}

std::vector<PlannedChange> plan_changes(const std::vector<Wanted>& wanted,
                                        const std::vector<Row>& present,
                                        const PlanOptions& options) {
  std::vector<PlannedChange> plan;
  std::set<std::string> names;
  for (const Wanted& one : wanted) {
    names.insert(one.name);
    const auto found = called(one.name, present);
    if (found.size() > 1) {
      throw UsageError(fmt::format("{} subscribers are called {}: rename or delete one of them",
                                   found.size(), one.name));
    }
    plan.push_back(found.empty() ? creation(one)
                                 : change_of(one, *found.front(), options.write_secrets));
  }
  for (const Row& row : present) {
    if (!options.prune || names.contains(row.text("name"))) continue;
    plan.push_back({.kind = PlannedChange::Kind::remove,
                    .name = row.text("name"),
                    .id = row.text("id"),
                    .body = {},
                    .members = {}});
  }
  return plan;
}

}  // namespace eventhub::cli
