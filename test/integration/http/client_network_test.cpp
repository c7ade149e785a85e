// Networks and receivers that fail: how long it takes, what is reported, what is sent again.
#include <fstream>

#include "integration/http/client_world.hpp"
#include "support/webhook_imposter.hpp"

using namespace eventhub;
using namespace eventhub::test;

namespace {

constexpr Millis kSlack = 500ms;  // for sanitizers on a busy machine

long resident_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  while (status >> word) {
    if (word == "VmRSS:") break;
  }
  long kib = 0;
  status >> kib;
  return kib;
}

}  // namespace

TEST_CASE("a receiver that never answers costs exactly the time-out") {
  ClientWorld world;
  world.timeout = 250ms;
  WebhookImposter sink;
  world.client();  // loading the trust anchors is no part of an attempt
  const std::string header = "HTTP/1.1 200 OK\r\nContent-";
  Reply drip = Reply::raw(header + std::string(1000, 'x'));
  drip.drip = 20ms;
  for (const Reply& reply : {Reply::silence(), Reply::raw(header, Reply::Then::hang), drip,
                             Reply::with(200).after(10s)}) {
    sink.then(reply);
    const auto start = std::chrono::steady_clock::now();
    const AttemptResult result = world.post(sink.url());
    const Millis took = since(start);
    CHECK(result.kind == Kind::timeout);
    CHECK(result.error == "timed out after 250 ms, waiting for the answer");
    CHECK(result.sent);
    CHECK(took >= 250ms);
    CHECK(took < 250ms + kSlack);
    CHECK(result.duration >= 250ms);
  }
}

namespace {

// A monotonic clock that can leap, as it does for a process that was frozen.
class LeapingClock final : public Clock {
 public:
  Time now() const override { return SystemClock{}.now(); }
  Mono mono() const override { return SystemClock{}.mono() + leap; }
  Millis leap{0};
};

Task<void> post_into(http::Client& client, const http::Url& url,
                     std::optional<AttemptResult>& result) {
  http::Client::Post post{&url, "", "{}", Millis{3'000}};
  result = co_await client.post(std::move(post), true);
}

}  // namespace

TEST_CASE("a process that was frozen while it connected does not send after the time-out") {
  ClientWorld world;
  WebhookImposter sink;
  LeapingClock clock;
  http::Client client(executor_of(world.io), world.webhook, world.egress, clock, world.metrics);
  const auto url = std::get<http::Url>(http::parse_url(sink.url()));
  std::optional<AttemptResult> result;
  spawn(executor_of(world.io), "post", post_into(client, url, result));
  world.io.run_one();  // it connects
  CHECK_FALSE(result);
  clock.leap = 4s;
  CHECK(world.work_until([&] { return result.has_value(); }));
  CHECK(result->kind == Kind::timeout);
  CHECK(result->error == "timed out after 3000 ms, connecting");
  CHECK_FALSE(result->sent);
  CHECK(sink.requests().empty());
  client.close();
}

TEST_CASE("a receiver that does not read costs exactly the time-out") {
  ClientWorld world;
  world.timeout = 250ms;
  world.body = std::string(32 << 20, 'x');
  const int listener = listen_on_loopback(8);  // connections wait in the backlog for ever
  world.client();
  const auto start = std::chrono::steady_clock::now();
  const AttemptResult result = world.post("http://127.0.0.1:" + std::to_string(port_of(listener)));
  ::close(listener);
  CHECK(result.kind == Kind::timeout);
  CHECK(result.error == "timed out after 250 ms, sending the request");
  CHECK(result.sent);
  CHECK(since(start) < 250ms + kSlack);
}

TEST_CASE("what a receiver has not got at the time-out does not come later") {
  ClientWorld world;
  world.timeout = 250ms;
  world.body = std::string(100'000, 'x');
  const int listener = listen_on_loopback(8);
  const int room = 4'096;
  REQUIRE(::setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) == 0);
  const AttemptResult result = world.post("http://127.0.0.1:" + std::to_string(port_of(listener)));
  CHECK(result.kind == Kind::timeout);
  CHECK(result.error == "timed out after 250 ms, waiting for the answer");  // the kernel has it all
  const int connection = ::accept(listener, nullptr, nullptr);
  std::string space(200'000, ' ');
  std::size_t got = 0;
  ssize_t size = 1;
  while (size > 0) {
    size = ::recv(connection, space.data(), space.size(), 0);
    if (size > 0) got += static_cast<std::size_t>(size);
  }
  CHECK(size < 0);
  CHECK(got < 50'000);
  ::close(connection);
  ::close(listener);
}

TEST_CASE("a receiver that drops SYNs costs exactly the time-out, and nothing was sent") {
  ClientWorld world;
  world.timeout = 250ms;
  const int listener = listen_on_loopback(0);
  const std::string url = "http://127.0.0.1:" + std::to_string(port_of(listener));
  std::vector<int> fillers;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port_of(listener));
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    ::connect(fillers.back(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  const AttemptResult result = world.post(url);
  for (const int fd : fillers) ::close(fd);
  ::close(listener);
  CHECK(result.kind == Kind::timeout);
  CHECK(result.error == "timed out after 250 ms, connecting");
  CHECK_FALSE(result.sent);
}

TEST_CASE("a closed port is a network error at once") {
  ClientWorld world;
  const int listener = listen_on_loopback(1);
  const std::string port = std::to_string(port_of(listener));
  ::close(listener);
  const AttemptResult result = world.post("http://127.0.0.1:" + port + "/");
  CHECK(result.kind == Kind::network_error);
  CHECK(result.error == "cannot connect to 127.0.0.1 port " + port + ": Connection refused");
  CHECK_FALSE(result.sent);
  CHECK(result.duration < 1s);
}

TEST_CASE("connections that end before an answer are network errors") {
  ClientWorld world;
  WebhookImposter sink;
  sink.then(Reply::reset());
  const AttemptResult reset = world.post(sink.url());
  CHECK(reset.kind == Kind::network_error);
  CHECK(reset.error == "connection lost: Connection reset by peer");
  CHECK(reset.sent);
  sink.then(Reply::raw(""));
  CHECK(world.post(sink.url()).error == "connection closed without an answer");
  sink.then(Reply::raw("", Reply::Then::half_close));
  CHECK(world.post(sink.url()).error == "connection closed without an answer");
  sink.then(Reply::raw("HTTP/1.1 200 OK\r\nContent-Le"));
  CHECK(world.post(sink.url()).error == "connection closed in the middle of the answer's header");
  CHECK(sink.requests().size() == 4);  // fresh connections: nothing was sent twice
}

TEST_CASE("a 2xx counts when its header is complete") {
  ClientWorld world;
  world.timeout = 300ms;
  WebhookImposter sink;
  const std::string header = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n";
  sink.then(Reply::raw(header + "short", Reply::Then::close));
  CHECK(world.post(sink.url()).status == 200);
  sink.then(Reply::raw(header + "short", Reply::Then::reset));
  CHECK(world.post(sink.url()).status == 200);
  sink.then(Reply::raw(header + "short", Reply::Then::hang));
  const auto start = std::chrono::steady_clock::now();
  const AttemptResult hung = world.post(sink.url());
  CHECK(hung.status == 200);
  CHECK(hung.error.empty());
  CHECK(hung.duration < 200ms);  // what the receiver needed to say 200
  CHECK(since(start) < 300ms + kSlack);
  sink.then(
      Reply::raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Reply::Then::hang));
  CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.connections() == 4);
}

TEST_CASE("an endless body and a huge one are cut, memory stays flat") {
  ClientWorld world;
  world.timeout = 10s;
  WebhookImposter sink;
  CHECK(world.post(sink.url()).status == 200);
  const long before = resident_kib();
  Reply huge = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n");
  huge.flood = 1 << 30;
  Reply endless = Reply::raw("HTTP/1.1 500 No\r\n\r\n");
  endless.flood = std::uint64_t{1} << 50U;
  for (int i = 0; i < 5; ++i) {
    sink.then(huge);
    CHECK(world.post(sink.url()).status == 200);
    sink.then(endless);
    const auto start = std::chrono::steady_clock::now();
    const AttemptResult result = world.post(sink.url());
    CHECK(since(start) < 5s);
    CHECK(result.status == 500);
    CHECK(result.response == std::string(1024, 'x'));
  }
  CHECK(resident_kib() - before < 64 * 1024);
}

TEST_CASE("an endless header is cut") {
  ClientWorld world;
  WebhookImposter sink;
  for (const std::string start :
       {"HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 ", "HTTP/1.1 200 OK\r\n"}) {
    Reply endless = Reply::raw(start);
    endless.flood = 1 << 30;
    sink.then(endless);
    const AttemptResult result = world.post(sink.url());
    CHECK(result.kind == Kind::network_error);
    CHECK(result.error.starts_with("malformed answer: "));
  }
}

TEST_CASE("an answer that comes before the request is read counts") {
  ClientWorld world;
  WebhookImposter::Options options;
  options.read_body = false;
  WebhookImposter sink(options);
  world.body = std::string(32 << 20, 'x');  // more than the kernel buffers
  sink.always(Reply::raw("HTTP/1.1 413 Large\r\nContent-Length: 0\r\n\r\n", Reply::Then::close));
  const AttemptResult result = world.post(sink.url());
  CHECK(result.kind == Kind::answered);
  CHECK(result.status == 413);
}

TEST_CASE("an answer counts at once though the receiver neither reads on nor closes") {
  ClientWorld world;
  WebhookImposter::Options options;
  options.read_body = false;
  WebhookImposter sink(options);
  world.body = std::string(32 << 20, 'x');
  const std::string interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
  for (const int status : {401, 413, 503}) {
    const std::string text = std::to_string(status);
    sink.then(Reply::raw(interim + "HTTP/1.1 " + text + " No\r\nContent-Length: 2\r\n\r\nno",
                         Reply::Then::hang));
    const auto start = std::chrono::steady_clock::now();
    const AttemptResult result = world.post(sink.url());
    CHECK(result.kind == Kind::answered);
    CHECK(result.status == status);
    CHECK(result.response == "no");
    CHECK(since(start) < 1s);
  }
  CHECK(sink.connections() == 3);  // never used again
}

TEST_CASE("a 2xx before the request is read does not cut the request") {
  ClientWorld world;
  world.timeout = 10s;
  WebhookImposter::Options options;
  options.read_body = false;
  WebhookImposter sink(options);
  world.body = std::string(4 << 20, 'x');
  CHECK(world.post(sink.url()).status == 200);
  world.body.clear();
  CHECK(world.post(sink.url()).status == 200);
  // The imposter takes the first body for the beginning of the second request.
  REQUIRE(sink.requests().size() == 2);
  CHECK(sink.requests()[1].head.starts_with("xxx"));
  CHECK(sink.requests()[1].head.size() > 4u << 20);
  CHECK(sink.connections() == 1);
}

TEST_CASE("a connection handed to one who waits is a live one") {
  ClientWorld world;
  world.webhook.connections_per_origin_max = 1;
  WebhookImposter sink;
  // Closed right behind the answer, without saying so.
  sink.then(
      Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Reply::Then::close).after(50ms));
  Batch batch(world);
  batch.may_resend = false;
  batch.add(sink.url());
  batch.add(sink.url());
  CHECK(world.work_until([&] { return sink.requests().size() == 1; }));
  CHECK(sink.wait_for_open_connections(0));
  batch.finish();
  CHECK(batch[0].status == 200);
  CHECK(batch[1].status == 200);
}

TEST_CASE("a kept connection that the receiver closed is replaced unnoticed") {
  ClientWorld world;
  WebhookImposter::Options options;
  options.idle_close = 100ms;
  WebhookImposter sink(options);
  for (const bool may_resend : {true, false, true}) {
    CHECK(world.post(sink.url(), may_resend).status == 200);
    CHECK(sink.wait_for_open_connections(0));
  }
  CHECK(sink.connections() == 3);
  CHECK(sink.requests().size() == 3);
}

TEST_CASE("a kept connection that dies with the request: once more, unless at most once") {
  ClientWorld world;
  WebhookImposter sink;
  CHECK(world.post(sink.url()).status == 200);
  sink.then(Reply::reset());
  CHECK(world.post(sink.url()).status == 200);
  CHECK(sink.requests().size() == 3);
  sink.then(Reply::raw(""));
  const AttemptResult once = world.post(sink.url(), false);
  CHECK(once.kind == Kind::network_error);
  CHECK(once.sent);
  CHECK(sink.requests().size() == 4);
  sink.then(Reply::reset());
  sink.then(Reply::reset());
  const AttemptResult fresh = world.post(sink.url());
  CHECK(fresh.kind == Kind::network_error);
  CHECK(sink.requests().size() == 5);  // the connection was fresh: not sent again
}

TEST_CASE("a half answer on a kept connection is not sent again") {
  ClientWorld world;
  WebhookImposter sink;
  CHECK(world.post(sink.url()).status == 200);
  sink.then(Reply::raw("HTTP/1.1 2"));
  CHECK(world.post(sink.url()).kind == Kind::network_error);
  CHECK(sink.requests().size() == 2);
}

TEST_CASE("the client may die before the attempts that are in the air") {
  SystemClock clock;
  Metrics metrics{10};
  WebhookImposter sink;
  sink.always(Reply::silence());
  EgressConfig egress;
  egress.allow_cidrs = {"127.0.0.0/8"};
  const http::Url url = std::get<http::Url>(http::parse_url(sink.url()));
  const auto post = [](http::Client& poster, const http::Url& to) -> Task<void> {
    http::Client::Post request{&to, "", "{}", 5s};
    co_await poster.post(std::move(request), true);
  };
  std::size_t expected = 0;
  for (const bool runs_on : {true, false}) {
    boost::asio::io_context io(1);
    auto client =
        std::make_unique<http::Client>(executor_of(io), WebhookConfig{}, egress, clock, metrics);
    spawn(executor_of(io), "post", post(*client, url));
    ++expected;
    for (int i = 0; i < 1000 && sink.requests().size() < expected; ++i) io.run_for(5ms);
    CHECK(sink.requests().size() == expected);
    client.reset();
    if (runs_on) CHECK(runs_out(io));
  }
}
