# Compiles a file of src/api into a target, as embed_migrations.cmake does with the SQL: `name`() of
# src/api/embedded_texts.hpp is its text.
function(embed_text target name file)
  set(path ${CMAKE_SOURCE_DIR}/src/api/${file})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${path})
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REPLACE "0x0a," "0x0a,\n" bytes "${bytes}")
  set(output ${CMAKE_BINARY_DIR}/generated/${name}.cpp)
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT
"// Written by cmake/embed_text.cmake from src/api/${file}.
#include \"api/embedded_texts.hpp\"

namespace eventhub::api {
namespace {
constexpr char ${name}_bytes[] = {\n${bytes}};
}  // namespace

std::string_view ${name}() { return {${name}_bytes, sizeof ${name}_bytes}; }

}  // namespace eventhub::api
")
  target_sources(${target} PRIVATE ${output})
endfunction()
