// What POST /events/batch answers.
#include "api/respond.hpp"
#include "support/catch.hpp"

namespace eventhub::api {
namespace {

using store::Accepted;
using store::AcceptError;

http::Response answer_to(std::vector<EventOutcome> outcomes) {
  return batch_answer(outcomes, Millis{8});
}

TEST_CASE("each item has its answer, in order, with its place in the body") {
  const auto answer =
      answer_to({Accepted{Uuid{}, false}, Accepted{Uuid{}, true},
                 InputError{"payload is \"required\"", "#/payload"}, AcceptError::key_reused,
                 AcceptError::refused, InputError{"an event must be a JSON object", "#"}});
  CHECK(answer.status == 200);
  CHECK(answer.content_type == "application/json");
  CHECK(answer.body ==
        R"({"data":[)"
        R"({"index":0,"status":202,"event_id":"00000000-0000-0000-0000-000000000000",)"
        R"("message":"Event accepted for processing"},)"
        R"({"index":1,"status":200,"event_id":"00000000-0000-0000-0000-000000000000",)"
        R"("message":"Event already exists"},)"
        R"({"index":2,"status":400,"title":"Bad Request","detail":"payload is \"required\"",)"
        R"("pointer":"#/2/payload"},)"
        R"({"index":3,"status":422,"title":"Unprocessable Content",)"
        R"("detail":"this idempotency key was used before with a different request",)"
        R"("pointer":"#/3/idempotency_key"},)"
        R"({"index":4,"status":400,"title":"Bad Request",)"
        R"("detail":"the database refuses to store this event","pointer":"#/4"},)"
        R"({"index":5,"status":400,"title":"Bad Request",)"
        R"("detail":"an event must be a JSON object","pointer":"#/5"}],)"
        R"("stored":2,"failed":4,"latency_ms":8})");
}

TEST_CASE("an empty batch, and one of which nothing is an event") {
  CHECK(answer_to({}).body == R"({"data":[],"stored":0,"failed":0,"latency_ms":8})");
  CHECK(answer_to({InputError{"x", "#"}}).status == 200);
  CHECK(answer_to({AcceptError::key_reused}).status == 200);
}

TEST_CASE("when nothing was stored for a fault that may pass, the batch is to be sent again") {
  for (const auto error : {AcceptError::overloaded, AcceptError::unavailable}) {
    const auto answer = answer_to({InputError{"x", "#"}, error, error});
    CHECK(answer.status == 503);
    CHECK(answer.content_type == "application/problem+json");
    CHECK(answer.headers.find("Retry-After: 1\r\n") != std::string::npos);
    CHECK(answer.body.find("retry_with") == std::string::npos);
  }
  const auto unknown = answer_to({AcceptError::unknown_outcome, AcceptError::unknown_outcome});
  CHECK(unknown.status == 503);
  CHECK(unknown.body.find(R"("retry_with_same_idempotency_key":true)") != std::string::npos);
  const auto mixed = answer_to({Accepted{Uuid{}, false}, AcceptError::unknown_outcome});
  CHECK(mixed.status == 200);
  CHECK(mixed.body.find(R"("pointer":"#/1","retry_with_same_idempotency_key":true}])") !=
        std::string::npos);
  CHECK_FALSE(validate_json(mixed.body, 8).has_value());
}

}  // namespace
}  // namespace eventhub::api
