// The one table of the commands that speak with a hub. arguments.cpp turns it into a command line.
#include "cli/command_table.hpp"

#include "cli/commands.hpp"

namespace eventhub::cli {
namespace {

using ArgKind = Argument::Kind;
using Arguments = std::vector<Argument>;

Arguments joined(Arguments first, const Arguments& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

const Arguments kPageArguments{
    {"limit", "rows at most (50)", ArgKind::text, "N"},
    {"all", "all rows, page after page", ArgKind::flag},
    {"cursor", "go on behind an earlier page", ArgKind::text, "CURSOR"},
};

const Arguments kEventFilter{
    {"type", "of this event type", ArgKind::text, "TYPE"},
    {"org", "of this organization_id", ArgKind::text, "ID"},
    {"user", "of this user_id", ArgKind::text, "ID"},
    {"since", "then or later: RFC 3339, or how long ago (15m, 2h, 7d)", ArgKind::text, "TIME"},
    {"until", "before", ArgKind::text, "TIME"},
};

const Arguments kDeadFilter = joined(
    {
        {"subscriber", "of this subscriber", ArgKind::text, "NAME|ID"},
        {"reason", "that died of this", ArgKind::text, "REASON"},
        {"outcome", "dead, unknown, expired or refused", ArgKind::text, "OUTCOME"},
        {"last-status", "whose last answer had this status", ArgKind::text, "STATUS"},
    },
    kEventFilter);

const Argument kForce{"force", "also of a subscriber that wants every message at most once",
                      ArgKind::flag};

CommandSpec publish_command() {
  return {"",
          "publish",
          "post an event, or one per line",
          R"(eventhubd publish user.created '{"id": 7}' --org org-1
eventhubd publish order.paid --file order.json --idempotency-key order-7-paid
jq -c '.[]' users.json | eventhubd publish user.created --ndjson --idempotency-key import-1)",
          {
              {"type", "the event type; with --ndjson each line may be a whole event instead",
               ArgKind::position, "TYPE"},
              {"payload", "JSON object or array; - or nothing: from standard input",
               ArgKind::position, "PAYLOAD"},
              {"file", "read the payload (or the lines) from FILE", ArgKind::text, "FILE"},
              {"org", "organization_id", ArgKind::text, "ID"},
              {"user", "user_id", ArgKind::text, "ID"},
              {"event-version", "version of the event (v1)", ArgKind::text, "VERSION"},
              {"deliver-after", "not before: RFC 3339, or in how long (15m, 2h, 7d)", ArgKind::text,
               "TIME"},
              {"expires-at", "not then or later", ArgKind::text, "TIME"},
              {"idempotency-key",
               "the same key again makes no second event; a random one unless given. With --ndjson "
               "each line's key is KEY-1, KEY-2 and so on",
               ArgKind::text, "KEY"},
              {"ndjson", "an event per line", ArgKind::flag},
          },
          publish};
}

std::vector<CommandSpec> event_commands() {
  return {
      {"events", "list", "accepted events, newest first",
       "eventhubd events list --type user.created --since 1h\n"
       "eventhubd events list --org org-1 --all --json",
       joined(kEventFilter, kPageArguments), list_events},
      {"events",
       "show",
       "one event: payload, messages, attempts",
       "eventhubd events show 0190c8a2-7c1e-7000-8000-2f5b8f0c4f11",
       {{"id", "of the event", ArgKind::position, "ID", true}},
       show_event},
      {"events",
       "cancel",
       "take back events that are to go out later",
       "eventhubd events cancel 0190c8a2-7c1e-7000-8000-2f5b8f0c4f11",
       {{"id", "of the events", ArgKind::positions, "ID", true}},
       cancel_event},
      {"events",
       "expunge",
       "take the payloads of events away, for an erasure request",
       "eventhubd events expunge 0190c8a2-7c1e-7000-8000-2f5b8f0c4f11",
       {{"id", "of the events", ArgKind::positions, "ID", true}},
       expunge_event},
  };
}

std::vector<CommandSpec> message_commands() {
  return {
      {"messages", "list", "messages (an event for a subscriber), newest first",
       "eventhubd messages list --status waiting\n"
       "eventhubd messages list --subscriber 'User Service' --since 1h",
       joined(joined({{"subscriber", "of this subscriber", ArgKind::text, "NAME|ID"},
                      {"status", "pending, waiting, delivered, dead or cancelled", ArgKind::text,
                       "STATUS"}},
                     kEventFilter),
              kPageArguments),
       list_messages},
      {"messages",
       "show",
       "one message and its attempts",
       "eventhubd messages show 00000000-0000-8001-8000-000000000000",
       {{"id", "of the message", ArgKind::position, "ID", true}},
       show_message},
      {"messages",
       "retry",
       "send messages again that were delivered or died",
       "eventhubd messages retry 00000000-0000-8001-8000-000000000000",
       {{"id", "of the messages", ArgKind::positions, "ID", true}, kForce},
       retry_message},
  };
}

std::vector<CommandSpec> dead_commands() {
  const Argument id{"id", "of the dead letter", ArgKind::position, "ID", true};
  const Argument ids{"id", "of the dead letters", ArgKind::positions, "ID", true};
  return {
      {"dlq", "list", "dead letters, newest first",
       "eventhubd dlq list --subscriber 'User Service' --last-status 400",
       joined(kDeadFilter, kPageArguments), list_dead},
      {"dlq",
       "show",
       "one dead letter with its payload",
       "eventhubd dlq show 00000000-0000-8001-8000-000000000000",
       {id},
       show_dead},
      {"dlq",
       "retry",
       "send dead letters again",
       "eventhubd dlq retry 00000000-0000-8001-8000-000000000000",
       {ids, kForce},
       retry_dead},
      {"dlq", "retry-all", "send all again that a filter matches",
       "eventhubd dlq retry-all --subscriber 'User Service' --dry-run\n"
       "eventhubd dlq retry-all --type user.created --since 1d --rate 20",
       joined(kDeadFilter,
              {{"every", "without a filter: all there are", ArgKind::flag},
               {"rate", "letters per second; at once unless given", ArgKind::text, "N"},
               {"dry-run", "count them, send none", ArgKind::flag},
               kForce}),
       retry_all_dead},
      {"dlq",
       "discard",
       "give dead letters up",
       "eventhubd dlq discard 00000000-0000-8001-8000-000000000000",
       {ids},
       discard_dead},
      {"dlq", "export", "dead letters with their payloads, one JSON object per line",
       "eventhubd dlq export --output dead_letters.ndjson\n"
       "eventhubd dlq export --type user.created | jq .payload",
       joined(kDeadFilter, {{"output", "write to FILE, which is there only when it is whole",
                             ArgKind::text, "FILE"}}),
       export_dead},
  };
}

CommandSpec replay_command() {
  return {
      "",
      "replay",
      "send stored events to a subscriber once more, or for the first time",
      "eventhubd replay 'User Service' --from 2d --dry-run\n"
      "eventhubd replay 'User Service' --from 2026-01-31T08:00:00Z --to 1h --rate 50",
      {
          {"subscriber", "its name or id", ArgKind::position, "NAME|ID", true},
          {"from", "accepted then or later: RFC 3339, or how long ago (15m, 2h, 7d)", ArgKind::text,
           "TIME"},
          {"to", "accepted before (now)", ArgKind::text, "TIME"},
          {"from-seq", "instead of a time: from this event_seq on", ArgKind::text, "N"},
          {"to-seq", "up to this event_seq", ArgKind::text, "N"},
          {"type", "of this event type; wildcards as of a subscriber", ArgKind::text, "PATTERN"},
          {"org", "of this organization_id", ArgKind::text, "ID"},
          {"rate", "messages per second; at once unless given", ArgKind::text, "N"},
          {"dry-run", "count them, send none", ArgKind::flag},
          {"force", "also what a subscriber at most once was sent before", ArgKind::flag},
      },
      replay};
}

CommandSpec tail_command() {
  return {"",
          "tail",
          "print new events, messages or dead letters as they come",
          "eventhubd tail\n"
          "eventhubd tail messages --subscriber 'User Service'\n"
          "eventhubd tail dlq --json",
          {
              {"what", "events (the default), messages or dlq", ArgKind::position, "WHAT"},
              {"type", "of this event type", ArgKind::text, "TYPE"},
              {"org", "of this organization_id", ArgKind::text, "ID"},
              {"user", "of this user_id", ArgKind::text, "ID"},
              {"subscriber", "of this subscriber; not for events", ArgKind::text, "NAME|ID"},
              {"last", "begin with so many that are there already (10)", ArgKind::text, "N"},
              {"count", "end after so many", ArgKind::text, "N"},
              {"interval", "ask every so many milliseconds (1000)", ArgKind::text, "MS"},
          },
          tail};
}

std::vector<CommandSpec> own_commands() {
  return {
      {"",
       "doctor",
       "check the configuration, the database, the hub and its subscribers' receivers",
       "eventhubd doctor\neventhubd doctor --json",
       {{"no-api", "do not ask the hub", ArgKind::flag},
        {"no-receivers", "do not connect to the receivers", ArgKind::flag}},
       nullptr},
  };
}

}  // namespace

const std::vector<CommandSpec>& command_table() {
  static const std::vector<CommandSpec> table = [] {
    std::vector<CommandSpec> all{publish_command()};
    for (const auto& more :
         {subscriber_commands(), event_commands(), message_commands(), dead_commands(),
          std::vector{replay_command(), tail_command()}, own_commands()}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }();
  return table;
}

std::string group_meaning(std::string_view group) {
  if (group == "events") return "what was accepted";
  if (group == "messages") return "what became of events at each subscriber";
  if (group == "dlq") return "dead letters";
  return "who gets which events";
}

const std::vector<Argument>& place_arguments() {
  static const Arguments arguments{
      {"url", "the hub (EVENTHUB_URL; http://127.0.0.1:PORT)", ArgKind::text, "URL"},
      {"key", "its API key (EVENTHUB_API_KEY); seen by everyone on this machine", ArgKind::text,
       "KEY"},
      {"key-file", "file with the API key (EVENTHUB_API_KEY_FILE)", ArgKind::text, "FILE"},
      {"ca-file", "further certificates to trust (EVENTHUB_CA_FILE)", ArgKind::text, "FILE"},
      {"timeout", "of one request, in seconds (30)", ArgKind::text, "S"},
      {"json", "print the API's JSON", ArgKind::flag},
  };
  return arguments;
}

}  // namespace eventhub::cli
