// The box without a key, for hubs that have none. The one with keys is src/http/master_keys.cpp.
#include "eventhub/core/secret_box.hpp"

namespace eventhub {

std::string SecretBox::seal(SecretUse /*use*/, std::string_view secret) const {
  return std::string(secret);
}

std::string SecretBox::open(SecretUse /*use*/, std::string_view stored) const {
  if (is_sealed(stored)) {
    throw SealedError("it is encrypted, and secrets.master_key is not set");
  }
  return std::string(stored);
}

bool SecretBox::is_current(std::string_view stored) const {
  return !is_sealed(stored);
}

const SecretBox& plain_box() {
  static const SecretBox box;
  return box;
}

}  // namespace eventhub
