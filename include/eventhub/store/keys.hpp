#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "eventhub/core/api_key.hpp"
#include "eventhub/store/database.hpp"
#include "eventhub/store/wakeups.hpp"

namespace eventhub::store {

// The keys that work, as of one version of the table.
struct KeySet {
  std::int64_t version = -1;  // -1: not loaded yet
  bool any = false;           // whether a key was ever made; revoked ones count
  std::unordered_map<std::uint64_t, ApiKeyPtr> by_digest;  // the digest's first 8 bytes
};
using KeySetPtr = std::shared_ptr<const KeySet>;

std::uint64_t digest_prefix(const Sha256Digest& digest);

// The process's copy of `api_keys`: loaded again within a second of a change, by a notification or
// a look at the table's version. While the database is away the last copy is good.
class Keys {
 public:
  Keys(Database& database, Wakeups& wakeups, const Clock& clock);
  const KeySetPtr& current() const { return current_; }
  // Loads when the table's version differs from the copy's.
  Task<void> refresh();
  // Keeps the copy fresh and writes last_used_at every few seconds, until stop().
  Task<void> run();
  void stop();

 private:
  Task<void> refresh_and_save();
  Task<void> save_uses();

  Database& database_;
  Wakeups& wakeups_;
  const Clock& clock_;
  KeySetPtr current_ = std::make_shared<KeySet>();
  Mono save_at_{};
  std::int64_t begun_ = 0;  // loads
  std::int64_t taken_ = 0;  // the newest of them that changed the copy
  bool stopping_ = false;
};

// ── the table itself, for those who manage it ──

enum class KeyRefusal { name_taken, too_many };
// At most this many work at a time.
inline constexpr int kKeysMax = 1'000;

// `by`: who makes it and from where, for people. All references outlive the task.
Task<std::variant<ApiKeyInfo, KeyRefusal>> create_key(Database& database, NewApiKey key,
                                                      Sha256Digest digest, std::string by);
// The name of the key that was revoked; nullopt when no key of this id works.
Task<std::optional<std::string>> revoke_key(Database& database, Uuid id, std::string by);
// Those that work, the newest first.
Task<std::vector<ApiKeyInfo>> list_keys(Database& database);

}  // namespace eventhub::store
