// https webhooks: whose certificates are accepted, and what is said about the others.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "integration/http/client_world.hpp"
#include "support/shell.hpp"
#include "support/webhook_imposter.hpp"

using namespace eventhub;
using namespace eventhub::test;

namespace {

// A certificate authority and certificates, made by the openssl program.
class Certificates {
 public:
  Certificates() {
    char name[] = "/tmp/eventhub-tls-XXXXXX";
    directory_ = ::mkdtemp(name);
    shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca "
        "-addext basicConstraints=critical,CA:TRUE");
    signed_by_ca("good", "IP:127.0.0.1,DNS:localhost", "-days 2");
    signed_by_ca("other", "IP:127.0.0.2,DNS:example.org", "-days 2");
    // Its only host name is the common name, which RFC 9525 (6.3) does not let count.
    signed_by_ca("localhost", "email:hub@example.org", "-days 2");
    signed_by_ca("old", "IP:127.0.0.1", "-days -1");
    shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout self.key -out self.pem -days 2 "
        "-subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1");
  }
  ~Certificates() { std::filesystem::remove_all(directory_); }

  std::string file(const std::string& name) const { return directory_ + "/" + name; }
  WebhookImposter::Options server(const std::string& name) const {
    WebhookImposter::Options options;
    options.certificate = file(name + ".pem");
    options.key = file(name + ".key");
    return options;
  }

 private:
  void signed_by_ca(const std::string& name, const std::string& subject_names,
                    const std::string& days) {
    std::ofstream(file(name + ".ext")) << "subjectAltName=" << subject_names << "\n";
    shell("openssl req -newkey rsa:2048 -nodes -keyout " + name + ".key -out " + name +
          ".csr -subj /CN=" + name);
    shell("openssl x509 -req -in " + name + ".csr -CA ca.pem -CAkey ca.key -CAcreateserial " +
          days + " -extfile " + name + ".ext -out " + name + ".pem");
  }
  void shell(const std::string& command) const {
    test::shell("cd " + directory_ + " && " + command);
  }
  std::string directory_;
};

const Certificates& certificates() {
  static const Certificates made;
  return made;
}

AttemptResult post_to(const std::string& server, const std::string& ca) {
  ClientWorld world;
  if (!ca.empty()) world.egress.ca_file = certificates().file(ca);
  WebhookImposter sink(certificates().server(server));
  AttemptResult result = world.post(sink.url());
  CHECK(sink.requests().size() == (result.sent ? 1 : 0));
  return result;
}

}  // namespace

TEST_CASE("a certificate of a trusted authority for the right host is accepted") {
  ClientWorld world;
  world.egress.ca_file = certificates().file("ca.pem");
  WebhookImposter sink(certificates().server("good"));
  world.body = std::string(1 << 20, 'b');
  for (int i = 0; i < 5; ++i) {
    const AttemptResult result = world.post(sink.url());
    CHECK(result.error.empty());
    CHECK(result.status == 200);
  }
  CHECK(sink.connections() == 1);
  CHECK(sink.requests().back().body == world.body);
  const AttemptResult by_name =
      world.post("https://localhost:" + std::to_string(sink.port()) + "/");
  CHECK(by_name.status == 200);
}

TEST_CASE("certificates that prove nothing are refused, and nothing is sent") {
  struct Row {
    std::string server, ca, error;
  };
  const auto row = GENERATE(values<Row>({
      {"self", "", "certificate verify failed: self-signed certificate"},
      {"good", "", "certificate verify failed: unable to get local issuer certificate"},
      {"other", "ca.pem", "certificate verify failed: IP address mismatch"},
      {"old", "ca.pem", "certificate verify failed: certificate has expired"},
  }));
  const AttemptResult result = post_to(row.server, row.ca);
  CHECK(result.kind == Kind::network_error);
  CHECK(result.error == row.error);
  CHECK_FALSE(result.sent);
}

TEST_CASE("the certificate must be for the name in the URL") {
  ClientWorld world;
  world.egress.ca_file = certificates().file("ca.pem");
  WebhookImposter sink(certificates().server(GENERATE("other", "localhost")));
  const AttemptResult result = world.post("https://localhost:" + std::to_string(sink.port()) + "/");
  CHECK(result.error == "certificate verify failed: hostname mismatch");
}

TEST_CASE("TLS before 1.2 is refused") {
  ClientWorld world;
  world.egress.ca_file = certificates().file("ca.pem");
  auto options = certificates().server("good");
  options.tls_max = TLS1_1_VERSION;
  WebhookImposter sink(options);
  const AttemptResult result = world.post(sink.url());
  CHECK(result.kind == Kind::network_error);
  CHECK(result.error.starts_with("TLS handshake failed: "));
  CHECK_FALSE(result.sent);
}

TEST_CASE("a receiver that does not speak TLS is a network error") {
  ClientWorld world;
  WebhookImposter plain;
  plain.always(Reply::raw("x"));
  const std::string url = "https://127.0.0.1:" + std::to_string(plain.port()) + "/";
  world.timeout = 300ms;
  CHECK(world.post(url).error == "timed out after 300 ms, in the TLS handshake");
  const int listener = listen_on_loopback(4);
  const std::string silent = "https://127.0.0.1:" + std::to_string(port_of(listener)) + "/";
  const AttemptResult stalled = world.post(silent);
  ::close(listener);
  CHECK(stalled.kind == Kind::timeout);
  CHECK_FALSE(stalled.sent);
}

TEST_CASE("over TLS, too: time-outs, resets, closed connections, at most once") {
  ClientWorld world;
  world.egress.ca_file = certificates().file("ca.pem");
  WebhookImposter sink(certificates().server("good"));
  world.timeout = 1s;
  sink.then(Reply::silence());
  CHECK(world.post(sink.url()).error == "timed out after 1000 ms, waiting for the answer");
  sink.then(Reply::reset());
  const AttemptResult reset = world.post(sink.url());
  CHECK(reset.kind == Kind::network_error);
  CHECK(reset.sent);
  sink.then(Reply::raw("HTTP/1.1 200 OK\r\n\r\nuntil the end"));
  CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.requests().size() == 3);
  auto options = certificates().server("good");
  options.idle_close = 200ms;
  WebhookImposter impatient(options);
  for (const bool may_resend : {true, false, true}) {
    CHECK(world.post(impatient.url(), may_resend).status == 200);
    CHECK(impatient.wait_for_open_connections(0));
  }
  CHECK(impatient.requests().size() == 3);
}

TEST_CASE("a ca_file that cannot be read stops the start") {
  ClientWorld world;
  world.egress.ca_file = "/nonexistent/ca.pem";
  try {
    world.client();
    FAIL("no error");
  } catch (const ConfigError& error) {
    CHECK(std::string(error.what()).find("egress.ca_file") != std::string::npos);
    CHECK(std::string(error.what()).find("/nonexistent/ca.pem") != std::string::npos);
  }
}

TEST_CASE("an answer that comes before the request is read counts over TLS as well") {
  ClientWorld world;
  world.egress.ca_file = certificates().file("ca.pem");
  WebhookImposter::Options options = certificates().server("good");
  options.read_body = false;
  WebhookImposter sink(options);
  world.body = std::string(32 << 20, 'x');
  sink.then(Reply::raw("HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n", Reply::Then::hang));
  world.client();
  const auto start = std::chrono::steady_clock::now();
  CHECK(world.post(sink.url()).status == 413);
  CHECK(since(start) < 2s);
}

TEST_CASE("a large body arrives over TLS, and the connection is kept") {
  ClientWorld world;
  world.egress.ca_file = certificates().file("ca.pem");
  WebhookImposter sink(certificates().server("good"));
  world.body = std::string(4 << 20, 'x');
  for (int i = 0; i < 3; ++i) CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.requests()[2].body == world.body);
  CHECK(sink.connections() == 1);
}
