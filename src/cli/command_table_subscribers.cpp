// `eventhubd subscribers …` for command_table.cpp.
#include "cli/command_table.hpp"
#include "cli/commands.hpp"

namespace eventhub::cli {
namespace {

using ArgKind = Argument::Kind;

const Argument kWhich{"subscriber", "name or id", ArgKind::position, "NAME|ID", true};

// What `create` and `update` have in common; `set` reaches what has no option of its own.
std::vector<Argument> subscriber_members() {
  return {
      {"event-type", "exact, or with wildcards: user.*, user.>, >; may be repeated",
       ArgKind::repeated, "PATTERN"},
      {"webhook-url", "where to", ArgKind::text, "URL"},
      {"ordered-by", "deliver in order per organization_id, user_id or /place/in/the/payload",
       ArgKind::text, "KEY"},
      {"filter", "only events that this JSON holds for (docs/filters.md); none: all", ArgKind::text,
       "JSON"},
      {"org", "only events of this organization; none: all", ArgKind::text, "ID"},
      {"guarantee", "at_least_once or at_most_once", ArgKind::text, "GUARANTEE"},
      {"retry-limit", "retries after the first attempt", ArgKind::text, "N"},
      {"backoff", "seconds between them, the last repeats: 5,30,300", ArgKind::text, "LIST"},
      {"timeout-ms", "of one attempt", ArgKind::text, "MS"},
      {"max-in-flight", "requests at a time", ArgKind::text, "N"},
      {"rate-limit", "requests per second", ArgKind::text, "N"},
      {"circuit-failures", "failures in a row that open its circuit", ArgKind::text, "N"},
      {"header", "request header; an empty value takes it away", ArgKind::repeated, "NAME: VALUE"},
      {"secret-file", "file with the whsec_… that signs; one is made unless given", ArgKind::text,
       "FILE"},
      {"auth-basic-file", "file with USER:PASSWORD for its webhook", ArgKind::text, "FILE"},
      {"auth-bearer-file", "file with a bearer token for its webhook", ArgKind::text, "FILE"},
      {"set", "any member of the API: on_dead=block, secret=null, auth=null", ArgKind::repeated,
       "MEMBER=VALUE"},
  };
}

std::vector<Argument> with_members(std::vector<Argument> first) {
  const auto members = subscriber_members();
  first.insert(first.end(), members.begin(), members.end());
  return first;
}

CommandSpec create_command() {
  return {"subscribers",
          "create",
          "make a subscriber",
          "eventhubd subscribers create --name 'User Service' --event-type 'user.*' \\\n"
          "  --webhook-url https://api.example.com/hooks --ordered-by organization_id\n"
          "eventhubd subscribers create --name Audit --event-type '>' \\\n"
          "  --webhook-url https://audit.example.com/hook --secret-file audit.secret",
          with_members({{"name", "what to call it", ArgKind::text, "NAME", true}}),
          create_subscriber};
}

CommandSpec update_command() {
  return {"subscribers",
          "update",
          "change what is named, leave the rest",
          "eventhubd subscribers update 'User Service' --retry-limit 5\n"
          "eventhubd subscribers update 'User Service' --set on_dead=block --header 'X-Team: '",
          with_members({kWhich, {"name", "call it otherwise", ArgKind::text, "NAME"}}),
          update_subscriber};
}

CommandSpec rotate_command() {
  return {"subscribers",
          "rotate-secret",
          "give it a new secret; the former one signs, too, for a while",
          "eventhubd subscribers rotate-secret 'User Service' --overlap-seconds 3600",
          {kWhich,
           {"secret-file", "file with the new whsec_…; one is made unless given", ArgKind::text,
            "FILE"},
           {"overlap-seconds", "how long the former one signs (86400)", ArgKind::text, "N"},
           {"force", "although the one before that still signs: it ends", ArgKind::flag}},
          rotate_secret};
}

CommandSpec apply_command() {
  return {"subscribers",
          "apply",
          "make the subscribers be as a file says, by name",
          "eventhubd subscribers apply -f subscribers.toml --dry-run\n"
          "eventhubd subscribers apply -f subscribers.toml --prune",
          {{"file", "TOML with [[subscriber]] tables of the API's members", ArgKind::text, "FILE",
            true},
           {"dry-run", "say what would be done, do nothing", ArgKind::flag},
           {"prune", "delete those that the file does not have", ArgKind::flag},
           {"write-secrets", "write secrets and header values again, which cannot be compared",
            ArgKind::flag}},
          apply_subscribers};
}

}  // namespace

std::vector<CommandSpec> subscriber_commands() {
  return {
      {"subscribers",
       "list",
       "who gets what",
       "eventhubd subscribers list\neventhubd subscribers list --event-type 'user.*' --paused",
       {{"event-type", "with this pattern, as written", ArgKind::text, "PATTERN"},
        {"paused", "only those that are paused", ArgKind::flag},
        {"inactive", "only those that are not active", ArgKind::flag},
        {"limit", "rows at most (50)", ArgKind::text, "N"},
        {"all", "all rows, page after page", ArgKind::flag},
        {"cursor", "go on behind an earlier page", ArgKind::text, "CURSOR"}},
       list_subscribers},
      {"subscribers",
       "show",
       "one subscriber",
       "eventhubd subscribers show 'User Service'",
       {kWhich},
       show_subscriber},
      create_command(),
      update_command(),
      {"subscribers",
       "delete",
       "delete it; its open messages end as cancelled",
       "eventhubd subscribers delete 'User Service'",
       {kWhich},
       delete_subscriber},
      {"subscribers",
       "pause",
       "hold its messages",
       "eventhubd subscribers pause 'User Service' --reason maintenance",
       {kWhich, {"reason", "shown where it is paused", ArgKind::text, "TEXT"}},
       pause_subscriber},
      {"subscribers",
       "resume",
       "let its messages go, in order",
       "eventhubd subscribers resume 'User Service'",
       {kWhich},
       resume_subscriber},
      {"subscribers",
       "test",
       "call its webhook once, now; exit code 1 unless it answers 2xx",
       "eventhubd subscribers test 'User Service'",
       {kWhich},
       test_subscriber},
      {"subscribers",
       "match",
       "whether it would get an event, and if not, why; exit code 1 unless it would",
       "eventhubd subscribers match 'User Service' --file event.json",
       {kWhich, {"file", "the event, as POST /events takes it", ArgKind::text, "FILE", true}},
       match_subscriber},
      rotate_command(),
      apply_command(),
  };
}

}  // namespace eventhub::cli
