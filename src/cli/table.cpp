// Aligned text for people. Pure, table-tested.
#include "cli/table.hpp"

#include <algorithm>
#include <numeric>

#include "eventhub/core/utf8.hpp"

namespace eventhub::cli {
namespace {

bool starts_code_point(char byte) {
  return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

std::string cut_to(std::string_view text, std::size_t width) {
  std::size_t points = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (starts_code_point(text[i]) && ++points == width) {
      return std::string(text.substr(0, i)) + "…";
    }
  }
  return std::string(text);
}

std::string cell_text(const std::string& cell, bool last) {
  if (cell.empty()) return "-";
  std::string text = terminal_text(cell);
  return !last && width_of(text) > kCellMax ? cut_to(text, kCellMax) : text;
}

}  // namespace

std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), starts_code_point));
}

std::string Table::line(const std::vector<std::string>& cells,
                        const std::vector<std::size_t>& widths) {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool last = i + 1 == cells.size();
    const std::string text = cell_text(cells[i], last);
    out += text;
    if (last) break;
    const std::size_t width = std::max(width_of(text), i < widths.size() ? widths[i] : 0);
    out.append(width - width_of(text) + 2, ' ');
  }
  return out + "\n";
}

std::string Table::text() const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(cell_text(row[i], false)));
    }
  }
  const auto add_line = [&widths](std::string all, const std::vector<std::string>& row) {
    return std::move(all) + line(row, widths);
  };
  return std::accumulate(rows_.begin(), rows_.end(), std::string(), add_line);
}

std::string field_lines(const std::vector<std::pair<std::string, std::string>>& fields) {
  std::size_t width = 0;
  for (const auto& [name, value] : fields) width = std::max(width, width_of(name));
  std::string out;
  for (const auto& [name, value] : fields) out += Table::line({name, value}, {width});
  return out;
}

}  // namespace eventhub::cli
