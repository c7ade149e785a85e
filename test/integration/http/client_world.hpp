#pragma once
// What every client test needs: an io_context, a client that may call 127.0.0.1, and post() that
// waits.
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "eventhub/core/metrics.hpp"
#include "eventhub/http/client.hpp"
#include "support/catch.hpp"
#include "support/run_task.hpp"

namespace eventhub::test {

using namespace std::chrono_literals;
using Kind = AttemptResult::Kind;

class ClientWorld {
 public:
  ClientWorld() {
    webhook.timeout = 5s;
    egress.allow_cidrs = {"127.0.0.0/8"};
  }
  ~ClientWorld() {
    if (client_) client_->close();
    if (!runs_out(io)) FAIL_CHECK("not everything ends after close()");
  }

  // Settings are read when the client is first used.
  WebhookConfig webhook;
  EgressConfig egress;
  Millis timeout = 3s;
  std::string body = R"({"n":1})";
  std::string headers = "Content-Type: application/json\r\n";

  http::Client& client() {
    if (!client_) {
      client_.emplace(executor_of(io), webhook, egress, clock, metrics);
    }
    return *client_;
  }

  Task<AttemptResult> start(std::string url, bool may_resend = true) {
    const auto parsed = http::parse_url(url);
    if (const auto* wrong = std::get_if<std::string>(&parsed)) throw std::invalid_argument(*wrong);
    http::Client::Post post{&std::get<http::Url>(parsed), headers, body, timeout};
    AttemptResult result = co_await client().post(std::move(post), may_resend);
    co_return result;
  }

  AttemptResult post(const std::string& url, bool may_resend = true) {
    client();
    return run(io, start(url, may_resend));
  }

  // Lets the io_context work until `done()`, at most five seconds.
  template <class Condition>
  bool work_until(Condition done) {
    const auto limit = std::chrono::steady_clock::now() + 5s;
    while (!done() && std::chrono::steady_clock::now() < limit) work(5ms);
    return done();
  }

  // Lets the io_context work for a while.
  void work(Millis time) {
    io.restart();
    io.run_for(time);
  }

  boost::asio::io_context io{1};
  SystemClock clock;
  Metrics metrics{100};

 private:
  std::optional<http::Client> client_;
};

inline Millis since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<Millis>(std::chrono::steady_clock::now() - start);
}

// Several posts at once.
class Batch {
 public:
  explicit Batch(ClientWorld& world) : world_(world) {}
  void add(const std::string& url) { add(url, world_.timeout); }
  void add(const std::string& url, Millis timeout) {
    world_.client();
    results_.push_back(std::make_unique<std::optional<AttemptResult>>());
    spawn(executor_of(world_.io), "post",
          post(world_, url, timeout, results_.back().get(), &open_, may_resend));
    ++open_;
  }
  void finish() {
    world_.io.restart();
    const auto give_up = std::chrono::steady_clock::now() + kRunMax;
    while (open_ > 0 && world_.io.run_one_until(give_up) > 0) {
    }
    REQUIRE(open_ == 0);
  }
  const AttemptResult& operator[](std::size_t i) const { return **results_[i]; }
  std::size_t size() const { return results_.size(); }

  bool may_resend = true;

 private:
  static Task<void> post(ClientWorld& world, std::string url, Millis timeout,
                         std::optional<AttemptResult>* out, int* open, bool may_resend) {
    world.timeout = timeout;
    *out = co_await world.start(url, may_resend);
    --*open;
  }
  ClientWorld& world_;
  std::vector<std::unique_ptr<std::optional<AttemptResult>>> results_;
  int open_ = 0;
};

}  // namespace eventhub::test
