// Text from strangers.
#include "eventhub/core/utf8.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

TEST_CASE("what a terminal would obey never reaches it, in one byte or in several") {
  CHECK(terminal_text("a\x1b[31m\nb\x7f") == "a [31m b ");
  CHECK(terminal_text("\xc2\x9b"
                      "31mRED\xc2\x9d"
                      "0;title\xc2\x9c") == " 31mRED 0;title ");
  CHECK(terminal_text("1\u202e2\u20663\u20694\u200e5\u061c6\ufeff7\u20288") == "1 2 3 4 5 6 7 8");
  CHECK(terminal_text(std::string("\0", 1)) == " ");
}

TEST_CASE("letters of a terminal stay, and what is no UTF-8 is replaced") {
  CHECK(terminal_text("Zoë €… 😀\u00a0~") == "Zoë €… 😀\u00a0~");
  CHECK(terminal_text("a\xffz\xc3") == "a\ufffdz\ufffd");
  CHECK(terminal_text("\xed\xa0\x80") == "\ufffd\ufffd\ufffd");  // half of a pair
  CHECK(terminal_text("\xc0\x9b") == "\ufffd\ufffd");            // an overlong form
  CHECK(terminal_text("").empty());
}

}  // namespace
}  // namespace eventhub
