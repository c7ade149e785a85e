#pragma once
#include <dirent.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <charconv>
#include <future>
#include <thread>

#include "eventhub/http/server.hpp"
#include "support/catch.hpp"
#include "support/raw_client.hpp"
#include "support/run_task.hpp"

namespace eventhub::test {

// A server on its own thread with a handler that says what it was asked:
//   /slow answers after 300 ms, /big with 32 MiB, /throw throws, /none with 204, all others echo.
// Not admitted are /not (403), /wait (429) and /fault, which throws.
class TestServer {
 public:
  explicit TestServer(ServerConfig config = quick())
      : server_(test::executor_of(loop_), config,
                http::Handler(admit, [this](const http::Request& r) { return handle(*this, r); }),
                refusal, metrics_) {
    port = server_.listen();
    spawn(test::executor_of(loop_), "server", run(*this));
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~TestServer() {
    stop();
    thread_.join();
  }

  static ServerConfig quick() {
    ServerConfig config;
    config.bind = "127.0.0.1";
    config.port = 0;
    config.header_timeout = Millis{300};
    config.body_timeout = Millis{300};
    config.idle_timeout = Millis{300};
    return config;
  }
  // For tests that are not about time.
  static ServerConfig patient() {
    ServerConfig config = quick();
    config.header_timeout = config.body_timeout = config.idle_timeout = Millis{20'000};
    return config;
  }

  void stop() {
    boost::asio::post(loop_, [this] { server_.stop(); });
  }
  // Waits until run() returned.
  bool stopped(Millis limit) {
    return run_returned_.get_future().wait_for(limit) == std::future_status::ready;
  }

  // Reads something of the loop's thread.
  template <class F>
  auto on_loop(F function) {
    std::promise<decltype(function())> result;
    boost::asio::post(loop_, [&] { result.set_value(function()); });
    return result.get_future().get();
  }
  std::vector<std::string> seen() {
    return on_loop([this] { return seen_; });
  }
  int finished() {
    return on_loop([this] { return finished_; });
  }
  int connections() {
    const std::string text = on_loop([this] { return metrics_.expose(); });
    const std::string name = "\neventhub_http_connections ";
    const auto at = ("\n" + text).find(name);
    int open = -1;
    if (at != std::string::npos) {
      std::from_chars(text.data() + at + name.size() - 1, text.data() + text.size(), open);
    }
    return open;
  }
  // Waits until that many requests of a kind have reached the handler.
  bool handles(std::string_view request, int wanted, Millis limit = Millis{5'000}) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    for (;;) {
      const auto all = seen();
      if (std::count(all.begin(), all.end(), request) >= wanted) return true;
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(Millis{1});
    }
  }
  bool reaches(int wanted, Millis limit = Millis{5'000}) {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (connections() != wanted) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(Millis{5});
    }
    return true;
  }

  std::uint16_t port = 0;

 private:
  static Task<void> run(TestServer& self) {
    co_await self.server_.run();
    self.run_returned_.set_value();
  }

  static Task<http::Response> handle(TestServer& self, const http::Request& request) {
    self.seen_.push_back(std::string(request.method) + " " + std::string(request.path));
    http::Response response;
    response.content_type = "text/plain";
    if (request.path == "/slow") co_await sleep_for(Millis{300});
    if (request.path == "/throw") throw std::runtime_error("handler failed on purpose");
    if (request.path == "/none") response.status = 204;
    if (request.path == "/big") {
      response.body.assign(32 << 20, 'x');
    } else {
      response.body =
          fmt::format("{} {}?{} {}", request.method, request.path, request.query, request.body);
    }
    ++self.finished_;
    co_return response;
  }

  static std::optional<http::Response> admit(const http::Request& request) {
    if (request.path == "/fault") throw std::runtime_error("admission failed on purpose");
    if (request.path == "/not") return refusal(403, "no");
    if (request.path == "/wait") return refusal(429, "later");
    return std::nullopt;
  }

  static http::Response refusal(int status, std::string_view detail) {
    http::Response response;
    response.status = status;
    response.content_type = "text/plain";
    response.body = detail;
    return response;
  }

  boost::asio::io_context loop_{1};
  Metrics metrics_{100};
  std::vector<std::string> seen_;
  int finished_ = 0;
  std::promise<void> run_returned_;
  http::Server server_;
  std::thread thread_;
};

inline std::size_t open_descriptors() {
  std::size_t count = 0;
  DIR* directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

inline const std::string kGet = "GET /ok HTTP/1.1\r\nHost: hub\r\n\r\n";

inline std::string post(std::string_view path, std::string_view body,
                        std::string_view headers = {}) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: hub\r\n{}Content-Length: {}\r\n\r\n{}", path,
                     headers, body.size(), body);
}

}  // namespace eventhub::test
