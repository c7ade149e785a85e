// The client of the commands (src/cli): each operation of Beast is started and waited for, with a
// time-out of its own. Called by cli/session.cpp.
#include "cli/call.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <optional>

#include "eventhub/http/unix_socket.hpp"

namespace eventhub::cli {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using PlainCall = beast::tcp_stream;
using SecureCall = asio::ssl::stream<beast::tcp_stream>;
using CallError = boost::system::error_code;

// A hub closes a connection that was idle for server.idle_timeout; well before, a new one is made.
constexpr Millis kKeptFor{10'000};

std::string text_of_call_error(const CallError& error, long verified) {
  if (error == beast::error::timeout) return "no answer in time";
  if (verified != X509_V_OK) {
    return std::string("its certificate is not trusted: ") +
           X509_verify_cert_error_string(verified);
  }
  if (error == beast::http::error::end_of_stream || error == asio::error::eof) {
    return "the connection was closed without an answer";
  }
  if (error == beast::http::error::bad_version || error == beast::http::error::bad_status) {
    return "what answers there does not speak HTTP";
  }
  return error.message();
}

}  // namespace

struct Caller::Impl {
  Impl(http::Url base, CallerOptions given) : url(std::move(base)), options(std::move(given)) {
    if (url.target.ends_with('/')) url.target.pop_back();
    if (!url.tls) return;
    SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_2_VERSION);
    tls.set_verify_mode(asio::ssl::verify_peer);
    CallError error;
    tls.set_default_verify_paths(error);
    if (options.ca_file.empty()) return;
    tls.load_verify_file(options.ca_file, error);
    if (error) {
      throw std::runtime_error(fmt::format("no certificates can be read from \"{}\": {}",
                                           options.ca_file, error.message()));
    }
  }

  // Runs one asynchronous operation to its end.
  template <class Start>
  CallError wait(const Start& start) {
    CallError outcome = asio::error::operation_aborted;
    start([&outcome](const CallError& error, const auto&...) { outcome = error; });
    context.restart();
    context.run();
    return outcome;
  }

  PlainCall& socket() { return secure ? secure->next_layer() : *plain; }
  bool connected() const { return plain || secure; }
  void drop() {
    plain.reset();
    secure.reset();
    buffer.clear();
  }

  [[noreturn]] void fail(const std::string& why, bool sent) {
    drop();
    const std::string& path = options.socket_path;
    throw CallFailed(fmt::format("{}: {}", path.empty() ? url.origin() : "unix:" + path, why),
                     sent);
  }

  asio::ip::tcp::resolver::results_type resolve() {
    asio::ip::tcp::resolver resolver(context);
    asio::ip::tcp::resolver::results_type found;
    CallError outcome = beast::error::timeout;
    resolver.async_resolve(url.host, std::to_string(url.port),
                           [&](const CallError& error, const auto& results) {
                             outcome = error;
                             found = results;
                           });
    context.restart();
    context.run_for(options.connect_timeout);
    if (!context.stopped()) {
      resolver.cancel();
      context.run();
      outcome = beast::error::timeout;
    }
    if (outcome)
      fail(outcome == beast::error::timeout ? "DNS did not answer in time" : outcome.message(),
           false);
    return found;
  }

  void connect_socket() {
    CallError error;
    plain = std::make_unique<PlainCall>(
        http::connect_unix(context.get_executor(), options.socket_path, error));
    if (error) fail(error.message(), false);
  }

  void connect() {
    if (!options.socket_path.empty()) return connect_socket();
    const auto addresses = resolve();
    if (url.tls) {
      secure = std::make_unique<SecureCall>(context, tls);
    } else {
      plain = std::make_unique<PlainCall>(context);
    }
    socket().expires_after(options.connect_timeout);
    const auto refused = wait([&](auto done) { socket().async_connect(addresses, done); });
    if (refused) {
      fail(refused == beast::error::timeout ? "no connection in time" : refused.message(), false);
    }
    if (secure) shake_hands();
  }

  void shake_hands() {
    SSL* ssl = secure->native_handle();
    CallError not_an_address;
    asio::ip::make_address(url.host, not_an_address);
    if (not_an_address) SSL_set_tlsext_host_name(ssl, url.host.c_str());
    secure->set_verify_callback(asio::ssl::host_name_verification(url.host));
    socket().expires_after(options.connect_timeout);
    const auto refused =
        wait([&](auto done) { secure->async_handshake(asio::ssl::stream_base::client, done); });
    if (refused) fail("TLS: " + text_of_call_error(refused, SSL_get_verify_result(ssl)), false);
  }

  beast::http::request<beast::http::string_body> request(const Call& call) const {
    beast::http::request<beast::http::string_body> made;
    made.version(11);
    made.method_string(call.method);
    made.target(url.target + call.target);
    made.set(beast::http::field::host, url.authority());
    made.set(beast::http::field::user_agent, "eventhubd/" EVENTHUB_VERSION);
    made.set(beast::http::field::accept, "application/json");
    for (const auto& [name, value] : call.headers) made.set(name, value);
    made.body() = call.body;
    if (!call.body.empty() || call.method == "POST") made.prepare_payload();
    return made;
  }

  // Nullopt when the connection was closed before a byte of the answer.
  template <class Stream>
  std::optional<CallAnswer> exchange_over(Stream& stream, const Call& call) {
    const auto message = request(call);
    socket().expires_after(options.timeout);
    const auto unsent = wait([&](auto done) { beast::http::async_write(stream, message, done); });
    if (unsent == beast::error::timeout) fail("the request could not be sent in time", true);
    beast::http::response_parser<beast::http::string_body> parser;
    parser.body_limit(options.answer_bytes_max);
    socket().expires_after(options.timeout);
    // Read also when the request could not be sent whole: a refusal may be there already.
    const auto unread =
        wait([&](auto done) { beast::http::async_read(stream, buffer, parser, done); });
    if (unread) {
      if (!parser.got_some() && unread != beast::error::timeout) return std::nullopt;
      fail(text_of_call_error(unread, X509_V_OK), true);
    }
    CallAnswer answer;
    answer.status = static_cast<int>(parser.get().result_int());
    for (const auto& field : parser.get()) {
      answer.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    const bool keep = parser.get().keep_alive() && !unsent;
    answer.body = std::move(parser.get().body());
    if (!keep) drop();
    return answer;
  }

  std::optional<CallAnswer> exchange_once(const Call& call) {
    return secure ? exchange_over(*secure, call) : exchange_over(*plain, call);
  }

  CallAnswer exchange(const Call& call) {
    if (connected() && clock.mono() - last_used > kKeptFor) drop();
    const bool kept = connected();
    if (!kept) connect();
    auto answer = exchange_once(call);
    if (!answer && kept && call.repeatable) {
      drop();
      connect();
      answer = exchange_once(call);
    }
    if (!answer) fail("the connection was closed without an answer", true);
    last_used = clock.mono();
    return std::move(*answer);
  }

  http::Url url;
  CallerOptions options;
  SystemClock clock;
  Mono last_used{};
  asio::io_context context{1};
  asio::ssl::context tls{asio::ssl::context::tls_client};
  std::unique_ptr<PlainCall> plain;
  std::unique_ptr<SecureCall> secure;
  beast::flat_buffer buffer;
};

std::string_view CallAnswer::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (beast::iequals(key, name)) return value;
  }
  return {};
}

Caller::Caller(http::Url base, CallerOptions options)
    : impl_(std::make_unique<Impl>(std::move(base), std::move(options))) {}

Caller::~Caller() = default;

CallAnswer Caller::exchange(const Call& call) {
  return impl_->exchange(call);
}

}  // namespace eventhub::cli
