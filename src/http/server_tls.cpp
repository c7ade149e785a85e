// TLS of the listener: the certificate, its exchange while the server runs, and what a server must
// not agree to. The connection's own steps are in server_session.cpp.
#include "http/server_tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <ctime>

#include "eventhub/core/log.hpp"
#include "eventhub/core/time_text.hpp"
#include "eventhub/http/server.hpp"

namespace eventhub::http {
namespace {

namespace asio = boost::asio;

constexpr Millis kLookEvery{1'000};

[[noreturn]] void refuse(std::string_view option, const std::string& path,
                         const boost::system::error_code& error) {
  throw ConfigError(fmt::format("{}: cannot use \"{}\": {}", option, path, error.message()));
}

// Opening a pipe would wait for whoever writes into it.
void require_file(std::string_view option, const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode)) return;
  throw ConfigError(fmt::format("{}: cannot use \"{}\": it is not a regular file", option, path));
}

// Nobody is there to type one.
std::string no_password(std::size_t, asio::ssl::context_base::password_purpose) {
  return {};
}

std::unique_ptr<asio::ssl::context> load(const std::string& certificate, const std::string& key) {
  auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX* raw = context->native_handle();
  SSL_CTX_set_min_proto_version(raw, TLS1_2_VERSION);
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(raw, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(raw, SSL_SESS_CACHE_OFF);  // tickets do without memory
  require_file("server.tls_certificate_file", certificate);
  require_file("server.tls_key_file", key);
  boost::system::error_code error;
  context->set_password_callback(no_password, error);
  context->use_certificate_chain_file(certificate, error);
  if (error) refuse("server.tls_certificate_file", certificate, error);
  context->use_private_key_file(key, asio::ssl::context::pem, error);
  if (error) refuse("server.tls_key_file", key, error);  // also when it is another certificate's
  return context;
}

std::string valid_until(asio::ssl::context& context) {
  std::tm time{};
  const X509* certificate = SSL_CTX_get0_certificate(context.native_handle());
  if (certificate == nullptr || ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &time) != 1) {
    return "?";
  }
  return format_time(Time{Seconds{::timegm(&time)}});
}

}  // namespace

void check_server_tls(const ServerConfig& config) {
  if (!config.tls_certificate_file.empty()) {
    load(config.tls_certificate_file, config.tls_key_file);
  }
}

ServerTls::ServerTls(const ServerConfig& config)
    : certificate_(config.tls_certificate_file), key_(config.tls_key_file) {
  seen_ = stamps().value_or(Stamps{});
  context_ = load(certificate_, key_);
  log::info("TLS certificate loaded",
            {{"file", certificate_}, {"valid_until", valid_until(*context_)}});
}

std::unique_ptr<TlsStream> ServerTls::make(asio::ip::tcp::socket& socket, Mono now) {
  look(now);
  return std::make_unique<TlsStream>(socket, *context_);
}

// Connections that are open keep the certificate they began with. A pair of which only one file is
// written yet does not fit together; the other file's change leads here again.
void ServerTls::look(Mono now) {
  if (now - looked_at_ < kLookEvery) return;
  looked_at_ = now;
  const std::optional<Stamps> found = stamps();
  if (!found || *found == seen_) return;
  seen_ = *found;
  try {
    context_ = load(certificate_, key_);
    log::info("TLS certificate loaded",
              {{"file", certificate_}, {"valid_until", valid_until(*context_)}});
  } catch (const ConfigError& error) {
    log::error("the new TLS certificate cannot be used, the one before stays",
               {{"error", error.what()}});
  }
}

std::optional<ServerTls::Stamp> ServerTls::stamp_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  const std::int64_t nanos = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  return Stamp{status.st_dev, status.st_ino, status.st_size, nanos};
}

std::optional<ServerTls::Stamps> ServerTls::stamps() const {
  const auto certificate = stamp_of(certificate_), key = stamp_of(key_);
  if (!certificate || !key) return std::nullopt;
  return Stamps{*certificate, *key};
}

}  // namespace eventhub::http
