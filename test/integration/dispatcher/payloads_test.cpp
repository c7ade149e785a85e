// Payloads for sending: a bounded cache, few reads, and the dead letter's copy when all else is
// gone.
#include "eventhub/store/payloads.hpp"

#include "integration/dispatcher/store_world.hpp"

namespace eventhub::test {
namespace {

// `count` events with payloads of `bytes`, one JSON string each that begins with the event_seq.
std::string add_large_events(int count, int bytes) {
  return "INSERT INTO events (id, event_type, version, user_id, payload) SELECT gen_random_uuid(),"
         " 'x', 'v1', 'u', '\"' || lpad(i::text, " +
         std::to_string(bytes - 2) + ", '.') || '\"' FROM generate_series(1, " +
         std::to_string(count) + ") i;\n";
}

Config with_cache(std::int64_t bytes) {
  Config config;
  config.dispatcher.payload_cache_bytes_max = bytes;
  return config;
}

struct PayloadsWorld : StoreWorld {
  explicit PayloadsWorld(std::int64_t partition_rows = 1'000, Config config = {})
      : StoreWorld(partition_rows, std::move(config)), running(hub), payloads(running.payloads) {}

  EventPtr get(std::int64_t seq) { return run(io, payloads.get(seq)); }
  // Asks for them all at once, as senders do.
  std::vector<EventPtr> get_all(const std::vector<std::int64_t>& seqs) {
    std::vector<EventPtr> events(seqs.size());
    std::size_t answered = 0;
    for (std::size_t i = 0; i < seqs.size(); ++i) {
      spawn(executor_of(io), "sender", ask(seqs[i], events[i], answered));
    }
    REQUIRE(run_until(io, [&] { return answered == seqs.size(); }));
    return events;
  }
  int reads() { return runs_of("payloads"); }

  RunningPayloads running;
  store::Payloads& payloads;

 private:
  Task<void> ask(std::int64_t seq, EventPtr& event, std::size_t& answered) {
    event = co_await payloads.get(seq);
    ++answered;
  }
};

}  // namespace

TEST_CASE("the cache keeps to its bytes and forgets what was used longest ago") {
  PayloadsWorld w(1'000, with_cache(100'000));
  w.db.sql(add_large_events(30, 9'000));
  for (int seq = 1; seq <= 30; ++seq) {
    const EventPtr event = w.get(seq);
    REQUIRE(event);
    CHECK(event->payload.size() == 9'000);
    CHECK(w.payloads.bytes() <= 100'000);
    if (seq > 1) CHECK(w.payloads.cached(1));  // used all the time
  }
  CHECK(w.payloads.bytes() > 80'000);
  CHECK(w.payloads.cached(30));
  CHECK_FALSE(w.payloads.cached(15));
  CHECK(w.get(15)->payload.size() == 9'000);  // read again
}

TEST_CASE("a payload larger than the whole cache is sent all the same") {
  PayloadsWorld w(1'000, with_cache(1'000));
  w.db.sql(add_large_events(3, 5'000));
  for (const EventPtr& event : w.get_all({1, 2, 3})) {
    REQUIRE(event);
    CHECK(event->payload.size() == 5'000);
  }
  CHECK(w.payloads.bytes() < 6'000);
}

TEST_CASE("all who want one event wait for one read, the next ones for none") {
  PayloadsWorld w;
  w.db.sql(add_large_events(2, 100));
  const std::vector<EventPtr> events = w.get_all(std::vector<std::int64_t>(200, 1));
  for (const EventPtr& event : events) CHECK(event == events[0]);
  CHECK(w.reads() == 1);
  CHECK(w.get(1) == events[0]);
  CHECK(w.reads() == 1);
}

TEST_CASE("many events are read together, over the partitions' borders") {
  PayloadsWorld w(25);
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 3)");
  w.db.sql(add_large_events(80, 100));
  std::vector<std::int64_t> wanted;
  for (int seq = 80; seq > 0; --seq) wanted.push_back(seq);
  const std::vector<EventPtr> events = w.get_all(wanted);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    REQUIRE(events[i]);
    CHECK(events[i]->event_seq == wanted[i]);
    CHECK(events[i]->user_id == "u");
  }
  CHECK(w.reads() <= 8);  // at most two turns of four partitions
}

TEST_CASE("when the partition is gone the dead letter's copy is sent, and nothing is a nullptr") {
  PayloadsWorld w(10);
  w.db.sql("SELECT create_next_partition()");
  w.db.sql(add_large_events(12, 50));
  w.db.sql(
      "INSERT INTO dead_letter_queue (event_seq, sid, shard, message_id, event_id, outcome,"
      " reason, attempts, event_type, version, payload, accepted_at) SELECT e.event_seq, s, 0,"
      " gen_random_uuid(), e.id, 3, 'retries', 4, e.event_type, e.version, e.payload,"
      " e.created_at FROM events e, generate_series(1, 2) s WHERE e.event_seq = 5");
  const std::string created = w.db.query("SELECT id FROM events WHERE event_seq = 5");
  w.drop_partition(0);
  const std::vector<EventPtr> events = w.get_all({4, 5, 12, 4'000});
  CHECK_FALSE(events[0]);
  REQUIRE(events[1]);
  CHECK(to_string(events[1]->id) == created);
  CHECK(events[1]->payload.size() == 50);
  CHECK(events[1]->event_type == "x");
  CHECK(events[2]);
  CHECK_FALSE(events[3]);
}

TEST_CASE("a failed read is an error for who waits, and the next read works") {
  PayloadsWorld w;
  w.db.sql(add_large_events(2, 100));
  CHECK(w.get(1));
  w.db.sql("ALTER TABLE events_p0 RENAME TO elsewhere");
  CHECK_THROWS_AS(w.get(2), pg::Error);
  w.db.sql("ALTER TABLE elsewhere RENAME TO events_p0");
  CHECK(w.get(2));
}

}  // namespace eventhub::test
