// The table people write to by hand: what it takes, what it refuses, and that the refusal says why.
#include "integration/store/migrate_fixture.hpp"
#include "support/catch.hpp"
#include "support/readme_insert.hpp"

namespace eventhub {
namespace {

using Catch::Matchers::Contains;
using test::TestDatabase;

TestDatabase& database() {
  static TestDatabase db(test::empty);
  static const int applied = test::migrate(db.config());
  REQUIRE(applied > 0);
  return db;
}

// As a person does: role eventhub, no search_path set, no schema named.
std::string by_hand(const std::string& sql) {
  return test::PrivatePostgres::server().psql(database().name(), sql);
}

// What PostgreSQL says to it.
std::string attempt(const std::string& sql) {
  try {
    by_hand(sql);
  } catch (const std::exception& error) {
    return error.what();
  }
  return "accepted";
}

// Inserts a good row but for one column; returns what PostgreSQL says.
std::string insert_with(const std::string& column, const std::string& value) {
  std::map<std::string, std::string> row{{"name", "'n'"},
                                         {"event_type", "'user.created'"},
                                         {"webhook_url", "'https://example.com/hook'"},
                                         {"created_by", "'me'"}};
  row[column] = value;
  std::string columns;
  std::string values;
  for (const auto& [name, text] : row) {
    columns += (columns.empty() ? "" : ", ") + name;
    values += (values.empty() ? "" : ", ") + text;
  }
  return attempt("INSERT INTO subscribers (" + columns + ") VALUES (" + values + ")");
}

TEST_CASE("schema: the README's INSERT works as printed", "[schema]") {
  by_hand(test::readme_insert());
  CHECK(by_hand("SELECT retry_backoff_seconds, ordering_key, paused, sid > 0 FROM subscribers "
                "WHERE name = 'User Service'") == "{5,30,300}|organization_id|f|t");
}

TEST_CASE("schema: every change of subscribers is a new version", "[schema]") {
  const auto version = [] { return std::stoi(by_hand("SELECT version FROM subscribers_version")); };
  const int before = version();
  by_hand(
      "INSERT INTO subscribers (name, event_type, webhook_url, created_by) "
      "VALUES ('v', 'a', 'http://localhost/', 'me')");
  CHECK(version() == before + 1);
  by_hand("UPDATE subscribers SET paused = true WHERE name = 'v'");
  CHECK(version() == before + 2);
  by_hand("DELETE FROM subscribers WHERE name = 'v'");
  CHECK(version() == before + 3);
}

TEST_CASE("schema: a bad value is refused by a constraint whose name says why", "[schema]") {
  struct Bad {
    std::string column, value, constraint;
  };
  const std::string ten_thousand = "repeat('x', 10000)";
  const std::vector<Bad> all{
      {"name", "''", "name_is_1_to_255_characters"},
      {"name", ten_thousand, "name_is_1_to_255_characters"},
      {"event_type", "'user created'", "event_type_is_exact_or_a_wildcard_like_user_star"},
      {"event_type", "''", "event_type_is_exact_or_a_wildcard_like_user_star"},
      {"event_type", "'user.>.x'", "event_type_is_exact_or_a_wildcard_like_user_star"},
      {"event_type", "'>.user'", "event_type_is_exact_or_a_wildcard_like_user_star"},
      {"event_type", "'us*r'", "event_type_is_exact_or_a_wildcard_like_user_star"},
      {"event_type", "E'user\\n'", "event_type_is_exact_or_a_wildcard_like_user_star"},
      {"event_type", ten_thousand, "event_type_is_exact_or_a_wildcard_like_user_star"},
      {"event_type", "NULL", "event_type_or_event_types_is_needed"},
      {"event_types", "'{}'", "event_types_are_exact_or_wildcards"},
      {"event_types", "'{{a},{b}}'", "event_types_are_exact_or_wildcards"},
      {"event_types", "'{good,NULL}'", "event_types_are_exact_or_wildcards"},
      {"event_types", "'{good,\"not good\"}'", "event_types_are_exact_or_wildcards"},
      {"webhook_url", "'ftp://example.com'", "webhook_url_is_an_absolute_http_or_https_url"},
      {"webhook_url", "'example.com/hook'", "webhook_url_is_an_absolute_http_or_https_url"},
      {"webhook_url", "'http://'", "webhook_url_is_an_absolute_http_or_https_url"},
      {"webhook_url", "'http://user:secret@example.com/'",
       "webhook_url_is_an_absolute_http_or_https_url"},
      {"webhook_url", "E'http://example.com/\\r\\nX: y'",
       "webhook_url_is_an_absolute_http_or_https_url"},
      {"webhook_url", "'http://example.com/ x'", "webhook_url_is_an_absolute_http_or_https_url"},
      {"webhook_url", "'http://example.com/' || repeat('x', 3000)",
       "webhook_url_is_an_absolute_http_or_https_url"},
      {"delivery_guarantee", "'exactly_once'",
       "delivery_guarantee_is_at_least_once_or_at_most_once"},
      {"ordering_enabled", "true", "ordering_enabled_needs_an_ordering_key"},
      {"ordering_key", "'payload'", "ordering_key_is_organization_id_or_user_id_or_a_json_pointer"},
      {"ordering_key", "''", "ordering_key_is_organization_id_or_user_id_or_a_json_pointer"},
      {"ordering_key", "'/a~2'", "ordering_key_is_organization_id_or_user_id_or_a_json_pointer"},
      {"ordering_key", "'/' || repeat('a', 255)",
       "ordering_key_is_organization_id_or_user_id_or_a_json_pointer"},
      {"organization_id", "''", "organization_id_is_1_to_255_without_control_characters"},
      {"organization_id", "E'a\\tb'", "organization_id_is_1_to_255_without_control_characters"},
      {"filter", "'null'", "filter_is_one_of_docs_filters_md"},
      {"filter", "'{}'", "filter_is_one_of_docs_filters_md"},
      {"retry_limit", "-1", "retry_limit_is_0_to_100"},
      {"retry_limit", "101", "retry_limit_is_0_to_100"},
      {"retry_backoff_seconds", "'{}'", "retry_backoff_seconds_are_1_to_100_waits_of_0_to_86400"},
      {"retry_backoff_seconds", "'{-1}'", "retry_backoff_seconds_are_1_to_100_waits_of_0_to_86400"},
      {"retry_backoff_seconds", "'{5,NULL}'",
       "retry_backoff_seconds_are_1_to_100_waits_of_0_to_86400"},
      {"retry_backoff_seconds", "'{NaN}'",
       "retry_backoff_seconds_are_1_to_100_waits_of_0_to_86400"},
      {"retry_backoff_seconds", "'{Infinity}'",
       "retry_backoff_seconds_are_1_to_100_waits_of_0_to_86400"},
      {"retry_backoff_seconds", "'{{1},{2}}'",
       "retry_backoff_seconds_are_1_to_100_waits_of_0_to_86400"},
      {"retry_jitter", "1.5", "retry_jitter_is_0_to_1"},
      {"retry_jitter", "'NaN'", "retry_jitter_is_0_to_1"},
      {"retry_statuses", "'{404,200}'", "retry_statuses_are_at_most_100_like_404_or_5xx"},
      {"retry_statuses", "'{4x}'", "retry_statuses_are_at_most_100_like_404_or_5xx"},
      {"retry_statuses", "'{NULL}'", "retry_statuses_are_at_most_100_like_404_or_5xx"},
      {"retry_statuses", "'{{404},{500}}'", "retry_statuses_are_at_most_100_like_404_or_5xx"},
      {"on_dead", "'stop'", "on_dead_is_continue_or_block"},
      {"max_in_flight", "0", "max_in_flight_is_1_to_10000"},
      {"rate_limit", "0", "rate_limit_is_at_least_0_001_and_at_most_1000000"},
      {"rate_limit", "'NaN'", "rate_limit_is_at_least_0_001_and_at_most_1000000"},
      {"circuit_failures", "0", "circuit_failures_is_1_to_10000"},
      {"circuit_open_ms", "99", "circuit_open_ms_is_100_to_3600000"},
      {"timeout_ms", "0", "timeout_ms_is_1_to_60000"},
      {"timeout_ms", "60001", "timeout_ms_is_1_to_60000"},
      {"body", "'xml'", "body_is_payload_envelope_or_a_mode_of_cloudevents"},
      {"headers", "'[]'", "headers_is_an_object"},
      {"headers", "jsonb_build_object('a', repeat('x', 32768))",
       "headers_take_at_most_32768_bytes"},
      {"secret", "'hunter2'", "secret_is_whsec_and_base64"},
      {"secret", "'sealed:v1:0123456789abcdef:AAAA'", "secret_is_whsec_and_base64"},
      {"secret", "'sealed:v1:x:' || repeat('A', 88)", "secret_is_whsec_and_base64"},
      {"previous_secret", "'whsec_short'", "previous_secret_is_whsec_and_base64"},
      {"created_by", "''", "created_by_is_not_empty"},
  };
  for (const Bad& bad : all) {
    INFO(bad.column << " = " << bad.value);
    CHECK_THAT(insert_with(bad.column, bad.value),
               Contains("violates check constraint \"" + bad.constraint + "\""));
  }
}

TEST_CASE("schema: good values are taken", "[schema]") {
  const std::vector<std::pair<std::string, std::string>> all{
      {"event_type", "'*'"},
      {"event_type", "'>'"},
      {"event_type", "'user.*'"},
      {"event_type", "'user.>'"},
      {"event_type", "'*.created'"},
      {"event_type", "'a/b:c-d_e.F.9'"},
      {"event_type", "repeat('x', 255)"},
      {"event_types", "'{user.created,order.*}'"},
      {"webhook_url", "'http://localhost:8080'"},
      {"webhook_url", "'http://[::1]:8080/hook'"},
      {"webhook_url", "'https://example.com/hook?x=1&y=@2'"},
      {"webhook_url", "'HTTPS://EXAMPLE.COM/'"},
      {"retry_backoff_seconds", "'{0.05}'"},
      {"retry_limit", "0"},
      {"timeout_ms", "60000"},
      {"secret", "'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'"},
      {"secret", "'sealed:v1:0123456789abcdef:' || repeat('A', 88)"},
      {"previous_secret", "'sealed:v1:0123456789abcdef:' || repeat('A', 86) || '=='"},
      {"headers", "'{\"X-Team\": \"a\"}'"},
      {"delivery_guarantee", "'at_most_once'"},
  };
  for (const auto& [column, value] : all) {
    INFO(column << " = " << value);
    CHECK(insert_with(column, value) == "accepted");
  }
}

TEST_CASE("schema: the keys of an ordered subscriber stay in their shards", "[schema]") {
  const auto change = [](const std::string& what) {
    return attempt("UPDATE eventhub.subscribers SET " + what + " WHERE name = 'spread'");
  };
  const auto spread = [] {
    return by_hand("SELECT spread FROM eventhub.subscribers WHERE name = 'spread'");
  };
  CHECK(insert_with("name", "'spread'") == "accepted");
  CHECK(spread() == "16");
  CHECK(change("max_in_flight = 4") == "accepted");
  CHECK(spread() == "4");
  CHECK(change("max_in_flight = 20, ordering_enabled = true, ordering_key = 'user_id'") ==
        "accepted");
  CHECK(spread() == "16");
  CHECK(change("max_in_flight = 100") == "accepted");
  CHECK(spread() == "16");
  CHECK_THAT(change("max_in_flight = 15"), Contains("cannot go below the 16 shards of its keys"));
  CHECK(spread() == "16");
}

TEST_CASE("schema: a subscriber with a rate has no more shards than requests in a second",
          "[schema]") {
  const auto spread_of = [](const std::string& name, const std::string& rate) {
    CHECK(insert_with("name", "'" + name + "'") == "accepted");
    attempt("UPDATE eventhub.subscribers SET rate_limit = " + rate + " WHERE name = '" + name +
            "'");
    return by_hand("SELECT spread FROM eventhub.subscribers WHERE name = '" + name + "'");
  };
  CHECK(spread_of("seldom", "0.01") == "1");
  CHECK(spread_of("one", "1.99") == "1");
  CHECK(spread_of("some", "5") == "5");
  CHECK(spread_of("many", "1000") == "16");
  CHECK(spread_of("all", "NULL") == "16");
}

TEST_CASE("schema: sid and id cannot be taken twice", "[schema]") {
  CHECK_THAT(insert_with("sid", "1"),
             Contains("cannot insert a non-DEFAULT value into column \"sid\""));
  const std::string id = by_hand("SELECT id FROM subscribers LIMIT 1");
  CHECK_THAT(insert_with("id", "'" + id + "'"),
             Contains("violates unique constraint \"subscribers_pkey\""));
}

TEST_CASE("schema: a temporary table of the same name changes nothing", "[schema]") {
  const std::string before = by_hand("SELECT version FROM eventhub.subscribers_version");
  by_hand(
      "CREATE TEMP TABLE subscribers_version (only_row boolean, version bigint);"
      "INSERT INTO subscribers_version VALUES (true, 0);"
      "UPDATE eventhub.subscribers SET paused = paused");
  CHECK(by_hand("SELECT version > " + before + " FROM eventhub.subscribers_version") == "t");
}

}  // namespace
}  // namespace eventhub
