#pragma once
#include <boost/asio/ip/address.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eventhub/core/config.hpp"

namespace eventhub::http {

// Where a process listens; port 0: nowhere.
struct Listener {
  std::string bind;
  std::uint16_t port = 0;
};
// All ports of a process with such settings.
std::vector<Listener> listeners(const ServerConfig& config);

// Which addresses webhooks may reach: global unicast, and what egress.allow_cidrs names. Judged on
// the address that is connected to, at every attempt.
class EgressPolicy {
 public:
  // Throws ConfigError for a CIDR or port that cannot be read.
  explicit EgressPolicy(const EgressConfig& config);
  // Where this process listens itself: calling that is a loop, or a way around the door of a port
  // that is not for everybody; refused unless egress.allow_self.
  void listens_on(std::vector<Listener> own) { own_ = std::move(own); }
  // Empty when allowed, else the reason ("127.0.0.1 is a loopback address; egress.allow_cidrs …").
  // `host`: the name that led there, in small letters.
  std::string refuse(const boost::asio::ip::address& address, std::uint16_t port = 0,
                     std::string_view host = {}) const;
  // The same of a port alone, before there is an address.
  std::string refuse_port(std::uint16_t port) const;
  bool https_only() const { return https_only_; }

 private:
  struct Range {
    boost::asio::ip::address_v6 network;  // v4 mapped
    int prefix;
  };
  std::string refuse_range(const boost::asio::ip::address& address) const;

  std::vector<Range> allowed_;
  std::vector<std::string> hosts_;
  std::vector<std::uint16_t> ports_;
  bool https_only_;
  bool allow_self_;
  std::vector<Listener> own_;
};

// Throws ConfigError when egress.ca_file is set and no certificates can be read from it.
void check_ca_file(const EgressConfig& config);

}  // namespace eventhub::http
