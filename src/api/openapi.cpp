// GET /openapi.json: what this API is, for programs. The text is openapi.json, beside this file;
// test/e2e/test_openapi.py holds it to the routes and their answers.
#include "api_impl.hpp"
#include "embedded_texts.hpp"
#include "respond.hpp"

namespace eventhub::api {

Task<http::Response> get_openapi(ApiPtr, const http::Request&) {
  co_return json(200, std::string(openapi_text()));
}

}  // namespace eventhub::api
