#pragma once
#include <stdexcept>
#include <string>
#include <string_view>

namespace eventhub {

// What a sealed text is for. One that was sealed for one use does not open for the other: a secret
// that somebody copied into a header is not sent to a receiver.
enum class SecretUse { signing, header };

// A text that cannot be opened here: sealed with another key, or damaged. Says which, never what.
class SealedError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline constexpr std::string_view kSealedPrefix = "sealed:v1:";
inline bool is_sealed(std::string_view stored) {
  return stored.starts_with(kSealedPrefix);
}

// How secrets are kept in the database. This one has no key: it keeps them as they are. The one
// with keys is http::MasterKeys.
class SecretBox {
 public:
  SecretBox() = default;
  virtual ~SecretBox() = default;
  SecretBox(const SecretBox&) = delete;
  SecretBox& operator=(const SecretBox&) = delete;

  // What to store.
  virtual std::string seal(SecretUse use, std::string_view secret) const;
  // What was given to seal(); a stored text that is not sealed is itself. Throws SealedError.
  virtual std::string open(SecretUse use, std::string_view stored) const;
  // Whether a stored text is as seal() would make it now.
  virtual bool is_current(std::string_view stored) const;
};

// The box without a key.
const SecretBox& plain_box();

}  // namespace eventhub
