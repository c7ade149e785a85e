// What `doctor` says of a server.
#include "eventhub/cli/doctor.hpp"

#include "support/catch.hpp"

namespace eventhub::cli {
namespace {

using FindingLevel = Finding::Level;

store::ServerExam good_server() {
  store::ServerExam exam;
  exam.version = 150'008;
  exam.database = "eventhub";
  exam.role = "hub";
  exam.encoding = "UTF8";
  exam.connections_max = 100;
  exam.connections_reserved = 3;
  exam.connections_used = 5;
  exam.database_bytes = 2'000'000'000;
  exam.schema_exists = exam.may_create_schema = exam.may_use_schema = true;
  return exam;
}

constexpr DiskRoom kRoom{50'000'000'000, 100'000'000'000};

FindingLevel level_of(const Findings& findings, std::string_view what) {
  for (const Finding& finding : findings) {
    if (finding.what == what) return finding.level;
  }
  FAIL("nothing was said of " << what);
  return FindingLevel::ok;
}

TEST_CASE("nothing is wrong with a good server, and what fails comes with what to do") {
  for (const Finding& finding : judge_server(good_server(), Config(), kRoom)) {
    CAPTURE(finding.what, finding.found);
    CHECK(finding.level == FindingLevel::ok);
  }
  store::ServerExam bad = good_server();
  bad.standby = true;
  bad.encoding = "LATIN1";
  bad.connections_max = 10;
  bad.may_use_schema = false;
  bad.remarks = {{"fsync", "off", "events can be lost", true}, {"clock", "+2 s", "off", false}};
  const Findings findings = judge_server(bad, Config(), {1, 1'000});
  for (const char* what : {"standby", "encoding", "connections", "privileges", "fsync", "disk"}) {
    CAPTURE(what);
    CHECK(level_of(findings, what) == FindingLevel::fail);
  }
  CHECK(level_of(findings, "clock") == FindingLevel::warn);
  for (const Finding& finding : findings) {
    CHECK((finding.level == FindingLevel::ok || !finding.advice.empty()));
  }
}

TEST_CASE("room that is getting scarce is a warning, room that nobody can see is none") {
  const store::ServerExam exam = good_server();
  CHECK(level_of(judge_server(exam, Config(), {9, 100}), "disk") == FindingLevel::warn);
  CHECK(level_of(judge_server(exam, Config(), {2, 100}), "disk") == FindingLevel::fail);
  CHECK(level_of(judge_server(exam, Config(), {}), "disk") == FindingLevel::ok);
  store::ServerExam busy = exam;
  busy.connections_used = 90;
  CHECK(level_of(judge_server(busy, Config(), kRoom), "connections") == FindingLevel::warn);
}

TEST_CASE("who may not make a schema, or not use it, is told which right is missing") {
  store::ServerExam exam = good_server();
  exam.tables_of_others = 1;
  CHECK(level_of(judge_server(exam, Config(), kRoom), "privileges") == FindingLevel::fail);
  exam.tables_of_others = 0;
  exam.tables_closed = 1;
  CHECK(level_of(judge_server(exam, Config(), kRoom), "privileges") == FindingLevel::fail);
  exam.schema_exists = exam.may_use_schema = false;
  CHECK(level_of(judge_server(exam, Config(), kRoom), "privileges") == FindingLevel::ok);
  exam.may_create_schema = false;
  CHECK(level_of(judge_server(exam, Config(), kRoom), "privileges") == FindingLevel::fail);
}

TEST_CASE("a subscriber that is held up is told with the reason") {
  const auto judged = [](const std::string& members) {
    return judge_subscriber(R"({"name":"Audit",)" + members + "}");
  };
  CHECK_FALSE(judged(R"("paused":false,"circuit":"closed","failing_since":null,"problem":null)"));
  const auto sealed = judged(R"("paused":true,"problem":"a secret cannot be decrypted")");
  REQUIRE(sealed);
  CHECK(sealed->level == FindingLevel::fail);
  CHECK(sealed->found == "a secret cannot be decrypted");
  const auto paused = judged(R"("paused":true,"paused_reason":"410 Gone","problem":null)");
  REQUIRE(paused);
  CHECK(paused->level == FindingLevel::warn);
  CHECK(paused->found == "is paused: 410 Gone");
  CHECK(judged(R"("paused":false,"circuit":"half_open","problem":null)"));
  // To be pasted into a shell as it is.
  const auto odd = judge_subscriber(R"({"name":"x'; touch y; '","paused":true,"problem":null})");
  REQUIRE(odd);
  CHECK(odd->advice == R"(eventhubd subscribers resume 'x'\''; touch y; '\''')");
  CHECK(judged(R"("circuit":"closed","failing_since":"2026-01-01T00:00:00.000Z")"));
}

}  // namespace
}  // namespace eventhub::cli
