#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "eventhub/core/ids.hpp"

namespace eventhub::http {

// SHA-256 over the parts, each preceded by its length (so that ("ab","c") and ("a","bc") differ),
// cut to 128 bits.
Uuid digest128(std::initializer_list<std::string_view> parts);

// For API keys: random tokens, and what is kept and compared of them.
std::string random_token();  // "ehk_" and 64 hex digits
using Sha256Digest = std::array<std::uint8_t, 32>;
Sha256Digest sha256(std::string_view bytes);
// Takes the same time wherever they differ.
bool equal_digests(const Sha256Digest& a, const Sha256Digest& b);

}  // namespace eventhub::http
