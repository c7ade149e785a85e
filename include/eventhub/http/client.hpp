#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "eventhub/core/async.hpp"
#include "eventhub/core/config.hpp"
#include "eventhub/core/metrics.hpp"
#include "eventhub/core/retry.hpp"
#include "eventhub/http/url.hpp"

namespace eventhub::http {

// Keep-alive HTTP/1.1 client for webhooks: own reads and one write per request, Beast's response parser fed by
// put(), one deadline per attempt over DNS, connect, TLS, request and the answer's header. Never follows
// redirects. Idle connections are closed after webhook.idle.
class Client {
 public:
  Client(Executor executor, const WebhookConfig& webhook, const EgressConfig& egress, const Clock& clock,
         Metrics& metrics);
  ~Client();

  struct Post {
    const Url* url;            // outlives the call
    std::string headers;       // complete lines but Host, Content-Length, Connection
    std::string_view body;     // outlives the call
    Millis timeout;
  };
  // Sends once and says what happened; never throws. A request on a kept connection that died before a
  // byte of an answer is NOT sent again by itself when `may_resend` is false (at most once); otherwise it is
  // sent once more on a fresh connection within the same deadline, only if the reused connection was closed by
  // the peer before the request could be processed.
  Task<AttemptResult> post(Post request, bool may_resend);

  // Fails all attempts in the air (drain time-out) and closes idle connections.
  void close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace eventhub::http
