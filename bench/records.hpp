#pragma once
#include <cstdint>
#include <fstream>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "eventhub/core/ids.hpp"

// What the producer and the sink write down, one fixed-size record each, in files of their own. The
// checker judges a run by these alone. Times are CLOCK_MONOTONIC nanoseconds, the same for all
// processes of a machine.
namespace eventhub::bench {

inline constexpr std::uint32_t kNoKey = std::numeric_limits<std::uint32_t>::max();

// One event as the producer saw it.
struct Post {
  std::int64_t intended = 0;  // when it should have been sent
  std::int64_t sent = 0;
  std::int64_t answered = 0;  // 0: no answer came, so nobody knows whether it was accepted
  std::uint64_t number = 0;   // unique in the run, also in the payload
  Uuid event_id;              // of a 2xx answer
  std::uint32_t key = kNoKey;
  std::uint32_t counter = 0;  // of its key, in the order of sending
  std::uint16_t status = 0;   // 0: no answer
  std::uint8_t kind = 0;      // which event type
  std::uint8_t part = 0;      // of the run, from 1; 0: not measured
  std::uint8_t optional = 0;  // nobody has to get it
  std::uint8_t unused[3] = {};

  bool accepted() const { return status >= 200 && status < 300; }
  // A 4xx says that nothing was stored; anything else but a 2xx leaves it open.
  bool refused() const { return status >= 400 && status < 500; }
};

// One delivery as the sink saw it.
struct Receipt {
  std::int64_t received = 0;  // the request was complete
  std::int64_t answered = 0;  // the answer was handed to the kernel; 0: it could not be
  std::uint64_t number = 0;   // the three from the payload
  std::uint64_t seq = 0;      // X-Event-Seq
  Uuid message_id;
  Uuid event_id;
  std::uint32_t key = kNoKey;
  std::uint32_t counter = 0;
  std::uint32_t subscriber = 0;  // from the path
  std::uint16_t attempt = 0;
  std::uint16_t status = 0;  // what was answered
  std::uint8_t intact = 0;   // the body is, byte for byte, what was posted
  std::uint8_t unused[7] = {};
};

std::int64_t now_ns();
inline constexpr std::int64_t kSecond = 1'000'000'000;

// Appends records to a file, many at a time.
template <class Record>
class LogWriter {
  static_assert(std::has_unique_object_representations_v<Record>);

 public:
  explicit LogWriter(const std::string& path) : file_(path, std::ios::binary | std::ios::app) {
    file_.exceptions(std::ios::failbit | std::ios::badbit);
    pending_.reserve(kBatch);
  }
  ~LogWriter() { flush(); }
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  void add(const Record& record) {
    pending_.push_back(record);
    if (pending_.size() == kBatch) flush();
  }
  void flush() {
    file_.write(reinterpret_cast<const char*>(pending_.data()),
                static_cast<std::streamsize>(pending_.size() * sizeof(Record)));
    file_.flush();
    pending_.clear();
  }

 private:
  static constexpr std::size_t kBatch = 1024;
  std::ofstream file_;
  std::vector<Record> pending_;
};

struct Logs {
  std::vector<Post> posts;
  std::vector<Receipt> receipts;
};

// Names of the files in a directory of logs.
std::string posts_file(const std::string& directory);
std::string receipts_file(const std::string& directory);
std::string shape_file(const std::string& directory);

// Throws std::runtime_error when a file is missing or cut.
Logs read_logs(const std::string& directory);

}  // namespace eventhub::bench
