// Serve, log, wait, begin anew: what fan-out and cleanup do alike.
#include "eventhub/store/role_loop.hpp"

#include <algorithm>
#include <exception>

#include "eventhub/core/log.hpp"

namespace eventhub::store {

RoleLoop::RoleLoop(Context& context, std::string role, Millis backoff_floor, Millis backoff_max)
    : context_(context),
      role_(std::move(role)),
      floor_(backoff_floor),
      max_(backoff_max),
      backoff_(backoff_floor),
      stop_(context.executor) {}

Task<void> RoleLoop::run(std::function<Task<void>()> serve) {
  while (!stopping_) {
    std::string fault;
    try {
      Task<void> work = serve();
      co_await std::move(work);
    } catch (const std::exception& error) {
      fault = error.what();
    }
    if (fault.empty()) continue;
    context_.metrics.internal_error(role_);
    log::warn("a role lost its database session; beginning anew",
              {{"role", role_}, {"error", fault}, {"after_ms", backoff_.count()}});
    co_await pause(backoff_);
    backoff_ = std::min(backoff_ * 2, max_);
  }
}

void RoleLoop::stop() {
  stopping_ = true;
  stop_.set();
}

Task<void> RoleLoop::pause(Millis limit) {
  if (!stopping_) co_await stop_.wait(limit);
}

void RoleLoop::succeeded() {
  backoff_ = floor_;
  context_.metrics.role_success(role_);
}

}  // namespace eventhub::store
