#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "eventhub/http/server.hpp"
#include "http/gate.hpp"

namespace eventhub::http {

struct ServerConnection;
class ServerTls;
using tcp = boost::asio::ip::tcp;

// What the connections of one server share: limits, counts, the list that the deadline scan walks.
// Connections keep it alive, so it may outlive its Server.
class ServerCore : public std::enable_shared_from_this<ServerCore> {
 public:
  ServerCore(Executor executor, const ServerConfig& config, Handler handler, Refusal refusal,
             Metrics& metrics);
  ~ServerCore();

  std::uint16_t listen();
  static Task<void> run(std::shared_ptr<ServerCore> server);
  void stop();
  void abandon();
  // Whoever may open the file is as good as one: no address to count for.
  bool on_unix_socket() const;

  bool stopping() const { return stopping_; }
  const ServerConfig& config() const { return config_; }
  Limits limits() const;
  Mono mono() const { return clock_.mono(); }
  std::string_view date();
  // Before the body: the answer that refuses the request, if any.
  std::optional<Response> admit(Request& request);
  Task<Response> handle(Request& request) { return handler_.answer(request); }
  // An answer that closes the connection; 503 gets a Retry-After.
  Response refuse(Refused why);
  void handler_failed(std::string_view what);

  // What one address has of the server.
  struct Share {
    int connections = 0;
    std::uint64_t body_bytes = 0;
  };
  // Bodies being received or handled, against bodies_in_flight_bytes_max and an address's share of
  // it. Why so many bytes more are too many; empty when they fit.
  std::string_view reason_to_refuse_body(const Share& share, std::uint64_t bytes) const;
  void charge_body(Share& share, std::uint64_t bytes) {
    body_bytes_ += bytes;
    share.body_bytes += bytes;
  }
  void release_body(Share& share, std::uint64_t bytes) {
    body_bytes_ -= bytes;
    share.body_bytes -= bytes;
  }

  // From the connection's constructor and destructor.
  void add(ServerConnection& connection);
  void remove(ServerConnection& connection);

 private:
  void open(tcp::socket socket);
  Task<void> back_off(boost::system::error_code error);
  bool full() const;
  std::string_view reason_to_turn_away(const boost::asio::ip::address& peer) const;
  void arm();
  void scan();
  void report() const;

  Executor executor_;
  ServerConfig config_;
  Handler handler_;
  Refusal refusal_;
  Metrics* metrics_;  // nullptr once abandoned
  SystemClock clock_;
  tcp::acceptor acceptor_;
  std::unique_ptr<ServerTls> tls_;  // nullptr: plain HTTP
  boost::asio::steady_timer scan_timer_;
  bool scanning_ = false;
  Wakeup closed_;  // a connection closed, or stop()
  bool stopping_ = false;
  bool accept_failing_ = false;
  std::list<ServerConnection*> connections_;
  std::size_t turned_away_ = 0;  // of these, those that are only told 503
  std::unordered_map<boost::asio::ip::address, Share> per_ip_;
  std::uint64_t body_bytes_ = 0;
  Seconds date_second_{-1};
  std::string date_;
};

}  // namespace eventhub::http
