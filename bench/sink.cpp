// The receiver of all webhooks: one process, one coroutine per connection. serve() reads a request
// (wire.cpp), waits if told to, answers 200 and writes a record.
#include "bench/sink.hpp"

#include <signal.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "bench/records.hpp"
#include "bench/shape.hpp"
#include "bench/wire.hpp"
#include "eventhub/core/async.hpp"

namespace asio = boost::asio;
using asio::ip::tcp;

namespace eventhub::bench {
namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
constexpr std::string_view kRefusal =
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
constexpr std::size_t kBuffer = 16 << 10;

Receipt receipt_of(const Webhook& webhook, std::uint32_t payload_bytes) {
  const Payload payload = read_payload(webhook.body, payload_bytes);
  Receipt receipt;
  receipt.received = now_ns();
  receipt.number = payload.number;
  receipt.key = payload.key;
  receipt.counter = payload.counter;
  receipt.intact = payload.intact;
  receipt.seq = webhook.seq;
  receipt.message_id = webhook.message_id;
  receipt.event_id = webhook.event_id;
  receipt.subscriber = webhook.subscriber;
  receipt.attempt = webhook.attempt;
  return receipt;
}

class Sink {
 public:
  explicit Sink(const SinkPlan& plan) : plan_(plan), log_(plan.log_file) {}

  void run() {
    asio::signal_set signals(io_, SIGTERM);
    signals.async_wait([this](boost::system::error_code, int) { io_.stop(); });
    for (const Listener& listener : plan_.listeners) {
      tcp::acceptor acceptor(io_, tcp::v4(), listener.fd);
      spawn(io_.get_executor(), "accept", accept(std::move(acceptor)), stop_on_error());
    }
    io_.run();
    log_.flush();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  std::function<void(std::exception_ptr)> stop_on_error() {
    return [this](std::exception_ptr error) {
      failure_ = error;
      io_.stop();
    };
  }

  Task<void> accept(tcp::acceptor acceptor) {
    while (true) {
      auto [error, socket] = co_await acceptor.async_accept(as_tuple);
      if (error) throw std::runtime_error("accept: " + error.message());
      socket.set_option(tcp::no_delay(true));
      socket.non_blocking(true);
      spawn(io_.get_executor(), "connection", serve(std::move(socket)), stop_on_error());
    }
  }

  Task<void> serve(tcp::socket socket) {
    std::string in(kBuffer, '\0');
    std::size_t used = 0;
    while (true) {
      const auto webhook = next_webhook({in.data(), used});
      if (!webhook) {
        if (used == in.size()) in.resize(2 * in.size());
        const auto [error, count] =
            co_await socket.async_read_some(asio::buffer(in) + used, as_tuple);
        if (error) co_return;
        used += count;
        continue;
      }
      Receipt receipt = receipt_of(*webhook, plan_.payload_bytes);
      used -= webhook->size;
      std::memmove(in.data(), in.data() + webhook->size, used);
      const Millis delay = bystander(receipt) ? plan_.bystander_delay : plan_.delay;
      if (delay > Millis{0}) co_await sleep_for(delay);
      co_await answer(socket, receipt);
    }
  }

  static std::optional<Webhook> next_webhook(std::string_view text) {
    try {
      return read_webhook(text);
    } catch (const BadHttp& bad) {
      throw std::runtime_error(std::string("the sink got ") + bad.what + ": " +
                               std::string(text.substr(0, 2048)));
    }
  }

  bool bystander(const Receipt& receipt) const {
    return receipt.subscriber >= plan_.bystanders_from;
  }

  Task<void> answer(tcp::socket& socket, Receipt receipt) {
    const bool refuse = receipt.key == plan_.refused_key && receipt.key != kNoKey;
    const std::string_view text = refuse ? kRefusal : kAnswer;
    boost::system::error_code error;
    std::size_t sent = socket.write_some(asio::buffer(text), error);
    if (error == asio::error::would_block) {
      const auto [failed, all] = co_await asio::async_write(socket, asio::buffer(text), as_tuple);
      error = failed;
      sent = all;
    }
    if (sent == text.size()) {
      receipt.answered = now_ns();
      receipt.status = refuse ? 503 : 200;
    }
    log_.add(receipt);
    if (refuse || bystander(receipt)) co_return;
    plan_.answered->fetch_add(1, std::memory_order_relaxed);
  }

  const SinkPlan plan_;
  asio::io_context io_{1};
  LogWriter<Receipt> log_;
  std::exception_ptr failure_;
};

}  // namespace

Listener bind_without_listening() {
  Listener listener;
  listener.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (listener.fd < 0 || ::bind(listener.fd, generic, size) != 0 ||
      ::getsockname(listener.fd, generic, &size) != 0) {
    throw std::runtime_error(std::string("no free port: ") + std::strerror(errno));
  }
  listener.port = ntohs(address.sin_port);
  return listener;
}

std::vector<Listener> listen_on_free_ports(std::size_t count) {
  std::vector<Listener> listeners;
  for (std::size_t i = 0; i < count; ++i) {
    listeners.push_back(bind_without_listening());
    if (::listen(listeners.back().fd, 1024) != 0) {
      throw std::runtime_error(std::string("cannot listen: ") + std::strerror(errno));
    }
  }
  return listeners;
}

void run_sink(const SinkPlan& plan) {
  Sink sink(plan);
  sink.run();
}

}  // namespace eventhub::bench
