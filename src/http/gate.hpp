#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace eventhub::http {

using Headers = std::vector<std::pair<std::string_view, std::string_view>>;

// Limits of one request. The first two come from ServerConfig, the others are nobody's business to
// tune.
struct Limits {
  std::size_t header_bytes_max = 16 << 10;
  std::uint64_t body_bytes_max = 1 << 20;
  std::size_t fields_max = 100;
  std::size_t target_bytes_max = 8 << 10;
};

// What the parser made of a request's header, and the bytes it made it of.
struct Head {
  std::string_view raw;  // request line and fields with the empty line that ends them
  std::string_view method;
  std::string_view target;
  int version = 11;
  const Headers* headers = nullptr;
  std::optional<std::uint64_t> content_length;
};

// An answer that ends the connection before a handler saw the request.
struct Refused {
  int status = 0;  // 0: not refused
  std::string_view detail;
  explicit operator bool() const { return status != 0; }
};

// Judges a header that Beast's parser accepted: what it lets through and we do not (request
// smuggling, ambiguous lengths, folded lines, targets other than a path) and what is over a limit.
Refused gate(const Head& head, const Limits& limits);

// For a header that grew over header_bytes_max without an end: 414 when its first line is to blame,
// else 431.
Refused too_long(std::string_view raw, const Limits& limits);

bool equal_ignoring_case(std::string_view a, std::string_view b);

}  // namespace eventhub::http
