// What a producer sends: however its bytes are cut, the server hands the same requests to its
// handler and refuses the same; and what it understood is understood the same when it is written
// plainly.
#include <algorithm>
#include <array>
#include <boost/asio/io_context.hpp>
#include <cstring>

#include "fuzz/fuzz.hpp"
#include "http/server_connection.hpp"

namespace eventhub::fuzz {
namespace {

using http::Step;

struct Seen {
  int refused = 0;  // a status, or 0
  std::string method, path, query, body;
  std::vector<std::pair<std::string, std::string>> headers;
  bool close = false;

  // Of two faults, or of two limits, the one that is noticed first is told, and that may depend on
  // how the bytes came. That the request is refused may not.
  bool operator==(const Seen& other) const {
    if (refused != 0 || other.refused != 0) return (refused != 0) == (other.refused != 0);
    return method == other.method && path == other.path && query == other.query &&
           body == other.body && headers == other.headers && close == other.close;
  }
};

http::Response refusal(int status, std::string_view detail) {
  http::Response response;
  response.status = status;
  response.body = detail;
  return response;
}

// A server that never listens, with limits small enough to be reached, or those of the defaults.
struct World {
  explicit World(bool small)
      : core(std::make_shared<http::ServerCore>(io.get_executor(), config(small), nullptr, refusal,
                                                metrics)) {}
  static ServerConfig config(bool small) {
    ServerConfig config;
    if (small) {
      config.header_bytes_max = 512;
      config.body_bytes_max = 300;
    }
    return config;
  }
  boost::asio::io_context io;
  Metrics metrics{100};
  std::shared_ptr<http::ServerCore> core;
};

World& world(bool small) {
  static World defaults(false), limited(true);
  return small ? limited : defaults;
}

// The coroutines of server_session.cpp over bytes in memory: same steps, no sockets.
class Session {
 public:
  Session(World& world, std::string_view bytes, const std::vector<std::size_t>& pieces)
      : limits_(world.core->limits()),
        connection_(world.core, http::tcp::socket(world.io),
                    boost::asio::ip::address_v4::loopback(), {}),
        bytes_(bytes),
        pieces_(pieces) {}

  std::vector<Seen> run() {
    std::vector<Seen> all;
    bool open = true;
    while (open) {
      Step step = read_header();
      if (step == Step::done) step = connection_.begin_body();
      while (step == Step::more) step = read_body();
      if (step == Step::gone) break;
      all.push_back(answer(step == Step::refused));
      open = !connection_.close_after;
      connection_.end_request();
    }
    return all;
  }

 private:
  Step read(std::span<char> space) {
    while (piece_ < pieces_.size() && taken_ == pieces_[piece_]) {
      ++piece_;
      taken_ = 0;
    }
    if (bytes_.empty() || piece_ == pieces_.size()) {
      return connection_.received(boost::asio::error::eof, 0);
    }
    require(!space.empty(), "there is room to read into");
    const std::size_t now = std::min(space.size(), pieces_[piece_] - taken_);
    std::memcpy(space.data(), bytes_.data(), now);
    bytes_.remove_prefix(now);
    taken_ += now;
    return connection_.received({}, now);
  }

  Step read_header() {
    require(connection_.begin_request(), "the server does not stop");
    Step step = connection_.parse_header();
    while (step == Step::more) {
      step = read(connection_.header_space());
      if (step == Step::more) step = connection_.parse_header();
    }
    return step;
  }

  Step read_body() {
    std::span<char> space;
    Step step = connection_.next_space(space);
    if (step == Step::more) step = read(space);
    if (step == Step::more) step = connection_.continue_body();
    return step;
  }

  Seen answer(bool refused) {
    Seen seen;
    http::Response response;
    const http::Request& request = connection_.request;
    if (refused) {
      response = connection_.server->refuse(connection_.refused);
      seen.refused = response.status;
    } else {
      check(request);
      seen.method = request.method;
      seen.path = request.path;
      seen.query = request.query;
      seen.body = request.body;
      seen.headers.assign(request.headers.begin(), request.headers.end());
    }
    connection_.prepare(response);
    seen.close = connection_.close_after;
    check_answer(seen);
    return seen;
  }

  void check(const http::Request& request) {
    require(request.path.starts_with('/'), "a path begins with a slash");
    require(request.body.size() <= limits_.body_bytes_max, "a body is within its limit");
    require(request.headers.size() <= limits_.fields_max, "the fields are within their limit");
    require(request.count("host") <= 1, "a request is for one host");
    require(request.count("content-length") + request.count("transfer-encoding") <= 1,
            "a request has one length");
  }

  void check_answer(const Seen& seen) {
    static constexpr std::array kRefusals{400, 413, 414, 415, 417, 431, 501, 505};
    require(seen.refused == 0 || std::count(kRefusals.begin(), kRefusals.end(), seen.refused) == 1,
            "a refusal has one of its statuses");
    require(seen.refused == 0 || seen.close, "a refusal closes the connection");
    const auto head = connection_.unwritten()[0];
    const std::string_view text(static_cast<const char*>(head.data()), head.size());
    require(text.starts_with("HTTP/1.1 ") && text.find("\r\n\r\n") != std::string_view::npos,
            "an answer is HTTP");
  }

  const http::Limits limits_;
  http::ServerConnection connection_;
  std::string_view bytes_;
  const std::vector<std::size_t>& pieces_;
  std::size_t piece_ = 0, taken_ = 0;
};

std::vector<Seen> run(bool small, std::string_view bytes, const std::vector<std::size_t>& pieces) {
  return Session(world(small), bytes, pieces).run();
}

bool is(const std::string& name, std::string_view other) {
  return http::equal_ignoring_case(name, other);
}

// The request as the plainest client would write it: nobody reads it in another way.
void plainly(const Seen& request) {
  std::string text = request.method + " " + request.path;
  if (!request.query.empty()) text += "?" + request.query;
  text += " HTTP/1.1\r\n";
  bool host = false, expects = false;
  for (const auto& [name, value] : request.headers) {
    host = host || is(name, "host");
    expects = expects || is(name, "expect");  // HTTP/1.0 ignores what 1.1 may refuse
    if (is(name, "content-length") || is(name, "transfer-encoding")) continue;
    text += name + ": " + value + "\r\n";
  }
  if (!host) text += "Host: hub\r\n";
  if (expects || request.headers.size() > 97 || text.size() > 16'000) return;
  text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
  const auto again = run(false, text, {text.size()});
  require(again.size() == 1 && again[0].refused == 0, "a request written plainly is one request");
  require(again[0].method == request.method && again[0].path == request.path &&
              again[0].query == request.query && again[0].body == request.body,
          "and the same");
}

}  // namespace
}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace eventhub::fuzz;
  const std::string_view bytes = text_of(data, size);
  const auto ways = cuttings(bytes);
  for (const bool small : {false, true}) {
    const auto whole = run(small, bytes, ways.front());
    for (const auto& pieces : ways) {
      require(run(small, bytes, pieces) == whole, "requests are the same however they are cut");
    }
    for (const Seen& seen : whole) {
      if (seen.refused == 0) plainly(seen);
    }
  }
  return 0;
}
