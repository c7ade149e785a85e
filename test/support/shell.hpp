#pragma once
#include <cstdio>
#include <stdexcept>
#include <string>

namespace eventhub::test {

// What a command prints, without the last line ends; throws what it printed when it fails.
inline std::string shell(const std::string& command) {
  std::string out;
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  char buffer[4096];
  for (std::size_t n = 0; pipe != nullptr && (n = fread(buffer, 1, sizeof buffer, pipe)) > 0;) {
    out.append(buffer, n);
  }
  const int status = pipe == nullptr ? -1 : ::pclose(pipe);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  if (status != 0) throw std::runtime_error(out);
  return out;
}

}  // namespace eventhub::test
