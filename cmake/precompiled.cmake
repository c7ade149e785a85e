# What nearly every file includes, parsed once and not by each of them. Nothing of our own is in it, so that a
# change of ours rebuilds no more than it has to; and the fuzzers are built without, so that a file which
# forgets an include does not compile there. The presets that have it also compile eight files as one
# (CMAKE_UNITY_BUILD): what one file hides in its unnamed namespace must not be called as in its neighbours.
option(EVENTHUB_PRECOMPILE "precompile the headers of the standard library, Boost.Asio, fmt and Catch2" OFF)

set(eventhub_common_headers
  <algorithm> <array> <atomic> <charconv> <chrono> <cstdint> <cstring> <deque> <filesystem> <fstream> <functional>
  <iostream> <map> <memory> <optional> <random> <set> <span> <sstream> <stdexcept> <string> <string_view>
  <thread> <unordered_map> <utility> <variant> <vector>
  <boost/asio/any_io_executor.hpp> <boost/asio/as_tuple.hpp> <boost/asio/awaitable.hpp> <boost/asio/co_spawn.hpp>
  <boost/asio/io_context.hpp> <boost/asio/ip/tcp.hpp> <boost/asio/steady_timer.hpp>
  <boost/asio/this_coro.hpp> <boost/asio/use_awaitable.hpp> <boost/asio/write.hpp>
  <fmt/format.h>)

# eventhub_precompile(TARGET GROUP [more headers...]): the first target of a group compiles its headers, the
# others use them.
function(eventhub_precompile target group)
  if(NOT EVENTHUB_PRECOMPILE)
    return()
  endif()
  get_property(owner GLOBAL PROPERTY eventhub_precompiled_${group})
  if(owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${target} PRIVATE ${eventhub_common_headers} ${ARGN})
    set_property(GLOBAL PROPERTY eventhub_precompiled_${group} ${target})
  endif()
endfunction()
