#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace eventhub::http {

// Standard Webhooks 1.0.0 signatures: `v1,` + base64(HMAC-SHA256(secret,
// "{id}.{timestamp}.{body}")), one per secret, space-separated. HMAC contexts are kept and reused.
class Signer {
 public:
  // Secrets as `whsec_` + base64 of 24..64 bytes. Throws std::invalid_argument for another form.
  explicit Signer(const std::vector<std::string>& secrets);
  ~Signer();
  Signer(Signer&&) noexcept;
  // With the first `count` secrets.
  std::string sign(std::string_view id, std::int64_t unix_seconds, std::string_view body,
                   std::size_t count = SIZE_MAX);

 private:
  struct Key;
  std::vector<std::unique_ptr<Key>> keys_;
};

// `whsec_` + base64 of 24..64 bytes; a new one has 32 random bytes.
bool is_webhook_secret(std::string_view text);
std::string random_webhook_secret();

// Whether one of the space-separated signatures fits (constant time). For `eventhubd listen` and
// tests.
bool verify_signature(const std::string& secret, std::string_view id, std::string_view timestamp,
                      std::string_view body, std::string_view signatures);

}  // namespace eventhub::http
