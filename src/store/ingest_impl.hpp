#pragma once
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <span>

#include "commit_pace.hpp"
#include "ingest_queue.hpp"
#include "ingest_sql.hpp"

namespace eventhub::store {

// The state of Ingest. ingest.cpp: life of the connection and the loop; ingest_commit.cpp: one
// batch.
struct Ingest::Impl {
  explicit Impl(Context& shared);

  Task<void> run();
  Task<void> idle();
  Task<void> ping();
  Task<void> reconnect();
  Task<bool> try_connect();
  Task<void> make_buckets();
  bool usable() const { return connection != nullptr && connection->healthy(); }
  // From now on until a connection is there: callers wait at most kGrace, then get `unavailable` at
  // once.
  void begin_grace();
  void end_grace();

  // Writes the batch and answers its rows, in halves when PostgreSQL refuses it.
  Task<void> commit(Batch batch);

  Context& context;
  const IngestConfig& config;
  IngestQueue queue;
  CommitPace pace;
  pg::ConnectionPtr connection;
  Wakeup work, stopped;
  boost::asio::steady_timer grace;
  std::shared_ptr<bool> alive = std::make_shared<bool>(true);
  bool waiting = false;  // for work
  bool down = false;     // no connection for longer than kGrace
  bool stopping = false;
  bool reported = false;  // the loss of the database is in the log
  Mono buckets_due{};

 private:
  // What became of a part of a batch.
  enum class Fate { done, split, again, failed, unknown, lost };
  Task<Fate> write(std::span<WaitingPtr> rows);
  Fate fate_of(const pg::Error& error, std::size_t rows);
  Task<bool> make_room(std::size_t rows);
  void settle(std::span<WaitingPtr> rows, std::optional<AcceptError> error);
  void put_back(std::span<WaitingPtr> rows);
  void tell_fanout(const Written& written);
  void hand_over(std::vector<Event> written);
  void committed(std::size_t rows, std::int64_t last_seq);
};

}  // namespace eventhub::store
