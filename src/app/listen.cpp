// `eventhubd listen`: a webhook receiver to try the hub with, and the judge of scripts/demo.
// Answers by the rules of listen_rules.cpp, prints a line per delivery and appends a JSON object
// per delivery to
// --log, on http::Server.
#include "app/listen.hpp"

#include <fmt/chrono.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include "eventhub/core/json.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/core/utf8.hpp"
#include "eventhub/http/server.hpp"
#include "eventhub/http/sign.hpp"

namespace eventhub::app {
namespace {

constexpr std::size_t kBodyShown = 200;

http::Response refusal(int status, std::string_view detail) {
  return {
      .status = status, .content_type = "text/plain", .body = std::string(detail), .close = true};
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string shown = terminal_text(text.substr(0, limit));
  if (text.size() > limit) shown += "…";
  return shown;
}

std::string or_dash(std::string_view text) {
  return text.empty() ? "-" : printable(text, 64);
}

class Receiver {
 public:
  Receiver(const ListenOptions& options, Executor executor)
      : options_(options),
        server_(
            executor, server_config(options),
            [this](const http::Request& request) { return answer(request); }, refusal, metrics_) {
    for (const auto& rule : options.rules) rules_.insert(parse_rule(rule, options.rule));
    if (options.log_file.empty()) return;
    log_.open(options.log_file, std::ios::app);
    if (!log_) {
      throw std::runtime_error("cannot write " + options.log_file + ": " + std::strerror(errno));
    }
  }

  Task<void> run() {
    const auto port = server_.listen();
    std::cout << "listening on http://" << options_.host << ":" << port << std::endl;
    co_await server_.run();
  }
  void stop() { server_.stop(); }

 private:
  static ServerConfig server_config(const ListenOptions& options) {
    ServerConfig config;
    config.bind = options.host;
    config.port = options.port;
    config.connections_per_ip_max = config.connections_max;  // all hubs may be on one machine
    config.body_bytes_max = 16 << 20;
    return config;
  }

  Task<http::Response> answer(const http::Request& request) {
    const auto start = clock_.mono();
    const auto found = rules_.find(std::string(request.path));
    const ListenRule& rule = found == rules_.end() ? options_.rule : found->second;
    const bool genuine = verified(request);
    int status = 401;
    if (genuine) {
      status = status_of(rule, request.header("x-message-id"), request.header("x-delivery-attempt"),
                         options_.seed);
    }
    if (rule.delay_ms > 0) co_await sleep_for(Millis{rule.delay_ms});
    if (!options_.quiet) print(request, status, genuine);
    if (log_.is_open()) record(request, status, start);
    http::Response response{.status = status, .content_type = "text/plain"};
    co_return response;
  }

  bool verified(const http::Request& request) const {
    return options_.secret.empty() ||
           http::verify_signature(options_.secret, request.header("webhook-id"),
                                  request.header("webhook-timestamp"), request.body,
                                  request.header("webhook-signature"));
  }

  void print(const http::Request& request, int status, bool genuine) const {
    std::cout << fmt::format("{:%H:%M:%S}", std::chrono::floor<Millis>(clock_.now())) << "  "
              << status << (genuine ? "" : " (signature does not fit)") << "  "
              << printable(request.path, 200) << "  " << or_dash(request.header("x-event-type"))
              << "  attempt " << or_dash(request.header("x-delivery-attempt")) << "  seq "
              << or_dash(request.header("x-event-seq")) << "  "
              << or_dash(request.header("x-message-id")) << "  "
              << printable(request.body, kBodyShown) << std::endl;
  }

  static std::int64_t nanos(Mono time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  }

  void record(const http::Request& request, int status, Mono start) {
    std::string line = fmt::format(R"({{"t_start":{},"t_end":{},"status":{})", nanos(start),
                                   nanos(clock_.mono()), status);
    const auto add = [&line](std::string_view name, std::string_view value) {
      line.append(",\"").append(name).append("\":");
      append_json_string(line, value);
    };
    add("path", request.path);
    add("message_id", request.header("x-message-id"));
    add("event_id", request.header("x-event-id"));
    add("event_type", request.header("x-event-type"));
    add("attempt", request.header("x-delivery-attempt"));
    add("seq", request.header("x-event-seq"));
    add("body", request.body);
    log_ << line << "}\n" << std::flush;
  }

  const ListenOptions& options_;
  std::map<std::string, ListenRule> rules_;
  std::ofstream log_;
  SystemClock clock_;
  Metrics metrics_{1};
  http::Server server_;
};

}  // namespace

std::string read_secret_file(const std::string& path) {
  std::ifstream file(path);
  std::string secret;
  if (!std::getline(file, secret) || secret.empty()) {
    throw ConfigError("--secret-file: no secret can be read from " + path);
  }
  if (secret.back() == '\r') secret.pop_back();
  return secret;
}

int listen(const ListenOptions& options) {
  log::configure(log::Level::warn, log::Format::text, 1 << 16);
  boost::asio::io_context context(1);
  Receiver receiver(options, context.get_executor());
  std::exception_ptr failure;
  boost::asio::signal_set signals(context, SIGINT, SIGTERM);
  signals.async_wait([&receiver](const boost::system::error_code& error, int) {
    if (!error) receiver.stop();
  });
  const auto failed = [&](std::exception_ptr error) {
    failure = error;
    signals.cancel();
  };
  spawn(context.get_executor(), "listen", receiver.run(), failed);
  context.run();
  if (failure) std::rethrow_exception(failure);
  return 0;
}

}  // namespace eventhub::app
