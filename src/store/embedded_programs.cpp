// Finds PostgreSQL's programs for embedded.cpp.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <stdexcept>

#include "store/embedded_files.hpp"

namespace eventhub::store {
namespace {

namespace fs = std::filesystem;
constexpr int kOldestServer = 14;  // minmax_multi indexes

bool has_programs(const fs::path& directory) {
  for (const char* program : {"postgres", "initdb", "pg_ctl"}) {
    if (::access((directory / program).c_str(), X_OK) != 0) return false;
  }
  return true;
}

std::string newest_bin_dir() {
  int newest = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", none)) {
    const int version = number_in(entry.path().filename());
    if (version > newest && has_programs(entry.path() / "bin")) newest = version;
  }
  if (newest < kOldestServer) return "";
  return fmt::format("/usr/lib/postgresql/{}/bin", newest);
}

}  // namespace

std::string embedded_bin_dir(const EmbeddedConfig& config, const std::string& cluster) {
  if (!config.bin_dir.empty()) {
    if (has_programs(config.bin_dir)) return config.bin_dir;
    throw std::runtime_error(
        fmt::format("embedded.bin_dir {} lacks postgres, initdb or pg_ctl", config.bin_dir));
  }
  if (const int version = number_in(read_tail(cluster + "/PG_VERSION", 16)); version > 0) {
    const std::string own = fmt::format("/usr/lib/postgresql/{}/bin", version);
    if (has_programs(own)) return own;
    throw std::runtime_error(fmt::format(
        "{} was made by PostgreSQL {}, which is not installed: apt install postgresql-{} (or set "
        "embedded.bin_dir)",
        cluster, version, version));
  }
  const std::string newest = newest_bin_dir();
  if (newest.empty()) {
    throw std::runtime_error(
        "no PostgreSQL 14 or newer in /usr/lib/postgresql: apt install postgresql-15, set "
        "embedded.bin_dir, or "
        "use a server of yours with DATABASE_URL");
  }
  return newest;
}

}  // namespace eventhub::store
