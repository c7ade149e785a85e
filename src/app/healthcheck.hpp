#pragma once
#include <string>

namespace eventhub::app {

// GET `url`, or /readyz of the hub at "unix:/path"; 0 when it is answered 200 within three seconds,
// else 1 with a line on stderr.
int healthcheck(const std::string& url);

}  // namespace eventhub::app
