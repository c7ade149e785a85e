// 128-bit fingerprints for idempotency keys and requests, digests of API keys: SHA-256 with one
// fetched algorithm and one context for all calls of a thread. Called by src/api/events.cpp and
// access.cpp.
#include "eventhub/http/digest.hpp"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace eventhub::http {
namespace {

struct Free {
  void operator()(EVP_MD* algorithm) const { EVP_MD_free(algorithm); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

void check(int result) {
  if (result != 1) throw std::runtime_error("OpenSSL cannot compute SHA-256");
}

class Sha256 {
 public:
  Sha256() : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    check(algorithm_ != nullptr && context_ != nullptr ? 1 : 0);
  }
  void begin() { check(EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr)); }
  void add(const void* bytes, std::size_t size) {
    check(EVP_DigestUpdate(context_.get(), bytes, size));
  }
  std::array<std::uint8_t, 32> end() {
    std::array<std::uint8_t, 32> out;
    check(EVP_DigestFinal_ex(context_.get(), out.data(), nullptr));
    return out;
  }

 private:
  std::unique_ptr<EVP_MD, Free> algorithm_;
  std::unique_ptr<EVP_MD_CTX, Free> context_;
};

Sha256& hasher() {
  static thread_local Sha256 hash;
  return hash;
}

// Big-endian, so that stored digests mean the same on every machine.
std::array<std::uint8_t, 8> length_bytes(std::size_t size) {
  std::array<std::uint8_t, 8> out{};
  for (std::size_t i = 8; i-- > 0; size >>= 8) out[i] = static_cast<std::uint8_t>(size & 0xFF);
  return out;
}

}  // namespace

Uuid digest128(std::initializer_list<std::string_view> parts) {
  Sha256& hash = hasher();
  hash.begin();
  for (const auto part : parts) {
    const auto length = length_bytes(part.size());
    hash.add(length.data(), length.size());
    hash.add(part.data(), part.size());
  }
  const auto digest = hash.end();
  Uuid id;
  std::copy_n(digest.begin(), id.bytes.size(), id.bytes.begin());
  return id;
}

std::string random_token() {
  std::array<unsigned char, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) {
    throw std::runtime_error("OpenSSL has no random bytes");
  }
  std::string token = "ehk_";
  for (const unsigned char byte : bytes) token += fmt::format("{:02x}", byte);
  return token;
}

Sha256Digest sha256(std::string_view bytes) {
  Sha256& hash = hasher();
  hash.begin();
  hash.add(bytes.data(), bytes.size());
  return hash.end();
}

bool equal_digests(const Sha256Digest& a, const Sha256Digest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace eventhub::http
