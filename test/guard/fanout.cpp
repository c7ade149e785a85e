#include "eventhub/core/match.hpp"
#include "eventhub/core/metrics.hpp"
#include "fanout/chunks.hpp"
#include "guard/path.hpp"
#include "store/sequencer_sql.hpp"

namespace eventhub::guard {
namespace {

constexpr std::size_t kRound = 256;  // one read of the sequencer
constexpr std::size_t kRowsPerCommit = 8'000;

SubscriberPtr subscriber(std::int32_t sid, std::string pattern, OrderingKey ordering) {
  Subscriber row;
  row.sid = sid;
  row.patterns = {std::move(pattern)};
  row.ordering = ordering;
  return std::make_shared<const Subscriber>(std::move(row));
}

// order.created has two of them and order.paid three; some want other events.
SubscriberSetPtr subscribers() {
  auto set = std::make_shared<SubscriberSet>();
  set->version = 1;
  const auto add = [&set](std::string pattern, OrderingKey ordering) {
    const auto sid = static_cast<std::int32_t>(set->by_sid.size() + 1);
    set->by_sid[sid] = subscriber(sid, std::move(pattern), ordering);
  };
  add("order.created", OrderingKey::none);
  add("order.paid", OrderingKey::none);
  add("order.paid", OrderingKey::user_id);
  add("order.*", OrderingKey::organization_id);
  add("invoice.>", OrderingKey::none);
  add("user.*", OrderingKey::user_id);
  add("invoice.paid", OrderingKey::none);
  add("user.deleted", OrderingKey::none);
  return set;
}

class Fanout final : public Path {
 public:
  Fanout() : matcher_(subscribers()) {}
  std::size_t round() const override { return kRound; }

  void prepare() override {
    events_.clear();
    for (std::size_t i = 0; i < kRound; ++i) {
      EventHeader event;
      event.event_seq = ++last_seq_;
      event.event_type = i % 2 == 0 ? "order.created" : "order.paid";
      event.organization_id = "org_" + std::to_string(i % 7);
      event.user_id = "user_" + std::to_string(i % 100);
      events_.push_back(std::move(event));
    }
  }

  // The steps of the role's fan_out() around its statement.
  void run() override {
    Chunks chunks(events_, matcher_, kRowsPerCommit);
    metrics_.batch("fanout", events_.size());
    Chunk chunk;
    std::size_t messages = 0;
    while (chunks.next(chunk)) {
      const pg::Call call = store::insert_messages(chunk.messages);
      require(call.params.values().size() == 4, "the INSERT has four arrays");
      metrics_.message_fanned_out(chunk.messages.size());
      messages += chunk.messages.size();
    }
    require(messages * 2 == kRound * 5, "not 2.5 messages per event");
  }

 private:
  Matcher matcher_;
  Metrics metrics_{100};
  std::vector<EventHeader> events_;
  std::int64_t last_seq_ = 0;
};

}  // namespace

std::unique_ptr<Path> make_fanout() {
  return std::make_unique<Fanout>();
}

}  // namespace eventhub::guard
