#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/records.hpp"

// As much of HTTP/1.1 as the hub speaks with us: Content-Length bodies, no chunks. Pure; the views
// point into the text that was given.
namespace eventhub::bench {

// Thrown for what is not HTTP, or HTTP that is not expected here.
struct BadHttp {
  const char* what;
};

// Makes the requests that post events.
class PostWriter {
 public:
  // `idempotency`: what every idempotency key begins with; empty: no keys.
  PostWriter(std::uint16_t port, std::uint32_t payload_bytes, std::string idempotency);
  void write(std::string& out, const Post& post);

 private:
  const std::uint32_t payload_bytes_;
  const std::string idempotency_;
  std::string head_, body_;
};

// Such a request, read by who stands in for the hub.
struct PostRequest {
  std::size_t size = 0;  // bytes of it, body included
  std::string_view body;
};
// nullopt: not complete yet.
std::optional<PostRequest> read_post(std::string_view text);

// The hub's answer to a POST.
struct PostAnswer {
  std::size_t size = 0;  // bytes of it, body included
  int status = 0;
  bool close = false;  // the connection ends after it
  std::optional<Uuid> event_id;
};
// nullopt: not complete yet.
std::optional<PostAnswer> read_answer(std::string_view text);

// A webhook.
struct Webhook {
  std::size_t size = 0;
  std::uint32_t subscriber = 0;  // of its path /s/N
  std::uint64_t seq = 0;
  std::uint16_t attempt = 0;
  Uuid message_id, event_id;
  std::string_view body;
};
std::optional<Webhook> read_webhook(std::string_view text);

}  // namespace eventhub::bench
