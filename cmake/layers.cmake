# One static library per layer: include/eventhub/<layer>/*.hpp is what others may see, src/<layer>/ the rest.
# A link against a layer that is not named here fails, so a back edge does not build.
function(eventhub_layer name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  add_library(eventhub_${name} STATIC ${sources})
  target_include_directories(eventhub_${name} PUBLIC ${CMAKE_SOURCE_DIR}/include
                                              PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(eventhub_${name} PUBLIC ${ARG_DEPENDS} eventhub_options)
  eventhub_precompile(eventhub_${name} layers)
endfunction()

# One test program per folder under test/unit and test/integration.
function(eventhub_tests kind layer)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/test/${kind}/${layer}/*.cpp)
  if(NOT sources)
    message(FATAL_ERROR "no tests in test/${kind}/${layer}: a test program without tests checks nothing")
  endif()
  add_executable(${kind}_${layer} ${sources})
  target_include_directories(${kind}_${layer} PRIVATE ${CMAKE_SOURCE_DIR}/test ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(${kind}_${layer} PRIVATE ${ARGN} test_support)
  eventhub_precompile(${kind}_${layer} tests ${CMAKE_SOURCE_DIR}/test/support/catch.hpp)
  target_compile_definitions(${kind}_${layer} PRIVATE EVENTHUB_SOURCE_DIR="${CMAKE_SOURCE_DIR}"
                                                      EVENTHUB_BINARY_DIR="${CMAKE_BINARY_DIR}")
  add_test(NAME ${kind}_${layer} COMMAND ${kind}_${layer})
  set_tests_properties(${kind}_${layer} PROPERTIES LABELS ${kind} TIMEOUT 300)
endfunction()
