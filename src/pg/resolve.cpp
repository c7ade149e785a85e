// Looks up the database host by Asio's resolver; called by connect.cpp.
#include "pg/resolve.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

#include "eventhub/pg/error.hpp"

namespace eventhub::pg {
namespace {

namespace asio = boost::asio;
using Keywords = std::vector<std::pair<std::string, std::string>>;

// Shared with the resolver's handler: a look-up that hangs cannot be cut short, only left behind.
struct Lookup {
  explicit Lookup(const Executor& executor) : resolver(executor), timer(executor) {}
  asio::ip::tcp::resolver resolver;
  asio::steady_timer timer;
  boost::system::error_code error = asio::error::timed_out;
  std::vector<std::string> addresses;
};

void start(const std::shared_ptr<Lookup>& lookup, const std::string& host) {
  lookup->resolver.async_resolve(
      host, "", [lookup](boost::system::error_code error, const auto& found) {
        lookup->error = error;
        for (const auto& entry : found) {
          lookup->addresses.push_back(entry.endpoint().address().to_string());
        }
        lookup->timer.cancel();
      });
}

std::string value_of(const Keywords& keywords, const std::string& name) {
  std::string found;
  for (const auto& [key, value] : keywords) {
    if (key == name) found = value;
  }
  return found;
}

bool is_name(const std::string& host) {
  if (host.empty() || host[0] == '/' || host[0] == '@') return false;
  if (host.find(',') != std::string::npos) return false;
  boost::system::error_code error;
  asio::ip::make_address(host, error);
  return static_cast<bool>(error);
}

}  // namespace

Task<void> resolve_host(Keywords& keywords, Millis limit) {
  const std::string host = value_of(keywords, "host");
  if (!is_name(host) || !value_of(keywords, "hostaddr").empty()) co_return;
  const auto executor = co_await asio::this_coro::executor;
  const auto lookup = std::make_shared<Lookup>(executor);
  lookup->timer.expires_after(limit);
  start(lookup, host);
  const auto [ended] = co_await lookup->timer.async_wait(asio::as_tuple(asio::use_awaitable));
  lookup->resolver.cancel();
  if (lookup->error || lookup->addresses.empty()) {
    throw Error("cannot look up host " + host + ": " + lookup->error.message(), "", true, false);
  }
  std::string hosts, addresses;
  for (const std::string& address : lookup->addresses) {
    hosts += (hosts.empty() ? "" : ",") + host;
    addresses += (addresses.empty() ? "" : ",") + address;
  }
  keywords.emplace_back("host", hosts);
  keywords.emplace_back("hostaddr", addresses);
  static_cast<void>(ended);
}

}  // namespace eventhub::pg
