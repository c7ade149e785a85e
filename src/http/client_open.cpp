// A new connection: resolve the name, judge its addresses, connect to the first that may be called,
// TLS.
#include <boost/asio/ip/tcp.hpp>

#include "eventhub/core/fault.hpp"
#include "http/client_impl.hpp"

namespace eventhub::http {
namespace {

namespace ip = boost::asio::ip;

constexpr std::size_t kAddressesTried = 4;

}  // namespace

// The addresses of the URL's host that the policy allows, in the order to try.
Task<bool> Client::Impl::find_addresses(Exchange& exchange, std::vector<ip::address>& addresses) {
  error_code not_literal;
  const ip::address literal = ip::make_address(exchange.url().host, not_literal);
  if (!not_literal) {
    addresses.push_back(literal);
  } else {
    exchange.stage = Exchange::Stage::resolving;
    const AddressesPtr found = co_await exchange.resolve();
    if (exchange.over() || !found || !found->error.empty()) {
      exchange.fail(found ? found->error : "DNS: cancelled");
      co_return false;
    }
    addresses = found->list;
  }
  std::string reason;
  std::erase_if(addresses, [this, &exchange, &reason](const ip::address& address) {
    std::string refused = egress.refuse(address, exchange.url().port, exchange.url().host);
    if (reason.empty()) reason = refused;
    return !refused.empty();
  });
  if (!addresses.empty()) co_return true;
  exchange.refuse(not_literal ? exchange.url().host + " resolves to " + reason : reason);
  co_return false;
}

Task<bool> Client::Impl::open(Exchange& exchange) {
  std::vector<ip::address> addresses;
  const bool found = co_await find_addresses(exchange, addresses);
  if (!found) co_return false;
  if (addresses.size() > kAddressesTried) addresses.resize(kAddressesTried);
  exchange.stage = Exchange::Stage::connecting;
  for (const ip::address& address : addresses) {
    auto fresh = std::make_unique<Connection>(executor);
    fresh->opened_at = clock.mono();
    exchange.lease.set(std::move(fresh));
    const ip::tcp::endpoint endpoint(address, exchange.url().port);
    EVENTHUB_FAULT_POINT("disp.before_connect");
    const error_code error = co_await exchange.lease.connection()->connect(endpoint);
    if (!error && !exchange.over()) {
      const bool ready = co_await handshake(exchange);
      co_return ready;
    }
    exchange.fail("cannot connect to " + address.to_string() + " port " +
                  std::to_string(endpoint.port()) + ": " + error.message());
    if (exchange.over()) break;
  }
  co_return false;
}

Task<bool> Client::Impl::handshake(Exchange& exchange) {
  if (!exchange.url().tls) co_return true;
  exchange.stage = Exchange::Stage::handshake;
  const std::string error =
      co_await exchange.lease.connection()->handshake(tls, exchange.url().host);
  if (error.empty() && !exchange.over()) co_return true;
  exchange.fail(error);
  co_return false;
}

}  // namespace eventhub::http
