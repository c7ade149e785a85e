// Prepared statements in one pipeline: everything up to the sync is one implicit transaction, sent
// in one write and committed when the sync is answered. Waits in link.cpp.
#include <algorithm>
#include <optional>
#include <stdexcept>

#include "pg/error_of.hpp"
#include "pg/fault.hpp"
#include "pg/impl.hpp"

namespace eventhub::pg {

// One pipeline on its way: what was sent, which answer comes next.
class Connection::Impl::Run {
 public:
  Run(Impl& impl, std::span<const Item> items, Result* results)
      : impl_(impl), items_(items), results_(results), last_(SystemClock{}.mono()) {}

  void send();
  void take(ResultPtr result);
  bool done() const { return done_; }
  // The sync is on its way and no error has said that nothing was committed.
  bool in_doubt() const { return synced_ && !error_; }
  std::optional<Error>& error() { return error_; }
  void end();

 private:
  Prepared& plan(const Item& item);
  void send_one(std::size_t index);
  bool at_prepare() const {
    return next_prepare_ < prepares_.size() && prepares_[next_prepare_] == position_;
  }
  void step(bool succeeded);
  void fail(const PGresult* result);
  void measure(std::size_t index);

  Impl& impl_;
  std::span<const Item> items_;
  Result* results_;
  std::vector<std::size_t> prepares_;  // calls whose statement is prepared right before them
  std::size_t next_prepare_ = 0, position_ = 0;
  std::optional<Error> error_;
  Mono last_;
  bool synced_ = false, done_ = false, was_null_ = false;
};

// Finds or enters the statement, and refuses what would make the server read bytes as another type.
Prepared& Connection::Impl::Run::plan(const Item& item) {
  const auto& params = item.params->values();
  if (params.size() > 65'535) throw std::logic_error("more than 65535 parameters");
  const auto [at, fresh] = impl_.prepared.try_emplace(item.statement->name);
  Prepared& known = at->second;
  if (fresh) {
    known.text = item.statement->text;
    known.server_name = item.statement->name;
    known.of_partition = !item.statement->family.empty();
    if (impl_.renamed > 0) known.server_name += '~' + std::to_string(impl_.renamed);
    for (const auto& value : params) known.types.push_back(value.oid);
  }
  known.used = ++impl_.uses;
  const bool same =
      known.text == item.statement->text &&
      std::equal(params.begin(), params.end(), known.types.begin(), known.types.end(),
                 [](const Params::Value& value, Oid type) { return value.oid == type; });
  if (!same) {
    throw std::logic_error("statement " + item.statement->name +
                           " was prepared with another text or other parameter types");
  }
  return known;
}

void Connection::Impl::Run::send() {
  impl_.plan.clear();
  for (const Item& item : items_) impl_.plan.push_back(&plan(item));
  if (PQpipelineStatus(impl_.conn) == PQ_PIPELINE_OFF) PQenterPipelineMode(impl_.conn);
  for (std::size_t i = 0; i < items_.size(); ++i) send_one(i);
  EVENTHUB_FAULT_IN_TRANSACTION(impl_.conn);
  synced_ = true;
  if (PQpipelineSync(impl_.conn) == 0) {
    impl_.broken = true;
    impl_.lose(true);
  }
}

void Connection::Impl::Run::send_one(std::size_t index) {
  Prepared& known = *impl_.plan[index];
  bool sent = true;
  if (!known.ready && !known.queued) {
    known.queued = true;
    prepares_.push_back(index);
    sent = PQsendPrepare(impl_.conn, known.server_name.c_str(), known.text.c_str(),
                         static_cast<int>(known.types.size()), known.types.data()) != 0;
  }
  impl_.values.clear();
  impl_.lengths.clear();
  for (const auto& value : items_[index].params->values()) {
    impl_.values.push_back(value.null ? nullptr : value.bytes.data());
    impl_.lengths.push_back(static_cast<int>(value.bytes.size()));
  }
  impl_.formats.resize(std::max(impl_.formats.size(), impl_.values.size()), 1);
  sent = sent && PQsendQueryPrepared(impl_.conn, known.server_name.c_str(),
                                     static_cast<int>(impl_.values.size()), impl_.values.data(),
                                     impl_.lengths.data(), impl_.formats.data(), 1) != 0;
  if (sent) return;
  impl_.broken = true;  // without a sync nothing is committed
  impl_.lose(false);
}

void Connection::Impl::Run::take(ResultPtr result) {
  if (!result) {  // between two calls; twice in a row there is nothing left to come
    if (was_null_) {
      impl_.broken = true;
      impl_.lose(in_doubt());
    }
    was_null_ = true;
    return;
  }
  was_null_ = false;
  switch (PQresultStatus(result.get())) {
    case PGRES_PIPELINE_SYNC:
      done_ = true;
      break;
    case PGRES_TUPLES_OK:
    case PGRES_COMMAND_OK:
    case PGRES_EMPTY_QUERY:
      if (!at_prepare() && position_ < items_.size()) {
        results_[position_] = Result(result.release());
      }
      step(true);
      break;
    case PGRES_PIPELINE_ABORTED:
      step(false);
      break;
    case PGRES_FATAL_ERROR:
      fail(result.get());
      step(false);
      break;
    default:  // COPY: no statement of ours
      impl_.broken = true;
      impl_.lose(in_doubt());
  }
}

void Connection::Impl::Run::step(bool succeeded) {
  if (!at_prepare()) {
    if (succeeded && position_ + 1 < items_.size()) measure(position_);
    ++position_;
    return;
  }
  ++next_prepare_;
  const auto at = impl_.prepared.find(items_[position_].statement->name);
  if (at == impl_.prepared.end()) return;
  at->second.queued = false;
  at->second.ready = succeeded;
  if (!succeeded) impl_.prepared.erase(at);
}

void Connection::Impl::Run::fail(const PGresult* result) {
  const bool at_call = position_ < items_.size();
  Error error = error_of(result, at_call ? items_[position_].statement->name : "commit");
  if (error.connection_lost) {
    // After the last answer the commit may have happened before the session was ended.
    error.outcome_unknown = in_doubt() && (error.outcome_unknown || !at_call);
    impl_.finish();
    if (error_) {
      error_->connection_lost = true;
      throw *error_;
    }
    throw error;
  }
  // The statement's plan no longer fits, or the server has forgotten it: prepare it anew under
  // another name.
  if (at_call && !at_prepare() && (error.sqlstate == "0A000" || error.sqlstate == "26000")) {
    impl_.prepared.erase(items_[position_].statement->name);
    ++impl_.renamed;
  }
  if (!error_) error_ = std::move(error);
}

// The time since the former answer; the last call's includes the commit.
void Connection::Impl::Run::measure(std::size_t index) {
  if (impl_.metrics == nullptr) return;
  const Mono now = SystemClock{}.mono();
  impl_.metrics->db_statement(items_[index].statement->label(),
                              std::chrono::duration<double>(now - last_).count());
  last_ = now;
}

void Connection::Impl::Run::end() {
  if (error_) throw *error_;
  measure(items_.size() - 1);
}

Task<void> Connection::Impl::pipeline(std::shared_ptr<Impl> self, std::span<const Item> items,
                                      Result* results) {
  const Busy busy(*self, self->options.call_timeout);
  self->require_usable();
  Run run(*self, items, results);
  run.send();
  if (PQflush(self->conn) != 0) co_await self->flush();
  while (!run.done()) {
    if (PQisBusy(self->conn) != 0) {
      try {
        co_await self->answer(run.in_doubt());
      } catch (const Error&) {
        if (!run.error()) throw;
        run.error()->connection_lost = true;  // the first error says more
        throw *run.error();
      }
    }
    run.take(ResultPtr(PQgetResult(self->conn)));
  }
  run.end();
}

}  // namespace eventhub::pg
