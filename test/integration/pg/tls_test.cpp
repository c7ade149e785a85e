// TLS to PostgreSQL, as the URL asks for it.
#include <netinet/in.h>
#include <sys/socket.h>

#include "eventhub/store/database.hpp"
#include "pg_fixture.hpp"
#include "support/catch.hpp"

namespace eventhub::test {
namespace {

int free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const bool bound = ::bind(fd, generic, size) == 0 && ::getsockname(fd, generic, &size) == 0;
  ::close(fd);
  if (!bound) throw std::runtime_error("no free port");
  return ntohs(address.sin_port);
}

// A server that speaks TLS only, with a certificate for "localhost" that nobody has signed.
struct TlsServer {
  pg::ConnectionPtr connect(const std::string& host, const std::string& rest) {
    DatabaseConfig config;
    config.url = "postgresql://eventhub@" + host + ":" + std::to_string(port) + "/postgres?" + rest;
    store::Database database(test::executor_of(io), config, metrics);
    return run(io, database.connect(store::Profile::lock));
  }
  std::string refusal(const std::string& host, const std::string& rest) {
    try {
      connect(host, rest);
    } catch (const pg::Error& error) {
      return error.what();
    }
    return "accepted";
  }

  int port = free_port();
  PrivatePostgres server{port};
  boost::asio::io_context io;
  Metrics metrics{10};
};

// One for all tests of the file: a server takes a second to make.
TlsServer& tls() {
  static TlsServer instance;
  return instance;
}

std::string trusting() {
  return "sslmode=verify-full&sslrootcert=" + tls().server.certificate();
}

}  // namespace

TEST_CASE("sslmode=require encrypts, whoever signed the server's certificate") {
  const auto connection = tls().connect("127.0.0.1", "sslmode=require");
  const pg::Statement encrypted{
      "encrypted", "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"};
  const pg::Result result = run(tls().io, connection->run(encrypted, pg::Params()));
  CHECK(result.boolean(0, 0));
  CHECK(result.text(0, 1) >= "TLSv1.2");
}

TEST_CASE("large values and whole pipelines go through TLS in both directions") {
  const auto connection = tls().connect("127.0.0.1", "sslmode=require");
  const pg::Statement echo{"echo", "SELECT $1::text"};
  const std::string large(6 << 20, 'x');
  std::vector<pg::Call> calls(40);
  for (pg::Call& call : calls) {
    call.statement = &echo;
    call.params.text(std::string_view(large).substr(0, 1 << 19));
  }
  const auto results = run(tls().io, connection->run_all(std::move(calls)));
  REQUIRE(results.size() == 40);
  for (const pg::Result& result : results) CHECK(result.text(0, 0).size() == 1 << 19);
  pg::Params params;
  params.text(large);
  const bool same =
      run(tls().io, connection->run(echo, std::move(params))).text(0, 0) == std::string_view(large);
  CHECK(same);
}

TEST_CASE("notifications arrive over TLS") {
  const auto connection = tls().connect("127.0.0.1", "sslmode=require");
  run(tls().io, connection->exec("LISTEN here; NOTIFY here, 'hello'"));
  const auto notifications = run(tls().io, connection->wait_notifications(Millis{5'000}));
  REQUIRE(notifications.size() == 1);
  CHECK(notifications[0].payload == "hello");
}

TEST_CASE("sslmode=verify-full takes a trusted certificate for that host, and no other") {
  CHECK(tls().connect("localhost", trusting())->healthy());
  CHECK_THAT(tls().refusal("127.0.0.1", trusting()), Catch::Matchers::Contains("certificate"));
  CHECK_THAT(tls().refusal("localhost", "sslmode=verify-full&sslrootcert=/nowhere.pem"),
             Catch::Matchers::Contains("/nowhere.pem"));
}

TEST_CASE("a server that wants TLS says so to who comes without") {
  CHECK_THAT(tls().refusal("127.0.0.1", "sslmode=disable"),
             Catch::Matchers::Contains("no encryption"));
}

}  // namespace eventhub::test
