// Events that a process keeps for its own fan-out: never one without those before it.
#include "eventhub/core/fresh_headers.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

using Seqs = std::vector<std::int64_t>;

FreshHeaders::Batch accepted(const Seqs& seqs, std::int64_t version = 1) {
  FreshHeaders::Batch batch;
  for (const std::int64_t seq : seqs) batch.events.push_back({.event_seq = seq});
  batch.subscribers_version = version;
  return batch;
}

Seqs taken(FreshHeaders& fresh, std::int64_t after, std::size_t rows_max = 100) {
  Seqs seqs;
  for (const EventHeader& event : fresh.take(after, rows_max).events) {
    seqs.push_back(event.event_seq);
  }
  return seqs;
}

}  // namespace

TEST_CASE("fresh headers come in order, once, with the newest version") {
  FreshHeaders fresh;
  fresh.add(accepted({11, 13, 12}, 5), 100);
  fresh.add(accepted({14}, 6), 100);
  const FreshHeaders::Batch first = fresh.take(10, 2);
  CHECK(first.subscribers_version == 6);
  CHECK(first.events.size() == 2);
  CHECK(taken(fresh, 10).empty());  // 11 is gone
  CHECK(taken(fresh, 12) == Seqs{13, 14});
  CHECK(taken(fresh, 14).empty());
  fresh.add(accepted({15, 16, 17}), 100);
  CHECK(taken(fresh, 16) == Seqs{17});
}

TEST_CASE("after a gap, which may be somebody else's event, fresh headers begin anew") {
  FreshHeaders fresh;
  fresh.add(accepted({11, 12}), 100);
  CHECK(taken(fresh, 9).empty());  // 10 is not here
  fresh.add(accepted({14}), 100);  // nor is 13
  CHECK(taken(fresh, 10).empty());
  CHECK(taken(fresh, 12).empty());
  CHECK(taken(fresh, 13) == Seqs{14});
  fresh.add(accepted({15, 17}), 100);
  CHECK(taken(fresh, 14).empty());
  fresh.add(accepted({18}), 100);
  CHECK(taken(fresh, 17) == Seqs{18});
}

TEST_CASE("no more fresh headers are kept than allowed") {
  FreshHeaders fresh;
  fresh.add(accepted({1, 2}), 3);
  fresh.add(accepted({3, 4}), 3);
  CHECK(taken(fresh, 0).empty());
  CHECK(taken(fresh, 2) == Seqs{3, 4});
  fresh.add(accepted({5, 6, 7, 8}), 3);
  CHECK(taken(fresh, 4).empty());
  fresh.add(accepted({9}), 3);
  fresh.clear();
  CHECK(taken(fresh, 8).empty());
}

}  // namespace eventhub
