// Prints the table of raw requests for the tests that send them to a whole hub: one JSON object a
// line, the bytes in hexadecimal.
#include "integration/http/raw_requests.hpp"

#include <cstdio>

namespace {

using eventhub::test::RawRequest;

void print(const char* kind, const std::vector<RawRequest>& requests) {
  for (const RawRequest& request : requests) {
    std::printf(R"({"kind":"%s","name":")", kind);
    for (const char* c = request.name; *c != '\0'; ++c) {
      std::printf(*c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    }
    std::printf(R"(","status":%d,"closed":%s,"answers":%zu,"hex":")", request.status,
                request.closed ? "true" : "false", request.answers);
    for (const char c : request.bytes) std::printf("%02x", static_cast<unsigned char>(c));
    std::printf("\"}\n");
  }
}

}  // namespace

int main() {
  print("good", eventhub::test::good_requests());
  print("smuggling", eventhub::test::smuggling_requests());
  print("bad", eventhub::test::bad_requests());
  return 0;
}
