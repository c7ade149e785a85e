// Bare HTTP: a producer sends what it would send to the hub, and after it what the hub would send
// to the subscribers, to one receiver that answers both. No event is kept, signed or awaited.
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

#include "bench/baseline.hpp"
#include "bench/cpu.hpp"
#include "bench/process.hpp"
#include "bench/records.hpp"
#include "bench/sink.hpp"
#include "bench/wire.hpp"
#include "eventhub/core/async.hpp"

namespace asio = boost::asio;
using asio::ip::tcp;

namespace eventhub::bench {
namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kBuffer = 16 << 10;
constexpr std::string_view kId = "01890a5d-ac96-774b-bcce-b302099a8057";

// Writes at once what fits, which is nearly always all.
Task<void> write_all(tcp::socket& socket, const std::string& text) {
  boost::system::error_code error;
  const std::size_t sent = socket.write_some(asio::buffer(text), error);
  if (sent == text.size()) co_return;
  if (error && error != asio::error::would_block) throw std::runtime_error(error.message());
  co_await asio::async_write(socket, asio::buffer(text) + sent, asio::use_awaitable);
}

std::function<void(std::exception_ptr)> stop_on_error(asio::io_context& io,
                                                      std::exception_ptr& failure) {
  return [&io, &failure](std::exception_ptr error) {
    failure = error;
    io.stop();
  };
}

// Until SIGTERM. Throws what a coroutine threw.
void run_until_told(asio::io_context& io, const std::exception_ptr& failure) {
  asio::signal_set signals(io, SIGTERM);
  signals.async_wait([&io](boost::system::error_code, int) { io.stop(); });
  io.run();
  if (failure) std::rethrow_exception(failure);
}

// Takes events as the hub does and webhooks as the sink does.
class Receiver {
 public:
  Receiver(const Listener& listener, std::uint32_t payload_bytes)
      : listener_(listener), payload_bytes_(payload_bytes) {
    const std::string body =
        fmt::format(R"({{"event_id":"{}","message":"Event accepted","latency_ms":1}})", kId);
    accepted_ = fmt::format(
        "HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        body.size(), body);
  }

  void run() {
    tcp::acceptor acceptor(io_, tcp::v4(), listener_.fd);
    spawn(io_.get_executor(), "accept", accept(std::move(acceptor)), stop_on_error(io_, failure_));
    run_until_told(io_, failure_);
  }

 private:
  Task<void> accept(tcp::acceptor acceptor) {
    while (true) {
      auto [error, socket] = co_await acceptor.async_accept(as_tuple);
      if (error) throw std::runtime_error("accept: " + error.message());
      socket.set_option(tcp::no_delay(true));
      socket.non_blocking(true);
      spawn(io_.get_executor(), "connection", serve(std::move(socket)),
            stop_on_error(io_, failure_));
    }
  }

  Task<void> serve(tcp::socket socket) {
    std::string in(kBuffer, '\0');
    std::size_t used = 0;
    while (true) {
      const std::string* answer = nullptr;
      const std::size_t size = take({in.data(), used}, answer);
      if (size == 0) {
        if (used == in.size()) in.resize(2 * in.size());
        const auto [error, count] =
            co_await socket.async_read_some(asio::buffer(in) + used, as_tuple);
        if (error) co_return;
        used += count;
        continue;
      }
      used -= size;
      std::memmove(in.data(), in.data() + size, used);
      co_await write_all(socket, *answer);
    }
  }

  // The bytes of the request at the front and what to say to it; 0: it is not complete.
  std::size_t take(std::string_view text, const std::string*& answer) const try {
    if (text.starts_with("POST /e")) {
      const auto post = read_post(text);
      answer = &accepted_;
      return post ? post->size : 0;
    }
    const auto webhook = text.empty() ? std::nullopt : read_webhook(text);
    answer = &delivered_;
    if (webhook && !read_payload(webhook->body, payload_bytes_).intact) throw BadHttp{"altered"};
    return webhook ? webhook->size : 0;
  } catch (const BadHttp& bad) {
    throw std::runtime_error(std::string("bare HTTP: ") + bad.what);
  }

  const Listener listener_;
  const std::uint32_t payload_bytes_;
  asio::io_context io_{1};
  std::string accepted_;
  const std::string delivered_ = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  std::exception_ptr failure_;
};

// Each connection sends an event and then its webhooks, one after the other, for ever.
class Sender {
 public:
  Sender(const HttpPlan& plan, std::uint16_t port, Counter* answered)
      : plan_(plan),
        port_(port),
        answered_(answered),
        posts_(port, plan.shape.payload_bytes, ""),
        webhook_head_(fmt::format(
            "Host: 127.0.0.1:{0}\r\nContent-Type: application/json\r\nUser-Agent: eventhubd\r\n"
            "X-Message-Id: {1}\r\nX-Event-Id: {1}\r\nX-Event-Type: bench.kind0\r\n"
            "X-Event-Version: 1.0\r\nX-Delivery-Attempt: 1\r\nwebhook-id: {1}\r\n"
            "webhook-timestamp: 1700000000\r\n",
            port, kId)) {}

  void run() {
    for (std::uint32_t i = 0; i < plan_.connections; ++i) {
      spawn(io_.get_executor(), "connection", converse(i), stop_on_error(io_, failure_));
    }
    run_until_told(io_, failure_);
  }

 private:
  struct Connection {
    explicit Connection(asio::io_context& io) : socket(io) {}
    tcp::socket socket;
    std::string out;
    std::string in = std::string(kBuffer, '\0');
  };

  Task<void> converse(std::uint32_t index) {
    Connection connection(io_);
    const tcp::endpoint receiver(asio::ip::address_v4::loopback(), port_);
    co_await connection.socket.async_connect(receiver, asio::use_awaitable);
    connection.socket.set_option(tcp::no_delay(true));
    connection.socket.non_blocking(true);
    Post post;
    for (post.number = index;; post.number += plan_.connections) {
      post.kind = plan_.shape.kind_of(post.number);
      if (plan_.keys > 0) post.key = static_cast<std::uint32_t>(post.number % plan_.keys);
      posts_.write(connection.out, post);
      co_await exchange(connection);
      const Shape::Range range = plan_.shape.kinds[post.kind];
      for (std::uint32_t s = range.first; s < range.first + range.count; ++s) {
        write_webhook(connection.out, post, s);
        co_await exchange(connection);
      }
    }
  }

  void write_webhook(std::string& out, const Post& post, std::uint32_t subscriber) {
    body_.clear();
    append_payload(body_, post.number, post.key, post.counter, plan_.shape.payload_bytes);
    out.clear();
    fmt::format_to(std::back_inserter(out), "POST /s/{} HTTP/1.1\r\n{}X-Event-Seq: {}\r\n",
                   subscriber, webhook_head_, post.number);
    fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n\r\n{}", body_.size(), body_);
  }

  // Sends what is in `out` and waits for the answer.
  Task<void> exchange(Connection& connection) {
    co_await write_all(connection.socket, connection.out);
    std::size_t used = 0;
    while (true) {
      const std::size_t count = co_await connection.socket.async_read_some(
          asio::buffer(connection.in) + used, asio::use_awaitable);
      used += count;
      if (!accepted({connection.in.data(), used})) continue;
      answered_->fetch_add(1, std::memory_order_relaxed);
      co_return;
    }
  }

  // False: the answer is not complete.
  static bool accepted(std::string_view text) try {
    const auto answer = read_answer(text);
    if (answer && answer->status / 100 != 2) throw BadHttp{"a refusal"};
    return answer.has_value();
  } catch (const BadHttp& bad) {
    throw std::runtime_error(std::string("bare HTTP: ") + bad.what);
  }

  const HttpPlan& plan_;
  const std::uint16_t port_;
  Counter* const answered_;
  PostWriter posts_;
  const std::string webhook_head_;
  std::string body_;
  asio::io_context io_{1};
  std::exception_ptr failure_;
};

struct Reading {
  std::int64_t time = 0, producer = 0, receiver = 0;
  std::uint64_t answered = 0;
};

}  // namespace

BareHttp bare_http(const HttpPlan& plan) {
  const Listener listener = listen_on_free_ports(1).front();
  Counter* const answered = shared_counter();
  Child receiver("receiver of bare HTTP",
                 [&listener, &plan] { Receiver(listener, plan.shape.payload_bytes).run(); });
  Child producer("producer of bare HTTP",
                 [&listener, &plan, answered] { Sender(plan, listener.port, answered).run(); });
  const auto read = [&] {
    return Reading{now_ns(), cpu_of_process(producer.pid()), cpu_of_process(receiver.pid()),
                   answered->load()};
  };
  ::poll(nullptr, 0, static_cast<int>(plan.seconds * 200));  // until all are connected
  const Reading before = read();
  ::poll(nullptr, 0, static_cast<int>(plan.seconds * 1'000));
  const Reading after = read();
  for (Child* child : {&producer, &receiver}) {
    child->terminate();
    child->wait();
  }
  BareHttp bare;
  bare.requests = after.answered - before.answered;
  if (bare.requests == 0) throw std::runtime_error("bare HTTP: nothing was answered");
  bare.requests_per_event = 1 + mean_fanout(plan.shape);
  bare.seconds = static_cast<double>(after.time - before.time) / kSecond;
  const double events = static_cast<double>(bare.requests) / bare.requests_per_event;
  bare.producer_us = static_cast<double>(after.producer - before.producer) / 1'000 / events;
  bare.receiver_us = static_cast<double>(after.receiver - before.receiver) / 1'000 / events;
  return bare;
}

}  // namespace eventhub::bench
