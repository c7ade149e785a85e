// Everything that is generated from the option table: the effective settings, config/eventhub.toml,
// docs/configuration.md and the command line's list.
#include <fmt/format.h>

#include "core/options.hpp"

namespace eventhub {
namespace {

constexpr std::string_view kRedacted = "\"***\"";

std::string_view section_of(const Option& option) {
  const auto dot = option.name.find('.');
  return dot == std::string::npos ? std::string_view{}
                                  : std::string_view(option.name).substr(0, dot);
}

std::string_view key_of(const Option& option) {
  return std::string_view(option.name).substr(option.name.find('.') + 1);  // npos + 1 == 0
}

// Walks the table and says where a new section begins.
template <class Begin, class Each>
void each_option(Begin begin_section, Each each) {
  std::string_view section;
  for (const Option& option : options()) {
    if (section_of(option) != section) {
      section = section_of(option);
      begin_section(section);
    }
    each(option);
  }
}

std::string plain_default(const Option& option) {
  const std::string value = to_toml(option, Config{});
  if (value == "\"\"" && !option.unset.empty()) return option.unset;
  if (value.starts_with('"')) return value.substr(1, value.size() - 2);
  return value;
}

// Text broken at spaces, each line behind `prefix`.
void append_wrapped(std::string& out, std::string_view prefix, std::string_view text) {
  constexpr std::size_t kColumns = 100;
  while (!text.empty()) {
    std::size_t length = text.size();
    if (prefix.size() + length > kColumns) length = text.rfind(' ', kColumns - prefix.size());
    if (length == std::string_view::npos) length = std::min(text.find(' '), text.size());
    out += fmt::format("{}{}\n", prefix, text.substr(0, length));
    text.remove_prefix(std::min(length + 1, text.size()));
  }
}

// "integer, 1..65535" for the file; "integer, 1–65535" would not survive an editor that is not
// UTF-8.
std::string type_and_range(const Option& option) {
  const std::string range = range_text(option);
  return range.empty() ? type_name(option) : fmt::format("{}, {}", type_name(option), range);
}

std::string file_note(const Option& option) {
  std::string note = fmt::format("{} ({}; {})", option.meaning, type_and_range(option), option.env);
  if (to_toml(option, Config{}) == "\"\"" && !option.unset.empty())
    note += fmt::format(" Default: {}.", option.unset);
  return note;
}

constexpr std::string_view kFileHead =
    R"(# Settings of eventhubd. Every option is here with its default, commented out. A flag, like
# --server.port=3000, wins over the environment variable, which wins over this file. Unknown keys
# and bad values stop the start. docs/configuration.md says more.
# Generated from the option table in src/core/options.cpp: change it there.

)";

constexpr std::string_view kReferenceHead = R"(# Configuration

Generated from the option table in `src/core/options.cpp`: change it there.

Every option has one name, which is its place in the TOML file (`server.port` is `port` in
`[server]`) and its flag (`--server.port=3000`), and one environment variable. **A flag wins over
the environment, the environment over the file, the file over the default.** `eventhubd config`
prints the effective values, secrets redacted.

The file is the one named by `--config`, else by `EVENTHUB_CONFIG`, else the first found of
`config/eventhub.toml` and `/etc/eventhub/eventhub.toml`; none is fine too. `config/eventhub.toml`
in the repository holds every option with its default.

* Names end in their unit: `_ms` milliseconds, `_seconds` seconds, `_bytes_max` bytes.
* An unknown key, a value of the wrong type or out of range, and settings that contradict each other
  stop the start; the message names the option and the file's line, the variable or the flag. Only
  an unknown `EVENTHUB_...` variable is a mere warning.
* An empty variable counts as not set. Numbers are decimal; booleans are `true`, `false`, `1`, `0`,
  `yes`, `no`, `on`, `off`; lists are separated by commas (in the file `["a", "b"]` works too).
* Secrets do not go on the command line, where everybody can read them; `--database.url` works as
  long as no password is in it. `DB_PASSWORD_FILE`, `DATABASE_URL_FILE`, `EVENTHUB_ADMIN_KEY_FILE`
  and `EVENTHUB_SECRETS_MASTER_KEY_FILE` name a file that holds the secret; a line end behind it is
  cut off.
* `STALE_TIMEOUT_SECONDS` of earlier hubs is accepted and has no effect: messages of a crashed
  process are taken over without a time-out. `CHECK_INTERVAL_MS` is `cleanup.interval_ms`.

)";

std::string cell(std::string text) {
  for (std::size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2))
    text.insert(at, "\\");
  return text;
}

}  // namespace

std::string print_config(const Config& config) {
  std::string out;
  each_option([&](std::string_view section) { out += fmt::format("\n[{}]\n", section); },
              [&](const Option& option) {
                std::string value = to_toml(option, config);
                if (option.secret && value != "\"\"") value = kRedacted;
                out += fmt::format("{} = {}\n", key_of(option), value);
              });
  return out;
}

std::string default_config_file() {
  std::string out(kFileHead);
  each_option([&](std::string_view section) { out += fmt::format("[{}]\n\n", section); },
              [&](const Option& option) {
                append_wrapped(out, "# ", file_note(option));
                out += fmt::format("#{} = {}\n\n", key_of(option), to_toml(option, Config{}));
              });
  out.pop_back();
  return out;
}

std::string configuration_reference() {
  constexpr std::string_view kTableHead =
      "| Option | Variable | Type | Default | Meaning |\n|---|---|---|---|---|\n";
  std::string out(kReferenceHead);
  out += fmt::format("## Process\n\n{}", kTableHead);
  each_option(
      [&](std::string_view section) { out += fmt::format("\n## {}\n\n{}", section, kTableHead); },
      [&](const Option& option) {
        const std::string value = to_toml(option, Config{});
        const bool words = value == "\"\"" || value == "[]";
        out += fmt::format("| `{}` | `{}` | {} | {} | {} |\n", option.name, option.env,
                           type_and_range(option),
                           words ? (option.unset.empty() ? "none" : cell(option.unset))
                                 : fmt::format("`{}`", cell(value)),
                           cell(option.meaning));
      });
  return out;
}

std::vector<OptionInfo> option_infos() {
  std::vector<OptionInfo> infos;
  for (const Option& option : options())
    infos.push_back({option.name, option.env, option.meaning, plain_default(option)});
  return infos;
}

}  // namespace eventhub
