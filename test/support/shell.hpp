#pragma once
#include <stdexcept>
#include <string>

#include "support/child_case.hpp"

namespace eventhub::test {

// What a command prints, without the last line ends; throws what it printed when it fails, and
// which one it was when it stands still.
inline std::string shell(const std::string& command) {
  Pipe output;
  const int in = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  Program program({"/bin/sh", "-c", command}, {},
                  {{in, 0}, {output.ends[1], 1}, {output.ends[1], 2}});
  ::close(in);
  output.close(1);
  std::string out = program.read(output.ends[0]);
  const int status = program.wait();
  while (!out.empty() && out.back() == '\n') out.pop_back();
  if (status != 0) throw std::runtime_error(out);
  return out;
}

}  // namespace eventhub::test
