#pragma once
#include <string_view>

namespace eventhub {

// What is wrong with a request header that a subscriber wants sent; empty when nothing is.
std::string_view header_fault(std::string_view name, std::string_view value);

}  // namespace eventhub
