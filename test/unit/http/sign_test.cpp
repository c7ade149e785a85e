// Standard Webhooks signatures: the published vector, rotation, and what verification refuses.
#include "eventhub/http/sign.hpp"

#include <stdexcept>

#include "support/catch.hpp"

using namespace eventhub::http;

namespace {

const std::string kSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const std::string kOther = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const std::string kId = "msg_p5jXN8AQM9LWM0D4loKWxJek";
const std::string kBody = R"({"test": 2432232314})";
const std::string kSignature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
constexpr std::int64_t kTime = 1614265330;

}  // namespace

TEST_CASE("the published vector") {
  Signer signer({kSecret});
  CHECK(signer.sign(kId, kTime, kBody) == kSignature);
  CHECK(verify_signature(kSecret, kId, "1614265330", kBody, kSignature));
}

TEST_CASE("a signer keeps no state between messages") {
  Signer signer({kSecret});
  const std::string other = signer.sign("msg_2", kTime, std::string(100'000, 'x'));
  CHECK(other != kSignature);
  CHECK(signer.sign(kId, kTime, kBody) == kSignature);
  Signer moved(std::move(signer));
  CHECK(moved.sign(kId, kTime, kBody) == kSignature);
}

TEST_CASE("during a rotation both secrets sign, the current one first") {
  Signer signer({kOther, kSecret});
  const std::string both = signer.sign(kId, kTime, kBody);
  CHECK(both == Signer({kOther}).sign(kId, kTime, kBody) + " " + kSignature);
  CHECK(verify_signature(kSecret, kId, "1614265330", kBody, both));
  CHECK(verify_signature(kOther, kId, "1614265330", kBody, both));
}

TEST_CASE("anything changed is refused") {
  CHECK_FALSE(verify_signature(kOther, kId, "1614265330", kBody, kSignature));
  CHECK_FALSE(verify_signature(kSecret, "msg_x", "1614265330", kBody, kSignature));
  CHECK_FALSE(verify_signature(kSecret, kId, "1614265331", kBody, kSignature));
  CHECK_FALSE(verify_signature(kSecret, kId, "01614265330", kBody, kSignature));
  CHECK_FALSE(verify_signature(kSecret, kId, "", kBody, kSignature));
  CHECK_FALSE(verify_signature(kSecret, kId, "-1", kBody, kSignature));
  CHECK_FALSE(verify_signature(kSecret, kId, "1614265330", kBody + " ", kSignature));
  for (const char* signatures :
       {"", " ", "v1,", "v1", "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE"}) {
    CHECK_FALSE(verify_signature(kSecret, kId, "1614265330", kBody, signatures));
  }
}

TEST_CASE("secrets have a form") {
  const auto secret =
      GENERATE(as<std::string>{}, "", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short",
               "whsec_!!!!9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa=w",
               "whsec_" + std::string(88, 'A'), "whpk_" + std::string(43, 'A'));
  CAPTURE(secret);
  CHECK_THROWS_AS(Signer({secret}), std::invalid_argument);
}

TEST_CASE("a secret that cannot be read is not repeated in the error") {
  try {
    Signer signer({"whsec_tooshort"});
    FAIL("no error");
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()).find("tooshort") == std::string::npos);
  }
}

TEST_CASE("secrets that are made have their form and are never the same") {
  const std::string made = random_webhook_secret();
  CHECK(made.size() == 6 + 44);
  CHECK(is_webhook_secret(made));
  CHECK(made != random_webhook_secret());
  CHECK_FALSE(is_webhook_secret(made.substr(1)));
  CHECK_FALSE(is_webhook_secret("whsec_" + made));
}

TEST_CASE("a signer signs with as many of its secrets as it is told") {
  Signer signer({kOther, kSecret});
  CHECK(signer.sign(kId, kTime, kBody, 1) == Signer({kOther}).sign(kId, kTime, kBody));
  CHECK(signer.sign(kId, kTime, kBody, 2) == signer.sign(kId, kTime, kBody));
}
