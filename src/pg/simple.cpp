// SQL text by the simple protocol, and notifications. Waits in link.cpp.
#include <optional>

#include "pg/error_of.hpp"
#include "pg/impl.hpp"

namespace eventhub::pg {
namespace {

void take_notifications(PGconn* conn, std::vector<Notification>& out) {
  while (PGnotify* raw = PQnotifies(conn)) {
    const std::unique_ptr<PGnotify, decltype(&PQfreemem)> owned(raw, PQfreemem);
    out.push_back({raw->relname, raw->extra, raw->be_pid});
  }
}

}  // namespace

Task<void> Connection::Impl::simple(std::shared_ptr<Impl> self, std::string sql, Millis limit) {
  const Busy busy(*self, limit.count() > 0 ? limit : self->options.call_timeout);
  self->require_usable();
  const bool sent =
      (PQpipelineStatus(self->conn) == PQ_PIPELINE_OFF || PQexitPipelineMode(self->conn) != 0) &&
      PQsendQuery(self->conn, sql.c_str()) != 0;
  if (!sent) {
    self->broken = true;
    self->lose(false);
  }
  if (PQflush(self->conn) != 0) co_await self->flush();
  std::optional<Error> error;
  for (;;) {
    if (PQisBusy(self->conn) != 0) co_await self->answer(!error);
    const ResultPtr result(PQgetResult(self->conn));
    if (!result) break;
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_FATAL_ERROR) {
      if (!error) error = error_of(result.get(), "exec");
      if (error->connection_lost || PQstatus(self->conn) == CONNECTION_BAD) break;
    } else if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
      self->broken = true;  // no statement of ours copies
      self->lose(!error);
    }
  }
  if (!error) co_return;
  if (error->connection_lost || PQstatus(self->conn) == CONNECTION_BAD) {
    error->connection_lost = true;
    self->finish();
  }
  throw *error;
}

Task<std::vector<Notification>> Connection::Impl::notifications(std::shared_ptr<Impl> self,
                                                                Millis limit) {
  const Busy busy(*self, limit);
  self->require_usable();
  std::vector<Notification> out;
  for (;;) {
    take_notifications(self->conn, out);
    if (!out.empty() || self->expired) co_return out;
    if (self->broken) self->lose(false);
    const bool ready = co_await self->wait(Wait::wait_read);
    if (self->closed) break;
    if (ready) self->consume();
    if (!ready && !self->expired && !self->broken) co_return out;  // cancelled
  }
  self->finish();
  co_return out;
}

}  // namespace eventhub::pg
