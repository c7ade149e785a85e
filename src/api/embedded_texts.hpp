#pragma once
#include <string_view>

namespace eventhub::api {

// Files that are compiled in (cmake/embed_text.cmake).
std::string_view openapi_text();    // openapi.json
std::string_view dashboard_page();  // dashboard/index.html
std::string_view dashboard_script();
std::string_view dashboard_style();

}  // namespace eventhub::api
