// `eventhubd healthcheck`: asks a hub whether it is ready (http/probe), so that a container image
// needs no curl.
#include "app/healthcheck.hpp"

#include <boost/asio/io_context.hpp>
#include <iostream>

#include "eventhub/core/async.hpp"
#include "eventhub/core/utf8.hpp"
#include "eventhub/http/probe.hpp"
#include "eventhub/http/unix_socket.hpp"

namespace eventhub::app {
namespace {

constexpr Millis kLimit{3'000};

// `outcome` outlives the io_context's run.
Task<void> ask(http::Url url, std::string socket_path, std::string& outcome) {
  outcome = co_await http::probe(std::move(url), std::move(socket_path));
}

std::variant<http::Url, std::string> target_of(const std::string& url) {
  return http::parse_url(http::unix_path(url).empty() ? url : "http://localhost/readyz");
}

}  // namespace

int healthcheck(const std::string& url) {
  const auto parsed = target_of(url);
  std::string outcome = "no answer within 3 s";
  if (const auto* wrong = std::get_if<std::string>(&parsed)) {
    outcome = *wrong;
  } else {
    boost::asio::io_context context(1);
    spawn(context.get_executor(), "healthcheck",
          ask(std::get<http::Url>(parsed), std::string(http::unix_path(url)), outcome));
    context.run_for(kLimit);
  }
  if (outcome.starts_with("HTTP/1.1 200")) return 0;
  std::cerr << "eventhubd: " << url << ": " << terminal_text(outcome) << std::endl;
  return 1;
}

}  // namespace eventhub::app
