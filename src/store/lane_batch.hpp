#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "eventhub/core/lane_ops.hpp"
#include "eventhub/pg/result.hpp"
#include "eventhub/pg/statement.hpp"

namespace eventhub::store {

template <class T>
std::optional<T> positive(T value) {
  return value > 0 ? std::optional<T>(value) : std::nullopt;
}

inline std::optional<std::string_view> not_empty(const std::string& text) {
  return text.empty() ? std::nullopt : std::optional<std::string_view>(text);
}

// Columns of arrays for one transaction of the ordered writer, and where its reads' answers belong.
class LaneBatch {
 public:
  using EventIds = std::map<std::int64_t, Uuid>;  // by event_seq; of an event that is gone: none
  LaneBatch(const std::vector<LaneOp>& ops, const std::vector<std::int16_t>& shards,
            const EventIds& ids);
  // The events whose ids the dead letters of these operations need.
  static std::vector<std::int64_t> dead_events(const std::vector<LaneOp>& ops);
  std::vector<pg::Call> take_calls() { return std::move(calls_); }
  // Reads the results of the calls, in their order, into one answer per operation.
  std::vector<LaneAnswer> answers(const std::vector<pg::Result>& results) const;

 private:
  struct Read {
    std::size_t op;
    std::size_t call;
  };
  void parks();
  void attempts(bool redelivery);
  void consequences();
  void dead_letters(const EventIds& ids);
  void summaries();
  void low_waters();
  void reads();
  void read(std::size_t op, const pg::Statement& statement, pg::Params params);
  using Kept = std::map<MessageRef, const RecordAttempt*>;
  void update(const pg::Statement& statement, const Kept& kept);
  void by_ref(const pg::Statement& statement, const std::vector<MessageRef>& refs);
  const std::vector<LaneOp>& ops_;
  const std::vector<std::int16_t>& shards_;
  std::vector<pg::Call> calls_;
  std::vector<Read> reads_;
};

}  // namespace eventhub::store
