// Scripts that complete commands and options in a shell. Pure; arguments.cpp has the words.
#include "cli/completion.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cli/error.hpp"

namespace eventhub::cli {
namespace {

using Places = std::vector<CompletionPlace>;

// Within single quotes of a shell: the first sentence of a meaning, without what needs escaping.
std::string plain_meaning(const std::string& meaning) {
  std::string out = meaning.substr(0, 90);
  std::replace_if(
      out.begin(), out.end(),
      [](char c) { return c == '\'' || c == '\\' || c == '\n' || c == ':'; }, ' ');
  return out;
}

// Patterns of `case "$path $word"` that lead from a place to another.
std::string steps(const Places& places, std::string_view between) {
  std::string all;
  for (const CompletionPlace& place : places) {
    for (const CompletionWord& command : place.commands) {
      all += fmt::format("{}'{} {}'", all.empty() ? "" : between, place.path, command.word);
    }
  }
  return all;
}

std::string listed(const std::vector<CompletionWord>& words) {
  std::string all;
  for (const CompletionWord& word : words) all += (all.empty() ? "" : " ") + word.word;
  return all;
}

std::string bash_script(const Places& places) {
  std::string cases;
  for (const CompletionPlace& place : places) {
    cases += fmt::format("    '{}') commands='{}' options='{}' ;;\n", place.path,
                         listed(place.commands), listed(place.options));
  }
  return fmt::format(R"(# bash: source <(eventhubd completion bash)
_eventhubd() {{
  local path='' word commands='' options='' current="${{COMP_WORDS[COMP_CWORD]}}"
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$path $word" in
      {}) path="${{path:+$path }}$word" ;;
    esac
  done
  case "$path" in
{}  esac
  [[ $current == -* ]] && commands="$options"
  mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
}}
complete -o default -F _eventhubd eventhubd
)",
                     steps(places, "|"), cases);
}

std::string described(const std::vector<CompletionWord>& words) {
  std::string all;
  for (const CompletionWord& word : words) {
    all += fmt::format(" '{}:{}'", word.word, plain_meaning(word.meaning));
  }
  return all;
}

std::string zsh_script(const Places& places) {
  std::string cases;
  for (const CompletionPlace& place : places) {
    cases += fmt::format("    '{}') commands=({}) options=({}) ;;\n", place.path,
                         described(place.commands), described(place.options));
  }
  return fmt::format(R"(#compdef eventhubd
# zsh: source <(eventhubd completion zsh)
_eventhubd() {{
  local place='' word
  local -a commands options
  for word in ${{words[2,CURRENT-1]}}; do
    case "$place $word" in
      {}) place="${{place:+$place }}$word" ;;
    esac
  done
  case "$place" in
{}  esac
  [[ ${{words[CURRENT]}} == -* ]] && commands=($options)
  _describe command commands || _files
}}
compdef _eventhubd eventhubd
)",
                     steps(places, "|"), cases);
}

std::string fish_script(const Places& places) {
  std::string out = fmt::format(R"(# fish: eventhubd completion fish | source
function __eventhubd_at
  set -l path ''
  for word in (commandline -opc)[2..-1]
    switch "$path $word"
      case {}
        set path (string trim "$path $word")
    end
  end
  test "$path" = "$argv[1]"
end
)",
                                steps(places, " "));
  for (const CompletionPlace& place : places) {
    for (const CompletionWord& word : place.commands) {
      out += fmt::format("complete -c eventhubd -f -n '__eventhubd_at \"{}\"' -a {} -d '{}'\n",
                         place.path, word.word, plain_meaning(word.meaning));
    }
    for (const CompletionWord& word : place.options) {
      out += fmt::format("complete -c eventhubd -n '__eventhubd_at \"{}\"' -l {}{} -d '{}'\n",
                         place.path, word.word.substr(2), word.takes_value ? " -r" : "",
                         plain_meaning(word.meaning));
    }
  }
  return out;
}

}  // namespace

std::string completion_for(const std::string& shell, const Places& places) {
  if (shell == "bash") return bash_script(places);
  if (shell == "zsh") return zsh_script(places);
  if (shell == "fish") return fish_script(places);
  throw UsageError("completion: \"" + shell + "\" is none of bash, zsh, fish");
}

}  // namespace eventhub::cli
