#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>

#include "access.hpp"
#include "api_impl.hpp"

namespace eventhub::api {

// A path and method of the API. A segment `{id}` of the path stands for any text; a path without it
// goes before one with it. The path is also the metric's label: never what the client sent. What
// has a scope is served by processes with the role api.
struct Route {
  std::string_view method;
  std::string_view path;
  Task<http::Response> (*handler)(ApiPtr api, const http::Request& request);
  Scope scope;  // what a key must allow (access.cpp)
};
std::span<const Route> routes();

// The route, or how to refuse: 404, 405 with the methods of the path, 501 for a method HTTP does
// not have.
struct Match {
  const Route* route = nullptr;
  int refusal = 0;
  std::string_view label = "unmatched";
  std::string allow;
};
Match find_route(std::string_view method, std::string_view path, Serves serves = {});
// A method's name for metrics: one of HTTP's, else "other".
std::string_view method_label(std::string_view method);

}  // namespace eventhub::api
