#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace eventhub::cli {

// How many columns it takes: code points, as good as it gets without a table of widths.
std::size_t width_of(std::string_view text);

// Columns that are as wide as their widest cell; a longer one than kCellMax is cut with "…", but
// not in the last column. An empty cell is "-".
inline constexpr std::size_t kCellMax = 60;
class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  std::size_t rows() const { return rows_.size() - 1; }
  std::string text() const;
  // Lines for a table whose widths were settled by `like`: for rows that come one by one.
  static std::string line(const std::vector<std::string>& cells,
                          const std::vector<std::size_t>& widths);

 private:
  std::vector<std::vector<std::string>> rows_;
};

// "name  value" lines, the values below each other.
std::string field_lines(const std::vector<std::pair<std::string, std::string>>& fields);

}  // namespace eventhub::cli
