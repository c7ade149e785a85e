#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "eventhub/core/secret_box.hpp"

namespace eventhub::http {

// Secrets kept with AES-256-GCM: `sealed:v1:KEYID:` and the base64 of nonce, ciphertext and tag.
// KEYID is derived from the key, so nobody has to name keys. The first key seals, all of them open.
class MasterKeys : public SecretBox {
 public:
  // secrets.master_key: 64 hexadecimal digits each, separated by commas or white space; none keeps
  // secrets as they are. Throws std::runtime_error for another text and does not repeat it.
  explicit MasterKeys(std::string_view text);
  ~MasterKeys() override;

  std::string seal(SecretUse use, std::string_view secret) const override;
  std::string open(SecretUse use, std::string_view stored) const override;
  bool is_current(std::string_view stored) const override;

 private:
  struct Key {
    std::string id, bytes;
  };
  const Key& find(std::string_view id) const;
  std::vector<Key> keys_;
};

}  // namespace eventhub::http
