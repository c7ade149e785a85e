// Statements of partitions would pile up in a session that lives as long as the process. Those used
// longest ago are given up, many at a time, so that it costs a round trip once in many partitions.
#include <algorithm>
#include <optional>

#include "pg/impl.hpp"

namespace eventhub::pg {
namespace {

constexpr std::size_t kMost = 128;  // statements of a session; far fewer are not of partitions
constexpr std::size_t kKept = 32;   // of partitions

}  // namespace

bool Connection::Impl::remembers_many() const {
  return prepared.size() > kMost;
}

Task<void> Connection::Impl::forget(std::shared_ptr<Impl> self) {
  if (self->conn == nullptr || PQtransactionStatus(self->conn) == PQTRANS_INERROR) co_return;
  std::vector<std::pair<std::uint64_t, std::string>> plans;
  for (const auto& [name, known] : self->prepared) {
    if (known.of_partition) plans.emplace_back(known.used, name);
  }
  if (plans.size() <= kKept) co_return;
  std::ranges::sort(plans);
  plans.resize(plans.size() - kKept);
  std::string sql;
  for (const auto& [used, name] : plans) {
    const auto known = self->prepared.find(name);
    sql += "DEALLOCATE \"" + known->second.server_name + "\";";
    self->prepared.erase(known);
  }
  try {
    co_await simple(self, std::move(sql), Millis{0});
  } catch (const Error& error) {
    if (error.connection_lost) throw;
    ++self->renamed;  // the server may still know them: other names from now on
  }
}

}  // namespace eventhub::pg
