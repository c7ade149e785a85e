// The webhook client: leads an attempt from the pool (connection_pool.cpp) or a new connection
// (client_open.cpp) through the request to the answer (client_answer.cpp).
#include "eventhub/http/client.hpp"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <exception>

#include "eventhub/core/fault.hpp"
#include "http/client_impl.hpp"

namespace eventhub::http {
namespace {

void write_head(std::string& out, const Url& url, const Client::Post& request) {
  out.clear();
  out.append("POST ").append(url.target).append(" HTTP/1.1\r\nHost: ").append(url.authority());
  out.append("\r\n").append(request.headers);
  out.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n\r\n");
}

ConnectionPool::Limits limits(const WebhookConfig& webhook, const ClientOptions& options) {
  ConnectionPool::Limits limits{};
  limits.per_origin = static_cast<std::size_t>(std::max(webhook.connections_per_origin_max, 1));
  limits.idle = options.idle_connections_max;
  limits.idle_time = webhook.idle;
  return limits;
}

}  // namespace

Client::Impl::Impl(Executor io, const WebhookConfig& webhook_config,
                   const EgressConfig& egress_config, const Clock& system_clock,
                   const ClientOptions& options)
    : executor(std::move(io)),
      webhook(webhook_config),
      egress(egress_config),
      clock(system_clock),
      tls(egress_config),
      deadlines(executor, clock),
      pool(executor, clock, limits(webhook, options)),
      resolver(executor, clock, deadlines, webhook.dns_timeout, webhook.dns_servers) {
  egress.listens_on(options.own);
}

Client::Client(Executor executor, const WebhookConfig& webhook, const EgressConfig& egress,
               const Clock& clock, Metrics& /*metrics*/, const ClientOptions& options)
    : impl_(std::make_shared<Impl>(std::move(executor), webhook, egress, clock, options)) {}

Client::~Client() {
  close();
}

void Client::close() {
  impl_->closed = true;
  impl_->deadlines.expire_all();
  impl_->deadlines.stop();
  impl_->resolver.close();
  impl_->pool.close();
}

Task<AttemptResult> Client::post(Post request, bool may_resend) {
  const auto impl = impl_;  // outlives the client while the attempt is in the air
  const Mono start = impl->clock.mono();
  const Millis timeout = std::clamp(request.timeout, Millis{1}, impl->webhook.timeout_max);
  Exchange exchange(impl->deadlines, impl->pool, impl->resolver, *request.url, timeout, start,
                    impl->closed);
  try {
    co_await impl->run(exchange, request, may_resend);
  } catch (const std::exception& error) {
    exchange.fail(std::string("internal error: ") + error.what());
  }
  co_return exchange.finish(impl->clock.mono());
}

Task<void> Client::Impl::run(Exchange& exchange, const Post& request, bool may_resend) {
  if (closed) {
    exchange.fail("the client is closed");
    co_return;
  }
  if (egress.https_only() && !exchange.url().tls) {
    exchange.refuse("the URL is not https, and egress.https_only is set");
    co_return;
  }
  if (const std::string port = egress.refuse_port(exchange.url().port); !port.empty()) {
    exchange.refuse(port);
    co_return;
  }
  exchange.lease = pool.take(exchange.url(), !may_resend);
  if (!exchange.lease) {
    co_await exchange.wait_for_lease();
    if (!exchange.lease || exchange.over()) {
      exchange.fail("cancelled");
      co_return;
    }
  }
  bool again = true;
  while (again) {
    if (exchange.lease.connection() == nullptr) {
      const bool opened = co_await open(exchange);
      if (!opened) co_return;
    }
    again = co_await send(exchange, request, may_resend);
    if (again) exchange.lease.set(nullptr);
  }
}

Task<bool> Client::Impl::send(Exchange& exchange, const Post& request, bool may_resend) {
  if (exchange.over_by(clock.mono())) {
    exchange.fail({});
    co_return false;
  }
  Connection& connection = *exchange.lease.connection();
  const bool reused = connection.uses++ > 0;
  connection.give_up_after(exchange.timeout());
  exchange.stage = Exchange::Stage::sending;
  write_head(connection.head, exchange.url(), request);
  const std::size_t total = connection.head.size() + request.body.size();
  error_code error;
  const std::size_t written = connection.write_now(connection.head, request.body, error);
  const bool nothing_left = error && written == 0;
  EVENTHUB_FAULT_POINT_IF(!error && written < total, "disp.half_request_sent");
  if (!nothing_left) exchange.result.sent = true;
  // A receiver may answer before it has read everything, so a request that waits for it is written
  // beside the reading; and it may close then, so the answer is looked for after an error as well.
  if (!error && written < total && connection.may_stall(total)) {
    exchange.write_beside(executor, request.body, written);
  } else if (!error && written < total) {
    error = co_await connection.write_rest(connection.head, request.body, written);
  }
  EVENTHUB_FAULT_POINT("disp.after_send");
  Answer answer;
  if (!nothing_left && !exchange.over()) {
    const error_code read_error = co_await read_answer(exchange, connection, answer);
    if (!error) error = read_error;
  }
  if (exchange.writing()) co_await finish_writing(exchange, connection, answer);
  if (answer.has_status()) {
    conclude(exchange, connection, answer);
    co_return false;
  }
  if (reused && answer.empty() && !exchange.over() && (may_resend || nothing_left)) co_return true;
  exchange.fail(!answer.error().empty() ? answer.error() : "connection lost: " + error.message());
  co_return false;
}

// A refusal is the end of the request. Who said 2xx early still wants the rest, until the deadline.
Task<void> Client::Impl::finish_writing(Exchange& exchange, Connection& connection,
                                        const Answer& answer) {
  const bool wanted = answer.complete() && answer.parser().status() / 100 == 2;
  if (!wanted) connection.close();
  co_await exchange.writing_ended();
}

// Until the answer is complete, broken or larger than what is read of it.
Task<error_code> Client::Impl::read_answer(Exchange& exchange, Connection& connection,
                                           Answer& answer) {
  if (!exchange.writing()) exchange.stage = Exchange::Stage::answer;
  const auto body_max = static_cast<std::size_t>(webhook.response_bytes_max);
  error_code error;
  while (!error && !answer.complete() && !answer.failed() && answer.body_bytes() <= body_max) {
    error = co_await connection.read();
    if (exchange.over()) break;
    const bool had_status = answer.has_status();
    connection.consume(answer.feed(connection.unread()));
    EVENTHUB_FAULT_POINT_IF(!error && !answer.complete(), "disp.half_response");
    if (error == boost::asio::error::eof && !answer.complete()) answer.end_of_stream();
    if (!had_status && answer.has_status()) {
      exchange.answered(answer.parser().status(), clock.mono());
    }
    if (connection.full()) break;  // a chunk header or trailer without end
  }
  co_return error;
}

void Client::Impl::conclude(Exchange& exchange, Connection& connection, const Answer& answer) {
  const AnswerParser& parser = answer.parser();
  AttemptResult& result = exchange.result;
  if (parser.retry_after())
    result.retry_after = parse_retry_after(*parser.retry_after(), clock.now());
  result.response = printable(parser.body(), kBodyKept);
  if (answer.keep_alive() && connection.unread().empty() && !exchange.over() &&
      connection.is_open()) {
    exchange.lease.keep();
  }
}

}  // namespace eventhub::http
