#pragma once
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/async.hpp"
#include "eventhub/core/config.hpp"
#include "eventhub/core/metrics.hpp"

namespace eventhub {
struct ApiKey;
}

namespace eventhub::http {

// A request that passed the gate (src/http/gate.cpp): one Host, no smuggling, within all limits.
// Views live until the handler's task ends.
struct Request {
  std::string_view method;
  std::string_view path;   // without the query, percent-encoding kept
  std::string_view query;  // after '?', may be empty
  std::string_view body;
  std::vector<std::pair<std::string_view, std::string_view>> headers;
  std::string_view peer;  // the client's address

  // What Handler::admit leaves for Handler::answer (src/api/routes.cpp).
  const void* route = nullptr;
  std::shared_ptr<const ApiKey> key;  // who is calling; nullptr: nobody was asked
  std::string answer_headers;         // complete lines that the answer gets

  // First value of a header, case-insensitive; nullptr data when absent.
  std::string_view header(std::string_view name) const;
  std::size_t count(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  std::string headers;  // further complete lines, each ending in \r\n
  std::string body;
  bool close = false;
};

// What a server does with a request that passed the gate.
struct Handler {
  using Answer = std::function<Task<Response>(Request&)>;
  // Looks at a request before its body is asked for or read: the answer that refuses it, if any. It
  // closes the connection when there is a body still to come.
  using Admit = std::function<std::optional<Response>(Request&)>;

  template <class F>
    requires(!std::same_as<std::remove_cvref_t<F>, Handler> && std::constructible_from<Answer, F>)
  Handler(F function) : answer(std::move(function)) {}  // lets everything in
  Handler(Admit first, Answer then) : admit(std::move(first)), answer(std::move(then)) {}

  Admit admit;  // may be empty
  Answer answer;
};
// Builds the answer for a request that is refused before routing (400, 408, 413, 414, 415, 417,
// 431, 501, 503).
using Refusal = std::function<Response(int status, std::string_view detail)>;

// Throws ConfigError when server.tls_certificate_file is set and it or its key cannot be used.
void check_server_tls(const ServerConfig& config);

// HTTP/1.1 on Beast's parsers fed by our own reads, one write per answer, sequential per
// connection.
class Server {
 public:
  Server(Executor executor, const ServerConfig& config, Handler handler, Refusal refusal,
         Metrics& metrics);
  ~Server();
  // Binds and listens; throws std::system_error with address and port in its text. Returns the
  // port.
  std::uint16_t listen();
  // Accepts until stop(); returns when all connections are closed (idle ones at once, others after
  // their answer).
  Task<void> run();
  void stop();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace eventhub::http
