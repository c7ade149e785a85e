#pragma once
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eventhub/core/time.hpp"
#include "eventhub/http/url.hpp"

// Requests of commands to a hub: one at a time, waited for. Not the client of the webhooks: whom to
// call is the caller's own choice, so no egress rule stands in the way.
namespace eventhub::cli {

using CallHeaders = std::vector<std::pair<std::string, std::string>>;

struct Call {
  std::string method = "GET";
  std::string target = "/";  // path and query, below the path of the base URL
  CallHeaders headers;
  std::string body;
  bool repeatable = false;  // may be sent again when a kept connection turns out to be closed
};

struct CallAnswer {
  int status = 0;
  CallHeaders headers;
  std::string body;
  // The first of that name, in any case; empty when there is none.
  std::string_view header(std::string_view name) const;
};

// There was no answer. `sent`: the request had been sent, so it may have been acted on.
class CallFailed : public std::runtime_error {
 public:
  CallFailed(const std::string& what, bool was_sent) : std::runtime_error(what), sent(was_sent) {}
  bool sent;
};

struct CallerOptions {
  Millis connect_timeout{5'000};
  Millis timeout{30'000};   // of the request and of its answer, each
  std::string ca_file;      // further trust anchors, PEM
  std::string socket_path;  // the hub's Unix socket; empty: by TCP
  std::uint64_t answer_bytes_max = 256ULL << 20;
};

// One origin, and a connection to it that is kept for the next request.
class Caller {
 public:
  // Throws std::runtime_error when ca_file cannot be used.
  Caller(http::Url base, CallerOptions options);
  ~Caller();
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;
  // Throws CallFailed.
  CallAnswer exchange(const Call& call);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace eventhub::cli
