// Secrets at rest: AES-256-GCM with a random nonce for each text. What a text is for is
// authenticated with it. Used by the store when it reads rows, by the API when it writes them and
// by `eventhubd keys rotate-master`.
#include "eventhub/http/master_keys.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "eventhub/http/base64.hpp"
#include "eventhub/http/digest.hpp"

namespace eventhub::http {
namespace {

constexpr std::size_t kKeySize = 32;
constexpr std::size_t kNonceSize = 12;
constexpr std::size_t kTagSize = 16;
constexpr std::size_t kIdBytes = 8;
constexpr std::string_view kSpaces = ", \t\r\n";

struct FreeCipher {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, FreeCipher>;

unsigned char* bytes_of(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}
const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
int size_of(std::string_view text) {
  return static_cast<int>(text.size());
}

// Authenticated with the text, as nothing else tells the uses apart.
std::string_view label_of(SecretUse use) {
  return use == SecretUse::signing ? "eventhub signing secret" : "eventhub header";
}

void require(bool good) {
  if (!good) throw std::runtime_error("OpenSSL cannot encrypt with AES-256-GCM");
}

std::string encrypted(const std::string& key, SecretUse use, std::string_view secret) {
  std::string nonce(kNonceSize, '\0'), text(secret.size(), '\0'), tag(kTagSize, '\0');
  const CipherContext context(EVP_CIPHER_CTX_new());
  auto* c = context.get();
  int size = 0;
  require(c != nullptr && RAND_bytes(bytes_of(nonce), size_of(nonce)) == 1);
  require(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), nullptr, bytes_of(std::string_view(key)),
                             bytes_of(std::string_view(nonce))) == 1);
  require(EVP_EncryptUpdate(c, nullptr, &size, bytes_of(label_of(use)), size_of(label_of(use))) ==
          1);
  require(EVP_EncryptUpdate(c, bytes_of(text), &size, bytes_of(secret), size_of(secret)) == 1);
  require(EVP_EncryptFinal_ex(c, bytes_of(tag), &size) == 1);  // writes nothing
  require(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, size_of(tag), tag.data()) == 1);
  return nonce + text + tag;
}

// Nullopt when the text is not what was sealed.
std::optional<std::string> decrypted(const std::string& key, SecretUse use,
                                     std::string_view sealed) {
  if (sealed.size() < kNonceSize + kTagSize) return std::nullopt;
  const std::string_view nonce = sealed.substr(0, kNonceSize);
  std::string tag(sealed.substr(sealed.size() - kTagSize));
  const std::string_view text = sealed.substr(kNonceSize, sealed.size() - kNonceSize - kTagSize);
  std::string secret(text.size(), '\0'), rest(kTagSize, '\0');
  const CipherContext context(EVP_CIPHER_CTX_new());
  auto* c = context.get();
  int size = 0;
  const bool good =
      c != nullptr &&
      EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), nullptr, bytes_of(std::string_view(key)),
                         bytes_of(nonce)) == 1 &&
      EVP_DecryptUpdate(c, nullptr, &size, bytes_of(label_of(use)), size_of(label_of(use))) == 1 &&
      EVP_DecryptUpdate(c, bytes_of(secret), &size, bytes_of(text), size_of(text)) == 1 &&
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, size_of(tag), tag.data()) == 1 &&
      EVP_DecryptFinal_ex(c, bytes_of(rest), &size) == 1;
  if (!good) return std::nullopt;
  return secret;
}

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

std::string read_key(std::string_view word) {
  std::string key;
  const bool hex = std::ranges::all_of(word, [](char c) { return hex_value(c) >= 0; });
  if (!hex || word.size() != 2 * kKeySize) {
    throw std::runtime_error(
        "must be keys of 64 hexadecimal digits, separated by commas: make one "
        "with openssl rand -hex 32");
  }
  for (std::size_t i = 0; i < word.size(); i += 2) {
    key += static_cast<char>(hex_value(word[i]) * 16 + hex_value(word[i + 1]));
  }
  return key;
}

std::string id_of(const std::string& key) {
  const Sha256Digest digest = sha256("eventhub master key id:" + key);
  std::string id;
  for (std::size_t i = 0; i < kIdBytes; ++i) id += fmt::format("{:02x}", digest[i]);
  return id;
}

}  // namespace

MasterKeys::MasterKeys(std::string_view text) {
  while (true) {
    const auto begin = std::min(text.find_first_not_of(kSpaces), text.size());
    text.remove_prefix(begin);
    if (text.empty()) return;
    const auto end = std::min(text.find_first_of(kSpaces), text.size());
    std::string key = read_key(text.substr(0, end));
    keys_.push_back({id_of(key), std::move(key)});
    text.remove_prefix(end);
  }
}

MasterKeys::~MasterKeys() {
  for (Key& key : keys_) OPENSSL_cleanse(key.bytes.data(), key.bytes.size());
}

std::string MasterKeys::seal(SecretUse use, std::string_view secret) const {
  if (keys_.empty()) return SecretBox::seal(use, secret);
  const Key& key = keys_.front();
  return fmt::format("{}{}:{}", kSealedPrefix, key.id,
                     encode_base64(encrypted(key.bytes, use, secret)));
}

const MasterKeys::Key& MasterKeys::find(std::string_view id) const {
  const auto found =
      std::ranges::find_if(keys_, [&](const Key& key) { return std::string_view(key.id) == id; });
  if (found != keys_.end()) return *found;
  const bool shown = id.size() == 2 * kIdBytes &&
                     std::ranges::all_of(id, [](char c) { return hex_value(c) >= 0; });
  throw SealedError(
      fmt::format("it is encrypted with the master key {}, which is not among those "
                  "of secrets.master_key",
                  shown ? id : "(unreadable)"));
}

std::string MasterKeys::open(SecretUse use, std::string_view stored) const {
  if (!is_sealed(stored) || keys_.empty()) return SecretBox::open(use, stored);
  stored.remove_prefix(kSealedPrefix.size());
  const auto colon = std::min(stored.find(':'), stored.size());
  const Key& key = find(stored.substr(0, colon));
  const auto bytes = decode_base64(stored.substr(std::min(colon + 1, stored.size())));
  auto secret = bytes ? decrypted(key.bytes, use, *bytes) : std::nullopt;
  if (!secret) {
    throw SealedError(
        fmt::format("it is encrypted with the master key {}, and was changed since", key.id));
  }
  return std::move(*secret);
}

bool MasterKeys::is_current(std::string_view stored) const {
  if (keys_.empty()) return SecretBox::is_current(stored);
  return is_sealed(stored) &&
         stored.substr(kSealedPrefix.size()).starts_with(keys_.front().id + ":");
}

}  // namespace eventhub::http
