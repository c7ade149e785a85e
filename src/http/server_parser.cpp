// Feeds bytes to Beast's basic_parser by put() and turns what it refuses into statuses. Called by
// server_connection.cpp; calls too_long() of the gate.
#include "http/server_parser.hpp"

#include <boost/asio/buffer.hpp>
#include <optional>

#include "http/server_parser_sink.hpp"

namespace eventhub::http {
namespace {

// HTTP/d.d other than 1.0 and 1.1 is a version we do not speak; anything else is no version.
bool names_another_version(std::string_view raw) {
  const std::size_t first = raw.find(' ');
  const std::size_t second = first == raw.npos ? first : raw.find(' ', first + 1);
  if (second == raw.npos) return false;
  const std::string_view version = raw.substr(second + 1, 8);
  const auto digit = [&](std::size_t at) { return version[at] >= '0' && version[at] <= '9'; };
  if (version.size() < 8 || !version.starts_with("HTTP/")) return false;
  if (!digit(5) || version[6] != '.' || !digit(7)) return false;
  return !version.ends_with("1.0") && !version.ends_with("1.1");
}

Refused refusal_of(error_code error, std::string_view raw) {
  switch (static_cast<beast::error>(error.value())) {
    case beast::error::bad_version:
      if (names_another_version(raw)) return {505, "only HTTP/1.1 and HTTP/1.0"};
      return {400, "the request line is malformed"};
    case beast::error::header_limit:
      return {431, "the request header is too large"};
    case beast::error::body_limit:
      return {413, "the body is too large"};
    case beast::error::bad_method:
    case beast::error::bad_target:
      return {400, "the request line is malformed"};
    case beast::error::bad_content_length:
    case beast::error::multiple_content_length:
    case beast::error::bad_transfer_encoding:
      return {400, "the length of the body is ambiguous"};
    case beast::error::bad_chunk:
    case beast::error::bad_chunk_extension:
      return {400, "a chunk is malformed"};
    default:
      return {400, "the request header is malformed"};
  }
}

}  // namespace

struct RequestParser::Impl {
  Limits limits;
  std::vector<std::pair<FieldSlice, FieldSlice>> fields;
  std::optional<ParserSink> sink;
  std::size_t consumed = 0;  // of the header
  std::size_t checked = 0;   // bytes of an incomplete header looked at for stray control characters
  Refused refused;

  Step refuse(Refused why) {
    refused = why;
    return Step::refused;
  }
  Step incomplete(std::string_view raw);
};

RequestParser::RequestParser(const Limits& limits) : impl_(std::make_unique<Impl>()) {
  impl_->limits = limits;
  reset();
}
RequestParser::~RequestParser() = default;

void RequestParser::reset() {
  impl_->fields.clear();
  impl_->sink.emplace();
  impl_->sink->limits = &impl_->limits;
  impl_->sink->fields = &impl_->fields;
  impl_->consumed = impl_->checked = 0;
  impl_->refused = {};
}

// Beast looks at a header that came in pieces only when its end is there. An end made of bare line
// feeds never comes, so stray control characters are refused as they arrive.
Step RequestParser::Impl::incomplete(std::string_view raw) {
  for (; checked < raw.size(); ++checked) {
    const char c = raw[checked];
    const bool after_cr = checked > 0 && raw[checked - 1] == '\r';
    const bool stray = c == '\n' ? !after_cr : after_cr || (c != '\r' && is_stray_control(c));
    if (stray) return refuse({400, "a stray control character in the header"});
  }
  if (raw.size() >= limits.header_bytes_max) return refuse(too_long(raw, limits));
  return Step::more;
}

Step RequestParser::header(std::string_view raw) {
  ParserSink& sink = *impl_->sink;
  sink.base = raw.data();
  sink.available = raw.size();
  error_code error;
  const std::string_view rest = raw.substr(impl_->consumed);
  impl_->consumed += sink.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
  if (error == beast::error::need_more) return impl_->incomplete(raw);
  if (sink.refused) return impl_->refuse(sink.refused);
  if (error) return impl_->refuse(refusal_of(error, raw));
  if (sink.is_header_done()) return Step::done;
  return impl_->incomplete(raw);
}

Step RequestParser::chunks(std::string_view pending, std::string& body, std::size_t& consumed) {
  ParserSink& sink = *impl_->sink;
  if (!sink.in_body) sink.body_limit(impl_->limits.body_bytes_max);
  sink.in_body = true;
  sink.body = &body;
  consumed = 0;
  std::size_t last = 0;
  while (!sink.is_done() && consumed < pending.size()) {
    const std::string_view rest = pending.substr(consumed);
    // Beast asserts that a last chunk it once saw the size of is at least "0\r\n\r\n" long.
    if (rest.size() < 5 && rest.front() == '0') return Step::more;
    error_code error;
    last = sink.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    consumed += last;
    if (sink.refused) return impl_->refuse(sink.refused);
    if (error == beast::error::need_more) break;
    if (error) return impl_->refuse(refusal_of(error, {}));
  }
  // The same limit for trailers that come at once and for those that come in pieces.
  const std::size_t beside = sink.is_done() ? last : pending.size() - consumed + 1;
  if (beside > std::min(impl_->limits.header_bytes_max, kTrailerBytesMax)) {
    return impl_->refuse({431, "chunk extensions or trailers are too large"});
  }
  return sink.is_done() ? Step::done : Step::more;
}

std::size_t RequestParser::header_bytes() const {
  return impl_->consumed;
}
bool RequestParser::chunked() const {
  return impl_->sink->chunked();
}
bool RequestParser::keep_alive() const {
  return impl_->sink->keep_alive();
}
int RequestParser::version() const {
  return impl_->sink->version;
}
Refused RequestParser::refused() const {
  return impl_->refused;
}
bool RequestParser::is_head() const {
  return impl_->sink->head;
}

std::optional<std::uint64_t> RequestParser::content_length() const {
  const auto length = impl_->sink->content_length();
  if (!length) return std::nullopt;
  return *length;
}

Head RequestParser::views(const char* base, Headers& headers) const {
  headers.clear();
  for (const auto& [name, value] : impl_->fields)
    headers.emplace_back(name.in(base), value.in(base));
  const ParserSink& sink = *impl_->sink;
  return {
      {base, impl_->consumed}, sink.method.in(base), sink.target.in(base), sink.version, &headers,
      content_length()};
}

}  // namespace eventhub::http
