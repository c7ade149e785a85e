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
  std::string sign(std::string_view id, std::int64_t unix_seconds, std::string_view body);

 private:
  struct Key;
  std::vector<std::unique_ptr<Key>> keys_;
};

// Whether one of the space-separated signatures fits (constant time). For `eventhubd listen` and
// tests.
bool verify_signature(const std::string& secret, std::string_view id, std::string_view timestamp,
                      std::string_view body, std::string_view signatures);

}  // namespace eventhub::http
