#include <boost/asio/io_context.hpp>
#include <cstring>
#include <variant>

#include "api/respond.hpp"
#include "eventhub/core/json.hpp"
#include "guard/connection.hpp"
#include "guard/path.hpp"
#include "store/ingest_queue.hpp"
#include "store/ingest_sql.hpp"

namespace eventhub::guard {
namespace {

constexpr std::size_t kRound = 128;  // one batch
constexpr std::size_t kDepthMax = 64;
constexpr std::int64_t kBytesMax = 64 << 20;

class Accept final : public Path {
 public:
  Accept() : queue_(callers_.get_executor(), kBytesMax) {
    receive(*peer_.connection, post_request());
    const std::string body(peer_.connection->request.body);
    event_ = std::get<NewEvent>(parse_new_event(body, kDepthMax));
  }
  std::size_t round() const override { return kRound; }

  void prepare() override {
    events_.assign(kRound, event_);
    answered_ = 0;
    peer_.core->date();  // made anew once a second, which is no event's doing
  }

  // The steps of store::Ingest around its statement.
  void run() override {
    for (NewEvent& event : events_) push(std::move(event));
    store::Batch batch = queue_.take(kRound, kBytesMax);
    require(batch.size() == kRound && queue_.empty(), "the batch is not whole");
    const auto calls = store::insert_calls(batch, 1, true);
    require(calls.back().params.bytes() > kRound * 300, "the payloads are not in the arrays");
    store::Written written;
    store::read_inserted(batch, pg::Result(), written);
    queue_.settle(std::move(batch));
    peer_.metrics.batch("ingest", kRound);
    callers_.restart();
    callers_.poll();
    require(answered_ == kRound, "a caller has no answer");
  }

 private:
  void push(NewEvent event) {
    const std::size_t bytes = sizeof(store::Waiting) + event.payload.size();
    require(queue_.fits(bytes), "the queue is full");
    auto waiting = std::make_unique<store::Waiting>();
    waiting->event = std::move(event);
    waiting->id = uuid_v7(now_);
    waiting->key = next_key();
    waiting->bytes = bytes;
    waiting->done.emplace([this](const store::AcceptResult& result) { answer(result); });
    queue_.push(std::move(waiting));
  }

  // The same in each run: how they fall into a hash table is counted, too.
  store::IdempotencyKey next_key() {
    const std::uint64_t digest = stable_hash(++keys_);
    store::IdempotencyKey made;
    std::memcpy(made.key.bytes.data() + sizeof digest, &digest, sizeof digest);
    return made;
  }

  // The end of api::post_event and of http::serve.
  void answer(const store::AcceptResult& result) {
    http::ServerConnection& c = *peer_.connection;
    peer_.metrics.event_received(event_.event_type);
    const http::Response response = api::accepted(std::get<store::Accepted>(result), Millis{3});
    peer_.metrics.api_request("POST", "/events", response.status, 0.003);
    c.prepare(response);
    require(c.unwritten()[0].size() > response.body.size() && !c.close_after, "no whole answer");
    ++answered_;
  }

  Peer peer_;
  boost::asio::io_context callers_;  // not the server's, whose deadlines come by the clock
  store::IngestQueue queue_;
  NewEvent event_;
  std::vector<NewEvent> events_;
  std::size_t answered_ = 0;
  std::uint64_t keys_ = 0;
  Time now_{Seconds{1'800'000'000}};
};

}  // namespace

std::unique_ptr<Path> make_accept() {
  return std::make_unique<Accept>();
}

}  // namespace eventhub::guard
