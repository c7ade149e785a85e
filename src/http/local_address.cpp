// Which addresses lead back to this machine. Asked by the egress policy, and only about the port
// this process listens on, so the interfaces are looked at anew each time: they change.
#include "http/local_address.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <cstring>
#include <memory>
#include <string>

namespace eventhub::http {
namespace {

namespace ip = boost::asio::ip;

ip::address unmapped(const ip::address& address) {
  if (!address.is_v6() || !address.to_v6().is_v4_mapped()) return address;
  return ip::make_address_v4(ip::v4_mapped, address.to_v6());
}

// Without a scope: link-local addresses are compared by their bits.
ip::address address_of(const sockaddr* socket) {
  if (socket != nullptr && socket->sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, socket, sizeof v4);
    return ip::address_v4(ntohl(v4.sin_addr.s_addr));
  }
  if (socket != nullptr && socket->sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, socket, sizeof v6);
    ip::address_v6::bytes_type bytes;
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    return ip::address_v6(bytes);
  }
  return {};
}

bool is_of_this_machine(const ip::address& address) {
  if (address.is_loopback() || address.is_unspecified()) return true;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return false;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> all(first, &::freeifaddrs);
  for (const ifaddrs* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr != nullptr && address_of(one->ifa_addr) == address) return true;
  }
  return false;
}

}  // namespace

bool reaches(const ip::address& address, std::string_view bind) {
  boost::system::error_code error;
  const ip::address own = unmapped(ip::make_address(std::string(bind), error));
  const ip::address called = unmapped(address);
  if (error || own.is_unspecified()) return is_of_this_machine(called);
  return called == own || called.is_unspecified();
}

}  // namespace eventhub::http
