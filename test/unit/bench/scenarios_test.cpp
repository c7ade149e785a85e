// Scenario files: those that there are can be run, and one with a slip in it is refused by name.
#include "bench/scenarios.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

#include "bench/options.hpp"
#include "support/catch.hpp"

using namespace eventhub::bench;
namespace fs = std::filesystem;

namespace {

const std::string kDirectory = std::string(EVENTHUB_SOURCE_DIR) + "/bench/scenarios";

struct Parsed {
  std::optional<Options> options;
  std::string errors;
};

// The command line `words`, for a hub that is never asked.
Parsed parse(std::vector<std::string> words) {
  words.insert(words.begin(), "eventhub_bench");
  for (const char* word : {"--port=1", "--database=none"}) words.emplace_back(word);
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  std::ostringstream errors;
  std::streambuf* const old = std::cerr.rdbuf(errors.rdbuf());
  auto result = parse_options(static_cast<int>(arguments.size()), arguments.data());
  std::cerr.rdbuf(old);
  Parsed parsed{std::nullopt, errors.str()};
  if (auto* options = std::get_if<Options>(&result)) parsed.options = *options;
  return parsed;
}

// A scenario file that is gone at the end.
struct File {
  explicit File(const std::string& text) { std::ofstream(path) << text; }
  ~File() { fs::remove(path); }
  const std::string path =
      (fs::temp_directory_path() / ("eventhub-scenario-" + std::to_string(::getpid()) + ".toml"))
          .string();
};

}  // namespace

TEST_CASE("every scenario file can be run as it is") {
  const auto scenarios = list_scenarios(kDirectory);
  CHECK(scenarios.size() >= 17);
  for (const Scenario& scenario : scenarios) {
    const Parsed parsed = parse({scenario.file});
    INFO(scenario.file << ": " << parsed.errors);
    REQUIRE(parsed.options);
    CHECK(parsed.options->scenario == scenario.name);
    CHECK(scenario.about.size() <= 100);
    CHECK(parsed.options->disturb.describe().size() > 5);
  }
}

TEST_CASE("a scenario's settings are those of its file, changed by what is typed") {
  const File file(
      "about = \"x\"\nrate = 150.5\norder = \"half\"\nat-most-once = true\n"
      "[disturb]\nkind = \"backlog\"\nrows = 1_000\ndead = \"refuses\"\n");
  const Parsed as_is = parse({file.path});
  INFO(as_is.errors);
  REQUIRE(as_is.options);
  CHECK(as_is.options->load.rate == 150.5);
  CHECK(as_is.options->shape.order == Order::half);
  CHECK(as_is.options->shape.at_most_once);
  CHECK(as_is.options->disturb.kind == Disturb::backlog);
  CHECK(as_is.options->disturb.rows == 1'000);
  CHECK(as_is.options->disturb.refuses);
  CHECK(as_is.options->shape.bystander(as_is.options->shape.subscribers()));
  const Parsed typed = parse({file.path, "--rate", "20", "--rows", "5", "--order=all"});
  REQUIRE(typed.options);
  CHECK(typed.options->load.rate == 20);
  CHECK(typed.options->disturb.rows == 5);
  CHECK(typed.options->shape.order == Order::all);
}

TEST_CASE("a scenario file with a slip in it is refused, with its name and the key's") {
  const auto [text, wrong] = GENERATE(table<std::string, std::string>({
      {"about = \"x\"\nrats = 1\n", "unknown key \"rats\""},
      {"about = \"x\"\nport = 1\n", "unknown key \"port\""},
      {"about = \"x\"\nrows = 1\n", "unknown key \"rows\""},
      {"about = \"x\"\n[disturb]\nkind = \"backlog\"\nrowz = 1\n", "unknown key \"disturb.rowz\""},
      {"about = \"x\"\n[disturb]\nkind = \"backlog\"\nrate = 1\n", "unknown key \"disturb.rate\""},
      {"about = \"x\"\n[other]\nrate = 1\n", "other is neither a text"},
      {"about = \"x\"\nhub = \"--a\"\n", "hub is not a list of texts"},
      {"rate = 1\n", "about is missing"},
      {"about = \"x\"\nrate = \n", ":2: "},
  }));
  const File file(text);
  const Parsed parsed = parse({file.path});
  CHECK_FALSE(parsed.options);
  INFO(parsed.errors);
  CHECK(parsed.errors.find(file.path) != std::string::npos);
  CHECK(parsed.errors.find(wrong) != std::string::npos);
}

TEST_CASE("a disturbance is refused what it does not know, and needs what it does") {
  CHECK_FALSE(parse({"--disturb", "longtx", "--rows", "5"}).options);
  CHECK_FALSE(parse({"--disturb", "backlog"}).options);
  CHECK_FALSE(parse({"--rows", "5"}).options);
  CHECK_FALSE(parse({"--disturb", "nonsense"}).options);
  CHECK_FALSE(parse({"--disturb", "blockedkey", "--rows", "5"}).options);
  CHECK(parse({"--disturb", "blockedkey", "--rows", "5", "--order", "all"}).options);
  CHECK_FALSE(parse({"no-such-scenario"}).options);
}
