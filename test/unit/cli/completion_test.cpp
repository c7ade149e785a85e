// The scripts for shells.
#include "cli/completion.hpp"

#include "cli/command_table.hpp"
#include "cli/error.hpp"
#include "support/catch.hpp"

namespace eventhub::cli {
namespace {

const std::vector<CompletionPlace> kSample{
    {"",
     {{"events", "what was accepted", false}, {"publish", "post it", false}},
     {{"--port", "it's a port", true}}},
    {"events", {{"list", "all: newest first", false}, {"show", "one", false}}, {}},
    {"events list", {}, {{"--limit", "rows", true}, {"--json", "as JSON", false}}},
};

TEST_CASE("each shell gets every command and option, and no quote too many") {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_for(shell, kSample);
    CAPTURE(script);
    for (const char* word : {"events", "publish", "list", "show", "limit", "json", "port"}) {
      CHECK(script.find(word) != std::string::npos);
    }
    CHECK(script.find("it's") == std::string::npos);
  }
  CHECK_THROWS_AS(completion_for("csh", kSample), UsageError);
}

TEST_CASE("every command of the table has an example that names it") {
  for (const CommandSpec& spec : command_table()) {
    CAPTURE(spec.path());
    CHECK(spec.examples.find("eventhubd " + spec.path()) != std::string::npos);
    CHECK_FALSE(spec.meaning.empty());
  }
}

}  // namespace
}  // namespace eventhub::cli
