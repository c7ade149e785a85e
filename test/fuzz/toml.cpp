// The configuration file: any bytes end in a configuration or in one ConfigError that says where,
// and a configuration that is written down is read back as it was.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <variant>

#include "core/options.hpp"
#include "fuzz/fuzz.hpp"

namespace eventhub::fuzz {
namespace {

// A file in memory; its path is the same for every input.
class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : fd_(memfd_create("eventhub.toml", 0)) {
    require(
        fd_ >= 0 && write(fd_, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
        "there is memory for a file");
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

std::variant<Config, std::string> load(std::string_view bytes) {
  const MemoryFile file(bytes);
  std::vector<std::string> warnings;
  try {
    return load_config({}, {}, file.path(), warnings);
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    require(what.find(file.path() + ":") != std::string::npos, "an error names the file's line");
    return what;
  }
}

// Every option as `eventhubd config` prints it, secrets included.
std::string written(const Config& config) {
  std::string text;
  std::string section;
  for (const Option& option : options()) {
    const auto dot = option.name.find('.');
    const std::string its = dot == std::string::npos ? "" : option.name.substr(0, dot);
    if (its != section) text += "[" + its + "]\n";
    section = its;
    text += option.name.substr(dot + 1) + " = " + to_toml(option, config) + "\n";  // npos + 1 == 0
  }
  return text;
}

void judge(std::string_view bytes) {
  const auto loaded = load(bytes);
  const auto* config = std::get_if<Config>(&loaded);
  if (config == nullptr) return;
  const std::string text = written(*config);
  const auto again = load(text);
  require(std::holds_alternative<Config>(again), "a configuration that is written down is valid");
  require(written(std::get<Config>(again)) == text, "and is read back as it was");
  const std::string shown = print_config(*config);
  require(std::none_of(shown.begin(), shown.end(),
                       [](char c) { return c != '\n' && static_cast<unsigned char>(c) < 0x20; }),
          "what is printed has no control characters");
}

}  // namespace
}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  eventhub::fuzz::judge(eventhub::fuzz::text_of(data, size));
  return 0;
}
