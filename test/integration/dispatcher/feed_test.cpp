// Windows of `messages`: nothing is read twice, nothing is left out.
#include "eventhub/store/feed.hpp"

#include "integration/dispatcher/store_world.hpp"

namespace eventhub::test {
namespace {

using Refs = std::vector<MessageRef>;
enum class How { read, rebuild };

// All windows after `position` to the end of what is there.
std::vector<FedMessage> drain(StoreWorld& w, store::MessageFeed& feed, How how, int events,
                              const std::vector<std::int16_t>& shards, std::int64_t& position) {
  std::vector<FedMessage> all;
  for (;;) {
    store::FeedWindow window;
    if (how == How::read) {
      window = run(w.io, feed.read(position, events, shards));
    } else {
      window = run(w.io, feed.rebuild(position, events, shards));
    }
    if (window.end <= position) return all;
    CHECK(window.end <= position + 100'000);
    all.insert(all.end(), window.messages.begin(), window.messages.end());
    position = window.end;
  }
}

Refs refs_of(const std::vector<FedMessage>& messages) {
  Refs refs;
  for (const FedMessage& fed : messages) refs.push_back(fed.message.ref);
  return refs;
}

// As a feed of its own reads them from the beginning.
Refs read_all(StoreWorld& w, How how, int events, const std::vector<std::int16_t>& shards) {
  const pg::ConnectionPtr connection = w.connect();
  store::MessageFeed feed(w.hub.context, *connection);
  std::int64_t position = 0;
  return refs_of(drain(w, feed, how, events, shards, position));
}

// What the table holds, in the order of the feed.
Refs stored(StoreWorld& w, const std::vector<std::int16_t>& shards) {
  const pg::Statement select{
      "test_stored",
      "SELECT event_seq, sid FROM messages WHERE shard = ANY($1) ORDER BY event_seq, sid"};
  const pg::ConnectionPtr connection = w.connect();
  pg::Params params;
  params.i16s(shards);
  const pg::Result rows = run(w.io, connection->run(select, std::move(params)));
  Refs refs;
  for (int i = 0; i < rows.rows(); ++i) refs.push_back({rows.i64(i, 0), rows.i32(i, 1)});
  return refs;
}

void check_all_windows(StoreWorld& w, const std::vector<int>& sizes) {
  const Refs expected = stored(w, kEveryShard);
  for (const int events : sizes) {
    for (const How how : {How::read, How::rebuild}) {
      INFO("window " << events << (how == How::read ? " read" : " rebuild"));
      const bool same = read_all(w, how, events, kEveryShard) == expected;
      CHECK(same);
    }
  }
}

}  // namespace

TEST_CASE("windows hold every message once, whatever their size and the number of subscribers") {
  StoreWorld w(25);
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 3)");
  for (const int subscribers : {1, 2, 3, 5, 7}) {
    INFO(subscribers << " subscribers");
    w.db.sql("DELETE FROM messages;" + add_messages(1, 80, subscribers));
    check_all_windows(w, {1, 3, 24, 25, 26, 1'000});
  }
}

TEST_CASE("an event of 1,300 messages is never cut") {
  StoreWorld w(10);
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 2)");
  w.db.sql(add_messages(1, 25, 1'300));
  check_all_windows(w, {1, 7, 1'000});
}

TEST_CASE("events without messages, also a whole partition of them, are passed") {
  StoreWorld w(25);
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 4)");
  w.db.sql(add_messages(1, 110, 3, "e % 40 = 0 OR e = 101"));
  check_all_windows(w, {1, 25, 1'000});
}

TEST_CASE("two owners' windows hold each other's messages never, together all") {
  StoreWorld w(25);
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 2)");
  w.db.sql(add_messages(1, 70, 5));
  const std::vector<std::int16_t> mine = shards_between(0, 40), others = shards_between(41, 63);
  for (const How how : {How::read, How::rebuild}) {
    for (const int events : {1, 1'000}) {
      const bool own = read_all(w, how, events, mine) == stored(w, mine);
      const bool rest = read_all(w, how, events, others) == stored(w, others);
      CHECK(own);
      CHECK(rest);
    }
  }
}

TEST_CASE("what is fanned out after the end was reached comes next, over the partition's border") {
  StoreWorld w(25);
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 3)");
  const pg::ConnectionPtr connection = w.connect();
  store::MessageFeed feed(w.hub.context, *connection);
  std::int64_t position = 0;
  Refs got;
  for (int first = 1; first < 90; first += 11) {
    w.db.sql(add_messages(first, first + 10, 3));
    w.db.sql("UPDATE sequencer SET cursor = 0");  // it is saved later than messages are there
    const Refs more = refs_of(drain(w, feed, How::read, 4, kEveryShard, position));
    got.insert(got.end(), more.begin(), more.end());
  }
  const bool same = got == stored(w, kEveryShard);
  CHECK(same);
}

TEST_CASE("dropped partitions hold nothing open: the feed goes on behind them") {
  StoreWorld w(25);
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 4)");
  w.db.sql(add_messages(1, 110, 2));
  w.drop_partition(0);
  w.drop_partition(1);
  check_all_windows(w, {1, 1'000});
}

TEST_CASE("the series of a feed are as many for many partitions as for one") {
  StoreWorld w(10);
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 8)");
  w.db.sql(add_messages(1, 80, 1));
  check_all_windows(w, {1'000});
  const std::string all = w.hub.metrics.expose();
  CHECK_THAT(all, Catch::Matchers::Contains("statement=\"feed_messages\""));
  CHECK_THAT(all, Catch::Matchers::Contains("statement=\"feed_rebuild\""));
  CHECK_THAT(all, !Catch::Matchers::Contains("_p1"));
}

TEST_CASE("a rebuild leaves out what ended or is parked, and tells the attempts of the rest") {
  StoreWorld w(25);
  w.db.sql(add_messages(1, 8, 1));
  w.db.sql(
      "INSERT INTO delivery_attempts (event_seq, sid, shard, attempt, outcome, attempted_at,"
      " next_attempt_at) SELECT e, 1, (e * 7 + 1) % 64, a, o, now(), d FROM (VALUES"
      " (1, 1, 2, '2030-01-01'::timestamptz), (1, 2, 1, NULL),"    // retried, then delivered
      " (2, 1, 3, NULL), (3, 1, 7, NULL),"                         // dead, cancelled
      " (4, 1, 2, '2030-01-01'), (4, 2, 2, '2030-02-01'),"         // twice to be tried again
      " (5, 1, 4, NULL),"                                          // begun
      " (6, 1, 4, NULL), (6, 1, 2, '2030-03-01')) v(e, a, o, d);"  // begun and answered
      "INSERT INTO parked (event_seq, sid, shard, reason) VALUES (7, 1, 50, 3)");
  const pg::ConnectionPtr connection = w.connect();
  store::MessageFeed feed(w.hub.context, *connection);
  std::int64_t position = 0;
  const auto open = drain(w, feed, How::rebuild, 3, kEveryShard, position);
  REQUIRE(refs_of(open) == Refs{{4, 1}, {5, 1}, {6, 1}, {8, 1}});
  const Time february = std::chrono::sys_days(std::chrono::year{2030} / 2 / 1);
  CHECK(open[0].attempt == 2);
  CHECK_FALSE(open[0].started);
  CHECK(open[0].due_at == february);
  CHECK(open[1].attempt == 1);
  CHECK(open[1].started);
  CHECK(open[2].attempt == 1);
  CHECK_FALSE(open[2].started);
  CHECK(open[3].attempt == 0);
  CHECK_FALSE(open[3].due_at.has_value());
}

}  // namespace eventhub::test
