// What the commands that show rows have in common. Calls the API through session.cpp.
#include "cli/listing.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/error.hpp"
#include "cli/table.hpp"
#include "eventhub/core/ids.hpp"

namespace eventhub::cli {
namespace {

constexpr std::int64_t kPageMax = 200;

bool is_field(const JsonMember& member, const std::vector<std::string>& hidden) {
  if (std::find(hidden.begin(), hidden.end(), member.name) != hidden.end()) return false;
  if (member.value.kind == JsonValue::Kind::object) return false;
  if (member.value.kind != JsonValue::Kind::array) return true;
  const auto items = json_items(member.value);
  return std::none_of(items.begin(), items.end(),
                      [](const JsonValue& item) { return item.kind == JsonValue::Kind::object; });
}

Target with_page(const Target& target, std::int64_t limit, const std::string& cursor) {
  Target page = target;
  page.add("limit", std::to_string(std::min(limit, kPageMax)));
  if (!cursor.empty()) page.add("cursor", cursor);
  return page;
}

// Where the next page begins; empty after the last one. A hub never says the same again.
std::string next_cursor(const Row& page, const std::string& asked) {
  std::string next = page.text("next_cursor");
  if (!next.empty() && next == asked) {
    throw RefusedError("what answers there is no hub: a page is followed by itself");
  }
  return next;
}

}  // namespace

void add_text(const Values& values, std::string_view name, std::string_view parameter,
              Target& target) {
  if (const auto value = values.text(name)) target.add(parameter, *value);
}

void add_event_filter(Session& session, const Values& values, Target& target) {
  add_text(values, "type", "event_type", target);
  add_text(values, "org", "organization_id", target);
  add_text(values, "user", "user_id", target);
  for (const char* name : {"since", "until"}) {
    const auto value = values.text(name);
    if (value) target.add(name, time_argument(name, *value, session.clock().now()));
  }
}

void add_subscriber(Session& session, const Values& values, Target& target) {
  const auto which = values.text("subscriber");
  if (which) target.add("subscriber", subscriber_id(session, *which));
}

int print_list(Session& session, const Values& values, const Target& target,
               const std::vector<Column>& columns) {
  const bool all = values.has("all");
  std::int64_t left = all ? kPageMax : values.integer("limit", 1, 100'000, 50);
  std::string cursor = values.text("cursor").value_or("");
  if (session.json() && !all) {
    left = values.integer("limit", 1, kPageMax, 50);
    print_json(session.get(with_page(target, left, cursor).text()));
    return kDone;
  }
  std::vector<std::string> heads;
  for (const Column& column : columns) heads.push_back(column.head);
  Table table(heads);
  do {
    const std::string body = session.get(with_page(target, left, cursor).text());
    const Row page(body);
    const auto rows = page.rows("data");
    for (const Row& row : rows) {
      if (session.json()) {
        print_json(row.json());
      } else {
        table.add(cells_of(row, columns));
      }
    }
    cursor = next_cursor(page, cursor);
    if (!all) left -= static_cast<std::int64_t>(rows.size());
  } while (!cursor.empty() && left > 0);
  if (!session.json()) print_text(table.text());
  if (!cursor.empty()) tell(fmt::format("there are more: --all, or --cursor {}", cursor));
  return kDone;
}

std::vector<std::string> cells_of(const Row& row, const std::vector<Column>& columns) {
  std::vector<std::string> cells;
  for (const Column& column : columns) cells.push_back(row.text(column.member));
  return cells;
}

std::string table_of(const std::vector<Row>& rows, const std::vector<Column>& columns) {
  if (rows.empty()) return {};
  std::vector<std::string> heads;
  for (const Column& column : columns) heads.push_back(column.head);
  Table table(heads);
  for (const Row& row : rows) table.add(cells_of(row, columns));
  return "\n" + table.text();
}

std::string fields_of(const Row& row, const std::vector<std::string>& hidden) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (const JsonMember& member : row.members()) {
    if (is_field(member, hidden)) fields.emplace_back(member.name, shown(member.value));
  }
  return field_lines(fields);
}

std::string subscriber_id(Session& session, const std::string& which) {
  if (parse_uuid(which)) return which;
  Target target("/subscribers");
  target.add("name", which);
  const std::string body = session.get(target.text());
  const auto found = Row(body).rows("data");
  if (found.size() == 1) return found.front().text("id");
  std::string text = fmt::format("no subscriber is called {}", which);
  if (found.size() > 1) {
    text = fmt::format("{} subscribers are called {}; name one by its id:", found.size(), which);
    for (const Row& row : found) text += "\n  " + row.text("id");
  }
  throw RefusedError(text);
}

std::vector<std::string> all_subscribers(Session& session) {
  std::vector<std::string> all;
  std::string cursor;
  do {
    const Target target = with_page(Target("/subscribers"), kPageMax, cursor);
    const std::string body = session.get(target.text());
    const Row page(body);
    for (const Row& row : page.rows("data")) all.emplace_back(row.json());
    cursor = next_cursor(page, cursor);
  } while (!cursor.empty());
  return all;
}

std::string path_of(std::string_view resource, const std::string& id, std::string_view action) {
  if (!parse_uuid(id)) throw UsageError(fmt::format("\"{}\" is no id", id));
  return fmt::format("{}/{}{}", resource, id, action);
}

int each_id(Session& session, const Values& values,
            const std::function<std::string(const std::string& id)>& ask) {
  int code = kDone;
  for (const std::string& id : values.all("id")) {
    try {
      const std::string body = ask(id);
      if (session.json()) {
        print_json(body);
      } else {
        print_text(fmt::format("{}  {}\n", id, Row(body).text("message")));
      }
    } catch (const RefusedError& error) {
      tell(fmt::format("{}: {}", id, error.what()));
      code = kRefused;
    }
  }
  return code;
}

}  // namespace eventhub::cli
