// A hub process: builds what the roles share, then listen -> prepare -> start -> watch. The servers
// come first, so that who asks is told what the process waits for. Draining is in drain.cpp. Calls
// the roles (api, fanout, dispatcher, cleanup) and store::Ingest.
#include "app/hub.hpp"

#include <unistd.h>

#include <algorithm>

#include "app/migrate.hpp"
#include "eventhub/cleanup/cleanup.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/dispatcher/dispatcher.hpp"
#include "eventhub/fanout/fanout.hpp"

namespace eventhub::app {
namespace {

constexpr Millis kWatchEvery{1'000};
// A loop that is held up for so long hurts every latency promise; it is worth a line in the log.
constexpr Millis kLoopLagWorthTelling{500};

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ",") + word;
  return text;
}

std::unique_ptr<store::Ingest> make_ingest(const Config& config, store::Context& shared) {
  return config.has_role("api") ? std::make_unique<store::Ingest>(shared) : nullptr;
}

std::unique_ptr<http::Server> make_monitor(const Executor& executor, store::Context& shared,
                                           store::Keys& keys, api::Health& health,
                                           Metrics& metrics) {
  ServerConfig config = shared.config.server;
  if (config.metrics_port == 0) return nullptr;
  config.bind = config.metrics_bind;
  config.port = config.metrics_port;
  return std::make_unique<http::Server>(executor, config,
                                        api::make_monitor_handler(shared, keys, health),
                                        api::make_refusal(), metrics);
}

std::vector<std::unique_ptr<store::Role>> make_roles(store::Context& shared) {
  std::vector<std::unique_ptr<store::Role>> roles;
  if (shared.config.has_role("fanout")) {
    roles.push_back(make_fanout(shared));
    roles.push_back(make_mover(shared));
  }
  if (shared.config.has_role("dispatcher")) roles.push_back(make_dispatcher(shared));
  if (shared.config.has_role("cleanup")) roles.push_back(make_cleanup(shared));
  return roles;
}

}  // namespace

Hub::Hub(Config config)
    : config_(std::move(config)),
      signals_(context_),
      metrics_(static_cast<std::size_t>(config_.metrics_label_values_max)),
      database_(context_.get_executor(), config_.database, metrics_,
                config_.dispatcher.idle_session_timeout),
      node_(uuid_v7(clock_.now())),
      wakeups_(database_, to_string(node_)),
      partitions_(database_),
      master_keys_(config_.secrets.master_key),
      subscribers_(database_, master_keys_),
      keys_(database_, wakeups_, clock_),
      shared_{context_.get_executor(),
              config_,
              clock_,
              metrics_,
              database_,
              wakeups_,
              partitions_,
              subscribers_,
              node_},
      ingest_(make_ingest(config_, shared_)),
      health_{.started = clock_.now()},
      server_watch_(shared_, health_.durability_lost),
      disk_guard_(shared_),
      server_(context_.get_executor(), config_.server,
              api::make_handler(shared_, keys_, ingest_.get(), health_), api::make_refusal(),
              metrics_),
      monitor_(make_monitor(context_.get_executor(), shared_, keys_, health_, monitor_metrics_)),
      stopping_(context_.get_executor()),
      part_ended_(context_.get_executor()) {}

int Hub::run() {
  listen();
  signals_.add(SIGINT);
  signals_.add(SIGTERM);
  wait_for_signal();
  spawn(context_.get_executor(), "hub", live());
  while (!over_) context_.run_one();
  signals_.cancel();
  context_.run_for(kWatchEvery);  // what was only waiting ends now
  return exit_code_;
}

// A taken port is told before anything is touched, and the roles know the port that was chosen.
void Hub::listen() {
  config_.server.port = server_.listen();
  if (monitor_) monitor_->listen();
  roles_ = make_roles(shared_);
}

Task<void> Hub::live() {
  start_part("server", server_.run());
  if (monitor_) start_part("monitor", monitor_->run());
  try {
    co_await prepare();
    if (!stop_) start();
    if (!stop_) co_await watch();
  } catch (const std::exception& error) {
    fail("start", error.what());
  }
  co_await drain();
  over_ = true;
}

Task<void> Hub::read_first() {
  co_await server_watch_.first();
  co_await partitions_.reload();
  if (partitions_.all().empty()) co_await partitions_.ensure(1);
  co_await subscribers_.refresh();
  co_await keys_.refresh();
}

Task<void> Hub::prepare() {
  FirstReads reads = [this] { return read_first(); };
  const int applied = co_await prepare_database(database_, config_, &stop_, std::move(reads));
  if (stop_) co_return;
  if (applied > 0) log::info("schema migrated", {{"migrations", applied}});
  check_door();
  health_.migrated = true;
}

// Not to be found out by those who were not meant to come in.
void Hub::check_door() const {
  if (api::door(config_, *keys_.current()) != api::Door::refused) return;
  throw std::runtime_error(
      "others than this machine reach server.bind = " + config_.server.bind +
      " and there is no API key: set EVENTHUB_ADMIN_KEY, make a key with eventhubd keys create, or "
      "say --insecure");
}

void Hub::tell_door() const {
  const api::Door door = api::door(config_, *keys_.current());
  if (door == api::Door::open_to_this_machine) {
    log::warn("there is no API key: every program on this machine may publish and manage",
              {{"address", config_.server.bind}, {"make_one_with", "eventhubd keys create"}});
  }
  if (door == api::Door::open_to_all) {
    log::warn("there is no API key, and server.insecure is set: everybody may publish and manage",
              {{"address", config_.server.bind}, {"make_one_with", "eventhubd keys create"}});
  }
}

void Hub::start() {
  tell_door();
  if (config_.secrets.master_key.empty()) {
    log::info("secrets and headers of subscribers are kept in clear in the database",
              {{"encrypted_with", "secrets.master_key"}});
  }
  start_part("wakeups", wakeups_.run());
  start_part("server_watch", server_watch_.run());
  start_part("keys", keys_.run());
  if (ingest_) start_part("ingest", ingest_->run());
  if (ingest_) start_part("disk_guard", disk_guard_.run());
  for (const auto& role : roles_) start_part(std::string(role->name()), role->run());
  log::info("eventhubd started", {{"version", EVENTHUB_VERSION},
                                  {"port", config_.server.port},
                                  {"roles", joined(config_.roles)},
                                  {"database", describe(config_.database)},
                                  {"node", to_string(node_)},
                                  {"worker", config_.worker_id},
                                  {"pid", ::getpid()}});
}

void Hub::start_part(std::string name, Task<void> work) {
  parts_.push_back(std::make_unique<Part>(Part{.name = std::move(name)}));
  Part& part = *parts_.back();
  spawn(context_.get_executor(), part.name, run_part(part, std::move(work)));
}

// A part that ends before it was told to, with or without an exception, stops the process: half a
// hub would look alive and do nothing.
Task<void> Hub::run_part(Part& part, Task<void> work) {
  try {
    co_await std::move(work);
    if (!stop_) fail(part.name, "it ended by itself");
  } catch (const std::exception& error) {
    fail(part.name, error.what());
  }
  part.ended = true;
  part_ended_.set();
}

// Looked at so often that nobody is held up for a send_lease and a quarter without being told.
Task<void> Hub::watch() {
  const Millis every = std::clamp(config_.dispatcher.send_lease / 4, kWatchEvery / 20, kWatchEvery);
  while (!stop_) {
    const Mono before = clock_.mono();
    const bool woken = co_await stopping_.wait(every);
    const auto late = std::chrono::duration_cast<Millis>(clock_.mono() - before) - every;
    if (!woken) looked(late);
    metrics_.log_dropped(log::dropped());
  }
}

void Hub::looked(Millis late) {
  if (late > kLoopLagWorthTelling) {
    log::warn("the process was held up", {{"milliseconds", late.count()}});
  }
  for (const auto& role : roles_) role->held_up(late);
}

}  // namespace eventhub::app
