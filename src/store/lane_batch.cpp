// Turns operations of Lanes into the array parameters of lane_sql.hpp and results back into
// answers. Dead letters are in lane_batch_dead.cpp.
#include "lane_batch.hpp"

#include "lane_sql.hpp"

namespace eventhub::store {
namespace {

struct AttemptColumns {
  std::vector<std::int64_t> seqs;
  std::vector<std::int32_t> sids, durations;
  std::vector<std::int16_t> shards, attempts, outcomes;
  std::vector<std::optional<std::int16_t>> statuses;
  std::vector<std::optional<Time>> times, nexts;
  std::vector<std::optional<std::string_view>> errors, responses;

  void add(const RecordAttempt& op) {
    seqs.push_back(op.ref.event_seq);
    sids.push_back(op.ref.sid);
    shards.push_back(op.lane.shard);
    attempts.push_back(op.attempt);
    outcomes.push_back(static_cast<std::int16_t>(op.outcome));
    statuses.push_back(positive(op.http_status));
    durations.push_back(static_cast<std::int32_t>(op.duration.count()));
    times.push_back(op.attempted_at);
    nexts.push_back(op.next_attempt_at);
    errors.push_back(not_empty(op.error));
    responses.push_back(not_empty(op.response));
  }

  pg::Params params() const {
    pg::Params params;
    params.i64s(seqs).i32s(sids).i16s(shards).i16s(attempts).i16s(outcomes).i16s(statuses);
    params.i32s(durations).timestamps(times).timestamps(nexts).texts(errors).texts(responses);
    return params;
  }
};

}  // namespace

LaneBatch::LaneBatch(const std::vector<LaneOp>& ops, const std::vector<std::int16_t>& shards,
                     const EventIds& ids)
    : ops_(ops), shards_(shards) {
  parks();
  attempts(false);
  attempts(true);
  consequences();
  dead_letters(ids);
  summaries();
  low_waters();
  reads();
}

void LaneBatch::parks() {
  std::vector<std::int64_t> seqs;
  std::vector<std::int32_t> sids;
  std::vector<std::int16_t> shards, attempts, reasons;
  std::vector<std::optional<std::int64_t>> khashes;
  std::vector<bool> starteds;
  std::vector<std::optional<Time>> dues;
  for (const LaneOp& op : ops_) {
    const auto* park = std::get_if<ParkMessage>(&op);
    if (!park) continue;
    seqs.push_back(park->ref.event_seq);
    sids.push_back(park->ref.sid);
    shards.push_back(park->lane.shard);
    khashes.push_back(park->lane.khash);
    attempts.push_back(park->attempt);
    starteds.push_back(park->started);
    dues.push_back(park->due_at);
    reasons.push_back(static_cast<std::int16_t>(park->reason));
  }
  if (seqs.empty()) return;
  pg::Params params;
  params.i64s(seqs).i32s(sids).i16s(shards).i64s(khashes).i16s(attempts).booleans(starteds);
  params.timestamps(dues).i16s(reasons);
  calls_.push_back({&sql::kPark, std::move(params)});
}

void LaneBatch::attempts(bool redelivery) {
  AttemptColumns columns;
  for (const LaneOp& op : ops_) {
    const auto* attempt = std::get_if<RecordAttempt>(&op);
    if (attempt && attempt->redelivery == redelivery) columns.add(*attempt);
  }
  if (columns.seqs.empty()) return;
  calls_.push_back({redelivery ? &sql::kRedeliveryAttempts : &sql::kAttempts, columns.params()});
}

void LaneBatch::by_ref(const pg::Statement& statement, const std::vector<MessageRef>& refs) {
  if (refs.empty()) return;
  std::vector<std::int64_t> seqs;
  std::vector<std::int32_t> sids;
  for (const MessageRef& ref : refs) {
    seqs.push_back(ref.event_seq);
    sids.push_back(ref.sid);
  }
  pg::Params params;
  params.i64s(seqs).i32s(sids);
  calls_.push_back({&statement, std::move(params)});
}

// The latest attempt of each message, which is not its end.
void LaneBatch::update(const pg::Statement& statement, const Kept& kept) {
  if (kept.empty()) return;
  std::vector<std::int64_t> seqs;
  std::vector<std::int32_t> sids;
  std::vector<std::int16_t> attempts;
  std::vector<bool> starts;
  std::vector<std::optional<Time>> dues;
  for (const auto& [ref, attempt] : kept) {
    seqs.push_back(ref.event_seq);
    sids.push_back(ref.sid);
    attempts.push_back(attempt->attempt);
    starts.push_back(attempt->outcome == Outcome::started);
    dues.push_back(attempt->next_attempt_at);
  }
  pg::Params params;
  params.i64s(seqs).i32s(sids).i16s(attempts).booleans(starts).timestamps(dues);
  calls_.push_back({&statement, std::move(params)});
}

// What an attempt does to parked and redeliveries. A message has at most one of `started`, retry
// and final in a batch that needs its row, but a `started` may be followed by its end: the last one
// wins.
void LaneBatch::consequences() {
  std::vector<MessageRef> parked_done, redelivered, revived;
  Kept parked_kept, redelivery_kept;
  for (const LaneOp& op : ops_) {
    const auto* attempt = std::get_if<RecordAttempt>(&op);
    if (!attempt) continue;
    const bool ends = is_final(attempt->outcome);
    if (attempt->redelivery && ends) redelivered.push_back(attempt->ref);
    if (attempt->redelivery && !ends) redelivery_kept[attempt->ref] = attempt;
    const bool revives = attempt->redelivery && attempt->outcome == Outcome::delivered;
    if (revives) revived.push_back(attempt->ref);
    if (!attempt->parked) continue;  // a redelivery never is, but what came late may be
    if (ends) parked_done.push_back(attempt->ref);
    if (!ends) parked_kept[attempt->ref] = attempt;
  }
  update(sql::kUpdateParked, parked_kept);
  by_ref(sql::kDeleteParked, parked_done);
  update(sql::kUpdateRedelivery, redelivery_kept);
  by_ref(sql::kEndRedelivery, redelivered);
  by_ref(sql::kDeleteDead, revived);
}

void LaneBatch::low_waters() {
  std::map<std::int16_t, std::int64_t> latest;
  for (const LaneOp& op : ops_) {
    const auto* move = std::get_if<MoveLowWater>(&op);
    if (move) latest[move->shard] = std::max(latest[move->shard], move->lwm);
  }
  if (latest.empty()) return;
  std::vector<std::int16_t> shards;
  std::vector<std::int64_t> lwms;
  for (const auto& [shard, lwm] : latest) {
    shards.push_back(shard);
    lwms.push_back(lwm);
  }
  pg::Params params;
  params.i16s(shards).i64s(lwms);
  calls_.push_back({&sql::kLowWater, std::move(params)});
}

void LaneBatch::read(std::size_t op, const pg::Statement& statement, pg::Params params) {
  reads_.push_back({op, calls_.size()});
  calls_.push_back({&statement, std::move(params)});
}

void LaneBatch::reads() {
  for (std::size_t i = 0; i < ops_.size(); ++i) {
    pg::Params params;
    if (const auto* lane = std::get_if<LoadLane>(&ops_[i])) {
      params.i16(lane->lane.shard).i32(lane->lane.sid);
      if (lane->lane.khash) params.i64(*lane->lane.khash);
      params.i64(lane->limit);
      read(i, lane->lane.khash ? sql::kLoadKeyed : sql::kLoadUnordered, std::move(params));
    } else if (const auto* keys = std::get_if<LoadKeys>(&ops_[i])) {
      params.i16(keys->shard).i32(keys->sid);
      if (keys->after) params.i64(*keys->after);
      params.i32(keys->limit);
      read(i, keys->after ? sql::kLoadKeys : sql::kLoadFirstKeys, std::move(params));
    } else if (const auto* again = std::get_if<LoadRedeliveries>(&ops_[i])) {
      params.i64(again->after.event_seq).i32(again->after.sid).i16s(shards_).i64(again->limit);
      read(i, sql::kLoadRedeliveries, std::move(params));
    } else if (std::holds_alternative<LoadDiscards>(ops_[i])) {
      params.i16s(shards_);
      read(i, sql::kLoadDiscards, std::move(params));
    } else if (const auto* expired = std::get_if<LoadExpired>(&ops_[i])) {
      params.i64(expired->below).i16s(shards_).i64(expired->limit);
      read(i, sql::kLoadExpired, std::move(params));
    }
  }
}

std::vector<LaneAnswer> LaneBatch::answers(const std::vector<pg::Result>& results) const {
  std::vector<LaneAnswer> answers(ops_.size());
  for (const Read& read : reads_) {
    const pg::Result& rows = results[read.call];
    LaneAnswer& answer = answers[read.op];
    const auto* lane = std::get_if<LoadLane>(&ops_[read.op]);
    for (int i = 0; i < rows.rows(); ++i) {
      if (std::holds_alternative<LoadKeys>(ops_[read.op])) {
        answer.keys.push_back(rows.i64(i, 0));
      } else if (lane) {
        answer.messages.push_back({{rows.i64(i, 0), lane->lane.sid},
                                   lane->lane,
                                   rows.i16(i, 1),
                                   rows.boolean(i, 2),
                                   rows.timestamp(i, 3)});
      } else {
        const MessageRef ref{rows.i64(i, 0), rows.i32(i, 1)};
        answer.messages.push_back({ref,
                                   {rows.i16(i, 2), ref.sid, rows.optional_i64(i, 3)},
                                   rows.i16(i, 4),
                                   rows.boolean(i, 5),
                                   rows.timestamp(i, 6)});
        if (std::holds_alternative<LoadRedeliveries>(ops_[read.op])) {
          answer.messages.back().follows = rows.optional_i64(i, 7);
        }
      }
    }
  }
  return answers;
}

}  // namespace eventhub::store
