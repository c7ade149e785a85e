// Opens a connection: resolves the host without blocking (resolve.cpp), then PQconnectPoll step by
// step.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "pg/error_of.hpp"
#include "pg/impl.hpp"
#include "pg/resolve.hpp"

namespace eventhub::pg {
namespace {

using Keywords = std::vector<std::pair<std::string, std::string>>;

// Run-time settings as libpq's `options`: "-c name=value", with spaces and backslashes escaped.
std::string options_of(const Keywords& settings) {
  std::string out;
  for (const auto& [name, value] : settings) {
    out += " -c " + name + '=';
    for (const char c : value) {
      if (c == ' ' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out;
}

Keywords with_settings(const ConnectOptions& options) {
  Keywords keywords = options.keywords;
  if (options.settings.empty()) return keywords;
  const std::string settings = options_of(options.settings);
  for (auto& [name, value] : keywords) {
    if (name == "options") {
      value += settings;
      return keywords;
    }
  }
  keywords.emplace_back("options", settings);
  return keywords;
}

PGconn* start(const Keywords& keywords) {
  std::vector<const char*> names, values;
  for (const auto& [name, value] : keywords) {
    names.push_back(name.c_str());
    values.push_back(value.c_str());
  }
  names.push_back(nullptr);
  values.push_back(nullptr);
  return PQconnectStartParams(names.data(), values.data(), 0);
}

}  // namespace

void Connection::Impl::obey(Abort& abort) {
  closed = abort.set_;
  abort.hook_ = [weak = weak_from_this()] {
    const std::shared_ptr<Impl> self = weak.lock();
    if (!self || !self->busy) return;
    self->closed = true;
    self->stop_waiting();
  };
}

Task<void> Connection::Impl::connect(std::shared_ptr<Impl> self) {
  const Busy busy(*self, self->options.connect_timeout);
  if (self->options.abort) self->obey(*self->options.abort);
  Keywords keywords = with_settings(self->options);
  co_await resolve_host(keywords, self->options.connect_timeout);
  self->conn = start(keywords);
  if (self->conn == nullptr) throw std::bad_alloc();
  PQsetNoticeReceiver(self->conn, on_notice, self.get());
  self->broken = PQstatus(self->conn) == CONNECTION_BAD;
  for (auto step = PGRES_POLLING_WRITING; step != PGRES_POLLING_OK && !self->broken;) {
    // libpq may take another socket at every step (next address, TLS refused).
    self->socket.assign(PQsocket(self->conn));
    const bool ready =
        co_await self->wait(step == PGRES_POLLING_READING ? Wait::wait_read : Wait::wait_write);
    if (self->socket.is_open()) self->socket.release();
    if (!ready) self->lose(false);
    step = PQconnectPoll(self->conn);
    self->broken = step == PGRES_POLLING_FAILED;
  }
  if (self->broken) self->lose(false);
  if (self->options.abort) self->options.abort->hook_ = nullptr;
  self->pid = PQbackendPID(self->conn);
  PQsetnonblocking(self->conn, 1);
  self->socket.assign(PQsocket(self->conn));
}

}  // namespace eventhub::pg
