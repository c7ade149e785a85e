#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

// Where lines go: a bounded buffer that the program's thread appends to and a thread of its own
// that writes it out, many lines per write(). append() never waits for the reader of the
// descriptor.
namespace eventhub::log {

class Sink {
 public:
  // `describe_loss` makes the line that tells the reader how many were lost before it.
  Sink(int fd, std::size_t bytes_max, std::function<std::string(std::uint64_t lost)> describe_loss);
  // Lines not written yet are lost; a write() that hangs is left to itself.
  ~Sink();
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;

  // `line` ends in a newline. Dropped and counted when the buffer is full. `urgent`: written at
  // once rather than with the lines of the next few milliseconds.
  void append(std::string_view line, bool urgent);
  void set_bytes_max(std::size_t bytes_max);
  std::uint64_t dropped() const;
  // Waits until everything appended so far is written, at most `limit_ms`. False when it was not.
  bool flush(int limit_ms);

 private:
  struct State;
  static void run(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace eventhub::log
