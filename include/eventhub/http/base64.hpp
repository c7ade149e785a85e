#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace eventhub::http {

// RFC 4648, the standard alphabet, padded.
std::string encode_base64(std::string_view bytes);
// Nullopt for another text; padding may be left out, as some generators do.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace eventhub::http
