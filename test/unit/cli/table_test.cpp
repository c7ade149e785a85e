// What people read: tables, fields, progress.
#include "cli/table.hpp"

#include "cli/progress.hpp"
#include "support/catch.hpp"

namespace eventhub::cli {
namespace {

TEST_CASE("columns are as wide as their widest cell, and empty cells are dashes") {
  Table table({"name", "id", "note"});
  table.add({"a", "1", "x"});
  table.add({"longer", "", ""});
  CHECK(table.rows() == 2);
  CHECK(table.text() ==
        "name    id  note\n"
        "a       1   x\n"
        "longer  -   -\n");
}

TEST_CASE("letters of several bytes count once, and control characters never reach the terminal") {
  CHECK(width_of("Zoë…") == 4);
  Table table({"name", "id"});
  table.add({"Zoë", "1"});
  table.add({"a\x1b[31m\nb", "2"});
  CHECK(table.text() ==
        "name      id\n"
        "Zoë       1\n"
        "a [31m b  2\n");
}

TEST_CASE("a long cell is cut, but not in the last column") {
  const std::string longer(kCellMax + 1, 'x');
  Table table({"a", "b"});
  table.add({longer, longer});
  CHECK(table.text() == "a" + std::string(kCellMax - 1 + 2, ' ') + "b\n" +
                            std::string(kCellMax - 1, 'x') + "…  " + longer + "\n");
}

TEST_CASE("fields stand below each other") {
  CHECK(field_lines({{"id", "1"}, {"event_type", ""}}) == "id          1\nevent_type  -\n");
}

TEST_CASE("progress shows a share where the total is known") {
  CHECK(progress_line("sent", "letters", 5, 0) == "sent 5 letters");
  CHECK(progress_line("sent", "letters", 5, 10) ==
        "sent [###############               ] 5/10 letters  50 %");
  CHECK(progress_line("sent", "letters", 12, 10) ==
        "sent [##############################] 12/10 letters  100 %");
}

}  // namespace
}  // namespace eventhub::cli
