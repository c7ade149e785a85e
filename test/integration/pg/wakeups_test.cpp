// Two processes' worth of Wakeups on one server hear each other, survive a lost session and stop at
// once.
#include "eventhub/store/wakeups.hpp"

#include <chrono>

#include "pg_fixture.hpp"
#include "support/catch.hpp"

using namespace eventhub;
using store::Database;
using store::Signal;
using store::Wakeups;
using test::run;

namespace {

using Steady = std::chrono::steady_clock;

struct Node {
  Node(boost::asio::io_context& io, const DatabaseConfig& config, Metrics& metrics)
      : database(test::executor_of(io), config, metrics), wakeups(database, "node") {}
  Database database;
  Wakeups wakeups;
  bool ended = false;
};

Task<void> run_node(Node& node) {
  co_await node.wakeups.run();
  node.ended = true;
}

struct WakeupsFixture {
  test::TestDatabase db{test::empty};
  boost::asio::io_context io;
  Metrics metrics{10};
  Node a{io, db.config(), metrics};
  Node b{io, db.config(), metrics};

  void start(Node& node) {
    spawn(test::executor_of(io), "node", run_node(node));
    for (const Signal signal : {Signal::events, Signal::messages, Signal::control}) {
      REQUIRE(woken(node, signal, Millis{5'000}));  // a new listener wakes everyone once
    }
  }
  bool woken(Node& node, Signal signal, Millis limit) {
    return run(io, node.wakeups.of(signal).wait(limit));
  }
  void stop(Node& node) {
    const auto start = Steady::now();
    node.wakeups.stop();
    for (int i = 0; i < 200 && !node.ended; ++i) run(io, sleep_for(Millis{10}));
    CHECK(node.ended);
    CHECK(Steady::now() - start < std::chrono::seconds{1});
  }
};

}  // namespace

TEST_CASE_METHOD(WakeupsFixture, "a notification wakes the same signal of the other process only") {
  start(a);
  start(b);
  a.wakeups.notify(Signal::messages);
  CHECK(woken(a, Signal::messages, Millis{0}));  // inside the process at once
  CHECK(woken(b, Signal::messages, Millis{2'000}));
  CHECK_FALSE(woken(b, Signal::events, Millis{50}));
  CHECK_FALSE(woken(a, Signal::messages, Millis{50}));  // not by its own echo
  db.query("SELECT pg_notify('eventhub_control', '')");
  CHECK(woken(a, Signal::control, Millis{2'000}));
  CHECK(woken(b, Signal::control, Millis{2'000}));
  stop(a);
  stop(b);
}

TEST_CASE_METHOD(WakeupsFixture, "nothing is sent when nobody else listens") {
  start(a);
  start(b);
  a.wakeups.set_remote(Signal::events, false);
  a.wakeups.notify(Signal::events);
  CHECK(woken(a, Signal::events, Millis{0}));
  CHECK_FALSE(woken(b, Signal::events, Millis{100}));
  a.wakeups.set_remote(Signal::events, true);
  a.wakeups.notify(Signal::events);
  CHECK(woken(b, Signal::events, Millis{2'000}));
  stop(a);
  stop(b);
}

TEST_CASE_METHOD(WakeupsFixture, "a burst is sent as few notifications") {
  start(a);
  start(b);
  const auto listener = run(io, b.database.connect(store::Profile::general));
  run(io, listener->exec("LISTEN eventhub_events"));
  for (int i = 0; i < 100; ++i) {
    a.wakeups.notify(Signal::events);
    run(io, sleep_for(Millis{1}));
  }
  run(io, sleep_for(Millis{50}));
  std::size_t heard = 0;
  for (;;) {
    const auto some = run(io, listener->wait_notifications(Millis{50}));
    if (some.empty()) break;
    heard += some.size();
  }
  CHECK(heard >= 2);
  CHECK(heard <= 40);
  stop(a);
  stop(b);
}

TEST_CASE_METHOD(WakeupsFixture, "lost sessions come back by themselves and wake everyone") {
  start(a);
  start(b);
  a.wakeups.notify(Signal::events);
  REQUIRE(woken(b, Signal::events, Millis{2'000}));
  db.query(
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
      "WHERE application_name = 'eventhubd'");
  woken(a, Signal::events, Millis{0});
  for (const Signal signal : {Signal::events, Signal::messages, Signal::control}) {
    CHECK(woken(a, signal, Millis{5'000}));
    CHECK(woken(b, signal, Millis{5'000}));
  }
  a.wakeups.notify(Signal::messages);
  CHECK(woken(b, Signal::messages, Millis{5'000}));
  stop(a);
  stop(b);
}

TEST_CASE_METHOD(WakeupsFixture, "stop() is prompt while the server does not answer") {
  const pid_t server = test::PrivatePostgres::server().pid();
  ::kill(server, SIGSTOP);
  spawn(test::executor_of(io), "node", run_node(a));
  a.wakeups.notify(Signal::events);
  run(io, sleep_for(Millis{100}));
  stop(a);
  ::kill(server, SIGCONT);
}
