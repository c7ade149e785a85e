// Runs one path, first until its memory and tables have their size, then counted:
//   eventhub_guard PATH    prints "PATH ALLOCATIONS UNITS", the allocations of all units together
// check.py compares them with figures.txt, and what callgrind counted inside guard_counted().
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string_view>

#include "guard/heap.hpp"
#include "guard/path.hpp"

// Callgrind counts between the beginning and the end of the function with this name, which is why
// run() must not be its last call: a jump there would be its end.
extern "C" __attribute__((noinline)) std::size_t guard_counted(eventhub::guard::Path& path) {
  const std::size_t before = eventhub::guard::allocations();
  path.run();
  return eventhub::guard::allocations() - before;
}

namespace eventhub::guard {
namespace {

// What happens every few rounds (a low water moves, a table grows) happens in both alike.
constexpr std::size_t kWarmRounds = 20;
constexpr std::size_t kRounds = 20;

struct Named {
  std::string_view name;
  std::unique_ptr<Path> (*make)();
};
constexpr std::array kPaths{Named{"parse", make_parse}, Named{"access", make_access},
                            Named{"accept", make_accept}, Named{"fanout", make_fanout},
                            Named{"delivery", make_delivery}};

void measure(const Named& named) {
  const auto path = named.make();
  for (std::size_t i = 0; i < kWarmRounds; ++i) {
    path->prepare();
    path->run();
  }
  std::size_t counted = 0;
  for (std::size_t i = 0; i < kRounds; ++i) {
    path->prepare();
    counted += guard_counted(*path);
  }
  std::printf("%s %zu %zu\n", named.name.data(), counted, kRounds * path->round());
}

int run(std::string_view wanted) {
  // simdjson chooses by the processor; this one is on every x86-64 since 2010.
  setenv("SIMDJSON_FORCE_IMPLEMENTATION", "westmere", 0);
  count_openssl();
  for (const Named& named : kPaths) {
    if (named.name != wanted) continue;
    measure(named);
    return 0;
  }
  std::fprintf(stderr, "usage: eventhub_guard parse|access|accept|fanout|delivery\n");
  return 2;
}

}  // namespace
}  // namespace eventhub::guard

int main(int argc, char** argv) {
  try {
    return eventhub::guard::run(argc == 2 ? argv[1] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "eventhub_guard: %s\n", error.what());
    return 1;
  }
}
