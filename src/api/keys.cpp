// GET /keys, POST /keys, DELETE /keys/{id}. The table is store/key_table.cpp; each change is told
// to this process's copy at once and to the others by the table itself.
#include <fmt/format.h>

#include "api_impl.hpp"
#include "audit.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/http/digest.hpp"
#include "request_headers.hpp"
#include "request_input.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

http::Response refused(store::KeyRefusal why) {
  if (why == store::KeyRefusal::name_taken) {
    return problem(409, "there is a key of this name already; revoke it or choose another");
  }
  return problem(409, fmt::format("there are {} keys already; revoke some", store::kKeysMax));
}

// The change is made, whatever becomes of this look at it: the loop looks again within a second.
Task<void> refresh(ApiPtr api) {
  try {
    co_await api->keys.refresh();
  } catch (const pg::Error& error) {
    log::warn("API keys cannot be looked at", {{"error", error.what()}});
  }
}

}  // namespace

Task<http::Response> get_keys(ApiPtr api, const http::Request& request) {
  const Parameters none(request, {});
  const auto keys = co_await store::list_keys(api->context.database);
  std::vector<std::string> rows;
  for (const ApiKeyInfo& key : keys) rows.push_back(to_json(key));
  co_return page(rows, std::nullopt);
}

Task<http::Response> post_key(ApiPtr api, const http::Request& request) {
  if (!is_json(request)) co_return problem(415, "the Content-Type must be application/json");
  auto parsed = parse_new_api_key(request.body);
  if (const auto* error = std::get_if<InputError>(&parsed)) co_return invalid(*error);
  const std::string token = http::random_token();
  const auto made =
      co_await store::create_key(api->context.database, std::move(std::get<NewApiKey>(parsed)),
                                 http::sha256(token), caller(request));
  if (const auto* why = std::get_if<store::KeyRefusal>(&made)) co_return refused(*why);
  const auto& key = std::get<ApiKeyInfo>(made);
  audit(request, "key.create", to_string(key.id), describe(key));
  co_await refresh(api);
  auto response = json(201, to_json(key, token));
  response.headers += fmt::format("Location: /keys/{}\r\n", to_string(key.id));
  co_return response;
}

Task<http::Response> delete_key(ApiPtr api, const http::Request& request) {
  const Uuid id = path_id(request, "key");
  const auto name = co_await store::revoke_key(api->context.database, id, caller(request));
  if (!name) co_return problem(404, "there is no key with this id");
  audit(request, "key.revoke", to_string(id), *name);
  co_await refresh(api);
  co_return no_content();
}

}  // namespace eventhub::api
