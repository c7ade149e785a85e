// What stands behind the address of a hub. Pure.
#include "cli/query.hpp"

#include <fmt/format.h>

namespace eventhub::cli {

std::string percent_encoded(std::string_view text) {
  constexpr std::string_view kPlain =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  std::string out;
  for (const char c : text) {
    if (kPlain.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

void Target::add(std::string_view name, std::string_view value) {
  text_.append(first_ ? "?" : "&").append(name).append("=").append(percent_encoded(value));
  first_ = false;
}

}  // namespace eventhub::cli
