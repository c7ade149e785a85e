#pragma once
// The INSERT of a subscriber that people copy: as the README prints it.
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace eventhub::test {

inline std::string readme_insert() {
  std::ostringstream readme;
  readme << std::ifstream(EVENTHUB_SOURCE_DIR "/README.md").rdbuf();
  const std::string text = readme.str();
  const std::size_t begin = text.find("INSERT INTO subscribers (");
  const std::size_t end = text.find(");\n", begin);
  if (end == std::string::npos) throw std::runtime_error("no INSERT in README.md");
  return text.substr(begin, end + 2 - begin);
}

}  // namespace eventhub::test
