// The reading half of a connection without its waiting: what to do with bytes that came and where
// the next ones go. Driven by server_session.cpp; calls the parser and the gate.
#include "http/server_connection.hpp"

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/ssl/error.hpp>

#include "http/tls.hpp"

namespace eventhub::http {
namespace {

constexpr std::size_t kBodySlice = 16 << 10;  // first read of a body that has a buffer of its own
constexpr std::size_t kBodyKept = 64 << 10;   // capacity kept for the next body

}  // namespace

ServerConnection::ServerConnection(std::shared_ptr<ServerCore> core, tcp::socket peer_socket,
                                   boost::asio::ip::address address_owner,
                                   std::string_view why_turned_away)
    : server(std::move(core)),
      socket(std::move(peer_socket)),
      address(std::move(address_owner)),
      turned_away(why_turned_away),
      parser_(server->limits()),
      limits_(server->limits()) {
  boost::system::error_code gone;
  if (server->on_unix_socket()) {
    peer_ = "unix socket";
  } else if (const tcp::endpoint peer = socket.remote_endpoint(gone); !gone) {
    peer_ = peer.address().to_string();
  }
  server->add(*this);
}

ServerConnection::~ServerConnection() {
  release();
  server->remove(*this);
}

void ServerConnection::set_deadline(Millis limit) {
  deadline_ = server->mono() + limit;
  rate_from_ = Mono::max();
  expired_ = false;
}

// Called again at every scan while late, so a wait that began just after the last cancel is caught,
// too.
void ServerConnection::expire_if_late(Mono now) {
  if (now < deadline_ && !too_slow(now)) return;
  expired_ = true;
  cancel();
}

// A drip that keeps within the deadline would hold a connection for a handful of bytes.
bool ServerConnection::too_slow(Mono now) const {
  if (now <= rate_from_) return false;
  const auto counted = std::chrono::duration_cast<Millis>(now - rate_from_).count();
  return static_cast<std::int64_t>(came_) * 1'000 < server->config().body_rate_min * counted;
}

void ServerConnection::await_body() {
  set_deadline(server->config().body_timeout);
  rate_from_ = server->mono() + server->config().body_rate_after;
  came_ = 0;
}

void ServerConnection::stop_if_idle() {
  if (idle_) cancel();
}

void ServerConnection::cancel() {
  boost::system::error_code ignored;
  socket.cancel(ignored);
}

Step ServerConnection::refuse(int status, std::string_view detail) {
  refused = {status, detail};
  return Step::refused;
}

void ServerConnection::begin_handshake() {
  idle_ = true;
  set_deadline(server->config().header_timeout);
}

bool ServerConnection::begin_request() {
  const ServerConfig& config = server->config();
  parser_.reset();
  blank_line_skipped_ = false;
  idle_ = input_.pending().empty();
  set_deadline(idle_ && !first_request_ ? config.idle_timeout : config.header_timeout);
  return !idle_ || !server->stopping();
}

Step ServerConnection::parse_header() {
  std::string_view raw = input_.pending();
  if (!blank_line_skipped_ && raw.starts_with("\r\n")) {  // RFC 9112 2.2
    input_.consume(2);
    raw = input_.pending();
    blank_line_skipped_ = true;
  }
  if (raw.empty() || (!blank_line_skipped_ && raw == "\r")) return Step::more;
  const Step step = parser_.header(raw);
  if (step == Step::refused) refused = parser_.refused();
  if (step == Step::done) return header_complete();
  return step;
}

// The buffer moves now or not until the request is answered: the request's views point into it.
Step ServerConnection::header_complete() {
  header_bytes_ = parser_.header_bytes();
  if (parser_.chunked()) input_.make_room(header_bytes_ + kTrailerBytesMax);
  const auto length = parser_.content_length();
  const bool in_place = length && *length <= limits_.body_bytes_max &&
                        input_.has_room(header_bytes_ + static_cast<std::size_t>(*length));
  if (in_place) input_.make_room(header_bytes_ + static_cast<std::size_t>(*length));
  const Head head = parser_.views(input_.pending().data(), request.headers);
  refused = gate(head, limits_);
  if (refused) return Step::refused;
  request.method = head.method;
  request.peer = peer_;
  request.route = nullptr;
  request.key.reset();
  request.answer_headers.clear();
  const std::size_t path_end = std::min(head.target.find('?'), head.target.size());
  request.path = head.target.substr(0, path_end);
  request.query = head.target.substr(std::min(path_end + 1, head.target.size()));
  length_ = static_cast<std::size_t>(length.value_or(0));
  body_mode_ = parser_.chunked() ? BodyMode::chunked
               : length_ == 0    ? BodyMode::none
               : in_place        ? BodyMode::in_place
                                 : BodyMode::apart;
  return Step::done;
}

// Who is refused is not asked for a body, and has none kept: what is still to come of it would be
// taken for the next request.
Step ServerConnection::admit() {
  not_admitted_ = server->admit(request);
  if (!not_admitted_) return Step::done;
  if (body_outstanding()) not_admitted_->close = true;
  return Step::refused;
}

bool ServerConnection::body_outstanding() const {
  if (body_mode_ == BodyMode::none) return false;
  return body_mode_ != BodyMode::in_place || input_.pending(header_bytes_).size() < length_;
}

Response ServerConnection::refusal() {
  if (!not_admitted_) return server->refuse(refused);
  Response response = std::move(*not_admitted_);
  not_admitted_.reset();
  return response;
}

Step ServerConnection::begin_body() {
  request.body = {};
  if (body_mode_ == BodyMode::none) return Step::done;
  const std::string_view why = server->reason_to_refuse_body(*share, length_);
  if (!why.empty()) return refuse(503, why);
  if (body_mode_ == BodyMode::in_place && !charge(length_)) return Step::refused;
  if (body_mode_ == BodyMode::apart) {
    const std::string_view here = input_.pending(header_bytes_);
    if (!charge(here.size())) return Step::refused;
    body_.assign(here);
    body_bytes_ = here.size();
    input_.erase(header_bytes_, here.size());
  }
  return continue_body();
}

Step ServerConnection::continue_body() {
  if (body_mode_ == BodyMode::chunked) return continue_chunked();
  if (body_mode_ == BodyMode::apart) {
    request.body = {body_.data(), body_bytes_};
    return body_bytes_ == length_ ? Step::done : Step::more;
  }
  request.body = input_.pending(header_bytes_).substr(0, length_);
  return request.body.size() == length_ ? Step::done : Step::more;
}

Step ServerConnection::continue_chunked() {
  std::size_t consumed = 0;
  const std::size_t before = body_.size();
  const Step step = parser_.chunks(input_.pending(header_bytes_), body_, consumed);
  input_.erase(header_bytes_, consumed);
  if (step == Step::refused) refused = parser_.refused();
  if (!charge(body_.size() - before)) return Step::refused;
  request.body = body_;
  return step;
}

bool ServerConnection::charge(std::uint64_t bytes) {
  const std::string_view why = server->reason_to_refuse_body(*share, bytes);
  if (!why.empty()) {
    refuse(503, why);
    return false;
  }
  server->charge_body(*share, bytes);
  charged_ += bytes;
  return true;
}

void ServerConnection::release() {
  if (charged_ > 0) server->release_body(*share, charged_);
  charged_ = 0;
}

// A body apart grows with what arrives, so announcing a length costs the sender as much as it costs
// us.
Step ServerConnection::next_space(std::span<char>& space) {
  if (body_mode_ != BodyMode::apart) {
    space = input_.tail();
    if (space.empty()) return refuse(431, "chunk extensions or trailers are too large");
    return Step::more;
  }
  if (body_.size() == body_bytes_) {
    const std::size_t more = std::min(length_ - body_bytes_, std::max(kBodySlice, body_bytes_));
    if (!charge(more)) return Step::refused;
    body_.resize(body_bytes_ + more);
  }
  space = std::span(body_).subspan(body_bytes_);
  return Step::more;
}

Step ServerConnection::received(boost::system::error_code error, std::size_t bytes) {
  if (!error) {
    came_ += bytes;
    if (body_mode_ == BodyMode::apart) {
      body_bytes_ += bytes;
    } else {
      input_.received(bytes);
    }
    if (idle_) set_deadline(server->config().header_timeout);
    idle_ = false;
    return Step::more;
  }
  const bool started = !idle_ && (body_mode_ != BodyMode::none || !input_.pending().empty());
  if (!started) return Step::gone;
  if (expired_) return refuse(408, "the request did not arrive in time");
  // Without TLS's own word of the end it may be somebody else's doing; the request is short anyway.
  if (error == boost::asio::error::eof || error == boost::asio::ssl::error::stream_truncated) {
    return refuse(400, "the request ended early");
  }
  return Step::gone;
}

bool ServerConnection::wants_continue() const {
  if (parser_.version() < 11 || request.header("expect").data() == nullptr) return false;
  return request.body.empty() && input_.pending(header_bytes_).empty();
}

void ServerConnection::end_request() {
  const bool in_place = body_mode_ == BodyMode::in_place;
  input_.consume(header_bytes_ + (in_place ? length_ : 0));
  release();
  body_.clear();
  if (body_.capacity() > kBodyKept) body_.shrink_to_fit();
  body_mode_ = BodyMode::none;
  header_bytes_ = length_ = body_bytes_ = 0;
  first_request_ = false;
}

}  // namespace eventhub::http
