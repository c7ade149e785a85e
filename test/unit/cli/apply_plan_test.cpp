// What `subscribers apply` makes of a file and of what is there.
#include "cli/apply_plan.hpp"

#include "cli/error.hpp"
#include "eventhub/core/config.hpp"
#include "support/catch.hpp"

namespace eventhub::cli {
namespace {

using PlanKind = PlannedChange::Kind;

std::vector<Wanted> read_file(std::string_view text) {
  const auto variables = [](const std::string& name) -> std::optional<std::string> {
    return name.starts_with("AUDIT_") ? std::optional<std::string>("value of " + name)
                                      : std::nullopt;
  };
  return read_subscriber_file(text, "subscribers.toml", variables);
}

std::vector<PlannedChange> planned(std::string_view file, std::vector<std::string_view> present,
                                   PlanOptions options = {}) {
  return plan_changes(read_file(file), {present.begin(), present.end()}, options);
}

constexpr std::string_view kThere =
    R"({"id":"1","name":"Audit","event_type":">","event_types":null,"retry_limit":3,)"
    R"("retry_backoff_seconds":[5,30,300],"header_names":["X-A"],"has_secret":true,)"
    R"("timeout_ms":500,"paused":false})";

TEST_CASE("a subscriber that is not there is made as the file says") {
  const auto plan = planned(R"(
[[subscriber]]
name = "Audit"
event_type = ">"
secret_env = "AUDIT_SECRET"
unset = ["timeout_ms"]
)",
                            {});
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].kind == PlanKind::create);
  const Row body(plan[0].body);
  CHECK(body.text("secret") == "value of AUDIT_SECRET");
  CHECK(body.text("event_type") == ">");
  CHECK(body.members().size() == 3);
}

TEST_CASE("the same again is no change, however its numbers are written") {
  const auto plan = planned(R"(
[[subscriber]]
name = "Audit"
event_type = ">"
retry_limit = 3
retry_backoff_seconds = [5.0, 30.0, 300.0]
headers = { X-A = "anything" }
secret_env = "AUDIT_SECRET"
)",
                            {kThere});
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].kind == PlanKind::unchanged);
}

TEST_CASE("only what differs is written") {
  const auto plan = planned(R"(
[[subscriber]]
name = "Audit"
event_types = ["a", "b"]
retry_limit = 4
paused = false
headers = { X-B = "b" }
unset = ["timeout_ms"]
)",
                            {kThere});
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].kind == PlanKind::change);
  CHECK(plan[0].id == "1");
  const Row body(plan[0].body);
  CHECK(body.members().size() == 5);
  CHECK(body.is("event_type", "null"));
  CHECK(body.is("retry_limit", "4"));
  CHECK(body.is("timeout_ms", "null"));
  CHECK(body.is("headers", R"({"X-B":"b","X-A":null})"));
}

TEST_CASE("secrets and header values are written again only on demand") {
  const std::string_view file =
      "[[subscriber]]\nname = \"Audit\"\nsecret_env = \"AUDIT_SECRET\"\nheaders = { X-A = \"a\" "
      "}\n";
  CHECK(planned(file, {kThere})[0].kind == PlanKind::unchanged);
  const auto plan = planned(file, {kThere}, {.prune = false, .write_secrets = true});
  CHECK(plan[0].members.size() == 2);
}

TEST_CASE("a secret is made for a new subscriber unless the file says that it has none") {
  const std::string_view file = "[[subscriber]]\nname = \"Audit\"\nunset = [\"secret\"]\n";
  CHECK(Row(planned(file, {})[0].body).is("secret", "null"));
  CHECK(Row(planned("[[subscriber]]\nname = \"Audit\"\n", {})[0].body).find("secret") == nullptr);
  CHECK(planned(file, {kThere})[0].kind == PlanKind::change);
}

TEST_CASE("what is secret in auth comes from variables and files") {
  const auto plan = planned(R"(
[[subscriber]]
name = "Audit"
auth = { type = "basic", username = "hub", password_env = "AUDIT_PASSWORD" }
)",
                            {});
  const Row body(plan[0].body);
  REQUIRE(body.find("auth") != nullptr);
  const Row auth(body.find("auth")->text);
  CHECK(auth.text("username") == "hub");
  CHECK(auth.text("password") == "value of AUDIT_PASSWORD");
  CHECK(auth.members().size() == 3);
}

TEST_CASE("auth is the header Authorization, which is left alone where neither is named") {
  const std::string_view there =
      R"({"id":"1","name":"Audit","header_names":["Authorization","X-A"],"has_secret":true})";
  const std::string_view none = R"({"id":"1","name":"Audit","header_names":["X-A"]})";
  const std::string head = "[[subscriber]]\nname = \"Audit\"\n";
  const std::string auth = head + "auth = { type = \"bearer\", token_env = \"AUDIT_TOKEN\" }\n";
  CHECK(planned(auth, {there})[0].kind == PlanKind::unchanged);
  CHECK(planned(auth, {none})[0].members == std::vector<std::string>{"auth"});
  CHECK(planned(head + "unset = [\"auth\"]\n", {none})[0].kind == PlanKind::unchanged);
  CHECK(Row(planned(head + "unset = [\"auth\"]\n", {there})[0].body).is("auth", "null"));
  CHECK(planned(head + "headers = { X-A = \"a\" }\n", {there})[0].kind == PlanKind::unchanged);
  const std::string by_header = head + "headers = { X-A = \"a\", authorization = \"Basic x\" }\n";
  CHECK(planned(by_header, {there})[0].kind == PlanKind::unchanged);
  const auto plan = planned(by_header, {none});
  CHECK(Row(plan[0].body).is("headers", R"({"X-A":"a","authorization":"Basic x"})"));
}

TEST_CASE("what the file does not have stays, and goes with prune") {
  CHECK(planned("", {kThere}).empty());
  const auto plan = planned("", {kThere}, {.prune = true, .write_secrets = false});
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].kind == PlanKind::remove);
  CHECK(plan[0].id == "1");
}

TEST_CASE("a file that is not clear is refused") {
  const std::string audit = "[[subscriber]]\nname = \"Audit\"\n";
  CHECK_THROWS_AS(read_file("[[subscriber]]\nevent_type = \"a\"\n"), UsageError);
  CHECK_THROWS_AS(read_file(audit + audit), UsageError);
  CHECK_THROWS_AS(read_file(audit + "secret_env = \"NOT_SET\"\n"), UsageError);
  CHECK_THROWS_AS(read_file("[subscriber]\nname = \"Audit\"\n"), UsageError);
  CHECK_THROWS_AS(read_file(audit + "unset = \"timeout_ms\"\n"), UsageError);
  CHECK_THROWS_WITH(read_file(audit + "retry_limits = 3\n"),
                    "subscribers.toml: Audit: a subscriber has no \"retry_limits\" that can be "
                    "written");
  CHECK_THROWS_AS(read_file("[[subscriber\n"), ConfigError);
  CHECK_THROWS_AS(planned(audit, {kThere, kThere}), UsageError);
}

}  // namespace
}  // namespace eventhub::cli
