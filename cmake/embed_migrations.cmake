# Compiles migrations/*.sql into a target. Written when CMake configures, which it does again whenever one of
# the files changes. Bytes, not string literals: nothing in the SQL needs escaping and the compiler's length
# limits do not matter.
function(embed_migrations target)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/migrations/*.sql)
  list(SORT files)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${files})
  set(arrays "")
  set(table "")
  foreach(file IN LISTS files)
    get_filename_component(stem ${file} NAME_WE)
    if(NOT stem MATCHES "^([0-9][0-9][0-9][0-9])_([a-z0-9_]+)$")
      message(FATAL_ERROR "${file}: a migration is called NNNN_lower_case.sql")
    endif()
    set(name ${CMAKE_MATCH_2})
    string(REGEX REPLACE "^0+" "" number ${CMAKE_MATCH_1})
    file(READ ${file} bytes HEX)
    file(SHA256 ${file} checksum)
    file(SIZE ${file} size)
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
    string(REPLACE "0x0a," "0x0a,\n" bytes "${bytes}")
    string(APPEND arrays "constexpr unsigned char sql_${number}[] = {\n${bytes}};\n")
    string(APPEND table "    {${number}, \"${name}\", sql_${number}, ${size}, \"${checksum}\"},\n")
  endforeach()
  set(output ${CMAKE_BINARY_DIR}/generated/migration_files.cpp)
  file(CONFIGURE OUTPUT ${output} @ONLY CONTENT
"// Written by cmake/embed_migrations.cmake from migrations/*.sql.
#include \"store/migrations.hpp\"

namespace eventhub::store {
namespace {
${arrays}
constexpr MigrationFile files[] = {
${table}};
}  // namespace

std::span<const MigrationFile> migration_files() { return files; }

}  // namespace eventhub::store
")
  target_sources(${target} PRIVATE ${output})
endfunction()
