# Everything comes from Debian's packages (scripts/install-dependencies names them).
set(Boost_NO_WARN_NEW_VERSIONS ON)
find_package(Boost 1.81 REQUIRED)
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(PostgreSQL REQUIRED)
find_package(simdjson REQUIRED)
find_package(fmt REQUIRED)
find_package(prometheus-cpp REQUIRED COMPONENTS core)
find_package(tomlplusplus REQUIRED)
find_library(CARES_LIBRARY cares REQUIRED)
find_path(CARES_INCLUDE ares.h REQUIRED)
find_path(CLI11_INCLUDE CLI/CLI.hpp REQUIRED)
find_library(TCMALLOC_LIBRARY tcmalloc_minimal REQUIRED)

add_library(cares INTERFACE IMPORTED)
target_link_libraries(cares INTERFACE ${CARES_LIBRARY})
target_include_directories(cares INTERFACE ${CARES_INCLUDE})
add_library(CLI11::CLI11 INTERFACE IMPORTED)
target_include_directories(CLI11::CLI11 INTERFACE ${CLI11_INCLUDE})

# Asio and Beast are compiled once (src/core/asio.cpp, src/http/beast.cpp) instead of in every file.
add_library(eventhub_options INTERFACE)
target_compile_definitions(eventhub_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED
  _GLIBCXX_ASSERTIONS EVENTHUB_VERSION="${PROJECT_VERSION}")
target_compile_options(eventhub_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wnon-virtual-dtor
  -Woverloaded-virtual -Wnull-dereference -Wimplicit-fallthrough -Werror
  -fstack-protector-strong -fPIE)
target_link_libraries(eventhub_options INTERFACE Threads::Threads)
target_link_options(eventhub_options INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack)
find_program(MOLD mold)
if(MOLD)
  target_link_options(eventhub_options INTERFACE -fuse-ld=mold)
endif()
if(EVENTHUB_SANITIZE)
  target_compile_options(eventhub_options INTERFACE
    -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
    # It opens a pipe to look at an object, and tells of a bad one when no descriptor is left.
    -fno-sanitize=vptr
    -fsanitize-address-use-after-return=never)  # it took a third of a start
  target_link_options(eventhub_options INTERFACE -fsanitize=address,undefined)
else()
  # Needs optimisation, and hides from the address sanitizer what it intercepts. Undefined first: a
  # distribution's own flags may set another level.
  target_compile_options(eventhub_options INTERFACE
    "$<$<CONFIG:Release,RelWithDebInfo>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=3>")
endif()
if(EVENTHUB_FAULTS)
  target_compile_definitions(eventhub_options INTERFACE EVENTHUB_FAULTS)
endif()
if(EVENTHUB_COVERAGE)
  target_compile_options(eventhub_options INTERFACE -fprofile-instr-generate -fcoverage-mapping)
  target_link_options(eventhub_options INTERFACE -fprofile-instr-generate)
endif()
