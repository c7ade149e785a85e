#pragma once
#include <optional>
#include <string>

#include "eventhub/api/api.hpp"
#include "eventhub/core/api_key.hpp"
#include "eventhub/http/server.hpp"
#include "eventhub/store/keys.hpp"

namespace eventhub::api {

// Who may use which route of one listener. The one place that decides it, for every request.
class Access {
 public:
  // `keys` is looked at anew for each request (store::Keys::current); `bind` is the listener's own
  // address.
  Access(const store::KeySetPtr& keys, const ServerConfig& config, std::string_view bind);

  struct Verdict {
    std::optional<http::Response> refusal;
    ApiKeyPtr key;  // who is calling, when a key was asked for; kept until the request is answered
    std::string headers;  // of the answer, whichever it is
  };
  // Also notes that the key was used `now`, and takes one of the requests it may make.
  Verdict check(Scope wanted, const http::Request& request, Mono now) const;

 private:
  std::optional<http::Response> refuse_stranger(const http::Request& request) const;
  ApiKeyPtr find(std::string_view token) const;

  const store::KeySetPtr& keys_;
  ApiKeyPtr admin_;  // EVENTHUB_ADMIN_KEY
  bool local_;
  bool insecure_;
};

// The token of "Bearer TOKEN"; empty when it is something else.
std::string_view bearer_token(std::string_view authorization);
// Whether a Host header names this machine itself, with a port or without: what a browser led here
// by a foreign name does not say.
bool is_local_host(std::string_view host);

}  // namespace eventhub::api
