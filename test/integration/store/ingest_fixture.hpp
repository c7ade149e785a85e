#pragma once
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "eventhub/core/async.hpp"
#include "eventhub/store/ingest.hpp"
#include "support/catch.hpp"
#include "support/private_postgres.hpp"
#include "support/run_task.hpp"

namespace eventhub::test {

// A process that accepts events, on a database of its own.
struct IngestFixture {
  using Change = std::function<void(Config&)>;

  explicit IngestFixture(std::int64_t partition_rows = 1'000'000, const Change& change = {})
      : db(partition_rows), config(make_config(db, change)) {
    run(io, database.load());
  }
  ~IngestFixture() {
    // In the order of a process: the roles end, then what they use.
    for (auto& ingest : ingests) ingest->stop();
    until([this] { return running == 0; });
    io.restart();
    io.run_for(Millis{10'000});  // what was begun in the background
  }
  IngestFixture(const IngestFixture&) = delete;
  IngestFixture& operator=(const IngestFixture&) = delete;

  static Config make_config(const TestDatabase& db, const Change& change) {
    Config config;
    config.database = db.config();
    if (change) change(config);
    return config;
  }

  store::Ingest& add_ingest() {
    ingests.push_back(std::make_unique<store::Ingest>(context));
    return *ingests.back();
  }
  void start(store::Ingest& ingest) { spawn(executor_of(io), "ingest", count(ingest, &running)); }
  static Task<void> count(store::Ingest& ingest, int* running) {
    ++*running;
    co_await ingest.run();
    --*running;
  }
  store::Ingest& started() {
    auto& ingest = add_ingest();
    start(ingest);
    return ingest;
  }

  // Runs everything until `done`; fails the test when it takes too long.
  void until(const std::function<bool()>& done, Millis limit = Millis{30'000}) {
    const SystemClock real;
    const Mono end = real.mono() + limit;
    io.restart();
    while (!done()) {
      io.run_one_for(Millis{20});
      if (real.mono() > end) throw std::runtime_error("it takes too long");
    }
  }
  void wait(Millis duration) { run(io, sleep_for(duration)); }

  // A request and what came of it.
  struct Request {
    std::optional<store::AcceptResult> result;
    bool accepted() const { return result && std::holds_alternative<store::Accepted>(*result); }
    store::Accepted value() const { return std::get<store::Accepted>(result.value()); }
    bool failed(store::AcceptError error) const {
      const auto* found = result ? std::get_if<store::AcceptError>(&*result) : nullptr;
      return found != nullptr && *found == error;
    }
  };
  using RequestPtr = std::shared_ptr<Request>;

  static Task<void> accept(store::Ingest& ingest, NewEvent event,
                           std::optional<store::IdempotencyKey> key, RequestPtr request) {
    const auto result = co_await ingest.accept(std::move(event), key);
    request->result = result;
  }
  // Begins one, to be joined with others into a batch.
  RequestPtr begin(store::Ingest& ingest, NewEvent event,
                   std::optional<store::IdempotencyKey> key = std::nullopt) {
    auto request = std::make_shared<Request>();
    spawn(executor_of(io), "accept", accept(ingest, std::move(event), key, request));
    return request;
  }
  void finish(const std::vector<RequestPtr>& requests) {
    until([&] {
      return std::all_of(requests.begin(), requests.end(),
                         [](const RequestPtr& request) { return request->result.has_value(); });
    });
  }
  // For requests that shall be one batch: all wait in the queue before it starts to work.
  void start_on(store::Ingest& ingest, const std::vector<RequestPtr>& requests) {
    io.poll();
    start(ingest);
    finish(requests);
  }
  RequestPtr accept_one(store::Ingest& ingest, NewEvent event,
                        std::optional<store::IdempotencyKey> key = std::nullopt) {
    auto request = begin(ingest, std::move(event), key);
    finish({request});
    return request;
  }

  TestDatabase db;
  boost::asio::io_context io;
  Config config;
  SystemClock clock;
  Metrics metrics{100};
  store::Database database{executor_of(io), config.database, metrics};
  store::Wakeups wakeups{database, "test"};
  store::Partitions partitions{database};
  store::Subscribers subscribers{database};
  store::Context context{executor_of(io), config,     clock,       metrics, database,
                         wakeups,         partitions, subscribers, Uuid{}};
  std::vector<std::unique_ptr<store::Ingest>> ingests;
  int running = 0;
};

inline NewEvent event_of(std::string payload, std::string user = {}) {
  NewEvent event;
  event.event_type = "user.created";
  event.payload = std::move(payload);
  if (!user.empty()) event.user_id = std::move(user);
  return event;
}

inline store::IdempotencyKey key_of(std::uint8_t key, std::uint8_t fingerprint) {
  store::IdempotencyKey result;
  result.key.bytes.fill(key);
  result.fingerprint.bytes.fill(fingerprint);
  return result;
}

inline int number(const std::string& text) {
  return std::stoi(text);
}

}  // namespace eventhub::test
