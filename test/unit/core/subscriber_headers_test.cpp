// Request headers of a subscriber's own.
#include "eventhub/core/subscriber_headers.hpp"

#include "support/catch.hpp"

namespace eventhub {

TEST_CASE("a header has one spelling") {
  CHECK(canonical_header("x-api-key") == "X-Api-Key");
  CHECK(canonical_header("X-API-KEY") == "X-Api-Key");
  CHECK(canonical_header("AUTHORIZATION") == kAuthorization);
  CHECK(canonical_header("a--b-") == "A--B-");
  CHECK(canonical_header("").empty());
}

}  // namespace eventhub
