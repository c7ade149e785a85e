// Making, revoking and listing API keys. Called by the API (src/api/keys.cpp) and the command line
// (src/app/keys.cpp); who checks requests sees the change through keys.cpp.
#include "eventhub/store/keys.hpp"

namespace eventhub::store {
namespace {

const pg::Statement kCreate{"keys_create", R"(
INSERT INTO api_keys (name, producer, scopes, token_sha256, created_by, rate, burst)
SELECT $1, $2, $3::text[], $4, $5, $7, $8
WHERE (SELECT count(*) FROM api_keys WHERE revoked_at IS NULL) < $6
RETURNING id, created_at)"};

const pg::Statement kRevoke{"keys_revoke", R"(
UPDATE api_keys SET revoked_at = now(), revoked_by = $2
WHERE id = $1 AND revoked_at IS NULL RETURNING name)"};

const pg::Statement kList{"keys_list", R"(
SELECT id, name, producer, scopes, created_at, created_by, last_used_at, rate, burst
FROM api_keys WHERE revoked_at IS NULL ORDER BY created_at DESC, id LIMIT $1)"};

bool is_taken_name(const pg::Error& error) {
  return error.sqlstate == "23505" && error.constraint == "api_keys_name";
}

std::optional<RateLimit> limit_of(const NewApiKey& key) {
  if (!key.rate || !key.burst) return std::nullopt;
  return RateLimit{.per_second = *key.rate, .burst = static_cast<int>(*key.burst)};
}

ApiKeyInfo read_info(const pg::Result& result, int row) {
  ApiKeyInfo info;
  info.id = result.uuid(row, 0);
  info.name = result.text(row, 1);
  info.producer = result.text(row, 2);
  for (const std::string& name : result.texts(row, 3)) {
    if (const auto scope = parse_scope(name)) info.scopes.add(*scope);
  }
  info.created_at = result.timestamp(row, 4);
  info.created_by = result.text(row, 5);
  info.last_used_at = result.optional_timestamp(row, 6);
  if (!result.is_null(row, 7)) {
    info.limit = RateLimit{.per_second = result.f64(row, 7), .burst = result.i32(row, 8)};
  }
  return info;
}

}  // namespace

Task<std::variant<ApiKeyInfo, KeyRefusal>> create_key(Database& database, NewApiKey key,
                                                      Sha256Digest digest, std::string by) {
  Database::Lease lease = co_await database.lease();
  const std::vector<std::string_view> scopes = key.scopes.names();
  const std::string_view bytes(reinterpret_cast<const char*>(digest.data()), digest.size());
  pg::Params params;
  params.text(key.name).text(key.producer).texts(scopes).bytea(bytes).text(by).i64(kKeysMax);
  const std::optional<RateLimit> limit = limit_of(key);
  params.f64(limit ? std::optional(limit->per_second) : std::nullopt);
  params.i32(limit ? std::optional(limit->burst) : std::nullopt);
  bool taken = false;
  pg::Result result;
  try {
    result = co_await lease->run(kCreate, std::move(params));
  } catch (const pg::Error& error) {
    if (!is_taken_name(error)) throw;
    taken = true;
  }
  if (taken) co_return KeyRefusal::name_taken;
  if (result.rows() == 0) co_return KeyRefusal::too_many;
  ApiKeyInfo info;
  info.id = result.uuid(0, 0);
  info.name = std::move(key.name);
  info.producer = std::move(key.producer);
  info.scopes = key.scopes;
  info.limit = limit;
  info.created_at = result.timestamp(0, 1);
  info.created_by = std::move(by);
  co_return info;
}

Task<std::optional<std::string>> revoke_key(Database& database, Uuid id, std::string by) {
  Database::Lease lease = co_await database.lease();
  pg::Params params;
  params.uuid(id).text(by);
  const pg::Result result = co_await lease->run(kRevoke, std::move(params));
  if (result.rows() == 0) co_return std::nullopt;
  co_return std::string(result.text(0, 0));
}

Task<std::vector<ApiKeyInfo>> list_keys(Database& database) {
  Database::Lease lease = co_await database.lease();
  pg::Params params;
  params.i64(2 * kKeysMax);  // rows made by hand count for no limit but this
  const pg::Result result = co_await lease->run(kList, std::move(params));
  std::vector<ApiKeyInfo> all;
  for (int row = 0; row < result.rows(); ++row) all.push_back(read_info(result, row));
  co_return all;
}

}  // namespace eventhub::store
