// The link breaks around the commit of a batch of results. A rebuild finds out which it was: what
// was recorded is not sent again, what was not is.
#include <set>

#include "eventhub/core/lanes.hpp"
#include "eventhub/store/feed.hpp"
#include "eventhub/store/ownership.hpp"
#include "integration/dispatcher/store_world.hpp"
#include "support/pg_proxy.hpp"

namespace eventhub::test {
namespace {

constexpr int kKeys = 10;

SubscriberSetPtr one_subscriber() {
  Subscriber row;
  row.sid = 1;
  row.patterns = {">"};
  row.ordering = OrderingKey::user_id;
  auto set = std::make_shared<SubscriberSet>();
  set->version = 1;
  set->by_sid[1] = std::make_shared<const Subscriber>(row);
  return set;
}

Config through(const PgProxy& proxy, const TestDatabase& db) {
  Config config = Hub::with_database({}, db);
  config.database.host = proxy.dir();
  return config;
}

// A dispatcher without receivers: every message that may go counts as delivered at once.
struct Dispatcher {
  Dispatcher(boost::asio::io_context& context, const TestDatabase& db)
      : io(context),
        hub(context, through(proxy, db)),
        ownership(hub.context),
        writer(hub.context),
        lanes(LanesConfig{}, hub.clock) {}

  // Takes every shard and rebuilds. The server may still be about to end the former session.
  void take_over() {
    run(io, ownership.connect());
    lanes.set_subscribers(one_subscriber());
    REQUIRE(run_until(io, [&] {
      for (const Takeover& takeover : run(io, ownership.acquire(kShards))) lanes.acquire(takeover);
      return ownership.owned().size() == kShards;
    }));
    const pg::ConnectionPtr connection = run(io, hub.database.connect(store::Profile::hot));
    store::MessageFeed feed(hub.context, *connection);
    const store::FeedWindow window = run(io, feed.rebuild(0, 1'000, kEveryShard));
    lanes.feed(window.messages, kEveryShard, window.end);
  }
  // Sends what may go; the event_seqs.
  std::set<std::int64_t> deliver() {
    std::set<std::int64_t> sent;
    while (std::optional<Start> start = lanes.next()) {
      CHECK(sent.insert(start->ref.event_seq).second);
      Ended ended;
      ended.attempted_at = hub.clock.now();
      lanes.ended(*start, std::move(ended));
    }
    return sent;
  }
  void write() {
    const std::vector<LaneOp> ops = lanes.take_ops(512);
    const auto answers = run(io, writer.write(ownership.session(), ops, kEveryShard, {}));
    for (std::size_t i = 0; i < ops.size(); ++i) lanes.committed(ops[i], answers[i]);
  }
  void lost_session() {
    ownership.disconnect();
    lanes.reset();
  }

  boost::asio::io_context& io;
  PgProxy proxy;
  Hub hub;
  store::Ownership ownership;
  store::LaneWriter writer;
  Lanes lanes;
};

// A hundred messages of ten keys, so that ten may go at a time.
struct LostAnswerWorld {
  LostAnswerWorld() : dispatcher(io, db) {
    db.sql(
        "INSERT INTO messages SELECT e, 1, (e % 10), e % 10 FROM generate_series(1, 100) e;"
        "UPDATE sequencer SET cursor = 100");
    dispatcher.take_over();
  }
  // Delivers the rest and looks whether every message ended once.
  void finish() {
    while (!dispatcher.deliver().empty()) dispatcher.write();
    CHECK(db.query("SELECT count(*), count(DISTINCT event_seq), min(outcome), max(outcome) "
                   "FROM delivery_attempts") == "100|100|1|1");
  }
  std::string recorded() { return db.query("SELECT count(*) FROM delivery_attempts"); }

  boost::asio::io_context io;
  TestDatabase db;
  Dispatcher dispatcher;
};

template <class Write>
pg::Error lost(Write write) {
  try {
    write();
  } catch (const pg::Error& error) {
    return error;
  }
  throw std::logic_error("the write was answered");
}

}  // namespace

TEST_CASE("results whose commit nobody heard of are neither lost nor sent again") {
  LostAnswerWorld w;
  REQUIRE(w.dispatcher.deliver().size() == kKeys);
  w.dispatcher.proxy.eat_answer();
  const pg::Error error = lost([&] { w.dispatcher.write(); });
  CHECK(error.connection_lost);
  CHECK(error.outcome_unknown);
  CHECK(w.recorded() == "10");

  w.dispatcher.lost_session();
  w.dispatcher.take_over();
  const std::set<std::int64_t> next = w.dispatcher.deliver();
  CHECK(next.size() == kKeys);
  CHECK(*next.begin() == 11);
  CHECK(*next.rbegin() == 20);
  w.dispatcher.write();
  w.finish();
}

TEST_CASE("results the server never saw are those of messages that go again") {
  LostAnswerWorld w;
  const std::set<std::int64_t> first = w.dispatcher.deliver();
  w.dispatcher.proxy.cut_request();
  CHECK(lost([&] { w.dispatcher.write(); }).connection_lost);
  CHECK(w.recorded() == "0");

  w.dispatcher.lost_session();
  w.dispatcher.take_over();
  CHECK(w.dispatcher.deliver() == first);
  w.dispatcher.write();
  w.finish();
}

}  // namespace eventhub::test
