// Shares, caches and bounds name look-ups; resolver_cares.cpp makes them.
#include "http/resolver.hpp"

#include <algorithm>
#include <utility>

namespace eventhub::http {
namespace {

constexpr std::size_t kCacheMax = 4096;
constexpr int kRunningMax = 1024;
constexpr int kRunningPerZoneMax = 32;
constexpr Seconds kTtlMin{1};
constexpr Seconds kTtlMax{60};
constexpr Seconds kNegativeTtl{1};

// Where the label before the one at `at` begins.
std::size_t label_before(const std::string& host, std::size_t at) {
  if (at < 2) return 0;
  const auto dot = host.rfind('.', at - 2);
  return dot == std::string::npos ? 0 : dot + 1;
}

// Names that are likely served, and likely to fail, together: the last two labels, or three below
// what looks like a registry's own (co.uk, com.au).
std::string zone_of(const std::string& host) {
  const std::size_t last = label_before(host, host.size() + 1);
  const std::size_t second = label_before(host, last);
  const bool registry = host.size() - last == 2 && last >= second + 2 && last - second <= 4;
  return host.substr(registry ? label_before(host, second) : second);
}

AddressesPtr failure(const std::string& host, const std::string& why) {
  auto addresses = std::make_shared<Addresses>();
  addresses->error = "DNS: " + host + ": " + why;
  return addresses;
}

}  // namespace

// One name being looked up and who waits for it. When the DNS time-out passes the waiters are told,
// but the look-up stays until c-ares ends it, so that it keeps counting and is not started twice.
struct Resolver::LookUp final : Timed {
  LookUp(Resolver& resolver, std::string name)
      : Timed(resolver.deadlines_), host(std::move(name)), zone(zone_of(host)) {}

  void expire() override { tell(failure(host, "the name servers did not answer in time")); }
  void tell(const AddressesPtr& addresses) {
    disarm();
    for (ResolveWaiter* waiter : std::exchange(waiters, {})) waiter->resolved(addresses);
  }

  std::string host;
  std::string zone;
  std::vector<ResolveWaiter*> waiters;
  bool running = false;
};

Resolver::Resolver(const Executor& executor, const Clock& clock, Deadlines& deadlines,
                   Millis timeout, const std::string& servers)
    : clock_(clock),
      deadlines_(deadlines),
      timeout_(timeout),
      channel_(executor, timeout, servers) {}

Resolver::~Resolver() = default;

AddressesPtr Resolver::cached(const std::string& host) {
  const auto found = cache_.find(host);
  if (found == cache_.end()) return nullptr;
  if (found->second.expires > clock_.mono()) return found->second.addresses;
  cache_.erase(found);
  return nullptr;
}

void Resolver::join(const std::string& host, ResolveWaiter& waiter) {
  auto& slot = look_ups_[host];
  const bool fresh = slot == nullptr;
  if (fresh) slot = std::make_unique<LookUp>(*this, host);
  LookUp& look_up = *slot;
  if (look_up.waiters.empty()) look_up.expire_at(clock_.mono() + timeout_);
  look_up.waiters.push_back(&waiter);
  if (!fresh) return;
  queued_.push_back(&look_up);
  start_queued();
}

void Resolver::leave(const std::string& host, ResolveWaiter& waiter) {
  const auto found = look_ups_.find(host);
  if (found == look_ups_.end()) return;
  std::erase(found->second->waiters, &waiter);
}

void Resolver::close() {
  closed_ = true;
  channel_.cancel();
}

bool Resolver::may_start(const LookUp& look_up) const {
  if (running_ >= kRunningMax) return false;
  const auto zone = running_by_zone_.find(look_up.zone);
  return zone == running_by_zone_.end() || zone->second < kRunningPerZoneMax;
}

// Starts what the limits allow, first come first served within a zone; drops what nobody waits for
// any more.
void Resolver::start_queued() {
  if (starting_ || closed_)
    return;  // starting: a look-up that ended at once: the loop below sees the change
  starting_ = true;
  for (std::size_t i = 0; i < queued_.size();) {
    LookUp& look_up = *queued_[i];
    if (!look_up.waiters.empty() && !may_start(look_up)) {
      ++i;
      continue;
    }
    queued_.erase(queued_.begin() + static_cast<std::ptrdiff_t>(i));
    if (look_up.waiters.empty()) {
      look_ups_.erase(std::string(look_up.host));
    } else {
      start(look_up);
    }
  }
  starting_ = false;
}

void Resolver::start(LookUp& look_up) {
  look_up.running = true;
  ++running_;
  ++running_by_zone_[look_up.zone];
  std::string host = look_up.host;  // the callback may come at once and end the look-up
  auto done = [this, host](CaresChannel::Result result) { finished(host, std::move(result)); };
  channel_.look_up(host, std::move(done));
}

void Resolver::finished(const std::string& host, CaresChannel::Result result) {
  AddressesPtr addresses;
  if (result.error.empty()) {
    auto found = std::make_shared<Addresses>();
    found->list = std::move(result.addresses);
    addresses = std::move(found);
    remember(host, addresses, std::clamp(Seconds{result.ttl_seconds}, kTtlMin, kTtlMax));
  } else {
    addresses = failure(host, result.error);
    remember(host, addresses, kNegativeTtl);
  }
  const auto node = look_ups_.extract(host);
  if (node.empty()) return;
  LookUp& look_up = *node.mapped();
  --running_;
  if (--running_by_zone_[look_up.zone] == 0) running_by_zone_.erase(look_up.zone);
  look_up.tell(addresses);
  start_queued();
}

void Resolver::remember(const std::string& host, AddressesPtr addresses, Seconds ttl) {
  const Mono now = clock_.mono();
  if (cache_.size() >= kCacheMax) {
    std::erase_if(cache_, [now](const auto& item) { return item.second.expires <= now; });
  }
  if (cache_.size() >= kCacheMax) cache_.erase(cache_.begin());
  cache_[host] = Entry{std::move(addresses), now + ttl};
}

}  // namespace eventhub::http
