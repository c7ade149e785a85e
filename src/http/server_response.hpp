#pragma once
#include <string>
#include <string_view>

#include "eventhub/core/time.hpp"
#include "eventhub/http/server.hpp"

namespace eventhub::http {

// How the request wants to be answered.
struct Framing {
  bool close = false;      // this answer is the connection's last
  bool head_only = false;  // HEAD: the length of the body, not the body
  bool http_1_0 = false;   // wants to be told that the connection stays
};

// Status line, Date, Content-Type, Content-Length, the response's own headers and the empty line.
// Returns whether the body follows.
bool append_head(std::string& out, const Response& response, std::string_view date,
                 Framing framing);

// "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
std::string date_line(Time now);

// Whether one of the complete lines in `lines` is the header `name`.
bool has_header(std::string_view lines, std::string_view name);

}  // namespace eventhub::http
