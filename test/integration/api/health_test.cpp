// What monitors see, with the database there, gone and frozen.
#include <signal.h>

#include <regex>

#include "api_fixture.hpp"

namespace eventhub {
namespace {

using test::ApiFixture;

TEST_CASE("a healthy process") {
  ApiFixture hub;
  const auto health = hub.get("/health");
  CHECK(health.status == 200);
  CHECK(health.has("Content-Type: application/json"));
  CHECK(health.has("Cache-Control: no-store"));
  CHECK(std::regex_match(
      health.body,
      std::regex(R"re(\{"status":"healthy","timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)re"
                 R"re(\.\d{3}Z","uptime":\d+,"database":"connected"\})re")));
  CHECK(hub.get("/livez").status == 200);
  CHECK(hub.get("/readyz").status == 200);
  CHECK(hub.get("/readyz?verbose").says("[+]database ok\n[+]schema ok\n[+]serving ok\n"));
  const auto head = hub.send("HEAD", "/health");
  CHECK(head.status == 200);
  CHECK(head.body.empty());
  const auto metrics = hub.get("/metrics");
  CHECK(metrics.status == 200);
  CHECK(metrics.has("Content-Type: text/plain; version=0.0.4; charset=utf-8"));
  CHECK(metrics.says(R"(route="/health")"));
}

TEST_CASE("health says when a 202 is not durable, and is healthy all the same") {
  ApiFixture hub;
  hub.health.durability_lost = "fsync is off";
  const auto health = hub.get("/health");
  CHECK(health.status == 200);
  CHECK(health.says(R"("database":"connected","durability":"not guaranteed: fsync is off"})"));
  hub.health.durability_lost.clear();
  CHECK_FALSE(hub.get("/health").says("durability"));
}

TEST_CASE("not ready while migrating or stopping, alive all the same") {
  ApiFixture hub;
  hub.health.migrated = false;
  CHECK(hub.get("/readyz").status == 503);
  CHECK(hub.get("/readyz").says("[-]schema failed"));
  const auto early = hub.post(R"({"event_type":"a","payload":{}})");
  CHECK(early.status == 503);
  CHECK(early.has("Retry-After: 1"));
  hub.health.migrated = true;
  hub.health.draining = true;
  CHECK(hub.get("/readyz").says("[-]serving failed"));
  CHECK(hub.get("/livez").status == 200);
  CHECK(hub.get("/health").status == 200);
}

TEST_CASE("without a database: unhealthy, and healthy again when it is back") {
  ApiFixture hub;
  CHECK(hub.get("/health").status == 200);
  auto& server = test::PrivatePostgres::server();
  server.crash();
  hub.wait(Millis{1'100});
  const auto health = hub.get("/health");
  CHECK(health.status == 503);
  CHECK(health.says(R"("status":"unhealthy")"));
  CHECK(health.says(R"("database":"disconnected")"));
  CHECK(hub.get("/readyz").status == 503);
  CHECK(hub.get("/livez").status == 200);
  const auto refused = hub.post(R"({"event_type":"a","payload":{}})");
  CHECK(refused.status == 503);
  CHECK(refused.has("Retry-After: 1"));
  server.start();
  hub.until([&] { return hub.get("/health").status == 200; });
  hub.until([&] { return hub.post(R"({"event_type":"a","payload":{}})").status == 202; });
}

TEST_CASE("a frozen database holds a health check for two seconds at most, however many ask") {
  std::vector<int> statuses;
  ApiFixture hub;
  CHECK(hub.get("/health").status == 200);
  hub.wait(Millis{1'100});
  const std::string pids = hub.db.query(
      "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' "
      "AND pid <> pg_backend_pid()");
  const auto signal_all = [&](int signal) {
    std::istringstream lines(pids);
    for (pid_t pid; lines >> pid;) ::kill(pid, signal);
  };
  signal_all(SIGSTOP);
  const auto begun = hub.clock.mono();
  for (int i = 0; i < 5; ++i) {
    spawn(test::executor_of(hub.io), "client",
          [](std::uint16_t port, std::vector<int>* all) -> Task<void> {
            auto text = ApiFixture::request_text("GET", "/health", "", "");
            const auto answer = co_await ApiFixture::exchange(port, std::move(text));
            all->push_back(ApiFixture::read(answer).status);
          }(hub.port, &statuses));
  }
  hub.until([&] { return statuses.size() == 5; });
  const auto took = hub.clock.mono() - begun;
  signal_all(SIGCONT);
  CHECK(statuses == std::vector<int>(5, 503));
  CHECK(took < Millis{2'500});
}

}  // namespace
}  // namespace eventhub
