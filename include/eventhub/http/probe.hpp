#pragma once
#include <string>

#include "eventhub/core/async.hpp"
#include "eventhub/http/url.hpp"

namespace eventhub::http {

// GET `url`: the beginning of the status line ("HTTP/1.1 200"), or what went wrong. Takes any
// certificate: it asks this machine how it is, and sends nothing.
Task<std::string> probe(Url url);

}  // namespace eventhub::http
