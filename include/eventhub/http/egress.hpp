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
  // Empty when allowed, else the reason ("127.0.0.1 is a loopback address; egress.allow_cidrs …").
  std::string refuse(const boost::asio::ip::address& address) const;
  bool https_only() const { return https_only_; }

 private:
  struct Range {
    boost::asio::ip::address_v6 network;  // v4 mapped
    int prefix;
  };
  std::vector<Range> allowed_;
  bool https_only_;
};

}  // namespace eventhub::http
