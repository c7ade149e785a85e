#pragma once
#include <libpq-fe.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "eventhub/pg/connection.hpp"

namespace eventhub::pg {

struct ClearResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using ResultPtr = std::unique_ptr<PGresult, ClearResult>;

// One call of a pipeline, without owning it.
struct Item {
  const Statement* statement;
  const Params* params;
};

// A statement as this connection's server session knows it.
struct Prepared {
  std::string server_name;
  std::string text;
  std::vector<Oid> types;
  bool of_partition = false;
  std::uint64_t used = 0;  // number of its last use
  bool ready = false;      // the server has answered
  bool queued = false;     // part of the pipeline being sent
};

// The state of a connection. Coroutines hold it by shared_ptr, so an early end of Connection harms
// no running call; everything that waits goes through wait(), which the deadline or close() ends.
struct Connection::Impl : std::enable_shared_from_this<Connection::Impl> {
  using Wait = boost::asio::posix::stream_descriptor::wait_type;
  class Busy;
  class Run;

  Impl(const Executor& executor, ConnectOptions options, Metrics* metrics);
  ~Impl() { finish(); }

  // connect.cpp
  static Task<void> connect(std::shared_ptr<Impl> self);
  void obey(Abort& abort);
  // pipeline.cpp
  static Task<void> pipeline(std::shared_ptr<Impl> self, std::span<const Item> items,
                             Result* results);
  // forget.cpp
  bool remembers_many() const;
  static Task<void> forget(std::shared_ptr<Impl> self);
  // simple.cpp
  static Task<void> simple(std::shared_ptr<Impl> self, std::string sql, Millis limit);
  static Task<std::vector<Notification>> notifications(std::shared_ptr<Impl> self, Millis limit);

  // link.cpp: the socket, the deadline, the end.
  void arm(Millis limit);
  void disarm();
  void stop_waiting();
  // False when the deadline passed, close() was called or the link broke.
  Task<bool> wait(Wait what);
  // Waits until PQgetResult has an answer; throws when the link ends before. `in_doubt`: a commit
  // may have happened.
  Task<void> answer(bool in_doubt);
  // Sends what libpq still holds; reads along, so that a server that waits for us cannot stall it.
  Task<void> flush();
  void read_while_flushing(unsigned number);
  // Reads what has arrived, without waiting.
  void consume();
  void note_broken();
  // Notices a link that ended while no call ran.
  void probe();
  // Throws unless a call can be sent; a link that ended while idle is seen here, with nothing in
  // doubt.
  void require_usable();
  void finish();
  // Ends the connection and throws the reason.
  [[noreturn]] void lose(bool in_doubt);
  static void on_notice(void* self, const PGresult* notice);

  boost::asio::posix::stream_descriptor socket;
  boost::asio::steady_timer timer;
  ConnectOptions options;
  Metrics* metrics;
  PGconn* conn = nullptr;
  int pid = 0;
  Millis limit{0};
  unsigned deadline = 0;  // number of the running deadline; an older one that fires is ignored
  unsigned flushing = 0;
  bool expired = false, closed = false, broken = false, busy = false;
  std::string farewell, farewell_state;  // a FATAL that came while no call ran

  std::unordered_map<std::string, Prepared> prepared;
  unsigned renamed = 0;
  std::uint64_t uses = 0;
  // Scratch of send(), kept for their memory.
  std::vector<Prepared*> plan;
  std::vector<const char*> values;
  std::vector<int> lengths, formats;
};

// One call at a time: two would read each other's answers. Sets the call's deadline.
class Connection::Impl::Busy {
 public:
  Busy(Impl& impl, Millis limit);
  ~Busy();
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;

 private:
  Impl& impl_;
};

}  // namespace eventhub::pg
