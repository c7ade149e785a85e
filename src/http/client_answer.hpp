#pragma once
#include <boost/beast/http/basic_parser.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace eventhub::http {

// One HTTP/1.1 response on Beast's grammar, with the gate for what Beast lets through: only
// `Transfer-Encoding: chunked`, never beside Content-Length, one Content-Length.
class AnswerParser final : public boost::beast::http::basic_parser<false> {
 public:
  AnswerParser();
  int status() const { return status_; }
  bool saw_header() const { return saw_header_; }
  // Whether the body's length is that of its chunks, and none of them has begun.
  bool awaits_first_chunk() const { return saw_header_ && chunked_ && !saw_chunk_; }
  std::size_t header_bytes() const { return header_bytes_; }
  // What the gate found; empty when Beast itself refused.
  std::string_view refusal() const { return refusal_; }
  const std::optional<std::string>& retry_after() const { return retry_after_; }
  // The first 1 KiB of the body, only when the status is not 2xx.
  const std::string& body() const { return body_; }

 private:
  using string_view = boost::beast::string_view;
  using error_code = boost::beast::error_code;
  using field = boost::beast::http::field;

  void on_request_impl(boost::beast::http::verb, string_view, string_view, int,
                       error_code&) override;
  void on_response_impl(int code, string_view reason, int version, error_code& error) override;
  void on_field_impl(field name, string_view text, string_view value, error_code& error) override;
  void on_header_impl(error_code& error) override;
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view body, error_code&) override;
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override { saw_chunk_ = true; }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code&) override;
  void on_finish_impl(error_code&) override {}
  void refuse(std::string_view why, error_code& error);

  int status_ = 0;
  int version_ = 0;
  int fields_ = 0;
  int lengths_ = 0;
  int encodings_ = 0;
  bool chunked_ = false;
  bool saw_chunk_ = false;
  bool plain_length_ = true;
  bool saw_header_ = false;
  std::size_t header_bytes_ = 0;
  std::string_view refusal_;
  std::optional<std::string> retry_after_;
  std::string body_;
};

// The answer to one request: skips up to 8 interim (1xx) responses, then takes one final response.
class Answer {
 public:
  Answer();
  // Takes what it can from the front of `bytes`; what is left must come again with more behind it.
  std::size_t feed(std::string_view bytes);
  void end_of_stream();

  bool empty() const { return !got_some_; }
  bool has_status() const { return error_.empty() && parser_->saw_header() && !interim(); }
  bool complete() const { return complete_; }
  // After an error: the status stands when its header was complete.
  bool failed() const { return failed_; }
  const std::string& error() const { return error_; }
  bool keep_alive() const { return complete_ && !failed_ && parser_->keep_alive(); }
  std::size_t body_bytes() const { return body_bytes_; }
  const AnswerParser& parser() const { return *parser_; }

 private:
  bool interim() const { return parser_->status() / 100 == 1; }
  void fail(std::string why);
  bool after_put(const boost::beast::error_code& error, std::size_t left);

  std::optional<AnswerParser> parser_;
  std::string error_;  // only while there is no status
  std::size_t body_bytes_ = 0;
  int interims_ = 0;
  bool got_some_ = false;
  bool complete_ = false;
  bool failed_ = false;
};

// Valid UTF-8 without NUL, at most `bytes_max`: what cannot be read becomes U+FFFD.
std::string printable(std::string_view text, std::size_t bytes_max);

inline constexpr std::size_t kHeaderBytesMax = 16 << 10;
inline constexpr std::size_t kBodyKept = 1 << 10;

}  // namespace eventhub::http
