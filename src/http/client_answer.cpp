// Reads a webhook's answer: Beast's parser, a stricter gate, limits. client.cpp decides what it
// means.
#include "http/client_answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>

#include "eventhub/core/utf8.hpp"

namespace eventhub::http {
namespace {

namespace beast = boost::beast;

constexpr int kFieldsMax = 100;
constexpr int kInterimMax = 8;

void keep(std::string& kept, beast::string_view body) {
  kept.append(body.data(), std::min(body.size(), kBodyKept - kept.size()));
}

}  // namespace

AnswerParser::AnswerParser() {
  eager(true);
  header_limit(kHeaderBytesMax);
  body_limit(boost::none);  // the client counts and stops by itself
}

void AnswerParser::refuse(std::string_view why, error_code& error) {
  refusal_ = why;
  error = beast::http::error::bad_value;
}

void AnswerParser::on_request_impl(beast::http::verb, string_view, string_view, int, error_code&) {}

void AnswerParser::on_response_impl(int code, string_view reason, int version, error_code& error) {
  status_ = code;
  version_ = version;
  header_bytes_ = reason.size() + 15;
  if (code < 100 || code > 599) refuse("its status is not between 100 and 599", error);
  if (code == 101) refuse("it switches protocols, which nobody asked for", error);
}

void AnswerParser::on_field_impl(field name, string_view text, string_view value,
                                 error_code& error) {
  header_bytes_ += text.size() + value.size() + 4;
  if (++fields_ > kFieldsMax) return refuse("it has more than 100 header fields", error);
  if (header_bytes_ > kHeaderBytesMax) return refuse("its header is larger than 16 KiB", error);
  if (saw_header_) return;  // trailers
  if (name == field::content_length) {
    ++lengths_;
    plain_length_ = value.find(',') == string_view::npos;
  } else if (name == field::transfer_encoding) {
    ++encodings_;
    chunked_ = beast::iequals(value, "chunked");
  } else if (name == field::retry_after && !retry_after_) {
    retry_after_ = std::string(value);
  }
}

void AnswerParser::on_header_impl(error_code& error) {
  if (encodings_ > 0 && (encodings_ > 1 || !chunked_ || version_ != 11)) {
    return refuse("its Transfer-Encoding is not exactly \"chunked\"", error);
  }
  if (encodings_ > 0 && lengths_ > 0) {
    return refuse("it has both Content-Length and Transfer-Encoding", error);
  }
  if (lengths_ > 1 || !plain_length_) return refuse("it has several Content-Lengths", error);
  saw_header_ = true;
}

std::size_t AnswerParser::on_body_impl(string_view body, error_code&) {
  if (status_ / 100 != 2) keep(body_, body);
  return body.size();
}

std::size_t AnswerParser::on_chunk_body_impl(std::uint64_t, string_view body, error_code&) {
  if (status_ / 100 != 2) keep(body_, body);
  return body.size();
}

Answer::Answer() {
  parser_.emplace();
}

void Answer::fail(std::string why) {
  failed_ = true;
  if (!parser_->saw_header() || interim()) error_ = std::move(why);
}

// Whether to go on with the bytes that are left.
bool Answer::after_put(const beast::error_code& error, std::size_t left) {
  if (error && error != beast::http::error::need_more) {
    const bool gate = !parser_->refusal().empty();
    fail("malformed answer: " + (gate ? std::string(parser_->refusal()) : error.message()));
    return false;
  }
  if (!parser_->saw_header() && parser_->header_bytes() + left >= kHeaderBytesMax) {
    fail("malformed answer: its header is larger than 16 KiB");
    return false;
  }
  if (!parser_->is_done()) return !error;
  if (!interim()) {
    complete_ = true;
    return false;
  }
  if (++interims_ > kInterimMax) {
    fail("malformed answer: more than 8 interim responses");
    return false;
  }
  parser_.emplace();
  return true;
}

std::size_t Answer::feed(std::string_view bytes) {
  std::size_t taken = 0;
  while (taken < bytes.size() && !complete_ && !failed_) {
    got_some_ = true;
    const bool in_body = parser_->saw_header();
    const std::string_view rest = bytes.substr(taken);
    // Beast asserts that a last chunk it once saw the size of is at least "0\r\n\r\n" long.
    if (parser_->awaits_first_chunk() && rest.size() < 5 && rest.front() == '0') break;
    beast::error_code error;
    const std::size_t n = parser_->put({rest.data(), rest.size()}, error);
    taken += n;
    if (in_body) body_bytes_ += n;
    if (!after_put(error, bytes.size() - taken)) break;
  }
  return taken;
}

void Answer::end_of_stream() {
  if (!parser_->got_some() || !parser_->saw_header()) {
    return fail(got_some_ ? "connection closed in the middle of the answer's header"
                          : "connection closed without an answer");
  }
  beast::error_code error;
  parser_->put_eof(error);
  if (error) return fail({});
  complete_ = true;
}

std::string printable(std::string_view text, std::size_t bytes_max) {
  std::string out;
  while (!text.empty()) {
    // PostgreSQL's text holds no NUL.
    const std::size_t length = text.front() == '\0' ? 0 : utf8_length(text);
    const std::string_view next = length == 0 ? kReplacementCharacter : text.substr(0, length);
    if (out.size() + next.size() > bytes_max) break;
    out += next;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace eventhub::http
