// The egress policy: global unicast addresses may be called, and what egress.allow_cidrs names.
// Judged on the address that connect() gets, so a name that resolves to another address tomorrow
// changes nothing.
#include "eventhub/http/egress.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>

#include "eventhub/http/unix_socket.hpp"
#include "eventhub/http/url.hpp"
#include "http/gate.hpp"
#include "http/local_address.hpp"

namespace eventhub::http {
namespace {

namespace ip = boost::asio::ip;
using Bytes = ip::address_v6::bytes_type;

struct Denied {
  std::string_view network;
  int prefix;
  std::string_view what;
};

// IANA's special-purpose registries, and multicast.
constexpr std::array<Denied, 16> kDeniedV4{{{"0.0.0.0", 8, "a 'this network' address"},
                                            {"10.0.0.0", 8, "a private address"},
                                            {"100.64.0.0", 10, "a carrier-grade NAT address"},
                                            {"127.0.0.0", 8, "a loopback address"},
                                            {"169.254.0.0", 16, "a link-local address"},
                                            {"172.16.0.0", 12, "a private address"},
                                            {"192.0.0.0", 24, "a protocol assignment address"},
                                            {"192.0.2.0", 24, "a documentation address"},
                                            {"192.88.99.0", 24, "a 6to4 relay address"},
                                            {"192.168.0.0", 16, "a private address"},
                                            {"198.18.0.0", 15, "a benchmarking address"},
                                            {"198.51.100.0", 24, "a documentation address"},
                                            {"203.0.113.0", 24, "a documentation address"},
                                            {"224.0.0.0", 4, "a multicast address"},
                                            {"255.255.255.255", 32, "the broadcast address"},
                                            {"240.0.0.0", 4, "a reserved address"}}};

// Everything outside 2000::/3 is denied as well; those named here get a better reason.
constexpr std::array<Denied, 16> kDeniedV6{{{"::", 128, "the unspecified address"},
                                            {"::1", 128, "a loopback address"},
                                            {"::ffff:0:0", 96, "an IPv4-mapped address"},
                                            {"::", 96, "an IPv4-compatible address"},
                                            {"64:ff9b::", 96, "a NAT64 address"},
                                            {"64:ff9b:1::", 48, "a local NAT64 address"},
                                            {"100::", 64, "a discard-only address"},
                                            {"2001::", 23, "a protocol assignment address"},
                                            {"2001:db8::", 32, "a documentation address"},
                                            {"2002::", 16, "a 6to4 address"},
                                            {"3fff::", 20, "a documentation address"},
                                            {"5f00::", 16, "a segment routing address"},
                                            {"fc00::", 7, "a unique local address"},
                                            {"fe80::", 10, "a link-local address"},
                                            {"fec0::", 10, "a site-local address"},
                                            {"ff00::", 8, "a multicast address"}}};

constexpr int kMappedPrefix = 96;

ip::address_v6 to_v6(const ip::address& address) {
  return address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6();
}

bool contains(const Bytes& network, int prefix, const Bytes& address) {
  for (std::size_t i = 0; i < address.size() && prefix > 0; ++i, prefix -= 8) {
    const unsigned mask = prefix >= 8 ? 0xffU : (0xff00U >> prefix) & 0xffU;
    if (((network[i] ^ address[i]) & mask) != 0) return false;
  }
  return true;
}

struct Rule {
  Bytes network;
  int prefix;
  std::string_view what;
};

std::vector<Rule> make_rules() {
  std::vector<Rule> rules;
  for (const Denied& d : kDeniedV4) {
    const auto network = ip::make_address_v4(d.network);
    rules.push_back({to_v6(network).to_bytes(), kMappedPrefix + d.prefix, d.what});
  }
  for (const Denied& d : kDeniedV6) {
    rules.push_back({ip::make_address_v6(std::string(d.network)).to_bytes(), d.prefix, d.what});
  }
  return rules;
}

// Empty when global unicast. IPv4 comes mapped, and only then may ::ffff:0:0/96 be anything but
// denied.
std::string_view denied_as(const ip::address_v6& address) {
  static const std::vector<Rule> rules = make_rules();
  const Bytes bytes = address.to_bytes();
  const bool v4 = address.is_v4_mapped();
  for (const Rule& rule : rules) {
    if (v4 && rule.prefix <= kMappedPrefix) continue;
    if (contains(rule.network, rule.prefix, bytes)) return rule.what;
  }
  if (!v4 && (bytes[0] & 0xe0U) != 0x20U) return "not a global unicast address";
  return {};
}

// The IPv4 address that a translator would take out of an IPv6 one: mapped, NAT64 or 6to4.
std::optional<ip::address_v4> embedded(const ip::address_v6& address) {
  const Bytes b = address.to_bytes();
  const auto at = [&b](std::size_t i) {
    return ip::address_v4(ip::address_v4::bytes_type{b[i], b[i + 1], b[i + 2], b[i + 3]});
  };
  static const Bytes nat64 = ip::make_address_v6("64:ff9b::").to_bytes();
  if (contains(nat64, kMappedPrefix, b)) return at(12);
  if (b[0] == 0x20 && b[1] == 0x02) return at(2);
  return std::nullopt;
}

int parse_number(std::string_view text, int max) {
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool ok = error == std::errc{} && end == text.data() + text.size() && value <= max;
  return ok ? value : -1;
}

}  // namespace

EgressPolicy::EgressPolicy(const EgressConfig& config)
    : https_only_(config.https_only), allow_self_(config.allow_self) {
  for (const std::string& cidr : config.allow_cidrs) {
    const auto slash = cidr.find('/');
    boost::system::error_code error;
    const auto network = ip::make_address(cidr.substr(0, slash), error);
    const int max = network.is_v4() ? 32 : 128;
    const int prefix = slash == std::string::npos
                           ? max
                           : parse_number(std::string_view(cidr).substr(slash + 1), max);
    if (error || prefix < 0) {
      throw ConfigError("egress.allow_cidrs: \"" + cidr +
                        "\" is not an address range like 10.0.0.0/8 or fd00::/8");
    }
    allowed_.push_back({to_v6(network), prefix + (network.is_v4() ? kMappedPrefix : 0)});
  }
  for (const std::string& host : config.allow_hosts) {
    const auto url = parse_url("http://" + host);
    const auto* parsed = std::get_if<Url>(&url);
    if (parsed == nullptr || !equal_ignoring_case(host, parsed->host)) {
      throw ConfigError("egress.allow_hosts: \"" + host + "\" is not the name of a host");
    }
    hosts_.push_back(parsed->host);
  }
  for (const std::string& port : config.allow_ports) {
    const int number = parse_number(port, 65'535);
    if (number < 1) throw ConfigError("egress.allow_ports: \"" + port + "\" is not a port");
    ports_.push_back(static_cast<std::uint16_t>(number));
  }
}

std::vector<Listener> listeners(const ServerConfig& config) {
  std::vector<Listener> found{{config.metrics_bind, config.metrics_port}};
  if (!is_unix(config.bind)) found.push_back({config.bind, config.port});
  return found;
}

std::string EgressPolicy::refuse_port(std::uint16_t port) const {
  const bool allowed =
      ports_.empty() || std::find(ports_.begin(), ports_.end(), port) != ports_.end();
  return allowed ? "" : "port " + std::to_string(port) + " is none of egress.allow_ports";
}

std::string EgressPolicy::refuse(const ip::address& address, std::uint16_t port,
                                 std::string_view host) const {
  const bool trusted = std::find(hosts_.begin(), hosts_.end(), host) != hosts_.end();
  std::string reason = trusted ? "" : refuse_range(address);
  const bool own = std::any_of(own_.begin(), own_.end(), [&](const Listener& listener) {
    return port != 0 && port == listener.port && reaches(address, listener.bind);
  });
  if (reason.empty() && own && !allow_self_) {
    reason = address.to_string() + " port " + std::to_string(port) +
             " is where this process listens itself; egress.allow_self permits it";
  }
  return reason;
}

std::string EgressPolicy::refuse_range(const ip::address& address) const {
  const ip::address_v6 judged = to_v6(address);
  const std::string_view what = denied_as(judged);
  if (what.empty()) return {};
  const auto allowed = [this](const ip::address_v6& candidate) {
    return std::any_of(allowed_.begin(), allowed_.end(), [&candidate](const Range& range) {
      return contains(range.network.to_bytes(), range.prefix, candidate.to_bytes());
    });
  };
  if (allowed(judged)) return {};
  // A NAT64 or 6to4 address is as good as the IPv4 address in it, which has to be named itself.
  if (const auto inner = embedded(judged); inner && allowed(to_v6(*inner))) return {};
  return address.to_string() + " is " + std::string(what) +
         "; egress.allow_cidrs names the private ranges that may be called";
}

}  // namespace eventhub::http
