#pragma once
#include <boost/asio/ip/address.hpp>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "http/client_deadlines.hpp"
#include "http/resolver_cares.hpp"

namespace eventhub::http {

struct Addresses {
  std::vector<boost::asio::ip::address> list;
  std::string error;  // empty when the list is not
};
using AddressesPtr = std::shared_ptr<const Addresses>;

// Who waits for a name. Must leave() before it dies.
class ResolveWaiter {
 public:
  virtual void resolved(AddressesPtr addresses) = 0;

 protected:
  ~ResolveWaiter() = default;
};

// Names to addresses: look-ups of one name are shared, answers are cached for their TTL (1 to 60 s;
// failures 1 s), and the names of one zone can use only so many look-ups at a time: a dead zone
// delays itself alone.
class Resolver {
 public:
  Resolver(const Executor& executor, const Clock& clock, Deadlines& deadlines, Millis timeout,
           const std::string& servers);
  ~Resolver();

  // Null when the name must be looked up.
  AddressesPtr cached(const std::string& host);
  // Calls waiter.resolved() once, at the latest after the DNS time-out, perhaps before it returns.
  void join(const std::string& host, ResolveWaiter& waiter);
  void leave(const std::string& host, ResolveWaiter& waiter);
  // Ends all look-ups; none is started any more.
  void close();

 private:
  struct Entry {
    AddressesPtr addresses;
    Mono expires;
  };
  struct LookUp;
  void start_queued();
  bool may_start(const LookUp& look_up) const;
  void start(LookUp& look_up);
  void finished(const std::string& host, CaresChannel::Result result);
  void remember(const std::string& host, AddressesPtr addresses, Seconds ttl);

  const Clock& clock_;
  Deadlines& deadlines_;
  Millis timeout_;
  std::unordered_map<std::string, Entry> cache_;
  std::unordered_map<std::string, std::unique_ptr<LookUp>> look_ups_;
  std::deque<LookUp*> queued_;
  std::unordered_map<std::string, int> running_by_zone_;
  int running_ = 0;
  bool starting_ = false;
  bool closed_ = false;
  CaresChannel channel_;  // last: its callbacks reach the rest
};

}  // namespace eventhub::http
