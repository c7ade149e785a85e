// Accepting events: the public face, the loop that commits one batch after the other, and the life
// of its connection. Batches are formed by ingest_queue.cpp and written by ingest_commit.cpp.
#include "eventhub/store/ingest.hpp"

#include <boost/asio/async_result.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "eventhub/core/log.hpp"
#include "eventhub/store/idempotency_buckets.hpp"
#include "ingest_impl.hpp"
#include "ingest_sql.hpp"

namespace asio = boost::asio;

namespace eventhub::store {
namespace {

constexpr Millis kGrace{1'000};  // how long a request waits for a lost connection
constexpr Millis kBackoffMin{50}, kBackoffMax{1'000};
constexpr Millis kPingAfter{2'000};  // idle time after which the connection is tried

std::size_t bytes_of(const NewEvent& event) {
  return sizeof(Waiting) + event.event_type.size() + event.version.size() + event.payload.size() +
         event.organization_id.value_or("").size() + event.user_id.value_or("").size() +
         event.traceparent.value_or("").size();
}

WaitingPtr waiting_row(NewEvent event, std::optional<IdempotencyKey> key, std::size_t bytes,
                       Time now) {
  auto row = std::make_unique<Waiting>();
  row->event = std::move(event);
  row->key = key;
  row->id = uuid_v7(now);
  row->bytes = bytes;
  return row;
}

// A group that waits: its caller is resumed by the last of its answers.
struct Together {
  template <class Handler>
  Together(Handler handler, std::size_t size)
      : results(size, AcceptError::unavailable), left(size) {
    done.emplace(std::move(handler));
  }
  void set(std::size_t index, const AcceptResult& result) {
    results[index] = result;
    if (--left > 0) return;
    auto resume = std::move(*done);
    std::move(resume)(std::move(results));
  }

  std::vector<AcceptResult> results;
  std::size_t left;
  // As Waiting::done: to be emplaced.
  std::optional<asio::any_completion_handler<void(std::vector<AcceptResult>)>> done;
};

}  // namespace

Ingest::Ingest(Context& context) : impl_(std::make_unique<Impl>(context)) {}
Ingest::~Ingest() = default;

Task<AcceptResult> Ingest::accept(NewEvent event, std::optional<IdempotencyKey> key) {
  Impl& impl = *impl_;
  const std::size_t bytes = bytes_of(event);
  if (impl.stopping || impl.down) co_return AcceptError::unavailable;
  if (!impl.context.disk_full.empty()) co_return AcceptError::no_room;
  if (!impl.queue.fits(bytes)) co_return AcceptError::overloaded;
  auto waiting = waiting_row(std::move(event), key, bytes, impl.context.clock.now());
  auto enqueue = [&impl](auto handler, WaitingPtr row) {
    row->done.emplace(std::move(handler));
    impl.queue.push(std::move(row));
    if (impl.waiting) impl.work.set();
  };
  const AcceptResult result =
      co_await asio::async_initiate<decltype(asio::use_awaitable), void(AcceptResult)>(
          enqueue, asio::use_awaitable, std::move(waiting));
  co_return result;
}

Task<std::vector<AcceptResult>> Ingest::accept_all(std::vector<NewRow> rows) {
  Impl& impl = *impl_;
  std::vector<AcceptResult> same(rows.size(), AcceptError::unavailable);
  if (rows.empty() || impl.stopping || impl.down) co_return same;
  if (!impl.context.disk_full.empty()) {
    same.assign(rows.size(), AcceptError::no_room);
    co_return same;
  }
  Batch waiting;
  waiting.reserve(rows.size());
  std::size_t total = 0;
  const std::uint64_t group = impl.queue.new_group();
  for (NewRow& row : rows) {
    const std::size_t bytes = bytes_of(row.event);
    total += bytes;
    waiting.push_back(waiting_row(std::move(row.event), row.key, bytes, impl.context.clock.now()));
    waiting.back()->group = group;
  }
  if (!impl.queue.fits(total)) {
    same.assign(rows.size(), AcceptError::overloaded);
    co_return same;
  }
  auto enqueue = [&impl](auto handler, Batch batch) {
    auto together = std::make_shared<Together>(std::move(handler), batch.size());
    for (std::size_t i = 0; i < batch.size(); ++i) {
      batch[i]->done.emplace([together, i](AcceptResult result) { together->set(i, result); });
      impl.queue.push(std::move(batch[i]));
    }
    if (impl.waiting) impl.work.set();
  };
  std::vector<AcceptResult> results =
      co_await asio::async_initiate<decltype(asio::use_awaitable), void(std::vector<AcceptResult>)>(
          enqueue, asio::use_awaitable, std::move(waiting));
  co_return results;
}

Task<void> Ingest::run() {
  return impl_->run();
}

void Ingest::stop() {
  impl_->stopping = true;
  impl_->stopped.set();
  impl_->work.set();
}

bool Ingest::connected() const {
  return impl_->usable();
}

Ingest::Impl::Impl(Context& shared)
    : context(shared),
      config(shared.config.ingest),
      queue(shared.executor, shared.config.ingest.queue_bytes_max),
      pace(shared.config.ingest.linger),
      work(shared.executor),
      stopped(shared.executor),
      grace(shared.executor) {}

Task<void> Ingest::Impl::run() {
  while (!stopping || !queue.empty()) {
    if (!usable()) {
      co_await reconnect();
      continue;
    }
    if (context.clock.mono() >= buckets_due) co_await make_buckets();
    if (queue.empty()) {
      co_await idle();
      continue;
    }
    const Micros wait = stopping ? Micros{0} : pace.wait(context.clock.mono(), queue.size());
    if (wait > Micros{0}) {
      co_await sleep_for(wait);
      continue;
    }
    Batch batch = queue.take(static_cast<std::size_t>(config.batch_rows_max),
                             static_cast<std::size_t>(config.batch_bytes_max));
    pace.begun(context.clock.mono(), batch.size());
    co_await commit(std::move(batch));
  }
  connection.reset();
}

Task<void> Ingest::Impl::idle() {
  context.metrics.queue_bytes("ingest", static_cast<double>(queue.bytes()));
  waiting = true;
  const bool woken = co_await work.wait(kPingAfter);
  waiting = false;
  if (!woken && queue.empty()) co_await ping();
}

// So that a dead connection is found before the next event needs it.
Task<void> Ingest::Impl::ping() {
  try {
    co_await connection->run(kIngestPing, {});
  } catch (const pg::Error& error) {
    log::debug("the idle ingest connection is gone", {{"error", error.what()}});
    connection.reset();
  }
}

Task<void> Ingest::Impl::reconnect() {
  connection.reset();
  begin_grace();
  Millis backoff = kBackoffMin;
  bool connected = false;
  while (!connected && !stopping) {
    connected = co_await try_connect();
    if (!connected) co_await stopped.wait(backoff);
    backoff = std::min(backoff * 2, kBackoffMax);
  }
  end_grace();
  if (!connected) queue.fail_all(AcceptError::unavailable);
}

Task<bool> Ingest::Impl::try_connect() {
  try {
    connection = co_await context.database.connect(Profile::ingest);
    if (reported) log::info("accepting events again");
    reported = false;
    co_return true;
  } catch (const std::exception& error) {
    if (!reported) {
      log::error("no database connection to accept events with", {{"error", error.what()}});
    }
    reported = true;
  }
  co_return false;
}

// Half a width is less than what ensure_buckets makes ahead, so a key never finds its bucket
// missing. A fault here is not fatal: the batch that needs the bucket makes it.
Task<void> Ingest::Impl::make_buckets() {
  buckets_due = context.clock.mono() + bucket_width(config.idempotency_ttl) / 2;
  try {
    co_await ensure_buckets(*connection, context.database.lock_space(), config.idempotency_ttl);
  } catch (const pg::Error& error) {
    log::warn("cannot make room for idempotency keys yet", {{"error", error.what()}});
    buckets_due = context.clock.mono() + Seconds{5};
    if (error.connection_lost) connection.reset();
  }
}

void Ingest::Impl::begin_grace() {
  grace.expires_after(kGrace);
  grace.async_wait([this, guard = std::weak_ptr(alive)](boost::system::error_code error) {
    if (error || guard.expired() || usable()) return;
    down = true;
    queue.fail_all(AcceptError::unavailable);
  });
}

void Ingest::Impl::end_grace() {
  grace.cancel();
  down = false;
}

}  // namespace eventhub::store
