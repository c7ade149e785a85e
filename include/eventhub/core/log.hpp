#pragma once
#include <fmt/format.h>

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

// Structured logs: a constant message and named fields. Never blocks: when stdout is a full pipe
// lines are dropped and counted (eventhub_log_dropped_lines_total). Secrets never reach it; values
// are escaped.
namespace eventhub::log {

enum class Level { trace, debug, info, warn, error };
enum class Format { text, json };

struct Field {
  template <class T>
  Field(std::string_view field_name, const T& field_value)
      : name(field_name), value(fmt::format("{}", field_value)), bare(is_bare<T>(value)) {}
  std::string_view name;
  std::string value;
  bool bare;  // a number or boolean: no quotes in JSON

 private:
  template <class T>
  static bool is_bare(const std::string& text) {
    if constexpr (std::is_floating_point_v<T>) return text.find_first_of("in") == text.npos;
    return std::is_arithmetic_v<T> &&
           !std::is_same_v<T, char>;  // "inf" and "nan" are no JSON numbers
  }
};

std::string_view to_string(Level level);

void configure(Level level, Format format, std::size_t buffer_bytes_max);
bool enabled(Level level);
void write(Level level, std::string_view message, std::initializer_list<Field> fields);
// A change that somebody made: a line "audit" of level info, whatever log.level is. `id` and `what`
// tell of the thing that was changed, `by` and `from` who did it and where he sits.
struct Change {
  std::string_view action;  // "key.create"
  std::string_view id, what;
  std::string_view by, from;
};
void audit(const Change& change);
// Standard error instead of standard output, for commands that print. Before configure().
void to_standard_error();
// Lines lost because the reader of stdout did not keep up.
std::uint64_t dropped();
// Writes what is buffered, waiting at most `limit_ms`. At exit.
void flush(int limit_ms);

inline void debug(std::string_view message, std::initializer_list<Field> fields = {}) {
  if (enabled(Level::debug)) write(Level::debug, message, fields);
}
inline void info(std::string_view message, std::initializer_list<Field> fields = {}) {
  write(Level::info, message, fields);
}
inline void warn(std::string_view message, std::initializer_list<Field> fields = {}) {
  write(Level::warn, message, fields);
}
inline void error(std::string_view message, std::initializer_list<Field> fields = {}) {
  write(Level::error, message, fields);
}

}  // namespace eventhub::log
