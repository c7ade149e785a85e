// The process's copy of `api_keys` and the life that keeps it fresh. What people do with the table
// is in key_table.cpp; requests are checked against the copy in src/api/access.cpp.
#include "eventhub/store/keys.hpp"

#include <cstring>
#include <map>

#include "eventhub/core/log.hpp"

namespace eventhub::store {
namespace {

constexpr Millis kLookEvery{1'000};
constexpr Millis kSaveEvery{5'000};

// One statement, so version and rows come from one snapshot. No rows when the version is the known
// one.
const pg::Statement kLoad{"keys_load", R"(
SELECT v.version, EXISTS (SELECT FROM api_keys), k.id, k.name, k.producer, k.scopes, k.token_sha256,
       k.rate, k.burst
FROM api_keys_version v
LEFT JOIN api_keys k ON v.version <> $1 AND k.revoked_at IS NULL)"};

const pg::Statement kSaveUses{"keys_save_uses", R"(
UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, u.used_at)
FROM unnest($1::uuid[], $2::timestamptz[]) AS u(id, used_at) WHERE k.id = u.id)"};

ApiKeyPtr read_key(const pg::Result& result, int row) {
  auto key = std::make_shared<ApiKey>();
  key->id = result.uuid(row, 2);
  key->name = result.text(row, 3);
  key->producer = result.text(row, 4);
  for (const std::string& name : result.texts(row, 5)) {
    if (const auto scope = parse_scope(name)) key->scopes.add(*scope);
  }
  if (!result.is_null(row, 7)) {
    key->limit = RateLimit{.per_second = result.f64(row, 7), .burst = result.i32(row, 8)};
  }
  const std::string_view digest = result.text(row, 6);
  if (digest.size() != key->digest.size()) throw std::runtime_error("a digest has not 32 bytes");
  std::memcpy(key->digest.data(), digest.data(), digest.size());
  return key;
}

// A key that was there before goes on with what is remembered of it.
KeySetPtr read_all(const pg::Result& result, const KeySet& before) {
  std::map<Uuid, std::shared_ptr<ApiKeyUse>> uses;
  for (const auto& [digest, key] : before.by_digest) uses.emplace(key->id, key->use);
  auto set = std::make_shared<KeySet>();
  set->version = result.i64(0, 0);
  set->any = result.boolean(0, 1);
  for (int row = 0; row < result.rows(); ++row) {
    if (result.is_null(row, 2)) continue;  // no key works
    ApiKeyPtr key = read_key(result, row);
    const auto known = uses.find(key->id);
    if (known != uses.end()) {
      auto same = std::make_shared<ApiKey>(*key);
      same->use = known->second;
      key = std::move(same);
    }
    set->by_digest.emplace(digest_prefix(key->digest), std::move(key));
  }
  return set;
}

}  // namespace

std::uint64_t digest_prefix(const Sha256Digest& digest) {
  std::uint64_t prefix = 0;
  std::memcpy(&prefix, digest.data(), sizeof prefix);
  return prefix;
}

Keys::Keys(Database& database, Wakeups& wakeups, const Clock& clock)
    : database_(database), wakeups_(wakeups), clock_(clock) {}

// Two at a time may end in the wrong order: what was begun earlier is not taken then.
Task<void> Keys::refresh() {
  const std::int64_t number = ++begun_;
  Database::Lease lease = co_await database_.lease();
  const std::int64_t known = current_->version;
  pg::Params params;
  params.i64(known);
  const pg::Result result = co_await lease->run(kLoad, std::move(params));
  if (result.rows() == 0) throw std::runtime_error("the table api_keys_version is empty");
  const std::int64_t version = result.i64(0, 0);
  if (version == known || number < taken_) co_return;
  taken_ = number;
  current_ = read_all(result, *current_);
  log::info("API keys loaded", {{"version", version}, {"keys", current_->by_digest.size()}});
}

Task<void> Keys::run() {
  bool failing = false;
  save_at_ = clock_.mono() + kSaveEvery;
  while (!stopping_) {
    std::string fault;
    try {
      co_await refresh_and_save();
    } catch (const std::exception& error) {
      fault = error.what();
    }
    if (!fault.empty() && !failing) {
      log::warn("API keys cannot be looked at; those known before stay", {{"error", fault}});
    }
    failing = !fault.empty();
    if (!stopping_) co_await wakeups_.of(Signal::keys).wait(kLookEvery);
  }
  if (failing) co_return;
  try {
    co_await save_uses();
  } catch (const pg::Error&) {  // the last seconds of last_used_at are not worth an error
  }
}

void Keys::stop() {
  stopping_ = true;
  wakeups_.of(Signal::keys).set();
}

Task<void> Keys::refresh_and_save() {
  co_await refresh();
  if (clock_.mono() < save_at_) co_return;
  save_at_ = clock_.mono() + kSaveEvery;
  co_await save_uses();
}

Task<void> Keys::save_uses() {
  std::vector<Uuid> ids;
  std::vector<std::optional<Time>> times;
  std::vector<std::pair<ApiKeyPtr, Mono>> saved;
  const Mono mono = clock_.mono();
  const Time now = clock_.now();
  for (const auto& [digest, key] : current_->by_digest) {
    if (!key->use->last) continue;
    ids.push_back(key->id);
    const auto ago = std::chrono::duration_cast<Micros>(mono - *key->use->last);
    times.emplace_back(now - ago);
    saved.emplace_back(key, *key->use->last);
  }
  if (ids.empty()) co_return;
  Database::Lease lease = co_await database_.lease();
  pg::Params params;
  params.uuids(std::span<const Uuid>(ids)).timestamps(times);
  co_await lease->run(kSaveUses, std::move(params));
  for (const auto& [key, last] : saved) {
    if (key->use->last == last) key->use->last.reset();
  }
}

}  // namespace eventhub::store
