// POST /subscribers/{id}/test: one call of a subscriber's webhook from this process, made as the
// dispatcher makes them (http/webhook.hpp), of an event that is stored nowhere.
#include <fmt/format.h>

#include "api_impl.hpp"
#include "audit.hpp"
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

// Made at the first test, as it reads the certificate authorities. A test tells of the way to the
// receiver, too, so that no connection is kept.
http::Client& client_of(Api& api) {
  if (!api.test_client) {
    const store::Context& shared = api.context;
    http::ClientOptions options;
    options.idle_connections_max = 0;
    options.own = http::listeners(shared.config.server);
    api.test_client =
        std::make_unique<http::Client>(shared.executor, shared.config.webhook, shared.config.egress,
                                       shared.clock, shared.metrics, options);
  }
  return *api.test_client;
}

Task<AttemptResult> call(ApiPtr api, http::Endpoint& endpoint, MessageRef ref, const Event& event) {
  const store::Context& context = api->context;
  std::string made;
  const std::string_view body = http::body_of(*endpoint.row, ref, event, made);
  http::Client::Post post;
  post.url = &endpoint.url;
  post.headers = http::request_headers(endpoint, {ref, 1}, event, body, context.clock.now());
  post.body = body;
  post.timeout = endpoint.row->timeout.value_or(context.config.webhook.timeout);
  auto result = co_await client_of(*api).post(std::move(post), false);
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
  audit(request, "subscriber.test", to_string(id), "");
  const Event event = test_event(*row, api->context.clock.now());
  const MessageRef ref{0, row->sid};
  http::Endpoints endpoints;
  const auto endpoint = endpoints.of(row);
  AttemptResult result;
  result.error = endpoint->error;
  if (endpoint->error.empty()) result = co_await call(api, *endpoint, ref, event);
  co_return answer(result, event.id, message_id(ref, event.id));
}

}  // namespace eventhub::api
