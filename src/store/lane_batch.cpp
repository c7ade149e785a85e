// Turns operations of Lanes into the array parameters of lane_sql.hpp and results back into
// answers.
#include "lane_batch.hpp"

#include "eventhub/core/ids.hpp"
#include "lane_sql.hpp"

namespace eventhub::store {
namespace {

template <class T>
std::optional<T> positive(T value) {
  return value > 0 ? std::optional<T>(value) : std::nullopt;
}

std::optional<std::string_view> not_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

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
                     const Events& events)
    : ops_(ops), shards_(shards) {
  parks();
  attempts(false);
  attempts(true);
  consequences();
  dead_letters(events);
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

// What an attempt does to parked and redeliveries. A message has at most one of `started`, retry
// and final in a batch that needs its parked row, but a `started` may be followed by its end: the
// last one wins.
void LaneBatch::consequences() {
  std::vector<MessageRef> parked_done, started, redelivered, revived;
  std::map<MessageRef, const RecordAttempt*> parked_kept;
  for (const LaneOp& op : ops_) {
    const auto* attempt = std::get_if<RecordAttempt>(&op);
    if (!attempt) continue;
    const bool ends = is_final(attempt->outcome);
    if (attempt->redelivery) {
      if (attempt->outcome == Outcome::started) started.push_back(attempt->ref);
      if (ends) redelivered.push_back(attempt->ref);
      if (attempt->outcome == Outcome::delivered) revived.push_back(attempt->ref);
    }
    if (!attempt->parked) continue;  // a redelivery never is, but what came late may be
    if (ends) parked_done.push_back(attempt->ref);
    if (!ends) parked_kept[attempt->ref] = attempt;
  }
  std::vector<std::int64_t> seqs;
  std::vector<std::int32_t> sids;
  std::vector<std::int16_t> attempts;
  std::vector<bool> starts;
  std::vector<std::optional<Time>> dues;
  for (const auto& [ref, attempt] : parked_kept) {
    seqs.push_back(ref.event_seq);
    sids.push_back(ref.sid);
    attempts.push_back(attempt->attempt);
    starts.push_back(attempt->outcome == Outcome::started);
    dues.push_back(attempt->next_attempt_at);
  }
  if (!seqs.empty()) {
    pg::Params params;
    params.i64s(seqs).i32s(sids).i16s(attempts).booleans(starts).timestamps(dues);
    calls_.push_back({&sql::kUpdateParked, std::move(params)});
  }
  by_ref(sql::kDeleteParked, parked_done);
  by_ref(sql::kStartRedelivery, started);
  by_ref(sql::kEndRedelivery, redelivered);
  by_ref(sql::kDeleteDead, revived);
}

void LaneBatch::dead_letters(const Events& events) {
  std::vector<std::int64_t> seqs;
  std::vector<std::int32_t> sids;
  std::vector<std::int16_t> shards, outcomes, attempts;
  std::vector<std::optional<std::int64_t>> khashes;
  std::vector<std::optional<std::int16_t>> statuses;
  std::vector<Uuid> message_ids;
  std::vector<std::optional<Uuid>> event_ids;
  std::vector<std::optional<std::string_view>> reasons, errors, types, versions, orgs, users,
      payloads;
  std::vector<std::optional<Time>> accepted;
  for (const LaneOp& op : ops_) {
    const auto* dead = std::get_if<RecordAttempt>(&op);
    if (!dead || !is_dead_letter(dead->outcome) || dead->summarise) continue;
    const auto found = events.find(dead->ref.event_seq);
    const Event* event = found == events.end() ? nullptr : found->second.get();
    const auto text = [&](const std::string Event::*member) {
      return event ? std::optional<std::string_view>(event->*member) : std::nullopt;
    };
    const auto maybe = [&](const std::optional<std::string> Event::*member) {
      const bool there = event && (event->*member).has_value();
      return there ? std::optional<std::string_view>(*(event->*member)) : std::nullopt;
    };
    seqs.push_back(dead->ref.event_seq);
    sids.push_back(dead->ref.sid);
    shards.push_back(dead->lane.shard);
    khashes.push_back(dead->lane.khash);
    message_ids.push_back(message_id(dead->ref, event ? event->id : Uuid{}));
    event_ids.push_back(event ? std::optional(event->id) : std::nullopt);
    outcomes.push_back(static_cast<std::int16_t>(dead->outcome));
    reasons.push_back(dead->reason);
    statuses.push_back(positive(dead->http_status));
    errors.push_back(not_empty(dead->error));
    attempts.push_back(dead->attempt);
    types.push_back(text(&Event::event_type));
    versions.push_back(text(&Event::version));
    orgs.push_back(maybe(&Event::organization_id));
    users.push_back(maybe(&Event::user_id));
    payloads.push_back(text(&Event::payload));
    accepted.push_back(event ? std::optional(event->created_at) : std::nullopt);
  }
  if (seqs.empty()) return;
  pg::Params params;
  params.i64s(seqs).i32s(sids).i16s(shards).i64s(khashes).uuids(message_ids).uuids(event_ids);
  params.i16s(outcomes).texts(reasons).i16s(statuses).texts(errors).i16s(attempts).texts(types);
  params.texts(versions).texts(orgs).texts(users).texts(payloads).timestamps(accepted);
  calls_.push_back({&sql::kDead, std::move(params)});
}

// One row per subscriber, under event_seq 0, counts what has no dead letter of its own.
void LaneBatch::summaries() {
  std::map<std::int32_t, std::int64_t> counts;
  for (const LaneOp& op : ops_) {
    const auto* dead = std::get_if<RecordAttempt>(&op);
    if (dead && dead->summarise) ++counts[dead->ref.sid];
  }
  if (counts.empty()) return;
  std::vector<std::int32_t> sids;
  std::vector<std::int64_t> numbers;
  for (const auto& [sid, count] : counts) {
    sids.push_back(sid);
    numbers.push_back(count);
  }
  pg::Params params;
  params.i32s(sids).i64s(numbers);
  calls_.push_back({&sql::kSummary, std::move(params)});
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
    } else if (std::holds_alternative<LoadRedeliveries>(ops_[i])) {
      params.i16s(shards_);
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
      }
    }
  }
  return answers;
}

}  // namespace eventhub::store
