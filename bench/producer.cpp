// Posts events over kept connections: at fixed times whatever the hub does (open loop), or as fast
// as it answers (closed loop). arrive() or next() make events, pump() gives them to idle
// connections, converse() reads the answers.
#include "bench/producer.hpp"

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

#include "bench/records.hpp"
#include "bench/wire.hpp"
#include "eventhub/core/async.hpp"

namespace asio = boost::asio;
using asio::ip::tcp;

namespace eventhub::bench {
namespace {

constexpr auto as_tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::int64_t kGiveUp = 30 * kSecond;

struct Connection {
  explicit Connection(asio::io_context& io) : socket(io) {}
  tcp::socket socket;
  std::string out;
  std::array<char, 8192> in;
  std::size_t used = 0;
  std::optional<Post> post;  // what is under way
};

struct Key {
  std::uint32_t counter = 0;
  bool busy = false;
  std::deque<Post> waiting;
};

class Producer {
 public:
  Producer(const Load& load, const Shape& shape, const std::string& log_file)
      : load_(load),
        shape_(shape),
        log_(log_file),
        writer_(load.port, shape.payload_bytes, load.idempotency ? load.run : ""),
        keys_(load.keys) {
    for (std::uint32_t i = 0; i < load.connections; ++i) {
      connections_.push_back(std::make_unique<Connection>(io_));
    }
  }

  void run() {
    for (const auto& connection : connections_) connect(*connection);
    begun_ = now_ns();
    end_ = begun_ + static_cast<std::int64_t>(load_.seconds * kSecond);
    for (const auto& connection : connections_) {
      start(*connection);
      idle_.push_back(connection.get());
    }
    spawn(io_.get_executor(), "watch", watch(), stop_on_error());
    if (load_.closed) {
      for (std::uint32_t i = 0; i < load_.connections && wants_more(); ++i) begin(now_ns());
    } else {
      spawn(io_.get_executor(), "arrive", arrive(), stop_on_error());
    }
    io_.run();
    if (failure_) std::rethrow_exception(failure_);
    log_.flush();
  }

 private:
  std::function<void(std::exception_ptr)> stop_on_error() {
    return [this](std::exception_ptr error) {
      failure_ = error;
      io_.stop();
    };
  }
  void start(Connection& connection) {
    spawn(io_.get_executor(), "connection", converse(connection), stop_on_error());
  }

  // Open loop: the times are fixed; what is late is sent at once and its wait is counted.
  Task<void> arrive() {
    asio::steady_timer timer(io_);
    const double interval = kSecond / load_.rate;
    const auto events = static_cast<std::uint64_t>(load_.rate * load_.seconds);
    for (std::uint64_t i = 0; i < events; ++i) {
      const auto intended = begun_ + static_cast<std::int64_t>(static_cast<double>(i) * interval);
      if (intended > now_ns()) {
        timer.expires_at(Mono(std::chrono::nanoseconds(intended)));
        co_await timer.async_wait(as_tuple);
      }
      begin(intended);
    }
    all_made_ = true;
    stop_when_done();
  }

  bool wants_more() const { return load_.events == 0 || made_ < load_.events; }

  // Closed loop, after an answer.
  void next() {
    if (!load_.closed) return;
    const std::int64_t now = now_ns();
    if (now < end_ && wants_more()) {
      begin(now);
    } else {
      all_made_ = true;
    }
  }

  void begin(std::int64_t intended) {
    Post post;
    post.intended = intended;
    post.number = load_.first_number + made_++;
    post.kind = shape_.kind_of(post.number);
    post.part = load_.part;
    post.optional = load_.optional;
    if (load_.one_key) {
      post.key = load_.first_key;
      post.counter = static_cast<std::uint32_t>(made_ - 1);
    }
    if (keys_.empty()) {
      ready_.push_back(post);
    } else {
      begin_keyed(post);
    }
    pump();
  }

  void begin_keyed(Post post) {
    std::size_t index = random_() % keys_.size();
    while (load_.closed && keys_[index].busy) index = (index + 1) % keys_.size();
    Key& key = keys_[index];
    post.key = load_.first_key + static_cast<std::uint32_t>(index);
    post.counter = key.counter++;
    if (key.busy) {
      key.waiting.push_back(post);
      return;
    }
    key.busy = true;
    ready_.push_back(post);
  }

  // The connection used last first: the hub closes those that are idle for long, and these are only
  // opened again when there is need.
  void pump() {
    while (!ready_.empty() && !idle_.empty()) {
      Connection& connection = *idle_.back();
      idle_.pop_back();
      connection.post = ready_.front();
      ready_.pop_front();
      send(connection);
    }
    while (ready_.size() > opening_ && !closed_.empty()) {
      Connection& connection = *closed_.back();
      closed_.pop_back();
      ++opening_;
      start(connection);
    }
  }

  void send(Connection& connection) {
    writer_.write(connection.out, *connection.post);
    connection.post->sent = now_ns();
    boost::system::error_code error;
    const std::size_t sent = connection.socket.write_some(asio::buffer(connection.out), error);
    // An error is seen by the reader, too, which ends the request.
    if (sent == connection.out.size()) return;
    asio::async_write(connection.socket, asio::buffer(connection.out) + sent,
                      [](boost::system::error_code, std::size_t) {});
  }

  void finish(Connection& connection, const PostAnswer& answer) {
    Post post = *connection.post;
    connection.post.reset();
    post.status = static_cast<std::uint16_t>(answer.status);
    if (answer.status != 0) post.answered = now_ns();
    if (post.accepted() && !answer.event_id) {
      throw std::runtime_error("a 2xx of the hub has no event_id");
    }
    post.event_id = answer.event_id.value_or(Uuid{});
    log_.add(post);
    ++done_;
    if (!keys_.empty()) release(keys_[post.key - load_.first_key]);
    next();
  }

  void release(Key& key) {
    key.busy = !key.waiting.empty();
    if (!key.busy) return;
    ready_.push_back(key.waiting.front());
    key.waiting.pop_front();
  }

  void stop_when_done() {
    if (all_made_ && done_ == made_) io_.stop();
  }

  void idle(Connection& connection) {
    idle_.push_back(&connection);
    pump();
  }

  void connect(Connection& connection) {
    boost::system::error_code error;
    connection.socket.connect({asio::ip::address_v4::loopback(), load_.port}, error);
    if (error) throw std::runtime_error("cannot connect to the hub: " + error.message());
    connection.socket.set_option(tcp::no_delay(true));
    connection.socket.non_blocking(true);
  }

  // The reading half of a connection, until it is closed.
  Task<void> converse(Connection& connection) {
    if (!connection.socket.is_open()) {
      co_await reconnect(connection);
      --opening_;
      idle(connection);
    }
    while (true) {
      const auto [error, count] = co_await connection.socket.async_read_some(
          asio::buffer(connection.in) + connection.used, as_tuple);
      connection.used += count;
      if (error || !take_answer(connection)) break;
    }
    close(connection);
  }

  // False: the connection is of no use any more.
  bool take_answer(Connection& connection) {
    try {
      const auto answer = read_answer({connection.in.data(), connection.used});
      if (!answer) return connection.used < connection.in.size();
      if (answer->size != connection.used || !connection.post) return false;
      connection.used = 0;
      finish(connection, *answer);
      if (answer->close) return false;
    } catch (const BadHttp&) {
      return false;
    }
    idle(connection);
    stop_when_done();
    return true;
  }

  void close(Connection& connection) {
    std::erase(idle_, &connection);
    boost::system::error_code ignored;
    connection.socket.close(ignored);
    connection.used = 0;
    closed_.push_back(&connection);
    if (connection.post) finish(connection, {});
    pump();
    stop_when_done();
  }

  Task<void> reconnect(Connection& connection) {
    const tcp::endpoint hub(asio::ip::address_v4::loopback(), load_.port);
    while (true) {
      const auto [refused] = co_await connection.socket.async_connect(hub, as_tuple);
      if (!refused) break;
      boost::system::error_code ignored;
      connection.socket.close(ignored);
      co_await sleep_for(Millis{100});
    }
    connection.socket.set_option(tcp::no_delay(true));
    connection.socket.non_blocking(true);
  }

  // Gives up on answers that do not come: closing the connection ends the request in converse().
  Task<void> watch() {
    while (true) {
      co_await sleep_for(Millis{1'000});
      const std::int64_t oldest = now_ns() - kGiveUp;
      for (const auto& connection : connections_) {
        boost::system::error_code ignored;
        if (connection->post && connection->post->sent < oldest) {
          connection->socket.shutdown(tcp::socket::shutdown_both, ignored);
        }
      }
      if (end_ < oldest - kGiveUp) abandon();
    }
  }

  // The hub is gone: what is left is written down as unanswered.
  void abandon() {
    for (const auto& connection : connections_) {
      if (connection->post) log_.add(*connection->post);
    }
    for (const Post& post : ready_) log_.add(post);
    for (const Key& key : keys_) {
      for (const Post& post : key.waiting) log_.add(post);
    }
    io_.stop();
  }

  const Load load_;
  const Shape shape_;
  asio::io_context io_{1};
  LogWriter<Post> log_;
  PostWriter writer_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_, closed_;
  std::size_t opening_ = 0;
  std::deque<Post> ready_;
  std::vector<Key> keys_;
  std::minstd_rand random_{20'240'101};
  std::int64_t begun_ = 0, end_ = 0;
  std::uint64_t made_ = 0, done_ = 0;
  bool all_made_ = false;
  std::exception_ptr failure_;
};

}  // namespace

void produce(const Load& load, const Shape& shape, const std::string& log_file) {
  Producer producer(load, shape, log_file);
  producer.run();
}

}  // namespace eventhub::bench
