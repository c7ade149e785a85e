// Turns a message and its fields into one line. Pure; log.cpp hands the line to the sink.
#include "core/log_format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "eventhub/core/utf8.hpp"

namespace eventhub::log {
namespace {

constexpr std::size_t kValueBytesMax = 4096;

void append_ascii(std::string& out, char c) {
  switch (c) {
    case '"':
    case '\\':
      out += '\\';
      out += c;
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
        out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
      } else {
        out += c;
      }
  }
}

// `value` in `digits` digits, and what stands behind it.
template <class T>
void append_number(std::string& out, T value, int digits, char behind) {
  const std::size_t begin = out.size();
  out.append(static_cast<std::size_t>(digits), '0');
  for (std::size_t at = out.size(); at > begin && value > 0; value /= 10)
    out[--at] = static_cast<char>('0' + value % 10);
  out += behind;
}

bool is_plain(char c) {
  return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

void append_escaped(std::string& out, std::string_view text) {
  const bool cut = text.size() > kValueBytesMax;
  text = text.substr(0, kValueBytesMax);
  while (true) {
    const auto* const special = std::find_if_not(text.begin(), text.end(), is_plain);
    out.append(text.begin(), special);
    text.remove_prefix(static_cast<std::size_t>(special - text.begin()));
    if (text.empty()) break;
    const std::size_t length = utf8_length(text);
    const bool c1 = length == 2 && text[0] == '\xC2' && static_cast<unsigned char>(text[1]) < 0xA0;
    if (length == 0) {
      out += kReplacementCharacter;
    } else if (length == 1) {
      append_ascii(out, text[0]);
    } else if (c1) {  // terminals act on these as on ESC
      out += fmt::format("\\u{:04x}", static_cast<unsigned char>(text[1]));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  if (cut) out += "...";
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

bool is_word(std::string_view text) {
  const auto plain = [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
  };
  return !text.empty() && text.size() <= kValueBytesMax &&
         std::all_of(text.begin(), text.end(), plain);
}

void append_json(std::string& out, Time time, Level level, std::string_view message,
                 std::initializer_list<Field> fields) {
  out += "{\"ts\":\"";
  append_time(out, time);
  out += "\",\"level\":\"";
  out += to_string(level);
  out += "\",\"msg\":";
  append_quoted(out, message);
  for (const Field& field : fields) {
    out += ',';
    append_quoted(out, field.name);
    out += ':';
    if (field.bare) {
      out += field.value;
    } else {
      append_quoted(out, field.value);
    }
  }
  out += '}';
}

void append_text(std::string& out, Time time, Level level, std::string_view message,
                 std::initializer_list<Field> fields) {
  append_time(out, time);
  out += fmt::format(" {:<5} ", to_string(level));
  append_escaped(out, message);
  for (const Field& field : fields) {
    out += ' ';
    append_escaped(out, field.name);
    out += '=';
    if (is_word(field.value)) {
      out += field.value;
    } else {
      append_quoted(out, field.value);
    }
  }
}

}  // namespace

void append_time(std::string& out, Time time) {
  using namespace std::chrono;
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(floor<milliseconds>(time - day));
  append_number(out, static_cast<int>(date.year()), 4, '-');
  append_number(out, static_cast<unsigned>(date.month()), 2, '-');
  append_number(out, static_cast<unsigned>(date.day()), 2, 'T');
  append_number(out, clock.hours().count(), 2, ':');
  append_number(out, clock.minutes().count(), 2, ':');
  append_number(out, clock.seconds().count(), 2, '.');
  append_number(out, clock.subseconds().count(), 3, 'Z');
}

std::string format_line(Format format, Time time, Level level, std::string_view message,
                        std::initializer_list<Field> fields) {
  std::string out;
  out.reserve(256);
  if (format == Format::json) {
    append_json(out, time, level, message, fields);
  } else {
    append_text(out, time, level, message, fields);
  }
  out += '\n';
  return out;
}

}  // namespace eventhub::log
