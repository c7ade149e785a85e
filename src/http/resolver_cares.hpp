#pragma once
#include <ares.h>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "eventhub/core/async.hpp"

namespace eventhub::http {

// One c-ares channel driven by the io_context: its sockets are waited for, never blocked on.
class CaresChannel {
 public:
  struct Result {
    std::vector<boost::asio::ip::address> addresses;  // IPv4 first
    std::string error;                                // empty when there are addresses
    int ttl_seconds = 0;
  };
  using Done = std::function<void(Result)>;

  // `servers`: "127.0.0.1:5353,…"; empty = the system's. Throws std::runtime_error.
  CaresChannel(Executor executor, Millis timeout, const std::string& servers);
  ~CaresChannel();
  CaresChannel(const CaresChannel&) = delete;
  CaresChannel& operator=(const CaresChannel&) = delete;

  // Calls `done` exactly once, perhaps before it returns (hosts file), never after destruction.
  void look_up(const std::string& host, Done done);
  // Ends all look-ups with an error.
  void cancel();

 private:
  struct Watch;
  struct Query;
  static void on_socket(void* self, ares_socket_t fd, int readable, int writable);
  static void on_answer(void* query, int status, int timeouts, ares_addrinfo* info);
  void watch(ares_socket_t fd, bool readable, bool writable);
  void wait_for(const std::shared_ptr<Watch>& watch, bool write);
  void process(ares_socket_t readable, ares_socket_t writable);
  void arm_timer();

  Executor executor_;
  boost::asio::steady_timer timer_;
  bool timer_armed_ = false;
  std::size_t pending_ = 0;
  ares_channel channel_ = nullptr;
  std::unordered_map<ares_socket_t, std::shared_ptr<Watch>> watches_;
  std::shared_ptr<bool> alive_;
};

}  // namespace eventhub::http
