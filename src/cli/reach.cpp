// Looks a receiver's name up and connects, nothing more. Called by doctor.cpp.
#include "cli/reach.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

namespace eventhub::cli {
namespace {

using boost::asio::ip::tcp;
using ReachError = boost::system::error_code;

// Runs what was started on `context` for `limit` at most; false when it is not over then.
bool finished_within(boost::asio::io_context& context, Millis limit) {
  context.restart();
  context.run_for(limit);
  return context.stopped();
}

std::string resolve_into(std::vector<tcp::endpoint>& places, const http::Url& url, Millis limit) {
  boost::asio::io_context context(1);
  tcp::resolver resolver(context);
  std::string wrong = "its name is not resolved within " + std::to_string(limit.count()) + " ms";
  resolver.async_resolve(url.host, std::to_string(url.port),
                         [&](const ReachError& error, const tcp::resolver::results_type& found) {
                           wrong = error ? "its name cannot be resolved: " + error.message() : "";
                           for (const auto& one : found) places.push_back(one.endpoint());
                         });
  if (!finished_within(context, limit)) resolver.cancel();
  return wrong;
}

std::string connect_to(const tcp::endpoint& place, Millis limit) {
  boost::asio::io_context context(1);
  tcp::socket socket(context);
  std::string wrong = "no connection within " + std::to_string(limit.count()) + " ms";
  socket.async_connect(place,
                       [&wrong](const ReachError& error) { wrong = error ? error.message() : ""; });
  if (!finished_within(context, limit)) {
    ReachError ignored;
    socket.close(ignored);
    finished_within(context, limit);
    return "no connection within " + std::to_string(limit.count()) + " ms";
  }
  return wrong;
}

}  // namespace

Reach reach(const http::Url& url, const http::EgressPolicy& policy, Millis limit) {
  std::vector<tcp::endpoint> places;
  const std::string no_port = policy.refuse_port(url.port);
  if (!no_port.empty()) return {.blocked = true, .error = no_port};
  Reach result{.blocked = false, .error = resolve_into(places, url, limit)};
  if (!result.error.empty()) return result;
  std::string refused;
  for (const tcp::endpoint& place : places) {
    const std::string why = policy.refuse(place.address(), place.port(), url.host);
    if (!why.empty()) {
      refused = why;
      continue;
    }
    result.error = place.address().to_string() + ": " + connect_to(place, limit);
    if (result.error.ends_with(": ")) return {};
  }
  if (result.error.empty()) return {.blocked = true, .error = refused};
  return result;
}

}  // namespace eventhub::cli
