// Which secrets sign a delivered request, and when.
#include "eventhub/http/webhook.hpp"

#include <algorithm>

#include "support/catch.hpp"

namespace eventhub::http {
namespace {

const std::string kCurrent = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const std::string kPrevious = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
constexpr Time kEnd{std::chrono::seconds{1'700'000'000}};

// The value of the header, or nothing.
std::string signature_at(const Subscriber& row, Time now) {
  Endpoints endpoints;
  Event event;
  event.payload = "{}";
  const auto endpoint = endpoints.of(std::make_shared<const Subscriber>(row));
  const std::string lines = request_headers(*endpoint, {}, event, event.payload, now);
  const std::string name = "webhook-signature: ";
  const auto at = lines.find(name);
  if (at == std::string::npos) return {};
  return lines.substr(at + name.size(), lines.find("\r\n", at) - at - name.size());
}

std::size_t signatures_at(const Subscriber& row, Time now) {
  const std::string value = signature_at(row, now);
  return value.empty() ? 0 : 1 + static_cast<std::size_t>(std::ranges::count(value, ' '));
}

TEST_CASE("the previous secret signs until its end and not a moment longer") {
  Subscriber row;
  row.secrets = {kCurrent, kPrevious};
  CHECK(signatures_at(row, kEnd) == 2);  // without an end
  row.last_secret_until = kEnd;
  const Time before = kEnd - std::chrono::seconds{1};
  CHECK(signatures_at(row, before) == 2);
  CHECK(signatures_at(row, kEnd) == 1);
  const std::string both = signature_at(row, before), one = signature_at(row, kEnd);
  row.secrets = {kCurrent};
  row.last_secret_until.reset();
  CHECK(one == signature_at(row, kEnd));
  CHECK(both.starts_with(signature_at(row, before) + " v1,"));
  row.secrets = {kPrevious};  // the current one was taken away
  row.last_secret_until = kEnd;
  CHECK(signatures_at(row, before) == 1);
  CHECK(signatures_at(row, kEnd) == 0);
  row.secrets.clear();
  row.last_secret_until.reset();
  CHECK(signatures_at(row, kEnd) == 0);
}

}  // namespace
}  // namespace eventhub::http
