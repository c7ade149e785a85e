// Files that the command line names. Called by publish.cpp, apply.cpp, session.cpp and others.
#include "cli/files.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "cli/error.hpp"

namespace eventhub::cli {

std::ifstream opened_file(std::string_view option, const std::string& path) {
  std::error_code ignored;
  std::ifstream file(path, std::ios::binary);
  // A directory opens, and its first read fails.
  if (!file || std::filesystem::is_directory(path, ignored)) {
    throw UsageError(fmt::format("--{}: \"{}\" cannot be read", option, path));
  }
  return file;
}

void check_whole(std::istream& input) {
  const bool broken = &input == &std::cin && std::ferror(stdin) != 0;
  if (broken || input.bad()) throw UsageError("the input cannot be read to its end");
}

std::string all_of(std::istream& input) {
  try {
    std::string text(std::istreambuf_iterator<char>(input), {});
    check_whole(input);
    return text;
  } catch (const std::ios_base::failure& error) {
    throw UsageError(fmt::format("the input cannot be read: {}", error.what()));
  }
}

std::string first_line_of(const std::string& path, std::string_view what) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line) || line.empty()) {
    throw UsageError(fmt::format("no {} can be read from \"{}\"", what, path));
  }
  if (line.back() == '\r') line.pop_back();
  return line;
}

}  // namespace eventhub::cli
