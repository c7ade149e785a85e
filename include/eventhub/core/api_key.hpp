#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eventhub/core/ids.hpp"
#include "eventhub/core/json.hpp"
#include "eventhub/core/rate_limit.hpp"
#include "eventhub/core/time.hpp"

namespace eventhub {

// What a route asks of who calls it, and what an API key allows. `admin` allows everything: who may
// make keys could give himself the rest.
enum class Scope : std::uint8_t { none, publish, read, admin };

std::string_view to_string(Scope scope);
// publish, read or admin.
std::optional<Scope> parse_scope(std::string_view text);

// A set of scopes.
class Scopes {
 public:
  Scopes() = default;
  explicit Scopes(Scope scope) { add(scope); }
  void add(Scope scope) { bits_ |= bit(scope); }
  bool empty() const { return bits_ == 0; }
  bool allow(Scope wanted) const {
    return wanted == Scope::none || ((bits_ & (bit(wanted) | bit(Scope::admin))) != 0);
  }
  std::vector<std::string_view> names() const;

 private:
  static unsigned bit(Scope scope) { return 1U << static_cast<unsigned>(scope); }
  unsigned bits_ = 0;
};

using Sha256Digest = std::array<std::uint8_t, 32>;

// The name under which the key of the settings is shown; no other key has it.
inline constexpr std::string_view kSettingsKeyName = "EVENTHUB_ADMIN_KEY";

// What a person asks for.
struct NewApiKey {
  std::string name;
  std::string producer;  // empty: the name
  Scopes scopes;
  std::optional<double> rate;         // requests per second
  std::optional<std::int64_t> burst;  // requests at once; as many as in a second, if not given
};
// Fills in the producer and the burst, or says what is wrong; for the command line and the API
// alike.
std::optional<InputError> complete(NewApiKey& key);
// The body of POST /keys.
std::variant<NewApiKey, InputError> parse_new_api_key(std::string_view body);

// What there is to show of a key; never the key itself.
struct ApiKeyInfo {
  Uuid id;
  std::string name, producer;
  Scopes scopes;
  std::optional<RateLimit> limit;
  Time created_at;
  std::string created_by;
  std::optional<Time> last_used_at;
};
// As a JSON object; `token`, when given, is its last member.
std::string to_json(const ApiKeyInfo& key, std::string_view token = {});
// "shop, producer shop, scopes publish,read"
std::string describe(const ApiKeyInfo& key);

// What is remembered of a key between two looks at the table.
struct ApiKeyUse {
  std::optional<Mono> last;  // not yet in the table
  RateBucket bucket;
};

// A key as requests are checked against it.
struct ApiKey {
  Uuid id;
  std::string name;      // for people
  std::string producer;  // the scope of its idempotency keys
  Scopes scopes;
  std::optional<RateLimit> limit;
  Sha256Digest digest{};  // of the token
  std::shared_ptr<ApiKeyUse> use = std::make_shared<ApiKeyUse>();
};
using ApiKeyPtr = std::shared_ptr<const ApiKey>;

}  // namespace eventhub
