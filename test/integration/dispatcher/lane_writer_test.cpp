// One bad result harms no other: the ordered writer isolates it.
#include "integration/dispatcher/writer_world.hpp"

namespace eventhub::test {
namespace {

const std::string kNotUtf8 = "\xff\xfe";
const std::string kReplaced = "the database refused the text of this error";

}  // namespace

TEST_CASE("a result that PostgreSQL refuses is recorded without its texts, its neighbours whole") {
  WriterWorld w;
  std::vector<LaneOp> ops;
  for (int i = 1; i <= 512; ++i) ops.push_back(attempt(i, Outcome::delivered));
  auto& bad = std::get<RecordAttempt>(ops[200]);
  bad.error = kNotUtf8;
  bad.response = kNotUtf8;
  w.write(ops);
  CHECK(w.db.query("SELECT count(*), count(DISTINCT event_seq) FROM delivery_attempts") ==
        "512|512");
  CHECK(w.db.query("SELECT count(*) FROM delivery_attempts WHERE error = 'said ' || event_seq "
                   "AND response = 'answered ' || event_seq AND http_status = 500") == "511");
  CHECK(w.db.query("SELECT event_seq, error, response IS NULL, http_status FROM delivery_attempts "
                   "WHERE error NOT LIKE 'said%'") == "201|" + kReplaced + "|t|500");
}

TEST_CASE("several refused results in one batch are all found") {
  WriterWorld w;
  std::vector<LaneOp> ops;
  for (int i = 1; i <= 64; ++i) ops.push_back(attempt(i, Outcome::delivered));
  for (const int i : {0, 1, 31, 32, 63}) {
    std::get<RecordAttempt>(ops[static_cast<std::size_t>(i)]).response = kNotUtf8;
  }
  w.write(ops);
  CHECK(w.db.query("SELECT string_agg(event_seq::text, ' ' ORDER BY event_seq) FILTER (WHERE "
                   "response IS NULL), count(*) FROM delivery_attempts") == "1 2 32 33 64|64");
}

TEST_CASE("a refused text keeps no message from its dead letter") {
  WriterWorld w;
  w.db.sql(add_subscribers(1, ">") + add_events(3, "x"));
  std::vector<LaneOp> ops;
  for (int i = 1; i <= 3; ++i) ops.push_back(attempt(i, Outcome::dead));
  std::get<RecordAttempt>(ops[1]).error = kNotUtf8;
  w.write(ops);
  CHECK(w.db.query("SELECT event_seq, reason, last_error, payload, subscriber_snapshot->>'name' "
                   "FROM dead_letter_queue ORDER BY 1") ==
        "1|retries|said 1|{}|n1\n2|retries|" + kReplaced + "|{}|n1\n3|retries|said 3|{}|n1");
}

TEST_CASE("dead letters of a batch keep a copy of their events, in whatever partition") {
  WriterWorld w;
  w.db.sql(add_subscribers(1, ">") + add_events(300, "x"));
  std::vector<LaneOp> ops;
  for (int i = 1; i <= 300; ++i) ops.push_back(attempt(i, Outcome::dead));
  ops.push_back(attempt(4'000, Outcome::dead));  // the event is gone
  w.db.sql("SELECT create_next_partition() FROM generate_series(1, 4)");
  w.write(ops);
  CHECK(w.db.query("SELECT count(payload), count(*) FROM dead_letter_queue") == "300|301");
  CHECK(w.db.query("SELECT count(*) FROM dead_letter_queue q JOIN events e USING (event_seq) WHERE "
                   "q.event_id = e.id AND q.payload = e.payload") == "300");
}

TEST_CASE("answers stand where their operations stand, also in a batch that was taken apart") {
  WriterWorld w;
  w.db.sql("INSERT INTO parked (event_seq, sid, shard, reason) VALUES (7, 1, 0, 3), (8, 1, 0, 3)");
  std::vector<LaneOp> ops{attempt(1, Outcome::delivered), LoadLane{{0, 1, std::nullopt}, 10, 0, 0},
                          attempt(2, Outcome::delivered), LoadRedeliveries{{}, 10},
                          LoadExpired{8, 10}};
  std::get<RecordAttempt>(ops[2]).error = kNotUtf8;
  const std::vector<LaneAnswer> answers = w.write(ops);
  REQUIRE(answers.size() == 5);
  CHECK(answers[0].messages.empty());
  CHECK(answers[1].messages.size() == 2);
  CHECK(answers[2].messages.empty());
  CHECK(answers[3].messages.empty());
  REQUIRE(answers[4].messages.size() == 1);
  CHECK(answers[4].messages[0].ref.event_seq == 7);
}

TEST_CASE("a result that comes after its partition was dropped ends its message all the same") {
  WriterWorld w(10);
  w.db.sql("SELECT create_next_partition()");
  w.drop_partition(0);
  w.db.sql(
      "INSERT INTO redeliveries (event_seq, sid, shard) VALUES (4, 1, 0);"
      "INSERT INTO parked (event_seq, sid, shard, reason) VALUES (5, 1, 0, 3)");
  std::vector<LaneOp> ops;
  for (const int seq : {3, 4, 5, 15}) ops.push_back(attempt(seq, Outcome::delivered));
  std::get<RecordAttempt>(ops[1]).redelivery = true;
  std::get<RecordAttempt>(ops[2]).parked = true;
  w.write(ops);
  CHECK(w.db.query("SELECT event_seq FROM delivery_attempts") == "15");
  CHECK(w.db.query("SELECT event_seq, outcome FROM redelivery_attempts ORDER BY 1") ==
        "3|1\n4|1\n5|1");
  CHECK(w.db.query("SELECT count(*) FROM redeliveries") == "0");
  CHECK(w.db.query("SELECT count(*) FROM parked") == "0");
}

TEST_CASE(
    "what the database cannot do at all is the caller's to repeat, nothing is half recorded") {
  WriterWorld w;
  std::vector<LaneOp> ops{attempt(1, Outcome::delivered), MoveLowWater{0, 1}};
  w.db.sql("ALTER TABLE shards RENAME TO elsewhere");
  CHECK_THROWS_AS(w.write(ops), pg::Error);
  w.db.sql("ALTER TABLE elsewhere RENAME TO shards");
  CHECK(w.db.query("SELECT count(*) FROM delivery_attempts") == "0");
  w.write(ops);
  CHECK(w.db.query("SELECT count(*) FROM delivery_attempts") == "1");
}

}  // namespace eventhub::test
