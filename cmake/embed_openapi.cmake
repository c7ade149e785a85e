# Compiles src/api/openapi.json into a target, as embed_migrations.cmake does with the SQL.
function(embed_openapi target)
  set(file ${CMAKE_SOURCE_DIR}/src/api/openapi.json)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REPLACE "0x0a," "0x0a,\n" bytes "${bytes}")
  set(output ${CMAKE_BINARY_DIR}/generated/openapi_text.cpp)
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT
"// Written by cmake/embed_openapi.cmake from src/api/openapi.json.
#include \"api/openapi.hpp\"

namespace eventhub::api {
namespace {
constexpr char text[] = {\n${bytes}};
}  // namespace

std::string_view openapi_text() { return {text, sizeof text}; }

}  // namespace eventhub::api
")
  target_sources(${target} PRIVATE ${output})
endfunction()
