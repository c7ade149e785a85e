#pragma once
#include <string>
#include <vector>

namespace eventhub::cli {

struct CompletionWord {
  std::string word;  // "list", "--limit"
  std::string meaning;
  bool takes_value = false;
};

// What may follow the words of `path` ("events list"; empty: the program itself).
struct CompletionPlace {
  std::string path;
  std::vector<CompletionWord> commands, options;
};

// Throws UsageError for a shell that is none of bash, zsh, fish.
std::string completion_for(const std::string& shell, const std::vector<CompletionPlace>& places);

}  // namespace eventhub::cli
