// Looks at the room that PostgreSQL has, and says when events are refused for it. Ingest asks
// Context::disk_full.
#include "eventhub/store/disk_guard.hpp"

#include <filesystem>

#include "eventhub/core/log.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kLookEvery{1'000};
constexpr int kAskEvery = 10;  // looks

// A server that is reached by TCP may be anywhere, in a container of this machine, too.
const pg::Statement kServerRoom{
    "server_room",
    "SELECT CASE WHEN inet_server_addr() IS NULL THEN"
    " (SELECT setting FROM pg_settings WHERE name = 'data_directory') END,"
    " CASE WHEN $1 THEN pg_database_size(current_database()) ELSE 0 END"};

}  // namespace

Task<void> DiskGuard::run() {
  for (int look = 0; !stopping_; ++look) {
    if (look % kAskEvery == 0) co_await ask();
    const std::string why = judge();
    if (why != context_.disk_full) tell(why);
    co_await over_.wait(kLookEvery);
  }
}

void DiskGuard::stop() {
  stopping_ = true;
  over_.set();
}

Task<void> DiskGuard::ask() {
  try {
    auto connection = co_await context_.database.lease();
    pg::Params params;
    params.boolean(context_.config.ingest.database_bytes_max > 0);
    const pg::Result row = co_await connection->run(kServerRoom, std::move(params));
    directory_ = row.optional_text(0, 0);
    database_bytes_ = row.i64(0, 1);
  } catch (const pg::Error&) {
    // Those whose work it holds up say that the database is away; there is a next time.
  }
}

// Why there is no room, in words that do not change while it stays so; empty when there is.
std::string DiskGuard::judge() const {
  const IngestConfig& config = context_.config.ingest;
  if (config.database_bytes_max > 0 && database_bytes_ > config.database_bytes_max) {
    return "the database is larger than ingest.database_bytes_max";
  }
  if (!directory_ || config.disk_free_min_bytes == 0) return {};
  std::error_code unseen;
  const auto space = std::filesystem::space(*directory_, unseen);
  if (unseen) return {};
  const auto least = static_cast<std::uintmax_t>(config.disk_free_min_bytes);
  return space.available < least ? "the database's disk has less than ingest.disk_free_min_bytes"
                                 : "";
}

void DiskGuard::tell(const std::string& why) {
  context_.disk_full = why;
  context_.metrics.ingest_closed(!why.empty());
  if (why.empty()) {
    log::info("there is room again, events are accepted");
  } else {
    log::error("events are refused, as there is no room for them", {{"reason", why}});
  }
}

}  // namespace eventhub::store
