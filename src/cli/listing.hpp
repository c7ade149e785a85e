#pragma once
#include <functional>
#include <string>
#include <vector>

#include "cli/session.hpp"

namespace eventhub::cli {

// A column of a table and the member it shows.
struct Column {
  std::string head, member;
};

// The given filters, as parameters of the API.
void add_event_filter(Session& session, const Values& values, Target& target);
// `subscriber`, by name or id.
void add_subscriber(Session& session, const Values& values, Target& target);
// Adds option `name` as parameter `parameter` when it is given.
void add_text(const Values& values, std::string_view name, std::string_view parameter,
              Target& target);

// GET `target` page after page: --limit rows, or --all. A table, or with --json the page itself
// (with --all a row per line).
int print_list(Session& session, const Values& values, const Target& target,
               const std::vector<Column>& columns);

// Rows of an array member of `row`, as a table below a heading; nothing when there are none.
std::string table_of(const std::vector<Row>& rows, const std::vector<Column>& columns);
// All members of a row but objects, arrays of objects and those named in `hidden`.
std::string fields_of(const Row& row, const std::vector<std::string>& hidden = {});
std::vector<std::string> cells_of(const Row& row, const std::vector<Column>& columns);

// The subscriber's id: `which` is it, or its name. Throws RefusedError when no or several
// subscribers have the name.
std::string subscriber_id(Session& session, const std::string& which);

// All of them, as JSON objects.
std::vector<std::string> all_subscribers(Session& session);

// "/events/ID"; throws UsageError for what is no id.
std::string path_of(std::string_view resource, const std::string& id, std::string_view action = "");

// Asks for something once per id given; tells what was refused and goes on. The exit code.
int each_id(Session& session, const Values& values,
            const std::function<std::string(const std::string& id)>& ask);

}  // namespace eventhub::cli
