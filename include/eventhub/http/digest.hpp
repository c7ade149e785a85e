#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "eventhub/core/ids.hpp"

namespace eventhub::http {

// SHA-256 over the parts, each preceded by its length (so that ("ab","c") and ("a","bc") differ),
// cut to 128 bits.
Uuid digest128(std::initializer_list<std::string_view> parts);

}  // namespace eventhub::http
