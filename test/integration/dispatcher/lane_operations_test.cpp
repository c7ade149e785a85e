// What each operation of Lanes does to the tables, and what the loads bring back, in which order.
#include "integration/dispatcher/writer_world.hpp"

namespace eventhub::test {
namespace {

const LaneId kKeyed{5, 1, 77};
const LaneId kUnordered{5, 1, std::nullopt};

Time minutes(int after) {
  return std::chrono::sys_days(std::chrono::year{2030} / 1 / 1) + std::chrono::minutes(after);
}

ParkMessage park(std::int64_t event_seq, const LaneId& lane, int due) {
  ParkMessage op;
  op.ref = {event_seq, lane.sid};
  op.lane = lane;
  op.due_at = minutes(due);
  op.reason = WaitReason::paused;
  return op;
}

RecordAttempt of_parked(std::int64_t event_seq, std::int16_t number, Outcome outcome) {
  RecordAttempt op = attempt(event_seq, outcome);
  op.attempt = number;
  op.parked = true;
  if (outcome == Outcome::retry) op.next_attempt_at = minutes(90);
  return op;
}

RecordAttempt redelivery(std::int64_t event_seq, Outcome outcome) {
  RecordAttempt op = attempt(event_seq, outcome);
  op.redelivery = true;
  if (outcome == Outcome::retry) op.next_attempt_at = minutes(90);
  return op;
}

std::vector<std::int64_t> seqs(const LaneAnswer& answer) {
  std::vector<std::int64_t> out;
  for (const LoadedMessage& message : answer.messages) out.push_back(message.ref.event_seq);
  return out;
}
using Seqs = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("an attempt is recorded as it was") {
  WriterWorld w;
  RecordAttempt op = attempt(9, Outcome::retry);
  op.lane = kKeyed;
  op.attempt = 3;
  op.http_status = 503;
  op.duration = Millis{12};
  op.attempted_at = minutes(0);
  op.next_attempt_at = minutes(5);
  RecordAttempt plain = attempt(10, Outcome::delivered);
  plain.http_status = 0;
  plain.error = plain.response = "";
  w.write({op, plain});
  CHECK(w.db.query("SET timezone = 'UTC'; SELECT event_seq, sid, shard, attempt, outcome,"
                   " http_status, latency_ms, attempted_at::time, next_attempt_at::time, error,"
                   " response FROM delivery_attempts ORDER BY 1 LIMIT 1") ==
        "9|1|5|3|2|503|12|00:00:00|00:05:00|said 9|answered 9");
  CHECK(w.db.query("SELECT http_status IS NULL AND next_attempt_at IS NULL AND error IS NULL AND"
                   " response IS NULL FROM delivery_attempts WHERE event_seq = 10") == "t");
}

TEST_CASE("a key's parked messages come in their order, unordered ones by due time") {
  WriterWorld w;
  std::vector<LaneOp> parks;
  for (const int seq : {4, 2, 6, 1}) parks.push_back(park(seq, kKeyed, 10 - seq));
  for (const int seq : {14, 12, 16, 11}) parks.push_back(park(seq, kUnordered, 30 - seq));
  parks.push_back(park(3, {5, 1, 78}, 0));
  parks.push_back(park(5, {6, 1, 77}, 0));
  w.write(parks);
  const auto answers = w.write({LoadLane{kKeyed, 3, 0, 0}, LoadLane{kUnordered, 3, 0, 0}});
  CHECK(seqs(answers[0]) == Seqs{1, 2, 4});
  CHECK(answers[0].messages[0].lane == kKeyed);
  CHECK(answers[0].messages[0].due_at == minutes(9));
  CHECK(seqs(answers[1]) == Seqs{16, 14, 12});
}

TEST_CASE("what is parked in a batch is read by the loads of the same batch") {
  WriterWorld w;
  const auto answers = w.write({LoadLane{kKeyed, 3, 0, 0}, park(4, kKeyed, 0)});
  CHECK(seqs(answers[0]) == Seqs{4});
}

TEST_CASE("the keys with parked messages come a few at a time, each once, none left out") {
  WriterWorld w;
  std::vector<LaneOp> parks{park(90, kUnordered, 0), park(91, {5, 2, 15}, 0)};
  for (const std::int64_t key : {-20, 10, 10, 30, 40}) {
    parks.push_back(park(static_cast<std::int64_t>(parks.size()), {5, 1, key}, 0));
  }
  w.write(parks);
  LoadKeys load{5, 1, std::nullopt, 2};
  std::vector<std::vector<std::int64_t>> turns;
  do {
    turns.push_back(w.write({load})[0].keys);
    if (!turns.back().empty()) load.after = turns.back().back();
  } while (!turns.back().empty() && turns.size() < 9);
  CHECK(turns == std::vector<std::vector<std::int64_t>>{{-20, 10}, {30, 40}, {}});
}

TEST_CASE("attempts of a parked message stand in its row until the last one removes it") {
  WriterWorld w;
  const std::string row =
      "SET timezone = 'UTC'; SELECT attempt, started, due_at::time, reason FROM parked";
  w.write({park(4, kKeyed, 1)});
  w.write({park(4, kKeyed, 2)});  // parked already
  CHECK(w.db.query(row) == "0|f|00:01:00|3");
  w.write({of_parked(4, 1, Outcome::started)});
  CHECK(w.db.query(row) == "1|t|00:01:00|3");
  w.write({of_parked(4, 1, Outcome::retry)});
  CHECK(w.db.query(row) == "1|f|01:30:00|2");
  w.write({of_parked(4, 2, Outcome::started), of_parked(4, 2, Outcome::retry)});
  CHECK(w.db.query(row) == "2|f|01:30:00|2");
  w.write({of_parked(4, 3, Outcome::delivered)});
  CHECK(w.db.query(row).empty());
}

TEST_CASE("a redelivery for later is not taken before its time, one that was begun is") {
  WriterWorld w;
  w.db.sql(
      "INSERT INTO redeliveries (event_seq, sid, shard, khash, attempt, started, due_at)"
      " SELECT s, 1, 5, 77, a, t, now() + d * interval '1 hour'"
      " FROM (VALUES (1, 0, false, 0), (2, 0, false, 1), (3, 1, false, 1), (4, 0, true, 1)) v(s, a,"
      " t, d)");
  CHECK(seqs(w.write({LoadRedeliveries{{}, 10}})[0]) == Seqs{1, 3, 4});
  w.db.sql("UPDATE redeliveries SET due_at = now()");
  CHECK(seqs(w.write({LoadRedeliveries{{}, 10}})[0]) == Seqs{1, 2, 3, 4});
}

TEST_CASE("a redelivery of a replay says which one of its key it follows") {
  WriterWorld w;
  w.db.sql(
      "INSERT INTO redeliveries (event_seq, sid, shard, khash, in_order, due_at)"
      " SELECT s, 1, 5, k, o, now() + d * interval '1 hour' FROM (VALUES (1, 77, true, 1),"
      " (2, 77, false, 0), (3, 77, true, 0), (4, 78, true, 0), (5, NULL, true, 0),"
      " (6, 77, true, 0)) v(s, k, o, d)");
  const LaneAnswer answer = w.write({LoadRedeliveries{{}, 10}})[0];
  CHECK(seqs(answer) == Seqs{2, 3, 4, 5, 6});
  std::vector<std::optional<std::int64_t>> follows;
  for (const LoadedMessage& row : answer.messages) follows.push_back(row.follows);
  CHECK(follows == std::vector<std::optional<std::int64_t>>{{}, 1, {}, {}, 3});
}

TEST_CASE(
    "a redelivery is history of its own and ends its request; a delivered one the dead letter") {
  WriterWorld w;
  w.write({attempt(1, Outcome::dead), attempt(2, Outcome::dead)});
  w.db.sql(
      "INSERT INTO redeliveries (event_seq, sid, shard, khash) VALUES (1, 1, 5, 77),"
      " (2, 1, 5, NULL), (3, 1, 40, 7)");
  w.write({redelivery(1, Outcome::started)});
  CHECK(seqs(w.write({LoadRedeliveries{{}, 10}})[0]) == Seqs{1, 2, 3});
  CHECK(seqs(w.write({LoadRedeliveries{{}, 2}})[0]) == Seqs{1, 2});
  CHECK(seqs(w.write({LoadRedeliveries{{2, 1}, 2}})[0]) == Seqs{3});
  CHECK(w.db.query("SELECT event_seq, attempt FROM redeliveries WHERE started") == "1|1");
  w.write({redelivery(1, Outcome::retry)});
  CHECK(w.db.query("SELECT attempt, started, due_at > now() FROM redeliveries "
                   "WHERE event_seq = 1") == "1|f|t");
  w.write({redelivery(1, Outcome::delivered), redelivery(2, Outcome::dead)});
  CHECK(w.db.query("SELECT string_agg(event_seq::text, ' ') FROM redeliveries") == "3");
  CHECK(w.db.query("SELECT event_seq, attempts FROM dead_letter_queue") == "2|2");
  CHECK(w.db.query("SELECT event_seq, outcome FROM redelivery_attempts ORDER BY 1, 2") ==
        "1|1\n1|2\n1|4\n2|3");
  CHECK(w.db.query("SELECT count(*) FROM delivery_attempts") == "2");
}

TEST_CASE("a discarded dead letter is gone at once, but not while it is sent again") {
  WriterWorld w;
  w.write({attempt(1, Outcome::dead), attempt(2, Outcome::dead)});
  w.db.sql(
      "INSERT INTO discards (event_seq, sid, shard) VALUES (1, 1, 5), (2, 1, 5), (7, 1, 5);"
      "INSERT INTO redeliveries (event_seq, sid, shard) VALUES (2, 1, 5)");
  Seqs taken = seqs(w.write({LoadDiscards{}})[0]);
  std::sort(taken.begin(), taken.end());
  CHECK(taken == Seqs{1, 7});
  CHECK(w.db.query("SELECT event_seq FROM dead_letter_queue") == "2");
  CHECK(w.db.query("SELECT event_seq FROM discards") == "2");
}

TEST_CASE("what expired is read up to a bound; beyond dlq_copy_max it is only counted") {
  WriterWorld w;
  w.write({park(1, kKeyed, 0), park(2, kUnordered, 0), park(3, kKeyed, 0), park(4, kKeyed, 0)});
  CHECK(seqs(w.write({LoadExpired{4, 2}})[0]) == Seqs{1, 2});
  CHECK(seqs(w.write({LoadExpired{4, 10}})[0]) == Seqs{1, 2, 3});
  for (const int first : {1, 3}) {
    std::vector<LaneOp> ops{of_parked(first, 0, Outcome::expired),
                            of_parked(first + 1, 0, Outcome::expired)};
    for (LaneOp& op : ops) std::get<RecordAttempt>(op).summarise = true;
    w.write(ops);
  }
  CHECK(w.db.query("SELECT sid, outcome, summarised FROM dead_letter_queue") == "1|6|4");
  CHECK(w.db.query("SELECT count(*) FROM parked") == "0");
}

TEST_CASE("low waters only rise") {
  WriterWorld w;
  w.write({MoveLowWater{3, 10}, MoveLowWater{3, 12}, MoveLowWater{4, 7}});
  w.write({MoveLowWater{3, 11}});
  CHECK(w.db.query("SELECT shard, lwm FROM shards WHERE lwm > 0 ORDER BY 1") == "3|12\n4|7");
}

}  // namespace eventhub::test
