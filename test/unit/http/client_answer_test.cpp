// A webhook's answer in pieces: what is read of it does not depend on where it was cut.
#include "http/client_answer.hpp"

#include "support/catch.hpp"

namespace eventhub::http {
namespace {

// The status, or 0 unless the answer is complete.
int read(std::initializer_list<std::string_view> pieces) {
  Answer answer;
  std::string unread;
  for (const std::string_view piece : pieces) {
    unread += piece;
    unread.erase(0, answer.feed(unread));
  }
  return answer.complete() && !answer.failed() && unread.empty() ? answer.parser().status() : 0;
}

TEST_CASE("an answer in chunks is complete wherever it is cut, also within an empty one") {
  const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string_view chunks :
       {"0\r\n\r\n", "00\r\n\r\n", "0;a=b\r\nX: y\r\n\r\n", "4\r\n0000\r\n0\r\n\r\n"}) {
    const std::string answer = head + std::string(chunks);
    CAPTURE(answer);
    for (std::size_t first = 1; first < answer.size(); ++first) {
      for (std::size_t second = first; second < answer.size(); ++second) {
        const std::string_view all = answer;
        REQUIRE(read({all.substr(0, first), all.substr(first, second - first),
                      all.substr(second)}) == 200);
      }
    }
  }
}

}  // namespace
}  // namespace eventhub::http
