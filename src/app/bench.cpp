// `eventhubd bench`: the load generator is a program of its own (bench/), so that a hub does not
// carry it and its CPU time is told apart.
#include "app/bench.hpp"

#include <unistd.h>

#include <filesystem>
#include <iostream>

namespace eventhub::app {

int run_bench(const std::vector<std::string>& arguments) {
  std::error_code unknown;
  const auto directory = std::filesystem::read_symlink("/proc/self/exe", unknown).parent_path();
  std::vector<std::string> words{"eventhub_bench"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  for (const char* place : {"eventhub_bench", "bench/eventhub_bench"}) {
    ::execv((directory / place).c_str(), argv.data());
  }
  std::cerr << "eventhubd: there is no eventhub_bench in " << directory.string()
            << "; in a checkout scripts/bench builds and runs it" << std::endl;
  return 2;
}

}  // namespace eventhub::app
