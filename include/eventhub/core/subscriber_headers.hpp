#pragma once
#include <string>
#include <string_view>

namespace eventhub {

// What is wrong with a request header that a subscriber wants sent; empty when nothing is.
std::string_view header_fault(std::string_view name, std::string_view value);

// The header that the member `auth` of a subscriber is; it has this one spelling.
inline constexpr std::string_view kAuthorization = "Authorization";
// The one spelling in which the API writes a name, as X-Api-Key: case means nothing in it.
std::string canonical_header(std::string_view name);

}  // namespace eventhub
