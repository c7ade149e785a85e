#include "guard/connection.hpp"

#include <cstring>

#include "api/request_headers.hpp"
#include "api/routes.hpp"
#include "eventhub/core/json.hpp"
#include "eventhub/http/digest.hpp"
#include "guard/path.hpp"

namespace eventhub::guard {
namespace {

constexpr std::size_t kRound = 64;
constexpr std::size_t kDepthMax = 64;

class Parse final : public Path {
 public:
  std::size_t round() const override { return kRound; }
  void run() override {
    for (std::size_t i = 0; i < kRound; ++i) accept_one();
  }

 private:
  // The steps of http::serve and api::post_event.
  void accept_one() {
    http::ServerConnection& c = *peer_.connection;
    receive(c, request_);
    const auto route = api::find_route(c.request.method, c.request.path);
    require(route.route != nullptr, "the request has no route");
    require(c.request.count("content-type") == 1 && api::is_json(c.request), "it is not JSON");
    auto key = api::idempotency_key(c.request);
    auto parsed = parse_new_event(c.request.body, kDepthMax);
    require(parsed.index() == 0, "the event is refused");
    auto& event = std::get<NewEvent>(parsed);
    event.traceparent = api::traceparent(c.request);
    require(key.index() == 0 && std::get<0>(key) && event.traceparent, "a header is not read");
    const Uuid hashed = http::digest128({"", *std::get<0>(key)});
    const Uuid fingerprint =
        http::digest128({event.event_type, event.version, event.organization_id.value_or(""),
                         event.user_id.value_or(""), event.payload});
    require(hashed != fingerprint, "the digests are equal");
    c.end_request();
  }

  Peer peer_;
  std::string request_ = post_request();
};

}  // namespace

std::unique_ptr<Path> make_parse() {
  return std::make_unique<Parse>();
}

}  // namespace eventhub::guard
