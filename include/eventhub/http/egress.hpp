#pragma once
#include <boost/asio/ip/address.hpp>
#include <string>
#include <vector>

#include "eventhub/core/config.hpp"

namespace eventhub::http {

// Which addresses webhooks may reach: global unicast, and what egress.allow_cidrs names. Judged on
// the address that is connected to, at every attempt.
class EgressPolicy {
 public:
  // Throws ConfigError for a CIDR that cannot be read.
  explicit EgressPolicy(const EgressConfig& config);
  // Where this process listens itself: calling that is a loop, refused unless egress.allow_self.
  void listens_on(std::string bind, std::uint16_t port);
  // Empty when allowed, else the reason ("127.0.0.1 is a loopback address; egress.allow_cidrs …").
  std::string refuse(const boost::asio::ip::address& address, std::uint16_t port = 0) const;
  bool https_only() const { return https_only_; }

 private:
  struct Range {
    boost::asio::ip::address_v6 network;  // v4 mapped
    int prefix;
  };
  std::string refuse_range(const boost::asio::ip::address& address) const;

  std::vector<Range> allowed_;
  bool https_only_;
  bool allow_self_;
  std::string own_bind_;
  std::uint16_t own_port_ = 0;
};

// Throws ConfigError when egress.ca_file is set and no certificates can be read from it.
void check_ca_file(const EgressConfig& config);

}  // namespace eventhub::http
