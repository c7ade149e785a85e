// Which addresses may be called: the policy against the list of special networks written down a
// second time, and against Asio's own networks for what is allowed besides. The input is an address
// (16 bytes) and then lines of egress.allow_cidrs.
#include <algorithm>
#include <boost/asio/ip/network_v6.hpp>
#include <cstring>
#include <optional>

#include "eventhub/http/egress.hpp"
#include "fuzz/fuzz.hpp"

namespace eventhub::fuzz {
namespace {

namespace ip = boost::asio::ip;
using Bytes = ip::address_v6::bytes_type;
using V4Bytes = ip::address_v4::bytes_type;

bool is_public_v4(unsigned a, unsigned b, unsigned c) {
  if (a == 0 || a == 10 || a == 127 || a >= 224) return false;
  if (a == 100) return b < 64 || b > 127;
  if (a == 169) return b != 254;
  if (a == 172) return b < 16 || b > 31;
  if (a == 192 && b == 0) return c != 0 && c != 2;
  if (a == 192) return b != 168 && !(b == 88 && c == 99);
  if (a == 198) return b != 18 && b != 19 && !(b == 51 && c == 100);
  return !(a == 203 && b == 0 && c == 113);
}

bool is_public_v6(const Bytes& b) {
  const unsigned first = b[0] * 256U + b[1];
  const unsigned second = b[2] * 256U + b[3];
  if ((first & 0xe000U) != 0x2000) return false;
  if (first == 0x2001) return second >= 0x200 && second != 0xdb8;
  return first != 0x2002 && !(first == 0x3fff && second < 0x1000);
}

bool is_public(const ip::address& address) {
  const auto v6 = address.is_v6() ? address.to_v6() : ip::address_v6{};
  if (address.is_v6() && !v6.is_v4_mapped()) return is_public_v6(v6.to_bytes());
  const auto v4 = address.is_v4() ? address.to_v4() : ip::make_address_v4(ip::v4_mapped, v6);
  return is_public_v4(v4.to_bytes()[0], v4.to_bytes()[1], v4.to_bytes()[2]);
}

ip::address_v6 mapped(const ip::address& address) {
  return address.is_v6() ? address.to_v6() : ip::make_address_v6(ip::v4_mapped, address.to_v4());
}

ip::network_v6 network_of(const std::string& cidr) {
  const auto slash = cidr.find('/');
  const auto address = ip::make_address(cidr.substr(0, slash));
  const int bits = address.is_v4() ? 32 : 128;
  const int prefix = slash == std::string::npos ? bits : std::stoi(cidr.substr(slash + 1));
  require(prefix >= 0 && prefix <= bits, "a prefix fits its address");
  return ip::network_v6(mapped(address), static_cast<unsigned short>(prefix + 128 - bits));
}

bool within(const ip::address_v6& address, const ip::network_v6& network) {
  const ip::network_v6 other(ip::address_v6(address.to_bytes()), network.prefix_length());
  const ip::network_v6 plain(ip::address_v6(network.address().to_bytes()), network.prefix_length());
  return other.canonical() == plain.canonical();
}

// NAT64 and 6to4 lead to an IPv4 address, which may be the one that is allowed.
std::optional<ip::address_v6> inner(const ip::address& address) {
  if (address.is_v4()) return std::nullopt;
  const Bytes b = address.to_v6().to_bytes();
  std::size_t at = 0;
  if (b[0] == 0x20 && b[1] == 0x02) at = 2;
  if (within(address.to_v6(), ip::make_network_v6("64:ff9b::/96"))) at = 12;
  if (at == 0) return std::nullopt;
  return mapped(ip::address_v4(V4Bytes{b[at], b[at + 1], b[at + 2], b[at + 3]}));
}

void judge(const ip::address& address, const std::vector<std::string>& cidrs) {
  EgressConfig config;
  const bool allowed = http::EgressPolicy(config).refuse(address).empty();
  require(allowed == is_public(address), "by default public addresses may be called, no others");
  config.allow_cidrs = cidrs;
  const bool allowed_too = http::EgressPolicy(config).refuse(address).empty();
  const bool named = std::any_of(cidrs.begin(), cidrs.end(), [&address](const std::string& cidr) {
    const auto network = network_of(cidr);
    const auto v4 = inner(address);
    return within(mapped(address), network) || (v4 && within(*v4, network));
  });
  require(allowed_too == (allowed || named), "besides those that egress.allow_cidrs names");
}

std::vector<std::string> usable_cidrs(std::string_view text) {
  std::vector<std::string> usable;
  while (!text.empty() && usable.size() < 4) {
    const std::string line(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    EgressConfig config;
    config.allow_cidrs = {line};
    try {
      const http::EgressPolicy policy(config);
      usable.push_back(line);
    } catch (const ConfigError&) {
      continue;
    }
  }
  return usable;
}

}  // namespace
}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace eventhub::fuzz;
  Bytes bytes{};
  if (size < bytes.size()) return 0;
  std::memcpy(bytes.data(), data, bytes.size());
  const auto cidrs = usable_cidrs(text_of(data + bytes.size(), size - bytes.size()));
  judge(ip::address_v6(bytes), cidrs);
  judge(ip::address_v4(V4Bytes{bytes[0], bytes[1], bytes[2], bytes[3]}), cidrs);
  return 0;
}
