// `eventhubd keys create|list|revoke|rotate-master`: on the database itself, so that the first key
// can be made before there is a hub. Calls store/key_table.cpp and store/reseal.cpp.
#include "app/keys.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <iostream>

#include "app/migrate.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/core/metrics.hpp"
#include "eventhub/core/time_text.hpp"
#include "eventhub/http/digest.hpp"
#include "eventhub/http/master_keys.hpp"
#include "eventhub/store/embedded.hpp"
#include "eventhub/store/keys.hpp"
#include "eventhub/store/reseal.hpp"

namespace eventhub::app {
namespace {

struct Origin {
  std::string by = "eventhubd keys";
  std::string from;  // user@host
};

Origin origin() {
  char host[256] = "localhost";
  ::gethostname(host, sizeof host - 1);
  const passwd* user = ::getpwuid(::geteuid());
  Origin made;
  made.from = fmt::format("{}@{}", user != nullptr ? user->pw_name : "?", host);
  return made;
}

std::string text_of(const Origin& origin) {
  return origin.by + ", " + origin.from;
}

// What is wrong with a command; thrown when its work is over.
struct Outcome {
  std::string refusal;
};

NewApiKey new_key(const KeysOptions& options) {
  NewApiKey key{.name = options.name,
                .producer = options.producer,
                .scopes = {},
                .rate = options.rate,
                .burst = options.burst};
  for (const std::string& name : options.scopes) {
    const auto scope = parse_scope(name);
    if (!scope) throw ConfigError("keys: \"" + name + "\" is none of publish, read, admin");
    key.scopes.add(*scope);
  }
  if (const auto wrong = complete(key)) throw ConfigError("keys: " + wrong->detail);
  return key;
}

std::string text_of(store::KeyRefusal why, const std::string& name) {
  return why == store::KeyRefusal::name_taken
             ? fmt::format("there is a key named {} already", name)
             : fmt::format("there are {} keys already", store::kKeysMax);
}

// The key alone on standard output: KEY=$(eventhubd keys create …).
Task<void> create(store::Database& database, const KeysOptions& options, Outcome& outcome) {
  const Origin self = origin();
  const std::string token = http::random_token();
  NewApiKey wanted = new_key(options);
  const auto made =
      co_await store::create_key(database, std::move(wanted), http::sha256(token), text_of(self));
  if (const auto* why = std::get_if<store::KeyRefusal>(&made)) {
    outcome.refusal = text_of(*why, options.name);
    co_return;
  }
  const auto& key = std::get<ApiKeyInfo>(made);
  log::audit({.action = "key.create",
              .id = to_string(key.id),
              .what = describe(key),
              .by = self.by,
              .from = self.from});
  std::cout << (options.json ? to_json(key, token) : token) << std::endl;
  if (!options.json) {
    std::cerr << "This is the key " << describe(key) << ". It is not shown again.\n" << std::flush;
  }
}

void print_table(const std::vector<ApiKeyInfo>& keys) {
  constexpr const char* kRow = "{:<36}  {:<20}  {:<20}  {:<18}  {:<14}  {:<24}  {}\n";
  std::cout << fmt::format(fmt::runtime(kRow), "id", "name", "producer", "scopes", "limit",
                           "last used", "made by");
  for (const ApiKeyInfo& key : keys) {
    const std::string scopes = fmt::format("{}", fmt::join(key.scopes.names(), ","));
    const std::string limit =
        key.limit ? fmt::format("{}/s, {}", key.limit->per_second, key.limit->burst) : "none";
    const std::string used = key.last_used_at ? format_time(*key.last_used_at) : "never";
    std::cout << fmt::format(fmt::runtime(kRow), to_string(key.id), key.name, key.producer, scopes,
                             limit, used, key.created_by);
  }
  std::cout << std::flush;
}

Task<void> list(store::Database& database, const KeysOptions& options) {
  const auto keys = co_await store::list_keys(database);
  if (!options.json) {
    print_table(keys);
    co_return;
  }
  std::string all;
  for (const ApiKeyInfo& key : keys) all += (all.empty() ? "" : ",") + to_json(key);
  std::cout << "[" << all << "]" << std::endl;
}

Task<void> revoke(store::Database& database, const KeysOptions& options, Outcome& outcome) {
  const Origin self = origin();
  std::optional<Uuid> id = parse_uuid(options.name);
  const auto keys = co_await store::list_keys(database);
  for (const ApiKeyInfo& key : keys) {
    if (key.name == options.name) id = key.id;
  }
  std::optional<std::string> name;
  if (id) name = co_await store::revoke_key(database, *id, text_of(self));
  if (!name) {
    outcome.refusal = "no key " + options.name + " works";
    co_return;
  }
  log::audit({.action = "key.revoke",
              .id = to_string(*id),
              .what = *name,
              .by = self.by,
              .from = self.from});
  std::cout << "revoked " << *name << std::endl;
}

// Can be repeated, and stopped at any time: what is encrypted with the first key stays.
Task<void> rotate_master(store::Database& database, const Config& config, Outcome& outcome) {
  const Origin self = origin();
  const http::MasterKeys box(config.secrets.master_key);
  const auto done = co_await store::reseal(database, box);
  log::audit({.action = "secrets.rotate_master",
              .id = "",
              .what = fmt::format("{} subscribers", done.changed),
              .by = self.by,
              .from = self.from});
  std::cout << "encrypted anew: " << done.changed << std::endl;
  for (const auto& problem : done.problems) std::cerr << problem << std::endl;
  if (!done.problems.empty()) {
    outcome.refusal = fmt::format("{} subscribers could not be encrypted anew: their messages wait",
                                  done.problems.size());
  }
}

Task<void> act(store::Database& database, const Config& config, const KeysOptions& options,
               Outcome& outcome) {
  co_await prepare_database(database, config);
  switch (options.action) {
    case KeysOptions::Action::create:
      co_await create(database, options, outcome);
      break;
    case KeysOptions::Action::list:
      co_await list(database, options);
      break;
    case KeysOptions::Action::revoke:
      co_await revoke(database, options, outcome);
      break;
    case KeysOptions::Action::rotate_master:
      co_await rotate_master(database, config, outcome);
      break;
  }
}

}  // namespace

int run_keys(const Config& config, const KeysOptions& options) {
  if (options.action == KeysOptions::Action::create) new_key(options);  // before anything is begun
  if (options.action == KeysOptions::Action::rotate_master && config.secrets.master_key.empty()) {
    throw ConfigError("keys: secrets.master_key is not set: there is nothing to encrypt with");
  }
  Outcome outcome;
  with_database(config, [&](store::Database& database, const Config& used) {
    return act(database, used, options, outcome);
  });
  if (!outcome.refusal.empty()) throw ConfigError("keys: " + outcome.refusal);
  return 0;
}

}  // namespace eventhub::app
