#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/async.hpp"
#include "eventhub/core/config.hpp"
#include "eventhub/core/metrics.hpp"
#include "eventhub/core/retry.hpp"
#include "eventhub/http/egress.hpp"
#include "eventhub/http/url.hpp"

namespace eventhub::http {

struct ClientOptions {
  std::size_t idle_connections_max = 1024;
  std::vector<Listener> own;  // where this process listens, see EgressPolicy::listens_on
};

// Keep-alive HTTP/1.1 client for webhooks: own reads and one write per request, Beast's response
// parser fed by put(), one deadline per attempt over DNS, connect, TLS, request and the answer's
// header. Never follows redirects. Idle connections are closed after webhook.idle. Must die before
// its io_context.
class Client {
 public:
  // Throws ConfigError for egress settings that cannot be used, std::runtime_error without name
  // resolution.
  Client(Executor executor, const WebhookConfig& webhook, const EgressConfig& egress,
         const Clock& clock, Metrics& metrics, const ClientOptions& options = {});
  ~Client();

  struct Post {
    const Url* url;         // outlives the call
    std::string headers;    // complete lines but Host, Content-Length, Connection
    std::string_view body;  // outlives the call
    Millis timeout;
  };
  // Sends once and says what happened; never throws. When no connection of the origin came free in
  // time the result is `not_started`: no attempt was made. A request on a kept connection that was
  // closed before a byte of the answer came is sent once more on a fresh connection within the same
  // deadline, unless `may_resend` is false (at most once) and a byte of it may have left.
  Task<AttemptResult> post(Post request, bool may_resend);

  // Fails all attempts in the air (drain time-out), closes idle connections and takes no new
  // attempts.
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

// Throws ConfigError when webhook.dns_servers is neither empty nor a list of name servers.
void check_dns_servers(const WebhookConfig& webhook);

}  // namespace eventhub::http
