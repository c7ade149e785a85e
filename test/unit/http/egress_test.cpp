// Which addresses webhooks may reach.
#include "eventhub/http/egress.hpp"

#include "support/catch.hpp"

using namespace eventhub;
using boost::asio::ip::make_address;
using eventhub::http::EgressPolicy;

namespace {

EgressPolicy policy(std::vector<std::string> allow = {}) {
  EgressConfig config;
  config.allow_cidrs = std::move(allow);
  return EgressPolicy(config);
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

bool allowed(const EgressPolicy& policy, const std::string& address) {
  return policy.refuse(make_address(address)).empty();
}

}  // namespace

TEST_CASE("special-purpose addresses are refused") {
  struct Kind {
    std::string what;
    std::vector<std::string> addresses;
  };
  const std::vector<Kind> kinds{
      {"a 'this network' address", {"0.0.0.0", "0.1.2.3", "0.255.255.255", "::ffff:0.0.0.0"}},
      {"a private address",
       {"10.0.0.0", "10.1.2.3", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0",
        "192.168.255.255", "::ffff:10.0.0.1"}},
      {"a carrier-grade NAT address", {"100.64.0.0", "100.100.100.200", "100.127.255.255"}},
      {"a loopback address",
       {"127.0.0.0", "127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1"}},
      {"a link-local address",
       {"169.254.0.0", "169.254.169.254", "169.254.255.255", "::ffff:169.254.169.254", "fe80::1",
        "fe80::a9fe:a9fe", "febf::1"}},
      {"a protocol assignment address",
       {"192.0.0.0", "192.0.0.192", "192.0.0.255", "2001::", "2001::1", "2001:0:4136:e378::1",
        "2001:10::1", "2001:20::1", "2001:1ff:ffff::"}},
      {"a documentation address",
       {"192.0.2.1", "198.51.100.1", "203.0.113.255", "2001:db8::1", "2001:db8:ffff::1", "3fff::1",
        "3fff:fff::1"}},
      {"a 6to4 relay address", {"192.88.99.1"}},
      {"a benchmarking address", {"198.18.0.0", "198.19.255.255"}},
      {"a multicast address", {"224.0.0.0", "239.255.255.255", "ff00::1", "ff02::1", "ffff::1"}},
      {"a reserved address", {"240.0.0.0", "254.255.255.255"}},
      {"the broadcast address", {"255.255.255.255"}},
      {"the unspecified address", {"::"}},
      {"an IPv4-compatible address", {"::2", "::127.0.0.1", "::8.8.8.8"}},
      {"a NAT64 address", {"64:ff9b::127.0.0.1", "64:ff9b::8.8.8.8", "64:ff9b::a00:1"}},
      {"a local NAT64 address", {"64:ff9b:1::1", "64:ff9b:1:ffff::"}},
      {"a discard-only address", {"100::", "100::1"}},
      {"a 6to4 address", {"2002::", "2002:7f00:1::1", "2002:808:808::1"}},
      {"a segment routing address", {"5f00::1"}},
      {"a unique local address", {"fc00::1", "fd00::1", "fd00:ec2::254", "fdff:ffff::1"}},
      {"a site-local address", {"fec0::1", "feff::1"}},
      {"not a global unicast address",
       {"200::1", "1fff::1", "4000::1", "8000::1", "e000::1", "64:ff9a::1", "64:ff9b:2::1",
        "100:0:0:1::1", "fe00::1"}},
  };
  std::size_t count = 0;
  for (const Kind& kind : kinds) {
    for (const std::string& address : kind.addresses) {
      CAPTURE(address);
      CHECK(policy().refuse(make_address(address)) ==
            make_address(address).to_string() + " is " + kind.what +
                "; egress.allow_cidrs names the private ranges that may be called");
      ++count;
    }
  }
  CHECK(count >= 80);
}

TEST_CASE("global unicast addresses may be called, up to the edges of the refused ranges") {
  const auto address = GENERATE(
      as<std::string>{}, "1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255",
      "100.128.0.0", "126.255.255.255", "128.0.0.0", "169.253.255.255", "169.255.0.0",
      "172.15.255.255", "172.32.0.0", "191.255.255.255", "192.0.1.0", "192.0.3.0", "192.88.98.255",
      "192.88.100.0", "192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0",
      "198.51.99.255", "198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255",
      "::ffff:8.8.8.8", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2001:db7:ffff::1",
      "2001:db9::1", "2003::1", "2606:4700::1111", "3ffe::1", "3fff:1000::1");
  CAPTURE(address);
  CHECK(policy().refuse(make_address(address)).empty());
}

TEST_CASE("allowed ranges lift the refusal for what they name") {
  const auto lan = policy({"127.0.0.0/8", "10.1.0.0/16", "192.168.7.7", "fd00::/8", "::1/128"});
  for (const char* yes :
       {"127.0.0.1", "127.255.255.255", "10.1.0.0", "10.1.255.255", "192.168.7.7", "fd00::1",
        "fdff::1", "::1", "::ffff:127.0.0.1", "8.8.8.8", "64:ff9b::10.1.2.3", "2002:a01:203::1"}) {
    CAPTURE(yes);
    CHECK(allowed(lan, yes));
  }
  for (const char* no : {"10.2.0.0", "10.0.255.255", "192.168.7.8", "fc00::1", "::2", "::127.0.0.1",
                         "169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1"}) {
    CAPTURE(no);
    CHECK_FALSE(allowed(lan, no));
  }
}

TEST_CASE("everything may be allowed, by family") {
  CHECK(allowed(policy({"0.0.0.0/0"}), "169.254.169.254"));
  CHECK_FALSE(allowed(policy({"0.0.0.0/0"}), "fe80::1"));
  CHECK(allowed(policy({"::/0"}), "fe80::1"));
}

TEST_CASE("a range that cannot be read stops the start and is named") {
  const auto cidr =
      GENERATE(as<std::string>{}, "", "/", "10.0.0.0/", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/-1",
               "10.0.0.0/8x", "::/129", "localhost", "10.0.0.0/ 8", "0x7f.1/8", "*");
  CAPTURE(cidr);
  try {
    policy({cidr});
    FAIL("no error");
  } catch (const ConfigError& error) {
    CHECK(contains(error.what(), "egress.allow_cidrs"));
    CHECK(contains(error.what(), "\"" + cidr + "\""));
  }
}

TEST_CASE("the port this process listens on is not to be called on an address of this machine") {
  EgressConfig config;
  config.allow_cidrs = {"127.0.0.0/8", "::1", "0.0.0.0"};
  const auto may = [&config](const char* bind, const char* address, std::uint16_t port) {
    EgressPolicy policy(config);
    policy.listens_on({{bind, 3000}});
    return policy.refuse(make_address(address), port).empty();
  };
  for (const char* own : {"127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", "0.0.0.0"}) {
    CAPTURE(own);
    CHECK_FALSE(may("0.0.0.0", own, 3000));
    CHECK(may("0.0.0.0", own, 3001));
  }
  CHECK(may("0.0.0.0", "8.8.8.8", 3000));
  CHECK_FALSE(may("127.0.0.2", "127.0.0.2", 3000));
  CHECK(may("127.0.0.2", "127.0.0.1", 3000));  // somebody else's
  CHECK_FALSE(may("::", "::1", 3000));
  EgressPolicy policy(config);
  policy.listens_on({{"0.0.0.0", 3000}});
  CHECK(contains(policy.refuse(make_address("127.0.0.1"), 3000), "egress.allow_self"));
  config.allow_self = true;
  CHECK(may("0.0.0.0", "127.0.0.1", 3000));
}

TEST_CASE("the port for monitors is not to be called either") {
  EgressConfig config;
  config.allow_cidrs = {"127.0.0.0/8"};
  ServerConfig server;
  server.bind = "0.0.0.0";
  server.port = 3000;
  const auto may = [&](const char* address, std::uint16_t port) {
    EgressPolicy policy(config);
    policy.listens_on(http::listeners(server));
    return policy.refuse(make_address(address), port).empty();
  };
  CHECK(may("127.0.0.1", 0));
  CHECK(may("127.0.0.1", 3001));
  server.metrics_port = 3001;
  CHECK_FALSE(may("127.0.0.1", 3001));
  CHECK_FALSE(may("127.0.0.1", 3000));
  CHECK(may("127.0.0.2", 3001));  // server.metrics_bind is 127.0.0.1
  CHECK(may("127.0.0.1", 3002));
}

TEST_CASE("hosts and ports that are named may be called, and of ports no others") {
  EgressConfig config;
  config.allow_hosts = {"Hooks.Internal", "10.1.2.3"};
  config.allow_ports = {"443", "8443"};
  const EgressPolicy policy(config);
  CHECK(policy.refuse(make_address("10.0.0.1"), 443, "hooks.internal").empty());
  CHECK(policy.refuse(make_address("10.1.2.3"), 443, "10.1.2.3").empty());
  CHECK(contains(policy.refuse(make_address("10.0.0.1"), 443, "other.internal"), "private"));
  CHECK(contains(policy.refuse(make_address("10.0.0.1"), 443), "private"));
  CHECK(policy.refuse_port(443).empty());
  CHECK(policy.refuse_port(8443).empty());
  CHECK(policy.refuse_port(80) == "port 80 is none of egress.allow_ports");
  CHECK(EgressPolicy(EgressConfig{}).refuse_port(80).empty());
  EgressPolicy own(config);
  own.listens_on({{"0.0.0.0", 443}});
  CHECK(contains(own.refuse(make_address("127.0.0.1"), 443, "hooks.internal"), "listens itself"));
  for (const char* host : {"", "a b", "http://a", "a/b", "a:80", "u@a", "127.1"}) {
    INFO(host);
    EgressConfig bad;
    bad.allow_hosts = {host};
    CHECK_THROWS_AS(EgressPolicy(bad), ConfigError);
  }
  for (const char* port : {"", "0", "65536", "-1", "http", "80-90"}) {
    INFO(port);
    EgressConfig bad;
    bad.allow_ports = {port};
    CHECK_THROWS_AS(EgressPolicy(bad), ConfigError);
  }
}

TEST_CASE("the reason names the address and what it is") {
  CHECK(policy().refuse(make_address("127.0.0.1")).starts_with("127.0.0.1 is a loopback address"));
  CHECK(contains(policy().refuse(make_address("::ffff:10.0.0.1")), "is a private address"));
}
