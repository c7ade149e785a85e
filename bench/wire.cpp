// Writes the posts, and reads the hub's answers and webhooks from a buffer without copies; used by
// producer and sink.
#include "bench/wire.hpp"

#include <fmt/format.h>
#include <strings.h>

#include <charconv>

#include "bench/shape.hpp"

namespace eventhub::bench {
namespace {

struct Line {
  std::string_view name, value;

  bool is(std::string_view wanted) const {
    return name.size() == wanted.size() &&
           ::strncasecmp(name.data(), wanted.data(), wanted.size()) == 0;
  }
};

// Takes the next header line off the front.
Line take_line(std::string_view& head) {
  const std::size_t end = head.find("\r\n");
  std::string_view text = head.substr(0, end);
  head.remove_prefix(end == std::string_view::npos ? head.size() : end + 2);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) throw BadHttp{"a header line without a colon"};
  Line line{text.substr(0, colon), text.substr(colon + 1)};
  while (line.value.starts_with(' ')) line.value.remove_prefix(1);
  return line;
}

template <class Number>
Number number(std::string_view text) {
  Number value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) throw BadHttp{"not a number"};
  return value;
}

Uuid uuid(std::string_view text) {
  const auto id = parse_uuid(text);
  if (!id) throw BadHttp{"not a UUID"};
  return *id;
}

struct Message {
  std::string_view first, head, rest;  // rest: what comes after the empty line
};

std::optional<Message> split(std::string_view text) {
  const std::size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) return std::nullopt;
  const std::size_t first = text.find("\r\n");
  Message message;
  message.first = text.substr(0, first);
  if (first < end) message.head = text.substr(first + 2, end - first - 2);
  message.rest = text.substr(end + 4);
  return message;
}

}  // namespace

PostWriter::PostWriter(std::uint16_t port, std::uint32_t payload_bytes, std::string idempotency)
    : payload_bytes_(payload_bytes), idempotency_(std::move(idempotency)) {
  head_ = fmt::format(
      "POST /events HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n", port);
}

void PostWriter::write(std::string& out, const Post& post) {
  body_.clear();
  fmt::format_to(std::back_inserter(body_), R"({{"event_type":"{}")", event_type(post.kind));
  if (post.key != kNoKey) {
    fmt::format_to(std::back_inserter(body_), R"(,"organization_id":"org-{0}","user_id":"u-{0}")",
                   post.key);
  }
  body_ += ",\"payload\":";
  append_payload(body_, post.number, post.key, post.counter, payload_bytes_);
  body_ += '}';
  out = head_;
  if (!idempotency_.empty()) {
    fmt::format_to(std::back_inserter(out), "X-Idempotency-Key: {}-{}\r\n", idempotency_,
                   post.number);
  }
  fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n\r\n", body_.size());
  out += body_;
}

std::optional<PostRequest> read_post(std::string_view text) {
  const auto message = split(text);
  if (!message) return std::nullopt;
  if (message->first != "POST /events HTTP/1.1") throw BadHttp{"not a post of an event"};
  std::optional<std::size_t> length;
  for (std::string_view head = message->head; !head.empty();) {
    const Line line = take_line(head);
    if (line.is("Content-Length")) length = number<std::size_t>(line.value);
  }
  if (!length) throw BadHttp{"a post without Content-Length"};
  if (message->rest.size() < *length) return std::nullopt;
  PostRequest post;
  post.size = text.size() - message->rest.size() + *length;
  post.body = message->rest.substr(0, *length);
  return post;
}

std::optional<PostAnswer> read_answer(std::string_view text) {
  const auto message = split(text);
  if (!message) return std::nullopt;
  if (!message->first.starts_with("HTTP/1.1 ") || message->first.size() < 12) {
    throw BadHttp{"not an answer"};
  }
  PostAnswer answer;
  answer.status = number<int>(message->first.substr(9, 3));
  std::size_t length = 0;
  for (std::string_view head = message->head; !head.empty();) {
    const Line line = take_line(head);
    if (line.is("Content-Length")) length = number<std::size_t>(line.value);
    if (line.is("Connection")) answer.close = line.value == "close";
    if (line.is("Transfer-Encoding")) throw BadHttp{"a chunked answer"};
  }
  if (message->rest.size() < length) return std::nullopt;
  answer.size = text.size() - message->rest.size() + length;
  const std::string_view body = message->rest.substr(0, length);
  constexpr std::string_view kId = "\"event_id\":\"";
  const std::size_t id = body.find(kId);
  if (id != std::string_view::npos) answer.event_id = parse_uuid(body.substr(id + kId.size(), 36));
  return answer;
}

std::optional<Webhook> read_webhook(std::string_view text) {
  const auto message = split(text);
  if (!message) return std::nullopt;
  constexpr std::string_view kPath = "POST /s/";
  constexpr std::string_view kProtocol = " HTTP/1.1";
  if (!message->first.starts_with(kPath) || !message->first.ends_with(kProtocol)) {
    throw BadHttp{"not a webhook"};
  }
  Webhook webhook;
  webhook.subscriber = number<std::uint32_t>(
      message->first.substr(kPath.size(), message->first.size() - kPath.size() - kProtocol.size()));
  std::optional<std::size_t> length;
  for (std::string_view head = message->head; !head.empty();) {
    const Line line = take_line(head);
    if (line.is("Content-Length")) length = number<std::size_t>(line.value);
    if (line.is("X-Message-Id")) webhook.message_id = uuid(line.value);
    if (line.is("X-Event-Id")) webhook.event_id = uuid(line.value);
    if (line.is("X-Event-Seq")) webhook.seq = number<std::uint64_t>(line.value);
    if (line.is("X-Delivery-Attempt")) webhook.attempt = number<std::uint16_t>(line.value);
  }
  if (!length) throw BadHttp{"a webhook without Content-Length"};
  if (message->rest.size() < *length) return std::nullopt;
  webhook.size = text.size() - message->rest.size() + *length;
  webhook.body = message->rest.substr(0, *length);
  return webhook;
}

}  // namespace eventhub::bench
