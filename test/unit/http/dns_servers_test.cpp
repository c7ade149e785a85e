// What webhook.dns_servers may be; how it is used is tested with name servers.
#include <boost/asio/io_context.hpp>

#include "eventhub/http/client.hpp"
#include "http/resolver_cares.hpp"
#include "support/catch.hpp"

using namespace eventhub;

namespace {

void check(const std::string& servers) {
  WebhookConfig webhook;
  webhook.dns_servers = servers;
  http::check_dns_servers(webhook);
}

}  // namespace

TEST_CASE("name servers are addresses with or without a port, and c-ares takes them") {
  const auto servers = GENERATE(
      as<std::string>{}, "", "10.0.0.2", "127.0.0.1:5353", "10.0.0.2,10.0.0.3:53", "fd00::2", "::1",
      "[::1]:1", "[fd00::2]:65535,10.0.0.2", "fd00::2,::ffff:10.0.0.2,10.0.0.2:5353,[fd00::3]:53");
  CAPTURE(servers);
  CHECK_NOTHROW(check(servers));
  boost::asio::io_context io;
  CHECK_NOTHROW(http::CaresChannel(io.get_executor(), Millis{1'000}, servers));
}

TEST_CASE("a name server that cannot be read stops the start and is named") {
  const auto bad = GENERATE(
      as<std::string>{}, "", " ", "localhost", "ns.example.test:53", "10.0.0", "10.0.0.256",
      "0x7f.1", "10.0.0.2:", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0.2:-1", "10.0.0.2:53x",
      "10.0.0.2 ", " 10.0.0.2", "10.0.0.2:53:53", "[fd00::2]", "[fd00::2]:", "[fd00::2]53",
      "[10.0.0.2]:53", "fe80::1%lo", "[fe80::1%lo]:53", "[]:53", ":53", "10.0.0.2/24", "10.0.0.2;");
  for (const std::string& list : {bad + ",10.0.0.9", "10.0.0.9," + bad, bad}) {
    if (list.empty()) continue;
    CAPTURE(list);
    try {
      check(list);
      FAIL_CHECK("no error");
    } catch (const ConfigError& error) {
      CHECK(std::string(error.what())
                .starts_with("webhook.dns_servers: \"" + bad + "\" is not a name server like"));
    }
  }
}
