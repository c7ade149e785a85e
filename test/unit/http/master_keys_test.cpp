// Secrets at rest: what opens, with which key, and what does not.
#include "eventhub/http/master_keys.hpp"

#include <set>

#include "eventhub/http/base64.hpp"
#include "support/catch.hpp"

namespace eventhub::http {
namespace {

const std::string kOld(64, 'a');
const std::string kNew = std::string(63, '0') + "B";
const std::string kText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

std::string why_closed(const SecretBox& box, SecretUse use, const std::string& stored) {
  try {
    box.open(use, stored);
  } catch (const SealedError& error) {
    return error.what();
  }
  return "it opened";
}

std::string key_id(const std::string& sealed) {
  return sealed.substr(kSealedPrefix.size(), 16);
}

TEST_CASE("what is sealed is opened by the same key, and looks like nothing") {
  const MasterKeys box(kOld);
  for (const auto& text :
       {kText, std::string(), std::string(10'000, 'x'), std::string("\0\xff", 2)}) {
    const std::string sealed = box.seal(SecretUse::signing, text);
    CHECK(sealed.starts_with("sealed:v1:"));
    if (!text.empty()) CHECK(sealed.find(text) == std::string::npos);
    CHECK(box.open(SecretUse::signing, sealed) == text);
    CHECK(box.is_current(sealed));
  }
  std::set<std::string> all;
  for (int i = 0; i < 100; ++i) all.insert(box.seal(SecretUse::header, kText));
  CHECK(all.size() == 100);
}

TEST_CASE("AES-256-GCM, as another program decrypts it") {
  // Sealed by Python's cryptography library with the nonce 0, 1, … 11.
  const MasterKeys box(kNew);
  const std::string id = key_id(box.seal(SecretUse::signing, ""));
  CHECK(id == "e0a9f0f8e498461f");
  CHECK(box.open(SecretUse::signing,
                 "sealed:v1:" + id +
                     ":"
                     "AAECAwQFBgcICQoLPcBdCkbA+PPYv3jZacux1trfKSBH2olCjuNXpJDw8U9vFKjtf1ey2RxvIC0+"
                     "vWYp+zq1R8LP") == kText);
}

TEST_CASE("the first key seals, all of them open") {
  const MasterKeys old(kOld), both(kNew + ",\n " + kOld), renewed(kNew);
  const std::string before = old.seal(SecretUse::header, kText);
  CHECK(both.open(SecretUse::header, before) == kText);
  CHECK_FALSE(both.is_current(before));
  const std::string after = both.seal(SecretUse::header, kText);
  CHECK(both.is_current(after));
  CHECK(key_id(after) != key_id(before));
  CHECK(renewed.open(SecretUse::header, after) == kText);
  CHECK(why_closed(renewed, SecretUse::header, before) ==
        "it is encrypted with the master key " + key_id(before) +
            ", which is not among those of secrets.master_key");
}

TEST_CASE("a sealed text opens for its use only, and unchanged only") {
  const MasterKeys box(kOld);
  const std::string sealed = box.seal(SecretUse::signing, kText);
  CHECK(why_closed(box, SecretUse::header, sealed).ends_with("and was changed since"));
  const auto start = kSealedPrefix.size() + 17;
  const std::string bytes = decode_base64(sealed.substr(start)).value();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 1);
    CHECK(why_closed(box, SecretUse::signing, sealed.substr(0, start) + encode_base64(changed)) !=
          "it opened");
  }
  for (std::size_t size = kSealedPrefix.size(); size < sealed.size() - 2; ++size) {
    const std::string why = why_closed(box, SecretUse::signing, sealed.substr(0, size));
    CHECK(why != "it opened");
    CHECK(why.find(kText) == std::string::npos);
  }
}

TEST_CASE("what is not sealed stays as it is") {
  const MasterKeys box(kOld), none("");
  CHECK(box.open(SecretUse::signing, kText) == kText);
  CHECK_FALSE(box.is_current(kText));
  CHECK(none.seal(SecretUse::signing, kText) == kText);
  CHECK(none.is_current(kText));
  CHECK(why_closed(none, SecretUse::signing, box.seal(SecretUse::signing, kText)) ==
        "it is encrypted, and secrets.master_key is not set");
}

TEST_CASE("keys that cannot be read are refused and not repeated") {
  for (const std::string& text :
       {std::string("hushed"), std::string(63, 'a'), std::string(65, 'a'),
        std::string(63, 'a') + "g", kOld + ";" + kNew, kOld + "," + "b"}) {
    try {
      const MasterKeys box(text);
      FAIL("no error");
    } catch (const std::runtime_error& error) {
      CHECK(std::string(error.what()).starts_with("must be keys of 64 hexadecimal digits"));
      CHECK(std::string(error.what()).find(text) == std::string::npos);
    }
  }
}

}  // namespace
}  // namespace eventhub::http
