// eventhub_bench: loads a running hub, receives its webhooks, judges and measures. scripts/bench
// starts the hub and calls this; run.cpp has the run.
#include <fmt/format.h>

#include <cstdio>
#include <exception>

#include "bench/run.hpp"

int main(int argc, char** argv) {
  const auto options = eventhub::bench::parse_options(argc, argv);
  if (const int* code = std::get_if<int>(&options)) return *code;
  try {
    return eventhub::bench::run(std::get<0>(options));
  } catch (const std::exception& error) {
    fmt::print(stderr, "eventhub_bench: {}\n", error.what());
    return 2;
  }
}
