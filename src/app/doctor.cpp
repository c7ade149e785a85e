// `eventhubd doctor`: the examinations of src/cli in their order, each as far as the one before
// allows.
#include "app/doctor.hpp"

#include "app/migrate.hpp"

namespace eventhub::app {
namespace {

using Level = cli::Finding::Level;

using Receivers = std::optional<std::vector<store::ReceiverRow>>;

// What is wrong does not leave the task, whose end would be logged.
Task<void> examine(store::Database& database, const Config& config, cli::Findings& findings,
                   Receivers& receivers, std::string& wrong) {
  try {
    co_await cli::examine_database(database, config, findings, receivers);
  } catch (const std::exception& error) {
    wrong = error.what();
  }
}

void check_database(const Config& config, cli::Findings& findings, Receivers& receivers) {
  std::string wrong;
  try {
    with_database(config, [&](store::Database& database, const Config& used) {
      return examine(database, used, findings, receivers, wrong);
    });
  } catch (const std::exception& error) {
    wrong = error.what();
  }
  if (wrong.empty()) return;
  const std::string place = config.embedded.enabled ? "" : " at " + describe(config.database);
  findings.push_back({Level::fail, "database", "cannot be used" + place + ": " + wrong,
                      "set DB_HOST, DB_NAME, DB_USER and DB_PASSWORD (or DATABASE_URL)"});
}

void append(cli::Findings& all, const cli::Findings& more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

int run_doctor(const DoctorInput& input) {
  cli::Findings findings;
  std::vector<std::string> warnings;
  Config config;
  const bool json = input.invocation.has("json");
  try {
    config = input.configuration(warnings);
  } catch (const ConfigError& error) {
    findings.push_back({Level::fail, "configuration", error.what(),
                        "correct it; see eventhubd "
                        "config --reference"});
    return cli::report(findings, json);
  }
  findings.push_back({Level::ok, "configuration", "all values can be used", ""});
  for (const std::string& warning : warnings) {
    findings.push_back({Level::warn, "configuration", warning, "change it where it is set"});
  }
  Receivers receivers;
  check_database(config, findings, receivers);
  if (!input.invocation.has("no-api")) {
    append(findings, cli::examine_api(input.invocation, input.environment,
                                      [&] { return input.own_url(config); }));
  }
  if (receivers && !input.invocation.has("no-receivers")) {
    append(findings, cli::examine_receivers(*receivers, config));
  }
  return cli::report(findings, json);
}

}  // namespace eventhub::app
