// Standard Webhooks signatures with OpenSSL's EVP_MAC: a keyed context per secret is kept and
// started anew for every message, which costs a quarter of making one.
#include "eventhub/http/sign.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>

#include "eventhub/http/base64.hpp"

namespace eventhub::http {
namespace {

constexpr std::string_view kPrefix = "whsec_";
constexpr std::size_t kSecretMin = 24;
constexpr std::size_t kSecretMax = 64;
constexpr std::size_t kSecretMade = 32;
constexpr std::size_t kMacSize = 32;

struct FreeMac {
  void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
  void operator()(EVP_MAC_CTX* context) const { EVP_MAC_CTX_free(context); }
};

void append_base64(std::string& out, const unsigned char* data, std::size_t size) {
  std::array<unsigned char, 4 * ((kMacSize + 2) / 3) + 1> text{};
  const int length = EVP_EncodeBlock(text.data(), data, static_cast<int>(size));
  out.append(reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(length));
}

bool update(EVP_MAC_CTX* context, std::string_view part) {
  return EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(part.data()),
                        part.size()) == 1;
}

// The key that a secret stands for.
std::optional<std::string> key_of(std::string_view secret) {
  if (!secret.starts_with(kPrefix)) return std::nullopt;
  auto bytes = decode_base64(secret.substr(kPrefix.size()));
  if (!bytes || bytes->size() < kSecretMin || bytes->size() > kSecretMax) return std::nullopt;
  return bytes;
}

}  // namespace

bool is_webhook_secret(std::string_view text) {
  return key_of(text).has_value();
}

std::string random_webhook_secret() {
  std::string bytes(kSecretMade, '\0');
  auto* start = reinterpret_cast<unsigned char*>(bytes.data());
  if (RAND_bytes(start, static_cast<int>(bytes.size())) != 1) {
    throw std::runtime_error("OpenSSL has no random bytes");
  }
  return std::string(kPrefix) + encode_base64(bytes);
}

struct Signer::Key {
  explicit Key(const std::string& secret) {
    std::optional<std::string> bytes = key_of(secret);
    if (!bytes) {
      throw std::invalid_argument("a webhook secret is whsec_ and the base64 of 24 to 64 bytes");
    }
    const std::unique_ptr<EVP_MAC, FreeMac> mac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    context.reset(EVP_MAC_CTX_new(mac.get()));
    std::string digest = "SHA256";
    const std::array<OSSL_PARAM, 2> params{
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
        OSSL_PARAM_construct_end()};
    const auto* key = reinterpret_cast<const unsigned char*>(bytes->data());
    const bool ready =
        context && EVP_MAC_init(context.get(), key, bytes->size(), params.data()) == 1;
    OPENSSL_cleanse(bytes->data(), bytes->size());
    if (!ready) throw std::runtime_error("OpenSSL cannot make an HMAC-SHA256 context");
  }

  void append(std::string& out, std::string_view id, std::string_view timestamp,
              std::string_view body) {
    std::array<unsigned char, kMacSize> mac{};
    std::size_t size = 0;
    const bool ok = EVP_MAC_init(context.get(), nullptr, 0, nullptr) == 1 &&
                    update(context.get(), id) && update(context.get(), ".") &&
                    update(context.get(), timestamp) && update(context.get(), ".") &&
                    update(context.get(), body) &&
                    EVP_MAC_final(context.get(), mac.data(), &size, mac.size()) == 1;
    if (!ok) throw std::runtime_error("OpenSSL cannot sign");
    out += "v1,";
    append_base64(out, mac.data(), size);
  }

  std::unique_ptr<EVP_MAC_CTX, FreeMac> context;
};

Signer::Signer(const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) keys_.push_back(std::make_unique<Key>(secret));
}
Signer::~Signer() = default;
Signer::Signer(Signer&&) noexcept = default;

std::string Signer::sign(std::string_view id, std::int64_t unix_seconds, std::string_view body,
                         std::size_t count) {
  const std::string timestamp = std::to_string(unix_seconds);
  const std::size_t used = std::min(count, keys_.size());
  std::string out;
  out.reserve(used * 48);
  for (std::size_t i = 0; i < used; ++i) {
    if (i > 0) out += ' ';
    keys_[i]->append(out, id, timestamp, body);
  }
  return out;
}

// Signer::Key reached through a signer of one secret: verification signs again and compares.
bool verify_signature(const std::string& secret, std::string_view id, std::string_view timestamp,
                      std::string_view body, std::string_view signatures) {
  std::int64_t seconds = 0;
  if (timestamp.empty() || timestamp.size() > 18) return false;
  for (const char c : timestamp) {
    if (c < '0' || c > '9') return false;
    seconds = seconds * 10 + (c - '0');
  }
  if (std::to_string(seconds) != timestamp) return false;
  const std::string expected = Signer({secret}).sign(id, seconds, body);
  bool fits = false;
  while (!signatures.empty()) {
    const auto end = std::min(signatures.find(' '), signatures.size());
    const auto token = signatures.substr(0, end);
    fits |= token.size() == expected.size() &&
            CRYPTO_memcmp(token.data(), expected.data(), expected.size()) == 0;
    signatures.remove_prefix(std::min(end + 1, signatures.size()));
  }
  return fits;
}

}  // namespace eventhub::http
