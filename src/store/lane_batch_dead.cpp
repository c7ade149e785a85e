// Dead letters of a batch: one row each, with what is known of the event taken from `events` by the
// statement itself, so that payloads do not travel; beyond dlq_copy_max a count per subscriber.
#include <algorithm>

#include "eventhub/core/ids.hpp"
#include "lane_batch.hpp"
#include "lane_sql.hpp"

namespace eventhub::store {
namespace {

struct DeadColumns {
  std::vector<std::int64_t> seqs;
  std::vector<std::int32_t> sids;
  std::vector<std::int16_t> shards, outcomes, attempts;
  std::vector<std::optional<std::int64_t>> khashes;
  std::vector<std::optional<std::int16_t>> statuses;
  std::vector<Uuid> message_ids;
  std::vector<std::optional<std::string_view>> reasons, errors;

  void add(const RecordAttempt& op, const Uuid& event_id) {
    seqs.push_back(op.ref.event_seq);
    sids.push_back(op.ref.sid);
    shards.push_back(op.lane.shard);
    khashes.push_back(op.lane.khash);
    message_ids.push_back(message_id(op.ref, event_id));
    outcomes.push_back(static_cast<std::int16_t>(op.outcome));
    reasons.push_back(op.reason);
    statuses.push_back(positive(op.http_status));
    errors.push_back(not_empty(op.error));
    attempts.push_back(op.attempt);
  }

  pg::Params params() const {
    const auto [first, last] = std::minmax_element(seqs.begin(), seqs.end());
    pg::Params params;
    params.i64s(seqs).i32s(sids).i16s(shards).i64s(khashes).uuids(message_ids).i16s(outcomes);
    params.texts(reasons).i16s(statuses).texts(errors).i16s(attempts).i64(*first).i64(*last);
    return params;
  }
};

// The attempt when it ends in a dead letter of its own, else nullptr.
const RecordAttempt* own_letter(const LaneOp& op) {
  const auto* dead = std::get_if<RecordAttempt>(&op);
  return dead && is_dead_letter(dead->outcome) && !dead->summarise ? dead : nullptr;
}

}  // namespace

std::vector<std::int64_t> LaneBatch::dead_events(const std::vector<LaneOp>& ops) {
  std::vector<std::int64_t> seqs;
  for (const LaneOp& op : ops) {
    if (const RecordAttempt* dead = own_letter(op)) seqs.push_back(dead->ref.event_seq);
  }
  return seqs;
}

void LaneBatch::dead_letters(const EventIds& ids) {
  DeadColumns columns;
  for (const LaneOp& op : ops_) {
    const RecordAttempt* dead = own_letter(op);
    if (!dead) continue;
    const auto id = ids.find(dead->ref.event_seq);
    columns.add(*dead, id == ids.end() ? Uuid{} : id->second);
  }
  if (!columns.seqs.empty()) calls_.push_back({&sql::kDead, columns.params()});
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

}  // namespace eventhub::store
