// The process's log: level and format, and the one sink on standard output (log_sink.cpp).
#include "eventhub/core/log.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "core/log_format.hpp"
#include "core/log_sink.hpp"

namespace eventhub::log {
namespace {

constexpr std::size_t kBufferBytesMax = 1 << 20;  // until configure()
constexpr int kExitFlushMs = 500;

std::atomic<Level> least{Level::info};
std::atomic<Format> written_as{Format::json};
std::atomic<int> descriptor{STDOUT_FILENO};

std::string describe_loss(std::uint64_t lost) {
  return format_line(written_as.load(), SystemClock().now(), Level::warn, "log lines dropped",
                     {{"count", lost}});
}

// Made by the first line and never destroyed: others may log while the process exits.
Sink& sink() {
  static Sink* const made = [] {
    auto* const fresh = new Sink(descriptor, kBufferBytesMax, describe_loss);
    static_cast<void>(std::atexit([] { flush(kExitFlushMs); }));
    return fresh;
  }();
  return *made;
}

void append(Level level, std::string_view message, std::initializer_list<Field> fields) {
  const Format lines = written_as.load(std::memory_order_relaxed);
  sink().append(format_line(lines, SystemClock().now(), level, message, fields),
                level == Level::error);
}

}  // namespace

std::string_view to_string(Level level) {
  switch (level) {
    case Level::trace:
      return "trace";
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warn:
      return "warn";
    case Level::error:
      return "error";
  }
  return "?";
}

void configure(Level level, Format lines, std::size_t buffer_bytes_max) {
  least = level;
  written_as = lines;
  sink().set_bytes_max(buffer_bytes_max);
}

bool enabled(Level level) {
  return level >= least.load(std::memory_order_relaxed);
}

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
  if (enabled(level)) append(level, message, fields);
}

void audit(const Change& change) {
  append(Level::info, "audit",
         {{"action", change.action},
          {"id", change.id},
          {"what", change.what},
          {"by", change.by},
          {"from", change.from}});
}

void to_standard_error() {
  descriptor = STDERR_FILENO;
}

std::uint64_t dropped() {
  return sink().dropped();
}

void flush(int limit_ms) {
  sink().flush(limit_ms);
}

}  // namespace eventhub::log
