#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "http/gate.hpp"

namespace eventhub::http {

// Of the last chunk's line and the trailers, at most; less with a lower server.header_bytes_max.
inline constexpr std::size_t kTrailerBytesMax = 8 << 10;

// What reading one more piece led to.
enum class Step {
  more,     // give more bytes
  done,     // this part is complete
  refused,  // see refused()
  gone,     // nobody is there to be answered
};

// One request at a time through Beast's parser, which is strict about syntax and keeps nothing:
// fields are remembered as offsets, so the buffer they are in may move until views() is called.
class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  ~RequestParser();
  void reset();

  // `raw` is every byte of this request so far, in one piece, wherever it is now.
  Step header(std::string_view raw);
  // After header() was done.
  std::size_t header_bytes() const;
  bool chunked() const;
  bool keep_alive() const;
  int version() const;
  std::optional<std::uint64_t> content_length() const;
  // The header's parts as views into the bytes at `base`; refills `headers`.
  Head views(const char* base, Headers& headers) const;

  // Takes chunks from the front of `pending`, appends what they carry to `body` and says in
  // `consumed` how many bytes it is through with. Trailers and chunk extensions are checked,
  // counted and forgotten.
  Step chunks(std::string_view pending, std::string& body, std::size_t& consumed);

  Refused refused() const;
  // The method once the request line is known: the answer to HEAD has no body, refusals included.
  bool is_head() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eventhub::http
