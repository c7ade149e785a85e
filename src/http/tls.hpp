#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <memory>
#include <string>

#include "eventhub/core/config.hpp"

namespace eventhub::http {

using TlsStream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket&>;

// TLS 1.2 and newer, the system's trust anchors and egress.ca_file, verification always on.
class Tls {
 public:
  // Throws ConfigError when egress.ca_file cannot be used.
  explicit Tls(const EgressConfig& config);
  // A stream that will accept a certificate for `host` (a name or an address) only.
  std::unique_ptr<TlsStream> make(boost::asio::ip::tcp::socket& socket, const std::string& host);

 private:
  boost::asio::ssl::context context_;
};

// One text per cause of a failed handshake: "certificate verify failed: self-signed certificate".
std::string describe_handshake(TlsStream& stream, const boost::system::error_code& error);

}  // namespace eventhub::http
