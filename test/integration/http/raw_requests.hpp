#pragma once
#include <string>
#include <vector>

namespace eventhub::test {

// Bytes a client may send, and what must come back: how many answers, the status of the last one,
// and whether the connection is closed then. No request may ever reach the handler with the path
// /smuggled.
struct RawRequest {
  const char* name;
  std::string bytes;
  int status;
  bool closed;
  std::size_t answers = 1;
};

inline std::string with(const std::string& headers, const std::string& body = {}) {
  return "POST /p HTTP/1.1\r\nHost: hub\r\n" + headers + "\r\n" + body;
}
inline std::string line(const std::string& request_line,
                        const std::string& headers = "Host: hub\r\n") {
  return request_line + "\r\n" + headers + "\r\n";
}
inline const std::string kSmuggled = "GET /smuggled HTTP/1.1\r\nHost: hub\r\n\r\n";
inline const std::string kChunked = "Transfer-Encoding: chunked\r\n";

inline std::vector<RawRequest> good_requests() {
  const std::string plain = line("GET /a HTTP/1.1");
  return {
      {"plain GET", plain, 200, false},
      {"query", line("GET /a?b=c&d=%20 HTTP/1.1"), 200, false},
      {"empty Host", line("GET / HTTP/1.1", "Host: \r\n"), 200, false},
      {"Host with a port", line("GET / HTTP/1.1", "Host: [::1]:3000\r\n"), 200, false},
      {"white space around a value", line("GET / HTTP/1.1", "Host: \t hub \t\r\n"), 200, false},
      {"bytes over 0x7f in a value", line("GET / HTTP/1.1", "Host: hub\r\nX: \xc3\xa9\r\n"), 200,
       false},
      {"a blank line first", "\r\n" + plain, 200, false},
      {"body", with("Content-Length: 5\r\n", "hello"), 200, false},
      {"empty body", with("Content-Length: 0\r\n"), 200, false},
      {"leading zeros in a length", with("Content-Length: 0005\r\n", "hello"), 200, false},
      {"chunks", with(kChunked, "5\r\nhello\r\n0\r\n\r\n"), 200, false},
      {"no chunk", with(kChunked, "0\r\n\r\n"), 200, false},
      {"the coding in capitals", with("TRANSFER-ENCODING: Chunked\r\n", "1\r\nx\r\n0\r\n\r\n"), 200,
       false},
      {"chunk extension", with(kChunked, "5;a=\"b c\"\r\nhello\r\n0;z\r\n\r\n"), 200, false},
      {"trailers", with(kChunked, "5\r\nhello\r\n0\r\nX: y\r\nZ: 1\r\n\r\n"), 200, false},
      {"two in a row", plain + plain, 200, false, 2},
      {"three kinds in a row",
       with("Content-Length: 1\r\n", "x") + with(kChunked, "1\r\nx\r\n0\r\n\r\n") + plain, 200,
       false, 3},
      {"asked to close", line("GET / HTTP/1.1", "Host: hub\r\nConnection: close\r\n"), 200, true},
      {"close, then more", line("GET / HTTP/1.1", "Host: hub\r\nConnection: close\r\n") + kSmuggled,
       200, true},
      {"HTTP/1.0", line("GET / HTTP/1.0", ""), 200, true},
      {"HTTP/1.0 that stays", line("GET / HTTP/1.0", "Connection: keep-alive\r\n"), 200, false},
      {"HTTP/1.0 with a body", "POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nhi", 200, true},
      {"HTTP/1.0 expects what it cannot",
       "POST / HTTP/1.0\r\nExpect: fun\r\nContent-Length: 2\r\n\r\nhi", 200, true},
      {"100 fields",
       line(
           "GET / HTTP/1.1", "Host: hub\r\n" +
                                 [] {
                                   std::string fields;
                                   for (int i = 0; i < 99; ++i) fields += "X: y\r\n";
                                   return fields;
                                 }()),
       200, false},
      {"PATCH is for the routes to judge", line("PATCH / HTTP/1.1"), 200, false},
  };
}

// Requests that mean one thing to one parser and another to the next.
inline std::vector<RawRequest> smuggling_requests() {
  const std::string rest = "0\r\n\r\n" + kSmuggled;
  const std::string length = "Content-Length: 5\r\n";
  return {
      {"CL and TE", with(length + kChunked, rest), 400, true},
      {"TE and CL", with(kChunked + length, rest), 400, true},
      {"two different CL", with("Content-Length: 5\r\nContent-Length: 6\r\n", rest), 400, true},
      {"two equal CL", with(length + length, rest), 400, true},
      {"CL list", with("Content-Length: 5, 5\r\n", rest), 400, true},
      {"CL list of different", with("Content-Length: 5, 6\r\n", rest), 400, true},
      {"CL +5", with("Content-Length: +5\r\n", rest), 400, true},
      {"CL -1", with("Content-Length: -1\r\n", rest), 400, true},
      {"CL 0x5", with("Content-Length: 0x5\r\n", rest), 400, true},
      {"CL 5.0", with("Content-Length: 5.0\r\n", rest), 400, true},
      {"CL empty", with("Content-Length: \r\n", rest), 400, true},
      {"CL 2^64", with("Content-Length: 18446744073709551616\r\n", rest), 400, true},
      {"CL 2^64 - 1", with("Content-Length: 18446744073709551615\r\n", rest), 413, true},
      {"CL with a trailing comma", with("Content-Length: 5,\r\n", rest), 400, true},
      {"TE xchunked", with("Transfer-Encoding: xchunked\r\n", rest), 501, true},
      {"TE xchunked and CL", with("Transfer-Encoding: xchunked\r\n" + length, rest), 501, true},
      {"TE chunked, identity", with("Transfer-Encoding: chunked, identity\r\n", rest), 501, true},
      {"TE gzip, chunked", with("Transfer-Encoding: gzip, chunked\r\n", rest), 501, true},
      {"TE identity", with("Transfer-Encoding: identity\r\n", rest), 501, true},
      {"TE empty", with("Transfer-Encoding: \r\n", rest), 501, true},
      {"TE quoted", with("Transfer-Encoding: \"chunked\"\r\n", rest), 501, true},
      {"TE with a parameter", with("Transfer-Encoding: chunked;q=1\r\n", rest), 501, true},
      {"TE twice", with(kChunked + kChunked, rest), 400, true},
      {"TE identity, then chunked", with("Transfer-Encoding: identity\r\n" + kChunked, rest), 501,
       true},
      {"TE on HTTP/1.0", "POST / HTTP/1.0\r\n" + kChunked + "\r\n" + rest, 400, true},
      {"space before the colon", with("Transfer-Encoding : chunked\r\n", rest), 400, true},
      {"TE behind a folded line", with("X: y\r\n Transfer-Encoding: chunked\r\n", rest), 400, true},
      {"TE in a folded value", with("Transfer-Encoding:\r\n chunked\r\n", rest), 400, true},
      {"TE after a vertical tab", with("Transfer-Encoding:\vchunked\r\n", rest), 400, true},
      {"TE before NUL", with("Transfer-Encoding: chunked" + std::string(1, '\0') + "\r\n", rest),
       400, true},
      {"CL in a trailer", with(kChunked, "0\r\nContent-Length: 5\r\n\r\n" + kSmuggled), 400, true},
      {"TE in a trailer", with(kChunked, "0\r\n" + kChunked + "\r\n" + kSmuggled), 400, true},
      {"chunk size with 0x", with(kChunked, "0x5\r\nhello\r\n" + rest), 400, true},
      {"chunk size with a sign", with(kChunked, "+5\r\nhello\r\n" + rest), 400, true},
      {"chunk size over 64 bits", with(kChunked, "10000000000000005\r\nhello\r\n" + rest), 400,
       true},
      {"chunk size in letters", with(kChunked, "zz\r\nhello\r\n" + rest), 400, true},
      {"chunk size with a space", with(kChunked, "5 \r\nhello\r\n" + rest), 400, true},
      {"chunk ended by LF", with(kChunked, "5\nhello\r\n" + rest), 400, true},
      {"chunk longer than said", with(kChunked, "3\r\nhello\r\n" + rest), 400, true},
      {"LF in a chunk extension", with(kChunked, "5;a=\"\n\"\r\nhello\r\n" + rest), 400, true},
      {"bare LF ends the header", "GET / HTTP/1.1\nHost: hub\n\n" + kSmuggled, 400, true},
      {"bare LF ends a field", "GET / HTTP/1.1\r\nHost: hub\nX: y\r\n\r\n" + kSmuggled, 400, true},
      {"Connection names the length", with(length + "Connection: Content-Length\r\n", rest), 400,
       true},
      {"Connection names the coding",
       with(kChunked + "Connection: close, Transfer-Encoding\r\n", rest), 400, true},
      {"Connection names the host", with(length + "Connection: host\r\n", rest), 400, true},
      {"a coded body", with(length + "Content-Encoding: gzip\r\n", rest), 415, true},
      {"another charset", with(length + "Content-Type: application/json; charset=utf-16\r\n", rest),
       415, true},
      {"bare CR in a value", line("GET / HTTP/1.1", "Host: hub\r\nX: a\rb\r\n") + kSmuggled, 400,
       true},
  };
}

inline std::vector<RawRequest> bad_requests() {
  const std::string many_fields = [] {
    std::string fields = "Host: hub\r\n";
    for (int i = 0; i < 101; ++i) fields += "X: y\r\n";
    return fields;
  }();
  const std::string long_path(9'000, 'a');
  return {
      {"no Host", line("GET / HTTP/1.1", "X: y\r\n"), 400, true},
      {"two Hosts", line("GET / HTTP/1.1", "Host: a\r\nHost: a\r\n"), 400, true},
      {"two Hosts on HTTP/1.0", line("GET / HTTP/1.0", "Host: a\r\nHost: b\r\n"), 400, true},
      {"Host with a path", line("GET / HTTP/1.1", "Host: a/b\r\n"), 400, true},
      {"Host list", line("GET / HTTP/1.1", "Host: a, b\r\n"), 400, true},
      {"Host with userinfo", line("GET / HTTP/1.1", "Host: me@a\r\n"), 400, true},
      {"folded line", line("GET / HTTP/1.1", "Host: hub\r\nX: a\r\n b\r\n"), 400, true},
      {"folded line of a tab", line("GET / HTTP/1.1", "Host: hub\r\nX:\r\n\tb\r\n"), 400, true},
      {"folded empty line", line("GET / HTTP/1.1", "Host: hub\r\nX: a\r\n \r\n"), 400, true},
      {"folded first field", line("GET / HTTP/1.1", " Host: hub\r\n"), 400, true},
      {"unknown method", line("BREW / HTTP/1.1"), 501, true},
      {"method in small letters", line("get / HTTP/1.1"), 501, true},
      {"CONNECT", line("CONNECT hub:80 HTTP/1.1"), 400, true},
      {"absolute form", line("GET http://hub/ HTTP/1.1"), 400, true},
      {"asterisk form", line("OPTIONS * HTTP/1.1"), 400, true},
      {"0xff in the target", line("GET /\xff HTTP/1.1"), 400, true},
      {"UTF-8 in the target", line("GET /\xc3\xa9 HTTP/1.1"), 400, true},
      {"fragment", line("GET /#a HTTP/1.1"), 400, true},
      {"control character in the target", line("GET /\x01 HTTP/1.1"), 400, true},
      {"tab after the method", line("GET\t/ HTTP/1.1"), 400, true},
      {"two spaces", line("GET  / HTTP/1.1"), 400, true},
      {"space in the target", line("GET /a b HTTP/1.1"), 400, true},
      {"no target", line("GET HTTP/1.1"), 400, true},
      {"no version", line("GET /"), 400, true},
      {"HTTP/0.9", line("GET / HTTP/0.9"), 505, true},
      {"HTTP/1.9", line("GET / HTTP/1.9"), 505, true},
      {"HTTP/2.0", line("GET / HTTP/2.0"), 505, true},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, true},
      {"HTTP/1.1 and more", line("GET / HTTP/1.1x"), 400, true},
      {"http in small letters", line("GET / http/1.1"), 400, true},
      {"another protocol", line("GET / ICAP/1.0"), 400, true},
      {"TLS hello", std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11), 400, true},
      {"SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 400, true},
      {"NUL", std::string(64, '\0'), 400, true},
      {"NUL in a value",
       line("GET / HTTP/1.1", "Host: hub\r\nX: a" + std::string(1, '\0') + "b\r\n"), 400, true},
      {"DEL in a value", line("GET / HTTP/1.1", "Host: hub\r\nX: a\x7f\r\n"), 400, true},
      {"field without a colon", line("GET / HTTP/1.1", "Host: hub\r\nwhatever\r\n"), 400, true},
      {"empty field name", line("GET / HTTP/1.1", "Host: hub\r\n: y\r\n"), 400, true},
      {"field name over 0x7f", line("GET / HTTP/1.1", "Host: hub\r\nX\xe9: y\r\n"), 400, true},
      {"space in a field name", line("GET / HTTP/1.1", "Host: hub\r\nX Y: z\r\n"), 400, true},
      {"three blank lines first", "\r\n\r\n\r\n" + line("GET / HTTP/1.1"), 400, true},
      {"bad Connection", line("GET / HTTP/1.1", "Host: hub\r\nConnection: @\r\n"), 400, true},
      {"another expectation", with("Expect: 200-ok\r\nContent-Length: 1\r\n", "x"), 417, true},
      {"two expectations", with("Expect: 100-continue, fun\r\nContent-Length: 1\r\n", "x"), 417,
       true},
      {"101 fields", line("GET / HTTP/1.1", many_fields), 431, true},
      {"a long field",
       line("GET / HTTP/1.1", "Host: hub\r\nX: " + std::string(17'000, 'y') + "\r\n"), 431, true},
      {"a field without an end", "GET / HTTP/1.1\r\nHost: hub\r\nX: " + std::string(20'000, 'y'),
       431, true},
      {"a long target", line("GET /" + long_path + " HTTP/1.1"), 414, true},
      {"a target without an end", "GET /" + std::string(20'000, 'a'), 414, true},
      {"a long method", std::string(20'000, 'A'), 414, true},
      {"body over the limit", with("Content-Length: 1048577\r\n"), 413, true},
      {"chunk over the limit", with(kChunked, "100001\r\n"), 413, true},
      {"101 trailers", with(kChunked, "0\r\n" + many_fields + "\r\n"), 431, true},
      {"a long chunk extension", with(kChunked, "1;a=" + std::string(20'000, 'a')), 431, true},
      {"good, then bad", line("GET / HTTP/1.1") + "nonsense\r\n\r\n" + kSmuggled, 400, true, 2},
      {"good with a body, then bad", with("Content-Length: 2\r\n", "hi") + "\x01", 400, true, 2},
  };
}

}  // namespace eventhub::test
