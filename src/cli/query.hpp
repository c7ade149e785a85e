#pragma once
#include <string>
#include <string_view>

namespace eventhub::cli {

// Percent-encoded, but for what needs none anywhere in a URL.
std::string percent_encoded(std::string_view text);

// A path and its query parameters.
class Target {
 public:
  explicit Target(std::string path) : text_(std::move(path)) {}
  void add(std::string_view name, std::string_view value);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool first_ = true;
};

}  // namespace eventhub::cli
