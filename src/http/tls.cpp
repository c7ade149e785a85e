// Outgoing TLS: who is trusted, whose name must be in the certificate, and what went wrong in
// words.
#include "http/tls.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/error.hpp>

#include "eventhub/http/egress.hpp"

namespace eventhub::http {
namespace {

namespace asio = boost::asio;

void load_ca_file(asio::ssl::context& context, const EgressConfig& config) {
  if (config.ca_file.empty()) return;
  boost::system::error_code error;
  context.load_verify_file(config.ca_file, error);
  if (error) {
    throw ConfigError("egress.ca_file: cannot read certificates from \"" + config.ca_file +
                      "\": " + error.message());
  }
}

}  // namespace

void check_ca_file(const EgressConfig& config) {
  asio::ssl::context context(asio::ssl::context::tls_client);
  load_ca_file(context, config);
}

Tls::Tls(const EgressConfig& config) : context_(asio::ssl::context::tls_client) {
  SSL_CTX_set_min_proto_version(context_.native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context_.native_handle(), SSL_MODE_RELEASE_BUFFERS);
  context_.set_verify_mode(asio::ssl::verify_peer);
  boost::system::error_code error;
  context_.set_default_verify_paths(error);
  load_ca_file(context_, config);
}

std::unique_ptr<TlsStream> Tls::make(asio::ip::tcp::socket& socket, const std::string& host) {
  auto stream = std::make_unique<TlsStream>(socket, context_);
  SSL* ssl = stream->native_handle();
  boost::system::error_code not_an_address;
  asio::ip::make_address(host, not_an_address);
  if (not_an_address) {
    SSL_set_tlsext_host_name(ssl, host.c_str());
    X509_VERIFY_PARAM_set_hostflags(SSL_get0_param(ssl), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
                                                             X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    SSL_set1_host(ssl, host.c_str());
  } else {
    X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str());
  }
  return stream;
}

std::string describe_handshake(TlsStream& stream, const boost::system::error_code& error) {
  const long verified = SSL_get_verify_result(stream.native_handle());
  if (verified != X509_V_OK) {
    return std::string("certificate verify failed: ") + X509_verify_cert_error_string(verified);
  }
  if (error == asio::error::eof || error == asio::ssl::error::stream_truncated) {
    return "TLS handshake failed: connection closed by the receiver";
  }
  if (error.category() == asio::error::get_ssl_category()) {
    const char* reason = ERR_reason_error_string(static_cast<unsigned long>(error.value()));
    if (reason != nullptr) return std::string("TLS handshake failed: ") + reason;
  }
  return "TLS handshake failed: " + error.message();
}

}  // namespace eventhub::http
