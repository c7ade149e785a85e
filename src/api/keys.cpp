// GET /keys, POST /keys, DELETE /keys/{id}. The table is store/key_table.cpp; each change is told
// to this process's copy at once and to the others by the table itself.
#include <fmt/format.h>

#include "api_impl.hpp"
#include "audit.hpp"
#include "eventhub/core/log.hpp"
#include "eventhub/http/digest.hpp"
#include "request_headers.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

http::Response no_database() {
  return unavailable("the database is not available; try again later");
}

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

Task<http::Response> get_keys(ApiPtr api, const http::Request&) {
  std::string body;
  try {
    const auto keys = co_await store::list_keys(api->context.database);
    for (const ApiKeyInfo& key : keys) body += (body.empty() ? "" : ",") + to_json(key);
  } catch (const pg::Error&) {
    co_return no_database();
  }
  co_return json(200, fmt::format(R"({{"data":[{}],"next_cursor":null}})", body));
}

Task<http::Response> post_key(ApiPtr api, const http::Request& request) {
  if (!is_json(request)) co_return problem(415, "the Content-Type must be application/json");
  auto parsed = parse_new_api_key(request.body);
  if (const auto* error = std::get_if<InputError>(&parsed)) co_return invalid(*error);
  const std::string token = http::random_token();
  std::optional<std::variant<ApiKeyInfo, store::KeyRefusal>> made;
  try {
    made = co_await store::create_key(api->context.database, std::move(std::get<NewApiKey>(parsed)),
                                      http::sha256(token), caller(request));
  } catch (const pg::Error&) {
    co_return no_database();
  }
  if (const auto* why = std::get_if<store::KeyRefusal>(&*made)) co_return refused(*why);
  const auto& key = std::get<ApiKeyInfo>(*made);
  audit(request, "key.create", to_string(key.id), describe(key));
  co_await refresh(api);
  auto response = json(201, to_json(key, token));
  response.headers += fmt::format("Location: /keys/{}\r\n", to_string(key.id));
  co_return response;
}

Task<http::Response> delete_key(ApiPtr api, const http::Request& request) {
  const auto id = parse_uuid(request.path.substr(request.path.rfind('/') + 1));
  std::optional<std::string> name;
  try {
    if (id) name = co_await store::revoke_key(api->context.database, *id, caller(request));
  } catch (const pg::Error&) {
    co_return no_database();
  }
  if (!name) co_return problem(404, "there is no key with this id");
  audit(request, "key.revoke", to_string(*id), *name);
  co_await refresh(api);
  http::Response response = json(204, "");
  co_return response;
}

}  // namespace eventhub::api
