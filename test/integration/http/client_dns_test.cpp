// Names: what is looked up, how failures read, and that a dead zone delays nobody else.
#include "integration/http/client_world.hpp"
#include "support/dns_imposter.hpp"
#include "support/webhook_imposter.hpp"

using namespace eventhub;
using namespace eventhub::test;

namespace {

DnsReply addresses(std::vector<std::string> ipv4, std::uint32_t ttl = 60) {
  DnsReply reply;
  reply.ipv4 = std::move(ipv4);
  reply.ttl = ttl;
  return reply;
}

DnsReply failure(int rcode) {
  DnsReply reply;
  reply.rcode = rcode;
  return reply;
}

std::string url(const std::string& host, const WebhookImposter& sink) {
  return "http://" + host + ":" + std::to_string(sink.port()) + "/hook";
}

}  // namespace

TEST_CASE("a name is looked up once while its answer lives") {
  ClientWorld world;
  WebhookImposter sink;
  DnsImposter dns([](const std::string&) { return addresses({"127.0.0.1"}); });
  world.webhook.dns_servers = dns.servers();
  world.webhook.connections_per_origin_max = 8;
  Batch batch(world);
  sink.always(Reply::with(200).after(50ms));
  for (int i = 0; i < 8; ++i) batch.add(url("a.example.test", sink));
  batch.finish();
  for (std::size_t i = 0; i < batch.size(); ++i) CHECK(batch[i].status == 200);
  CHECK(sink.connections() == 8);
  CHECK(dns.questions("a.example.test") == 1);
  CHECK(sink.requests()[0].header("Host") == "a.example.test:" + std::to_string(sink.port()));
}

TEST_CASE("an answer is asked for again when its TTL is over") {
  ClientWorld world;
  world.webhook.idle = 1ms;  // a new connection every time
  WebhookImposter sink;
  DnsImposter dns([](const std::string&) { return addresses({"127.0.0.1"}, 1); });
  world.webhook.dns_servers = dns.servers();
  CHECK(world.post(url("a.example.test", sink)).status == 200);
  world.work(20ms);
  CHECK(world.post(url("a.example.test", sink)).status == 200);
  CHECK(dns.questions("a.example.test") == 1);
  world.work(1100ms);
  CHECK(world.post(url("a.example.test", sink)).status == 200);
  CHECK(dns.questions("a.example.test") == 2);
}

TEST_CASE("names that do not resolve are network errors with a reason") {
  ClientWorld world;
  world.webhook.dns_timeout = 300ms;
  WebhookImposter sink;
  DnsImposter dns([](const std::string& name) -> std::optional<DnsReply> {
    if (name == "nx.test") return failure(3);
    if (name == "servfail.test") return failure(2);
    if (name == "empty.test") return addresses({});
    return std::nullopt;
  });
  world.webhook.dns_servers = dns.servers();
  struct Row {
    std::string host, error;
  };
  for (const Row& row :
       {Row{"nx.test", "DNS: nx.test: no such host"},
        Row{"empty.test", "DNS: empty.test: the name has no address"},
        Row{"silent.test", "DNS: silent.test: the name servers did not answer in time"}}) {
    const AttemptResult result = world.post(url(row.host, sink));
    CHECK(result.kind == Kind::network_error);
    CHECK(result.error == row.error);
    CHECK_FALSE(result.sent);
    CHECK(result.duration < 1s);
  }
  const AttemptResult servfail = world.post(url("servfail.test", sink));
  CHECK(servfail.kind == Kind::network_error);
  CHECK(servfail.error.starts_with("DNS: servfail.test: "));
}

TEST_CASE("a failure is not asked for again within a second") {
  ClientWorld world;
  WebhookImposter sink;
  DnsImposter dns([](const std::string&) { return failure(3); });
  world.webhook.dns_servers = dns.servers();
  world.post(url("nx.test", sink));
  const int asked = dns.questions("nx.test");
  CHECK(asked >= 1);
  world.post(url("nx.test", sink));
  CHECK(dns.questions("nx.test") == asked);
}

TEST_CASE("the deadline of the attempt covers the look-up") {
  ClientWorld world;
  world.timeout = 200ms;
  WebhookImposter sink;
  DnsImposter dns([](const std::string&) { return std::nullopt; });
  world.webhook.dns_servers = dns.servers();
  const AttemptResult result = world.post(url("silent.test", sink));
  CHECK(result.kind == Kind::timeout);
  CHECK(result.error == "timed out after 200 ms, resolving the name");
  CHECK_FALSE(result.sent);
  CHECK(result.duration < 700ms);
}

TEST_CASE("a dead zone of a hundred names delays nobody else") {
  ClientWorld world;
  world.timeout = 2s;
  WebhookImposter sink;
  DnsImposter dns([](const std::string& name) -> std::optional<DnsReply> {
    if (name.ends_with(".dead.test")) return std::nullopt;
    return addresses({"127.0.0.1"});
  });
  world.webhook.dns_servers = dns.servers();
  Batch batch(world);
  for (int i = 0; i < 100; ++i) batch.add(url("h" + std::to_string(i) + ".dead.test", sink));
  for (int i = 0; i < 10; ++i) batch.add(url("h" + std::to_string(i) + ".alive.test", sink));
  batch.finish();
  for (std::size_t i = 0; i < 100; ++i) {
    CHECK(batch[i].kind == Kind::timeout);
    CHECK_FALSE(batch[i].sent);
  }
  for (std::size_t i = 100; i < 110; ++i) {
    CHECK(batch[i].status == 200);
    CHECK(batch[i].duration < 1s);
  }
  CHECK(dns.questions("h99.dead.test") == 0);  // its zone had its share of look-ups
}

TEST_CASE("dead names do not hold up a live one of somebody else below the same registry") {
  ClientWorld world;
  world.timeout = 2s;
  WebhookImposter sink;
  DnsImposter dns([](const std::string& name) -> std::optional<DnsReply> {
    if (name.find("dead") != std::string::npos) return std::nullopt;
    return addresses({"127.0.0.1"});
  });
  world.webhook.dns_servers = dns.servers();
  Batch batch(world);
  for (int i = 0; i < 64; ++i) batch.add(url("a.dead" + std::to_string(i % 2) + ".co.uk", sink));
  for (int i = 0; i < 64; ++i) batch.add(url("h" + std::to_string(i) + ".dead.co.uk", sink));
  batch.add(url("ok.alive.co.uk", sink));
  batch.add(url("alive.com.au", sink));
  batch.finish();
  CHECK(batch[128].status == 200);
  CHECK(batch[129].status == 200);
  CHECK(batch[128].duration < 1s);
}

TEST_CASE("a queued name of a slow zone gets its turn") {
  ClientWorld world;
  WebhookImposter sink;
  DnsImposter dns([](const std::string&) { return addresses({"127.0.0.1"}); });
  world.webhook.dns_servers = dns.servers();
  Batch batch(world);
  for (int i = 0; i < 80; ++i) batch.add(url("h" + std::to_string(i) + ".many.test", sink));
  batch.finish();
  for (std::size_t i = 0; i < batch.size(); ++i) CHECK(batch[i].status == 200);
}

TEST_CASE("names that resolve to private addresses are refused") {
  ClientWorld world;
  world.egress.allow_cidrs = {};
  WebhookImposter sink;
  DnsImposter dns([](const std::string&) { return addresses({"127.0.0.1", "10.0.0.1"}); });
  world.webhook.dns_servers = dns.servers();
  const AttemptResult result = world.post(url("rebind.test", sink));
  CHECK(result.kind == Kind::refused);
  CHECK(result.error.starts_with("rebind.test resolves to 127.0.0.1 is a loopback address"));
  world.work(50ms);
  CHECK(sink.connections() == 0);
}

TEST_CASE("of several addresses the first allowed one that answers is taken") {
  ClientWorld world;
  world.egress.allow_cidrs = {"127.0.0.1", "127.0.0.9"};
  WebhookImposter sink;  // on 127.0.0.1 only: 127.0.0.9 refuses connections
  DnsImposter dns([](const std::string&) {
    return addresses({"10.1.1.1", "127.0.0.9", "127.0.0.1", "192.168.0.1"});
  });
  world.webhook.dns_servers = dns.servers();
  CHECK(world.post(url("several.test", sink)).status == 200);
  CHECK(sink.connections() == 1);
}

TEST_CASE("long answers are read, over TCP when the server says so") {
  ClientWorld world;
  WebhookImposter sink;
  DnsImposter dns([](const std::string& name) {
    DnsReply reply;
    for (int i = 0; i < (name == "long.test" ? 60 : 1000); ++i) reply.ipv4.push_back("127.0.0.1");
    reply.only_over_tcp = name == "huge.test";
    return reply;
  });
  world.webhook.dns_servers = dns.servers();
  CHECK(world.post(url("long.test", sink)).status == 200);
  CHECK(world.post(url("huge.test", sink)).status == 200);
}

TEST_CASE("localhost needs no name server") {
  ClientWorld world;
  WebhookImposter sink;
  DnsImposter dns([](const std::string&) { return failure(2); });
  world.webhook.dns_servers = dns.servers();
  CHECK(world.post(url("localhost", sink)).status == 200);
  CHECK(dns.questions("localhost") == 0);
}
