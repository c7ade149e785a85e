// Wake-ups between processes by LISTEN and NOTIFY, each on a connection of its own from Database.
// What is lost is made up for by the polls of those who wait.
#include "eventhub/store/wakeups.hpp"

#include <algorithm>
#include <vector>

#include "eventhub/core/log.hpp"

namespace eventhub::store {
namespace {

constexpr std::array<std::string_view, kSignals> channels{
    "eventhub_events", "eventhub_messages", "eventhub_control", "eventhub_keys", "eventhub_outbox"};
constexpr const char* listen_sql =
    "LISTEN eventhub_events; LISTEN eventhub_messages; LISTEN eventhub_control; "
    "LISTEN eventhub_keys; LISTEN eventhub_outbox";
const pg::Statement notify_channels{
    "notify", "SELECT pg_notify(channel, $2) FROM unnest($1::text[]) AS channel"};

constexpr Millis between_notifies{10}, backoff_min{100}, backoff_max{5'000};
constexpr Millis proof_of_life{30'000};  // a silent listener asks the server whether it is there

}  // namespace

Wakeups::Wakeups(Database& database, std::string node)
    : database_(database),
      node_(std::move(node)),
      local_{Wakeup(database.executor()), Wakeup(database.executor()), Wakeup(database.executor()),
             Wakeup(database.executor()), Wakeup(database.executor())},
      publish_due_(database.executor()),
      listen_backoff_(backoff_min),
      publish_backoff_(backoff_min),
      listen_stop_(database.executor()),
      publish_stop_(database.executor()),
      published_(database.executor()) {}

void Wakeups::notify(Signal signal) {
  const auto index = static_cast<std::size_t>(signal);
  local_[index].set();
  if (!remote_[index] || due_[index]) return;
  due_[index] = true;
  publish_due_.set();
}

void Wakeups::wake_all() {
  for (Wakeup& wakeup : local_) wakeup.set();
}

void Wakeups::stop() {
  stopping_ = true;
  abort_->set();
  publish_abort_->set();
  listen_stop_.set();
  publish_stop_.set();
  publish_due_.set();
  if (listener_) listener_->close();
  if (notifier_) notifier_->close();
}

Task<void> Wakeups::run() {
  publishing_ = true;
  spawn(database_.executor(), "wakeups.publish", publish());
  co_await listen();
  while (publishing_) co_await published_.wait(Seconds{1});
}

void Wakeups::heard(const pg::Notification& notification) {
  if (notification.backend_pid == notifier_pid_) return;  // our own
  for (std::size_t i = 0; i < channels.size(); ++i) {
    if (notification.channel == channels[i]) local_[i].set();
  }
}

Task<void> Wakeups::listen_on_new_connection() {
  listener_ = co_await database_.connect(Profile::general, abort_);
  co_await listener_->exec(listen_sql);
  listen_backoff_ = backoff_min;
  wake_all();  // for what was missed
  while (!stopping_) {
    const auto notifications = co_await listener_->wait_notifications(proof_of_life);
    for (const auto& notification : notifications) heard(notification);
    if (notifications.empty() && !stopping_) co_await listener_->exec("SELECT 1");
  }
}

Task<void> Wakeups::listen() {
  while (!stopping_) {
    std::string failure;
    try {
      co_await listen_on_new_connection();
    } catch (const pg::Error& error) {
      failure = error.what();
    }
    listener_.reset();
    if (stopping_) break;
    if (listen_backoff_ == backoff_min) {
      log::warn("wake-ups are not heard, polling meanwhile", {{"error", failure}});
    }
    co_await listen_stop_.wait(listen_backoff_);
    listen_backoff_ = std::min(listen_backoff_ * 2, backoff_max);
  }
}

Task<void> Wakeups::publish() {
  try {
    co_await publish_loop();
  } catch (...) {  // run() must not wait for ever; spawn() reports it
    publishing_ = false;
    published_.set();
    throw;
  }
  notifier_.reset();
  publishing_ = false;
  published_.set();
}

Task<void> Wakeups::publish_loop() {
  while (!stopping_) {
    co_await publish_due_.wait(proof_of_life);
    const std::array<bool, kSignals> due = std::exchange(due_, {});
    if (stopping_ || due == std::array<bool, kSignals>{}) continue;
    Millis pause = between_notifies;
    try {
      co_await send(due);
      publish_backoff_ = backoff_min;
    } catch (const pg::Error&) {  // the listener on the same server says so
      notifier_.reset();
      for (std::size_t i = 0; i < due.size(); ++i) due_[i] = due_[i] || due[i];
      publish_due_.set();
      pause = publish_backoff_;
      publish_backoff_ = std::min(publish_backoff_ * 2, backoff_max);
    }
    if (!stopping_) co_await publish_stop_.wait(pause);
  }
}

Task<void> Wakeups::send(std::array<bool, kSignals> due) {
  if (!notifier_) {
    notifier_ = co_await database_.connect(Profile::general, publish_abort_);
    notifier_pid_ = notifier_->backend_pid();
  }
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < due.size(); ++i) {
    if (due[i]) names.push_back(channels[i]);
  }
  pg::Params params;
  params.texts(names).text(node_);
  co_await notifier_->run(notify_channels, std::move(params));
}

}  // namespace eventhub::store
