// `eventhubd doctor`: what store/server_exam.cpp found, as sentences. judge_server is pure.
#include <fmt/format.h>

#include <filesystem>

#include "eventhub/cli/doctor.hpp"
#include "eventhub/store/migrate.hpp"

namespace eventhub::cli {
namespace {

using Level = Finding::Level;

constexpr std::int64_t kReceiversMax = 1'000;
constexpr double kGigabyte = 1e9;

std::string version_text(int version) {
  return fmt::format("{}.{}", version / 10'000, version % 10'000);
}

void judge_settings(const store::ServerExam& exam, Findings& findings) {
  if (exam.remarks.empty()) {
    findings.push_back({Level::ok, "server settings",
                        "fsync, full_page_writes, synchronous_commit, statement_timeout and the "
                        "clock are as the hub needs them",
                        ""});
  }
  for (const store::ServerRemark& remark : exam.remarks) {
    findings.push_back({remark.stops ? Level::fail : Level::warn, remark.setting,
                        fmt::format("is {}: {}", remark.value, remark.harm),
                        remark.stops ? "the hub does not start; change it on the server"
                                     : "change it on the server, or know what it means"});
  }
}

void judge_connections(const store::ServerExam& exam, const Config& config, Findings& findings) {
  const std::int64_t room = exam.connections_max - exam.connections_reserved;
  const std::string found =
      fmt::format("{} of {} in use; database.connections_max is {}", exam.connections_used, room,
                  config.database.connections_max);
  if (config.database.connections_max > room) {
    findings.push_back({Level::fail, "connections", found,
                        "lower database.connections_max or raise max_connections of the server"});
  } else if (exam.connections_used * 10 > room * 9) {
    findings.push_back({Level::warn, "connections", found, "raise max_connections of the server"});
  } else {
    findings.push_back({Level::ok, "connections", found, ""});
  }
}

void judge_disk(const store::ServerExam& exam, const DiskRoom& disk, Findings& findings) {
  const std::string size = fmt::format("the database takes {:.1f} GB",
                                       static_cast<double>(exam.database_bytes) / kGigabyte);
  if (disk.all == 0) {
    findings.push_back(
        {Level::ok, "disk", size + "; how much is free is not to be seen from here", ""});
    return;
  }
  const double share = static_cast<double>(disk.free) / static_cast<double>(disk.all);
  const std::string found = fmt::format("{}; {:.1f} GB are free ({:.0f} %)", size,
                                        static_cast<double>(disk.free) / kGigabyte, share * 100);
  if (share < 0.03) {
    findings.push_back({Level::fail, "disk", found,
                        "PostgreSQL stops when it is full: make room, or lower cleanup.retention"});
  } else if (share < 0.10) {
    findings.push_back({Level::warn, "disk", found, "make room, or lower cleanup.retention"});
  } else {
    findings.push_back({Level::ok, "disk", found, ""});
  }
}

void judge_privileges(const store::ServerExam& exam, const Config& config, Findings& findings) {
  const std::string& schema = config.database.schema;
  if (!exam.schema_exists) {
    const std::string found = fmt::format("role {} may {}create schema {}", exam.role,
                                          exam.may_create_schema ? "" : "not ", schema);
    findings.push_back({exam.may_create_schema ? Level::ok : Level::fail, "privileges", found,
                        exam.may_create_schema
                            ? ""
                            : fmt::format("as a superuser: CREATE SCHEMA {} AUTHORIZATION {}",
                                          schema, exam.role)});
    return;
  }
  std::string found, advice;
  if (!exam.may_use_schema) {
    found = fmt::format("role {} may not make tables in schema {}", exam.role, schema);
    advice = fmt::format("as its owner: GRANT USAGE, CREATE ON SCHEMA {} TO {}", schema, exam.role);
  } else if (exam.tables_of_others > 0) {
    found = fmt::format(
        "{} tables of schema {} belong to another role, which alone can make "
        "their partitions",
        exam.tables_of_others, schema);
    advice = "connect as that role, or have the tables' owner changed";
  } else if (exam.tables_closed > 0) {
    found = fmt::format("role {} may not read and write {} tables of schema {}", exam.role,
                        exam.tables_closed, schema);
    advice = fmt::format("GRANT ALL ON ALL TABLES IN SCHEMA {} TO {}", schema, exam.role);
  }
  if (found.empty()) {
    findings.push_back({Level::ok, "privileges",
                        fmt::format("role {} owns what it needs in schema {}", exam.role, schema),
                        ""});
  } else {
    findings.push_back({Level::fail, "privileges", found, advice});
  }
}

DiskRoom room_of(const store::ServerExam& exam) {
  if (!exam.data_directory) return {};
  std::error_code error;
  const auto space = std::filesystem::space(*exam.data_directory, error);
  if (error) return {};
  return {space.available, space.capacity};
}

}  // namespace

Findings judge_server(const store::ServerExam& exam, const Config& config, const DiskRoom& disk) {
  Findings findings;
  findings.push_back({Level::ok, "database",
                      fmt::format("PostgreSQL {}, database {}, role {}", version_text(exam.version),
                                  exam.database, exam.role),
                      ""});
  if (exam.standby) {
    findings.push_back({Level::fail, "standby", "this server is a standby and takes no writes",
                        "connect to the primary (DB_HOST, or target_session_attrs=read-write in "
                        "DATABASE_URL)"});
  }
  if (exam.encoding != "UTF8") {
    findings.push_back({Level::fail, "encoding",
                        fmt::format("is {}; events need UTF8", exam.encoding),
                        "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0"});
  }
  judge_settings(exam, findings);
  judge_connections(exam, config, findings);
  judge_disk(exam, disk, findings);
  judge_privileges(exam, config, findings);
  return findings;
}

Task<void> examine_database(store::Database& database, const Config& config, Findings& findings,
                            std::optional<std::vector<store::ReceiverRow>>& receivers) {
  const store::ServerExam exam = co_await store::examine_server(database);
  Findings judged = judge_server(exam, config, room_of(exam));
  findings.insert(findings.end(), judged.begin(), judged.end());
  std::string wrong;
  try {
    co_await store::check_schema(database);
  } catch (const std::runtime_error& error) {
    wrong = error.what();
  }
  if (!wrong.empty()) {
    // A start of the hub does it too, when it may.
    const bool new_one = !exam.schema_exists && config.database.migrate;
    findings.push_back({new_one ? Level::warn : Level::fail, "schema", wrong,
                        "eventhubd migrate, with the version of eventhubd that is to run"});
    co_return;
  }
  findings.push_back({Level::ok, "schema",
                      fmt::format("{} is at migration {}", config.database.schema,
                                  store::migrations().back().number),
                      ""});
  receivers = co_await store::list_receivers(database, kReceiversMax);
}

}  // namespace eventhub::cli
