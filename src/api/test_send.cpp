// POST /subscribers/{id}/test: one call of a subscriber's webhook from this process, made as the
// dispatcher makes them (http/webhook.hpp), of an event that is stored nowhere.
#include <fmt/format.h>

#include "api_impl.hpp"
#include "eventhub/core/time_text.hpp"
#include "eventhub/http/client.hpp"
#include "eventhub/http/webhook.hpp"
#include "request_input.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

constexpr int kTestsMax = 8;

Event test_event(const Subscriber& subscriber, Time now) {
  Event event;
  event.id = uuid_v7(now);
  event.created_at = now;
  event.event_type = "eventhub.test";
  event.version = "v1";
  event.payload = fmt::format(R"({{"test":true,"subscriber":"{}","sent_at":"{}"}})",
                              to_string(subscriber.id), format_time(now));
  return event;
}

// Counts one of the tests in the air, as long as it lives.
struct Counted {
  explicit Counted(int& all) : count(all) { ++count; }
  ~Counted() { --count; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int& count;
};

Task<AttemptResult> call(store::Context& context, http::Endpoint& endpoint, MessageRef ref,
                         const Event& event) {
  const Config& config = context.config;
  http::ClientOptions options;
  options.own_bind = config.server.bind;
  options.own_port = config.server.port;
  http::Client client(context.executor, config.webhook, config.egress, context.clock,
                      context.metrics, options);
  std::string made;
  const std::string_view body = http::body_of(*endpoint.row, ref, event, made);
  http::Client::Post post;
  post.url = &endpoint.url;
  post.headers = http::request_headers(endpoint, {ref, 1}, event, body, context.clock.now());
  post.body = body;
  post.timeout = endpoint.row->timeout.value_or(config.webhook.timeout);
  auto result = co_await client.post(std::move(post), false);
  client.close();
  co_return result;
}

void append_text(std::string& out, std::string_view name, std::string_view text) {
  out.append(",\"").append(name).append("\":");
  if (text.empty()) {
    out += "null";
  } else {
    append_json_string(out, text);
  }
}

http::Response answer(const AttemptResult& result, const Uuid& event, const Uuid& message) {
  const bool answered = result.kind == AttemptResult::Kind::answered;
  const bool delivered = answered && result.status / 100 == 2;
  std::string body =
      fmt::format(R"({{"delivered":{},"status":{},"duration_ms":{})", delivered,
                  answered ? std::to_string(result.status) : "null", result.duration.count());
  append_text(body, "error", delivered ? "" : result.error);
  append_text(body, "response", result.response);
  append_text(body, "event_id", to_string(event));
  append_text(body, "message_id", to_string(message));
  return json(200, body + '}');
}

}  // namespace

Task<http::Response> test_subscriber(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "subscriber");
  if (api->tests >= kTestsMax) co_return unavailable("too many tests are under way; try again");
  const Counted counted(api->tests);
  const auto all = co_await api->context.subscribers.refresh();
  const SubscriberPtr row = find_subscriber(*all, id);
  if (!row) co_return problem(404, "there is no subscriber with this id");
  const Event event = test_event(*row, api->context.clock.now());
  const MessageRef ref{0, row->sid};
  http::Endpoints endpoints;
  const auto endpoint = endpoints.of(row);
  AttemptResult result;
  result.error = endpoint->error;
  if (endpoint->error.empty()) result = co_await call(api->context, *endpoint, ref, event);
  co_return answer(result, event.id, message_id(ref, event.id));
}

}  // namespace eventhub::api
