#pragma once
#include <string_view>

namespace eventhub::api {

// src/api/openapi.json, compiled in (cmake/embed_openapi.cmake).
std::string_view openapi_text();

}  // namespace eventhub::api
