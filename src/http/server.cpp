// The public face of the HTTP server; the work is in ServerCore.
#include "eventhub/http/server.hpp"

#include <algorithm>

#include "http/gate.hpp"
#include "http/server_core.hpp"

namespace eventhub::http {

struct Server::Impl : ServerCore {
  using ServerCore::ServerCore;
};

Server::Server(Executor executor, const ServerConfig& config, Handler handler, Refusal refusal,
               Metrics& metrics)
    : impl_(std::make_shared<Impl>(std::move(executor), config, std::move(handler),
                                   std::move(refusal), metrics)) {}

Server::~Server() {
  impl_->abandon();
}

std::uint16_t Server::listen() {
  return impl_->listen();
}

Task<void> Server::run() {
  return ServerCore::run(impl_);
}

void Server::stop() {
  impl_->stop();
}

std::string_view Request::header(std::string_view name) const {
  for (const auto& [field, value] : headers) {
    if (equal_ignoring_case(field, name)) return value;
  }
  return {};
}

std::size_t Request::count(std::string_view name) const {
  return static_cast<std::size_t>(
      std::count_if(headers.begin(), headers.end(),
                    [&](const auto& field) { return equal_ignoring_case(field.first, name); }));
}

}  // namespace eventhub::http
