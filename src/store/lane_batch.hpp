#pragma once
#include <map>
#include <string>
#include <vector>

#include "eventhub/core/event.hpp"
#include "eventhub/core/lane_ops.hpp"
#include "eventhub/pg/result.hpp"
#include "eventhub/pg/statement.hpp"

namespace eventhub::store {

// Columns of arrays for one transaction of the ordered writer, and where its reads' answers belong.
class LaneBatch {
 public:
  using Events = std::map<std::int64_t, EventPtr>;  // for dead letters; nullptr: the event is gone
  LaneBatch(const std::vector<LaneOp>& ops, const std::vector<std::int16_t>& shards,
            const Events& events);
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
  void dead_letters(const Events& events);
  void summaries();
  void low_waters();
  void reads();
  void read(std::size_t op, const pg::Statement& statement, pg::Params params);
  void by_ref(const pg::Statement& statement, const std::vector<MessageRef>& refs);
  const std::vector<LaneOp>& ops_;
  const std::vector<std::int16_t>& shards_;
  std::vector<pg::Call> calls_;
  std::vector<Read> reads_;
};

}  // namespace eventhub::store
