// The body of POST /events/batch cut into its items; each is then read by json_event.cpp.
#include <algorithm>

#include "json_walk.hpp"

namespace eventhub {
namespace {

// A value and the white space around it.
bool next_batch_item(json::Walker& walk, std::vector<std::string_view>& items) {
  walk.peek();
  const char* from = walk.position();
  if (!walk.value()) return false;
  items.emplace_back(from, static_cast<std::size_t>(walk.position() - from));
  return true;
}

bool is_blank_line(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::variant<std::vector<std::string_view>, InputError> split_json_array(std::string_view body,
                                                                         std::size_t items_max) {
  // How deep an item may be is asked of each alone.
  json::Walker walk(body, json::Walker::kDepthLimit);
  if (!walk.begin()) return walk.error();
  std::vector<std::string_view> items;
  if (walk.peek() != '[') {
    if (!walk.value() || !walk.end()) return walk.error();
    return InputError{"the body must be a JSON array", "#"};
  }
  if (!walk.enter(false)) return walk.error();
  if (!walk.take(']')) {
    do {
      if (!next_batch_item(walk, items)) return walk.error();
      if (items.size() > items_max) return items;
    } while (walk.take(','));
    if (!walk.take(']')) {
      walk.fail("not valid JSON: expected a comma or a closing bracket");
      return walk.error();
    }
  }
  if (!walk.end()) return walk.error();
  return items;
}

std::vector<std::string_view> split_lines(std::string_view body, std::size_t items_max) {
  std::vector<std::string_view> items;
  while (!body.empty() && items.size() <= items_max) {
    const std::size_t end = std::min(body.find('\n'), body.size());
    const std::string_view line = body.substr(0, end);
    if (!is_blank_line(line)) items.push_back(line);
    body.remove_prefix(std::min(end + 1, body.size()));
  }
  return items;
}

}  // namespace eventhub
