#pragma once
#include <boost/asio/ip/address.hpp>
#include <vector>

#include "eventhub/http/client.hpp"
#include "eventhub/http/egress.hpp"
#include "http/client_answer.hpp"
#include "http/client_exchange.hpp"

namespace eventhub::http {

struct Client::Impl {
  Impl(Executor io, const WebhookConfig& webhook_config, const EgressConfig& egress_config,
       const Clock& system_clock, const ClientOptions& options);

  Task<void> run(Exchange& exchange, const Post& request, bool may_resend);
  // client_open.cpp: resolves, judges, connects. False: exchange has failed.
  Task<bool> open(Exchange& exchange);
  Task<bool> find_addresses(Exchange& exchange, std::vector<boost::asio::ip::address>& addresses);
  Task<bool> handshake(Exchange& exchange);
  // True: the kept connection was dead and the request may go out again on a fresh one.
  Task<bool> send(Exchange& exchange, const Post& request, bool may_resend);
  Task<void> finish_writing(Exchange& exchange, Connection& connection, const Answer& answer);
  Task<error_code> read_answer(Exchange& exchange, Connection& connection, Answer& answer);
  void conclude(Exchange& exchange, Connection& connection, const Answer& answer);

  Executor executor;
  WebhookConfig webhook;
  EgressPolicy egress;
  const Clock& clock;
  Tls tls;
  Deadlines deadlines;
  ConnectionPool pool;
  Resolver resolver;
  bool closed = false;
};

}  // namespace eventhub::http
