// POST /subscribers/{id}/replay: stored events for a subscriber once more, by store::Replay; the
// owners of shards send them.
#include <fmt/format.h>

#include <limits>

#include "api_impl.hpp"
#include "audit.hpp"
#include "request_input.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr double kReplayRateMax = 10'000;
constexpr std::int64_t kSeqMax = std::numeric_limits<std::int64_t>::max() - 1;

struct ReplayBody {
  store::ReplayRange range;
  store::ReplayWish wish;
};

// One of both ways to say where it begins is needed: nobody replays everything by an oversight.
ReplayBody read_replay(const Api& api, const http::Request& request) {
  const Parameters body(read_members(request, api.depth_max()),
                        {"from", "to", "from_seq", "to_seq", "event_type", "organization_id",
                         "rate", "dry_run", "force"});
  ReplayBody read;
  read.range.from = body.time("from");
  read.range.to = body.time("to");
  read.range.from_seq = body.number("from_seq", 0, kSeqMax);
  read.range.to_seq = body.number("to_seq", 0, kSeqMax);
  if (read.range.from.has_value() == read.range.from_seq.has_value()) {
    body.refuse("from", "or from_seq is needed, and not both");
  }
  if (read.range.to && read.range.to_seq) body.refuse("to", "and to_seq do not go together");
  read.range.event_type = body.text("event_type");
  read.range.organization_id = body.text("organization_id");
  read.wish.rate = body.positive("rate", kReplayRateMax);
  read.wish.dry_run = body.flag("dry_run").value_or(false);
  read.wish.force = body.flag("force").value_or(false);
  read.wish.by = caller(request);
  return read;
}

std::string replay_text(const store::ReplayDone& done, bool dry_run) {
  return fmt::format(
      R"({{"matched":{},"new":{},"open":{},"sendable":{},"sent":{},"dry_run":{},"to_seq":{},)"
      R"("next_seq":{}}})",
      done.matched, done.lacking, done.open, done.sendable, done.sent, dry_run, done.to_seq,
      done.next_seq ? std::to_string(*done.next_seq) : "null");
}

}  // namespace

Task<http::Response> replay_events(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "subscriber");
  ReplayBody body = read_replay(*api, request);
  const bool dry_run = body.wish.dry_run;
  const auto done = co_await api->replay.run(id, std::move(body.range), std::move(body.wish));
  if (!done) co_return problem(404, "there is no subscriber with this id");
  if (!dry_run) {
    audit(request, "subscriber.replay", to_string(id), fmt::format("{} messages", done->sent));
    api->context.wakeups.notify(store::Signal::control);
  }
  co_return json(dry_run ? 200 : 202, replay_text(*done, dry_run));
}

}  // namespace eventhub::api
