#pragma once
#include <string>

#include "eventhub/core/async.hpp"
#include "eventhub/http/url.hpp"

namespace eventhub::http {

// GET `url`, over the Unix socket at `socket_path` unless it is empty: the beginning of the status
// line ("HTTP/1.1 200"), or what went wrong. Takes any certificate: it asks this machine how it is,
// and sends nothing.
Task<std::string> probe(Url url, std::string socket_path);

}  // namespace eventhub::http
