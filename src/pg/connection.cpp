// The public face of a connection; calls pipeline.cpp and forget.cpp (run, run_all), simple.cpp
// (exec, notifications), connect.cpp (open).
#include "eventhub/pg/connection.hpp"

#include <boost/asio/this_coro.hpp>

#include "pg/impl.hpp"

namespace eventhub::pg {

Connection::Connection(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Connection::~Connection() {
  close();
}

Task<std::unique_ptr<Connection>> Connection::open(ConnectOptions options, Metrics* metrics) {
  const auto executor = co_await boost::asio::this_coro::executor;
  auto impl = std::make_shared<Impl>(executor, std::move(options), metrics);
  co_await Impl::connect(impl);
  co_return std::unique_ptr<Connection>(new Connection(std::move(impl)));
}

Task<Result> Connection::run(const Statement& statement, Params params) {
  if (impl_->remembers_many()) co_await Impl::forget(impl_);
  const Item item{&statement, &params};
  Result result;
  co_await Impl::pipeline(impl_, std::span<const Item>(&item, 1), &result);
  co_return result;
}

Task<std::vector<Result>> Connection::run_all(std::vector<Call> calls) {
  std::vector<Result> results(calls.size());
  if (calls.empty()) co_return results;
  std::vector<Item> items;
  items.reserve(calls.size());
  if (impl_->remembers_many()) co_await Impl::forget(impl_);
  for (const Call& call : calls) items.push_back({call.statement, &call.params});
  co_await Impl::pipeline(impl_, items, results.data());
  co_return results;
}

Task<void> Connection::exec(std::string sql, Millis limit) {
  co_await Impl::simple(impl_, std::move(sql), limit);
}

Task<std::vector<Notification>> Connection::wait_notifications(Millis limit) {
  auto notifications = co_await Impl::notifications(impl_, limit);
  co_return notifications;
}

bool Connection::healthy() const {
  Impl& impl = *impl_;
  if (!impl.busy) impl.probe();
  return impl.conn != nullptr && !impl.closed && !impl.broken;
}

bool Connection::in_transaction() const {
  if (impl_->conn == nullptr) return false;
  const PGTransactionStatusType status = PQtransactionStatus(impl_->conn);
  return status == PQTRANS_INTRANS || status == PQTRANS_INERROR;
}

int Connection::backend_pid() const {
  return impl_->pid;
}

int Connection::server_version() const {
  return impl_->conn != nullptr ? PQserverVersion(impl_->conn) : 0;
}

void Connection::close() {
  impl_->closed = true;
  if (impl_->busy) {
    impl_->stop_waiting();  // the running call ends the connection
  } else {
    impl_->finish();
  }
}

}  // namespace eventhub::pg
