#pragma once
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

// The guard drives one piece of an event's way through the hub's own functions, on one thread,
// without sockets, database or waiting, so that what it costs is a number and not a measurement.
namespace eventhub::guard {

class Path {
 public:
  virtual ~Path() = default;
  // Events (of the delivery path: deliveries) in one round.
  virtual std::size_t round() const = 0;
  // Makes the input of the next round; not counted.
  virtual void prepare() {}
  virtual void run() = 0;
};

// A request's bytes to a checked event: connection buffer, parser, gate, route, headers, JSON walk,
// digests of its idempotency key. Without the socket's calls and the coroutines.
std::unique_ptr<Path> make_parse();
// Whose request it is: the API key by its digest, its scope.
std::unique_ptr<Path> make_access();
// An event to its 202: the queue, the parameter arrays of the batch's INSERT, the results, the
// resumption of the callers, the answer as bytes. Without the statement itself.
std::unique_ptr<Path> make_accept();
// Events with 2.5 subscribers each to the parameter arrays of their messages' INSERT.
std::unique_ptr<Path> make_fanout();
// One message from the feed to its recorded attempt: lanes, request header, signature, answer,
// verdict, parameter arrays, commit. Without the request line, the pool and the payload's read.
std::unique_ptr<Path> make_delivery();

// The subject of all paths: 300 bytes of JSON.
std::string payload();

// A path that stops doing its work would look cheap.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

}  // namespace eventhub::guard
