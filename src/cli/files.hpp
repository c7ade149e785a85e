#pragma once
#include <fstream>
#include <string>
#include <string_view>

namespace eventhub::cli {

// The file that option `option` names, open for reading. Throws UsageError, also for a directory.
std::ifstream opened_file(std::string_view option, const std::string& path);

// All that is left to read. Throws UsageError when it cannot be read.
std::string all_of(std::istream& input);

// Throws UsageError when what was read last ended before its end: a broken file, a directory as
// standard input.
void check_whole(std::istream& input);

// Its first line, for what is one word or password: `what` says which. Throws UsageError.
std::string first_line_of(const std::string& path, std::string_view what);

}  // namespace eventhub::cli
