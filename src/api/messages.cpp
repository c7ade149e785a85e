// GET /events, GET /messages and what belongs to them: what became of events, for people. Read by
// store::History.
#include <fmt/format.h>

#include <array>

#include "api_impl.hpp"
#include "audit.hpp"
#include "cursor.hpp"
#include "request_input.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr std::array<std::string_view, 5> kStates{"pending", "waiting", "delivered", "dead",
                                                  "cancelled"};

std::optional<MessageRef> read_place(const Parameters& query) {
  const auto numbers = read_cursor<2>(query);
  if (!numbers) return std::nullopt;
  return MessageRef{numbers->at(0), static_cast<std::int32_t>(numbers->at(1))};
}

store::HistoryFilter read_filter(const Parameters& query) {
  store::HistoryFilter filter;
  filter.event_type = query.text("event_type");
  filter.organization_id = query.text("organization_id");
  filter.user_id = query.text("user_id");
  filter.since = query.time("since");
  filter.until = query.time("until");
  return filter;
}

http::Response answer(const store::HistoryPage& found) {
  std::optional<std::string> next;
  if (found.next) next = make_cursor({found.next->event_seq, found.next->sid});
  return page(found.rows, next);
}

http::Response refused(store::Resent result) {
  switch (result) {
    case store::Resent::no_message:
      return problem(404, "there is no message with this id");
    case store::Resent::no_subscriber:
      return problem(409, "the subscriber of this message was deleted");
    case store::Resent::at_most_once:
      return problem(409,
                     "the subscriber wants every message at most once; {\"force\":true} sends it");
    case store::Resent::open:
      return problem(409, "this message is not over: it is still to be sent, or was cancelled");
    default:
      return problem(409, "this message is being sent again already");
  }
}

}  // namespace

Task<http::Response> get_events(ApiPtr api, const http::Request& request) {
  const Parameters query(
      request, {"limit", "cursor", "event_type", "organization_id", "user_id", "since", "until"});
  auto filter = read_filter(query);
  const auto place = read_place(query);
  const auto found = co_await api->history.events(std::move(filter), place, query.limit());
  co_return answer(found);
}

Task<http::Response> get_event(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "event");
  auto found = co_await api->history.event(id);
  co_return found ? json(200, std::move(*found)) : problem(404, "there is no event with this id");
}

// Of an event that is to go out later.
Task<http::Response> cancel_event(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "event");
  const auto result = co_await api->history.cancel(id);
  if (result == store::Cancelled::no_event) {
    co_return problem(404, "there is no event with this id");
  }
  if (result == store::Cancelled::too_late) {
    co_return problem(409, "this event has been sent out already; it cannot be cancelled");
  }
  audit(request, "event.cancel", to_string(id), "");
  co_return no_content();
}

// For erasure: the event stays, its payload goes.
Task<http::Response> expunge_event(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "event");
  const bool known = co_await api->history.expunge(id);
  if (!known) co_return problem(404, "there is no event with this id");
  audit(request, "event.expunge", to_string(id), "");
  api->context.wakeups.notify(store::Signal::control);
  co_return no_content();
}

Task<http::Response> get_messages(ApiPtr api, const http::Request& request) {
  const Parameters query(request, {"limit", "cursor", "subscriber", "status", "event_type",
                                   "organization_id", "user_id", "since", "until"});
  auto filter = read_filter(query);
  filter.subscriber = query.uuid("subscriber");
  filter.status = query.word("status", kStates);
  const auto place = read_place(query);
  const auto found = co_await api->history.messages(std::move(filter), place, query.limit());
  co_return answer(found);
}

Task<http::Response> get_message(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "message");
  auto found = co_await api->history.message(id);
  co_return found ? json(200, std::move(*found)) : refused(store::Resent::no_message);
}

Task<http::Response> retry_message(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "message");
  const bool force = read_force(request, api->depth_max());
  const auto result = co_await api->history.send_again(id, force);
  if (result != store::Resent::done) co_return refused(result);
  audit(request, "message.retry", to_string(id), "");
  api->context.wakeups.notify(store::Signal::control);
  co_return sent_again(id);
}

}  // namespace eventhub::api
