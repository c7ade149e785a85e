// The buffer between the program and the reader of its log. Called by log.cpp; calls write(2) from
// its own thread, the one place in the hub that may block.
#include "core/log_sink.hpp"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace eventhub::log {
namespace {

// Lines gather for so long before they are written: at most 50 wake-ups a second.
constexpr std::chrono::milliseconds kGather{20};

// Writes all of `bytes`, waiting as long as it takes; returns how many went out before an error (a
// reader that closed the pipe, a full disk).
std::size_t write_all(int fd, std::string_view bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t written = ::write(fd, bytes.data() + done, bytes.size() - done);
    if (written > 0) {
      done += static_cast<std::size_t>(written);
    } else if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      pollfd wait{fd, POLLOUT, 0};  // whoever shares the descriptor made it non-blocking
      ::poll(&wait, 1, -1);
    } else if (written < 0 && errno != EINTR) {
      break;
    }
  }
  return done;
}

std::uint64_t count_lines(std::string_view bytes) {
  std::uint64_t lines = 0;
  for (const char c : bytes) lines += c == '\n' ? 1 : 0;
  return lines;
}

}  // namespace

struct Sink::State {
  int fd = -1;
  std::function<std::string(std::uint64_t)> describe_loss;
  std::mutex mutex;  // held for moments only: never while writing
  std::condition_variable work, written;
  std::string buffer;
  std::size_t bytes_max = 0;
  std::size_t writing = 0;                   // bytes in the hands of the thread
  std::uint64_t appended = 0, finished = 0;  // bytes, ever
  bool idle = true;                          // the thread sleeps until it is woken
  bool hurry = false;
  bool stopping = false;
  std::atomic<std::uint64_t> dropped{0};
  std::uint64_t reported = 0;  // of `dropped`, told to the reader
  bool torn = false;           // the last write ended inside a line
};

Sink::Sink(int fd, std::size_t bytes_max,
           std::function<std::string(std::uint64_t lost)> describe_loss)
    : state_(std::make_shared<State>()) {
  state_->fd = fd;
  state_->bytes_max = bytes_max;
  state_->describe_loss = std::move(describe_loss);
  sigset_t all, before;  // signals are the program's; SIGPIPE becomes EPIPE
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread(run, state_).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Sink::~Sink() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->work.notify_one();
}

void Sink::append(std::string_view line, bool urgent) {
  State& s = *state_;
  bool wake = false;
  {
    const std::lock_guard lock(s.mutex);
    if (s.buffer.size() + s.writing + line.size() > s.bytes_max) {
      s.dropped.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    s.buffer += line;
    s.appended += line.size();
    wake = s.idle || (urgent && !s.hurry);
    s.idle = false;
    s.hurry = s.hurry || urgent;
  }
  if (wake) s.work.notify_one();
}

void Sink::set_bytes_max(std::size_t bytes_max) {
  const std::lock_guard lock(state_->mutex);
  state_->bytes_max = bytes_max;
}

std::uint64_t Sink::dropped() const {
  return state_->dropped.load(std::memory_order_relaxed);
}

bool Sink::flush(int limit_ms) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  const std::uint64_t wanted = s.appended;
  s.hurry = true;
  s.work.notify_one();
  return s.written.wait_for(lock, std::chrono::milliseconds(limit_ms),
                            [&] { return s.finished >= wanted; });
}

void Sink::run(std::shared_ptr<State> state) {
  State& s = *state;
  std::string batch;
  std::unique_lock lock(s.mutex);
  while (true) {
    s.work.wait(lock, [&s] { return s.stopping || !s.buffer.empty(); });
    s.work.wait_for(lock, kGather, [&s] { return s.stopping || s.hurry; });
    if (s.stopping) return;
    batch.clear();
    batch.swap(s.buffer);
    s.hurry = false;
    s.writing = batch.size();
    const std::uint64_t lost = s.dropped.load(std::memory_order_relaxed) - s.reported;
    lock.unlock();

    if (s.torn) batch.insert(0, "\n");
    const std::size_t lines_end = batch.size();
    if (lost > 0) batch += s.describe_loss(lost);
    const std::size_t done = write_all(s.fd, batch);
    if (done > 0) s.torn = batch[done - 1] != '\n';
    if (done == batch.size()) s.reported += lost;
    if (done < lines_end)
      s.dropped.fetch_add(count_lines(std::string_view(batch).substr(done, lines_end - done)),
                          std::memory_order_relaxed);

    lock.lock();
    s.finished += s.writing;
    s.writing = 0;
    s.idle = s.buffer.empty();
    s.written.notify_all();
  }
}

}  // namespace eventhub::log
