// Fingerprints of requests: fixed values, because they are stored.
#include "eventhub/http/digest.hpp"

#include "support/catch.hpp"

namespace eventhub::http {
namespace {

TEST_CASE("a digest is SHA-256 over length-prefixed parts") {
  // printf '\0\0\0\0\0\0\0\3abc' | sha256sum
  CHECK(to_string(digest128({"abc"})) == "c3494ca1-a2cf-8eeb-8a11-ded316fb55b8");
  CHECK(digest128({"ab", "c"}) != digest128({"a", "bc"}));
  CHECK(digest128({"", "a"}) != digest128({"a", ""}));
  CHECK(digest128({"a"}) == digest128({"a"}));
}

}  // namespace
}  // namespace eventhub::http
