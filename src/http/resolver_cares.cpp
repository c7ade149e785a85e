// c-ares on Asio: sockets by async_wait, time-outs by one timer. resolver.cpp shares and caches the
// answers.
#include "http/resolver_cares.hpp"

#include <netdb.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "eventhub/http/client.hpp"

namespace eventhub::http {
namespace {

namespace asio = boost::asio;

constexpr int kTries = 2;
constexpr int kPacketMax = 1232;  // UDP answers that are not fragmented on the way
constexpr std::size_t kAddressesMax = 16;

std::string describe(int status) {
  switch (status) {
    case ARES_ENOTFOUND:
    case ARES_ENONAME:
      return "no such host";
    case ARES_ENODATA:
      return "the name has no address";
    case ARES_ESERVFAIL:
      return "the name server failed (SERVFAIL)";
    case ARES_EREFUSED:
      return "the name server refused to answer";
    case ARES_ETIMEOUT:
      return "the name servers did not answer in time";
    case ARES_ECONNREFUSED:
      return "no name server can be reached";
    default:
      return ares_strerror(status);
  }
}

void append_addresses(const ares_addrinfo* info, int family, CaresChannel::Result& out) {
  for (const auto* node = info->nodes; node != nullptr; node = node->ai_next) {
    if (node->ai_family != family || out.addresses.size() >= kAddressesMax) continue;
    if (family == AF_INET) {
      const auto* v4 = reinterpret_cast<const sockaddr_in*>(node->ai_addr);
      out.addresses.emplace_back(asio::ip::address_v4(ntohl(v4->sin_addr.s_addr)));
    } else {
      const auto* v6 = reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
      asio::ip::address_v6::bytes_type bytes;
      std::copy_n(v6->sin6_addr.s6_addr, bytes.size(), bytes.begin());
      out.addresses.emplace_back(asio::ip::address_v6(bytes));
    }
    const bool first = out.addresses.size() == 1;
    out.ttl_seconds = first ? node->ai_ttl : std::min(out.ttl_seconds, node->ai_ttl);
  }
}

bool is_port(const std::string& text) {
  int port = 0;
  const char* const end = text.data() + text.size();
  const auto [last, error] = std::from_chars(text.data(), end, port);
  return error == std::errc{} && last == end && port > 0 && port <= 65'535;
}

// Stricter than c-ares, which takes port 99999 for 34463 and a comma at the end for nothing.
bool is_name_server(const std::string& text) {
  boost::system::error_code error;
  if (text.find('%') != std::string::npos) return false;  // a zone index, which c-ares cannot read
  asio::ip::make_address(text, error);
  if (!error) return true;
  const auto colon = text.rfind(':');
  if (colon == std::string::npos || !is_port(text.substr(colon + 1))) return false;
  const std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) {
    asio::ip::make_address_v6(host.substr(1, host.size() - 2), error);
  } else {
    asio::ip::make_address_v4(host, error);
  }
  return !error;
}

}  // namespace

void check_dns_servers(const WebhookConfig& webhook) {
  const std::string& list = webhook.dns_servers;
  if (list.empty()) return;
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    const std::string server = list.substr(begin, end - begin);
    if (!is_name_server(server)) {
      throw ConfigError("webhook.dns_servers: \"" + server +
                        "\" is not a name server like 10.0.0.2, 10.0.0.2:5353 or [fd00::2]:5353");
    }
    begin = end + 1;
  }
}

struct CaresChannel::Watch {
  Watch(const Executor& executor, ares_socket_t socket) : descriptor(executor, socket) {}
  asio::posix::stream_descriptor descriptor;
  bool want_read = false, want_write = false;
  bool reading = false, writing = false;
};

struct CaresChannel::Query {
  CaresChannel* channel;
  Done done;
};

CaresChannel::CaresChannel(Executor executor, Millis timeout, const std::string& servers)
    : executor_(std::move(executor)), timer_(executor_), alive_(std::make_shared<bool>(true)) {
  static const int library = ares_library_init(ARES_LIB_INIT_ALL);
  ares_options options{};
  options.sock_state_cb = &CaresChannel::on_socket;
  options.sock_state_cb_data = this;
  options.timeout = static_cast<int>(std::clamp<Millis::rep>(timeout.count() / 3, 50, 2000));
  options.tries = kTries;
  options.flags = ARES_FLAG_EDNS;
  options.ednspsz = kPacketMax;
  const int status =
      library != ARES_SUCCESS
          ? library
          : ares_init_options(&channel_, &options,
                              ARES_OPT_SOCK_STATE_CB | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES |
                                  ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ);
  if (status != ARES_SUCCESS) {
    throw std::runtime_error(std::string("name resolution cannot start: ") + ares_strerror(status));
  }
  if (!servers.empty() && ares_set_servers_ports_csv(channel_, servers.c_str()) != ARES_SUCCESS) {
    ares_destroy(channel_);
    throw std::runtime_error("these are not name servers: " + servers);
  }
}

CaresChannel::~CaresChannel() {
  alive_.reset();
  ares_destroy(channel_);  // ends all queries (on_answer) and sockets (on_socket)
}

void CaresChannel::look_up(const std::string& host, Done done) {
  ares_addrinfo_hints hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;
  ++pending_;
  ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &CaresChannel::on_answer,
                   new Query{this, std::move(done)});
  arm_timer();
}

void CaresChannel::cancel() {
  ares_cancel(channel_);
  timer_.cancel();
}

void CaresChannel::on_answer(void* raw, int status, int /*timeouts*/, ares_addrinfo* info) {
  const std::unique_ptr<Query> query(static_cast<Query*>(raw));
  Result result;
  if (status == ARES_SUCCESS && info != nullptr) {
    append_addresses(info, AF_INET, result);
    append_addresses(info, AF_INET6, result);
    if (result.addresses.empty()) status = ARES_ENODATA;
  }
  if (info != nullptr) ares_freeaddrinfo(info);
  if (!query->channel->alive_) return;
  --query->channel->pending_;
  if (status != ARES_SUCCESS) result.error = describe(status);
  query->done(std::move(result));
}

void CaresChannel::on_socket(void* self, ares_socket_t fd, int readable, int writable) {
  static_cast<CaresChannel*>(self)->watch(fd, readable != 0, writable != 0);
}

void CaresChannel::watch(ares_socket_t fd, bool readable, bool writable) {
  const auto found = watches_.find(fd);
  if (!readable && !writable) {
    if (found == watches_.end()) return;
    found->second->want_read = found->second->want_write = false;
    found->second->descriptor.release();  // c-ares closes it
    watches_.erase(found);
    return;
  }
  auto entry = found != watches_.end() ? found->second : std::make_shared<Watch>(executor_, fd);
  watches_[fd] = entry;
  entry->want_read = readable;
  entry->want_write = writable;
  if (readable) wait_for(entry, false);
  if (writable) wait_for(entry, true);
}

void CaresChannel::wait_for(const std::shared_ptr<Watch>& entry, bool write) {
  bool& waiting = write ? entry->writing : entry->reading;
  if (waiting) return;
  waiting = true;
  const auto kind = write ? asio::posix::stream_descriptor::wait_write
                          : asio::posix::stream_descriptor::wait_read;
  auto ready = [this, entry, write,
                alive = std::weak_ptr<bool>(alive_)](boost::system::error_code error) {
    (write ? entry->writing : entry->reading) = false;
    if (error || alive.expired()) return;
    const auto fd = entry->descriptor.native_handle();
    process(write ? ARES_SOCKET_BAD : fd, write ? fd : ARES_SOCKET_BAD);
    if (write ? entry->want_write : entry->want_read) wait_for(entry, write);
  };
  entry->descriptor.async_wait(kind, std::move(ready));
}

void CaresChannel::process(ares_socket_t readable, ares_socket_t writable) {
  ares_process_fd(channel_, readable, writable);
  arm_timer();
}

void CaresChannel::arm_timer() {
  if (timer_armed_ || pending_ == 0) return;
  timeval next{};
  if (ares_timeout(channel_, nullptr, &next) == nullptr) return;
  timer_armed_ = true;
  timer_.expires_after(Seconds{next.tv_sec} + Micros{next.tv_usec});
  timer_.async_wait([this, alive = std::weak_ptr<bool>(alive_)](boost::system::error_code error) {
    if (alive.expired()) return;
    timer_armed_ = false;
    if (!error) process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

}  // namespace eventhub::http
