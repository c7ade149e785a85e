// GET /, /dashboard.js and /dashboard.css: a page for people, on the management API alone. The
// files are in dashboard/; whoever asks gets them, since they hold nothing but code.
#include "api_impl.hpp"
#include "embedded_texts.hpp"
#include "respond.hpp"

namespace eventhub::api {
namespace {

// The page runs its own script and asks this hub, and nothing else; nobody frames it.
constexpr std::string_view kPageHeaders =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n"
    "Referrer-Policy: no-referrer\r\n";

http::Response file(std::string_view type, std::string_view text) {
  auto response = plain(200, std::string(text));
  response.content_type = std::string(type) + "; charset=utf-8";
  response.headers += kPageHeaders;
  return response;
}

}  // namespace

Task<http::Response> get_dashboard(ApiPtr, const http::Request&) {
  co_return file("text/html", dashboard_page());
}

Task<http::Response> get_dashboard_script(ApiPtr, const http::Request&) {
  co_return file("text/javascript", dashboard_script());
}

Task<http::Response> get_dashboard_style(ApiPtr, const http::Request&) {
  co_return file("text/css", dashboard_style());
}

}  // namespace eventhub::api
