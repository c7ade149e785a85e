#pragma once
#include <sys/stat.h>

#include <array>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <optional>
#include <string>

#include "http/tls.hpp"

namespace eventhub::http {

// The certificate of a listener, read at its start and again when one of its files changed: the
// next connection after that has the new one. What cannot be used is told and the one before stays.
class ServerTls {
 public:
  // Throws ConfigError.
  explicit ServerTls(const ServerConfig& config);
  // A stream for a connection that was just accepted.
  std::unique_ptr<TlsStream> make(boost::asio::ip::tcp::socket& socket, Mono now);

 private:
  // What tells that a file is another one.
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = 0;
    std::int64_t changed = 0;
    bool operator==(const Stamp&) const = default;
  };
  using Stamps = std::array<Stamp, 2>;
  static std::optional<Stamp> stamp_of(const std::string& path);
  std::optional<Stamps> stamps() const;
  void look(Mono now);

  std::string certificate_, key_;
  std::unique_ptr<boost::asio::ssl::context> context_;
  Stamps seen_{};
  Mono looked_at_{};
};

}  // namespace eventhub::http
