// Log lines: what they look like, and that a reader who is slow, asleep or gone costs lines, never
// time.
#include "eventhub/core/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>

#include "core/log_format.hpp"
#include "core/log_sink.hpp"
#include "support/catch.hpp"

using namespace eventhub;
using namespace std::chrono_literals;
using log::Format;
using log::Level;

namespace {

const Time kTime{std::chrono::sys_days{std::chrono::January / 31 / 2026} + 23h + 59min + 8s + 7ms};

std::string json(std::string_view message, std::initializer_list<log::Field> fields) {
  return log::format_line(Format::json, kTime, Level::info, message, fields);
}

std::string text(std::string_view message, std::initializer_list<log::Field> fields) {
  return log::format_line(Format::text, kTime, Level::warn, message, fields);
}

struct ReadablePipe {
  int read_end = -1, write_end = -1;
  ReadablePipe() {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    read_end = ends[0];
    write_end = ends[1];
  }
  ~ReadablePipe() {
    close_reader();
    ::close(write_end);
  }
  ReadablePipe(const ReadablePipe&) = delete;
  ReadablePipe& operator=(const ReadablePipe&) = delete;
  void close_reader() {
    if (read_end >= 0) ::close(read_end);
    read_end = -1;
  }
  // What arrives until nothing has come for `quiet_ms`.
  std::string drain(int quiet_ms) const {
    std::string all, piece(65536, '\0');
    pollfd wait{read_end, POLLIN, 0};
    while (::poll(&wait, 1, quiet_ms) > 0) {
      const ssize_t got = ::read(read_end, piece.data(), piece.size());
      if (got <= 0) break;
      all.append(piece, 0, static_cast<std::size_t>(got));
    }
    return all;
  }
};

std::size_t lines_of(const std::string& bytes) {
  return static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

std::string loss_line(std::uint64_t lost) {
  return "lost " + std::to_string(lost) + "\n";
}

template <class F>
std::chrono::milliseconds time_of(F&& f) {
  const auto begin = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begin);
}

}  // namespace

TEST_CASE("a line is one JSON object or one line of text", "[log]") {
  CHECK(json("started", {{"port", 3000}, {"ok", true}, {"role", "api"}, {"ratio", 0.5}}) ==
        "{\"ts\":\"2026-01-31T23:59:08.007Z\",\"level\":\"info\",\"msg\":\"started\",\"port\":3000,"
        "\"ok\":true,\"role\":\"api\",\"ratio\":0.5}\n");
  CHECK(text("started", {{"port", 3000}, {"why", "two words"}, {"empty", ""}}) ==
        "2026-01-31T23:59:08.007Z warn  started port=3000 why=\"two words\" empty=\"\"\n");
  CHECK(json("m", {{"n", std::numeric_limits<double>::infinity()}}).ends_with("\"n\":\"inf\"}\n"));
  CHECK(json("m", {{"n", std::numeric_limits<double>::quiet_NaN()}}).ends_with("\"n\":\"nan\"}\n"));
}

TEST_CASE("a value can neither end the line nor reach the terminal", "[log]") {
  const std::string evil = "a\r\nb\x1b[31m\"\\\t\x7f\xC2\x9b" + std::string(1, '\0') + "é😀";
  const std::string escaped = R"(a\r\nb\u001b[31m\"\\\t\u007f\u009b\u0000é😀)";
  CHECK(json("m", {{"v", evil}}).ends_with("\"v\":\"" + escaped + "\"}\n"));
  CHECK(text("m", {{"v", evil}}).ends_with("v=\"" + escaped + "\"\n"));
  CHECK(text(evil, {}).find("\x1b") == std::string::npos);
  CHECK(lines_of(text(evil, {{evil, evil}})) == 1);
  // Stray, overlong, surrogate, cut off, too large.
  for (const std::string bad : {"\xff", "\x80", "\xc0\xaf", "\xed\xa0\x80", "\xe2\x82", "\xf5\x80"})
    CHECK(json("m", {{"v", bad}}).find("\xEF\xBF\xBD") != std::string::npos);
  CHECK(json("m", {{"v", std::string(1'000'000, 'x')}}).size() < 5000);
}

TEST_CASE("lines arrive complete and in order", "[log]") {
  ReadablePipe pipe;
  log::Sink sink(pipe.write_end, 1 << 20, loss_line);
  std::string wanted;
  for (int i = 0; i < 1000; ++i) {
    const std::string line = "line " + std::to_string(i) + "\n";
    sink.append(line, false);
    wanted += line;
  }
  CHECK(sink.flush(5000));
  CHECK(pipe.drain(0) == wanted);
  CHECK(sink.dropped() == 0);
  // A line alone comes without a flush, and so does the one after an empty flush.
  CHECK(sink.flush(5000));
  sink.append("alone\n", false);
  CHECK(pipe.drain(2000).starts_with("alone\n"));
}

TEST_CASE("a pipe that nobody reads costs lines, never time", "[log]") {
  ReadablePipe pipe;
  log::Sink sink(pipe.write_end, 256 << 10, loss_line);
  const std::string line(99, 'x');
  auto longest = 0ms;
  for (int i = 0; i < 20'000; ++i)
    longest = std::max(longest, time_of([&] { sink.append(line + "\n", false); }));
  CHECK(longest < 250ms);  // a write() into the pipe would never return
  CHECK(sink.dropped() > 0);
  const auto waited = time_of([&] { CHECK(!sink.flush(100)); });
  CHECK(waited >= 100ms);
  CHECK(waited < 5s);

  // The reader wakes up: what was kept is whole, what was lost is told and counted.
  const std::string all = pipe.drain(500);
  sink.append("after\n", false);
  const std::string rest = all + pipe.drain(500);
  CHECK(rest.find("after\n") != std::string::npos);
  std::size_t told = 0, kept = 0;
  std::istringstream lines(rest);
  for (std::string one; std::getline(lines, one);) {
    if (one.starts_with("lost ")) told += std::stoul(one.substr(5));
    if (one == line) ++kept;
  }
  CHECK(told == sink.dropped());
  CHECK(kept + told == 20'000);
  CHECK(kept * 100 > (255 << 10));  // the buffer was used up
  CHECK(sink.flush(1000));
}

TEST_CASE("a non-blocking stdout is waited for", "[log]") {
  ReadablePipe pipe;
  REQUIRE(::fcntl(pipe.write_end, F_SETFL, O_NONBLOCK) == 0);
  log::Sink sink(pipe.write_end, 1 << 20, loss_line);
  const std::string line(99, 'x');
  for (int i = 0; i < 5000; ++i) sink.append(line + "\n", false);
  CHECK(lines_of(pipe.drain(500)) == 5000);
  CHECK(sink.dropped() == 0);
}

TEST_CASE("a reader who is gone does not end the program", "[log]") {
  ReadablePipe pipe;
  log::Sink sink(pipe.write_end, 1 << 20, loss_line);
  pipe.close_reader();
  sink.append("one\ntwo\n", true);
  CHECK(sink.flush(5000));
  CHECK(sink.dropped() == 2);
  sink.append("three\n", true);
  CHECK(sink.flush(5000));
  CHECK(sink.dropped() == 3);
}

TEST_CASE("a full disk tears one line, not the next", "[log]") {
  char path[] = "/tmp/eventhub_log_XXXXXX";
  const int fd = ::mkstemp(path);
  REQUIRE(fd >= 0);
  log::Sink sink(fd, 1 << 20, loss_line);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  const rlimit small{10, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  sink.append("0123456789abcdef\n", true);
  CHECK(sink.flush(5000));
  ::setrlimit(RLIMIT_FSIZE, &before);
  sink.append("next\n", true);
  CHECK(sink.flush(5000));
  std::ostringstream file;
  file << std::ifstream(path).rdbuf();
  CHECK(file.str() == "0123456789\nnext\nlost 1\n");
  ::unlink(path);
  ::close(fd);
}

TEST_CASE("the process's log goes to stdout from its level on", "[log]") {
  ReadablePipe pipe;
  const int before = ::dup(STDOUT_FILENO);
  ::dup2(pipe.write_end, STDOUT_FILENO);
  log::configure(Level::info, Format::json, 1 << 20);
  log::debug("hidden");
  log::info("shown", {{"n", 1}});
  log::configure(Level::debug, Format::text, 1 << 20);
  log::debug("shown too", {{"n", 2}});
  log::flush(5000);
  ::dup2(before, STDOUT_FILENO);
  ::close(before);
  const std::string out = pipe.drain(0);
  CHECK(out.find("hidden") == std::string::npos);
  CHECK(out.find("\"level\":\"info\",\"msg\":\"shown\",\"n\":1}\n") != std::string::npos);
  CHECK(out.find("Z debug shown too n=2\n") != std::string::npos);
  CHECK(log::dropped() == 0);
  CHECK(!log::enabled(Level::trace));
}
