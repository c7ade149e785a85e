#pragma once
#include <cstdint>
#include <exception>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "eventhub/core/ids.hpp"
#include "eventhub/core/json.hpp"
#include "eventhub/http/server.hpp"

namespace eventhub::api {

// Reading of requests to the management routes: path, query, body. Pure.

// Thrown by a handler, or by what it calls, to end the request with this answer.
class Refused : public std::exception {
 public:
  explicit Refused(http::Response answer) : response(std::move(answer)) {}
  const char* what() const noexcept override { return "a request is refused"; }
  http::Response response;
};

// What stands in the path for {id}: its second segment. Refused (404, "there is no WHAT with this
// id") when it is no UUID.
Uuid path_id(const http::Request& request, std::string_view what);

// What a caller asks for by name: the parameters of a query, percent-encoding undone, or the
// members of a small JSON object. Refused (400 a query, 422 an object) when one is not `known`,
// comes twice, or when its value is not what is asked for.
class Parameters {
 public:
  using Names = std::initializer_list<std::string_view>;
  Parameters(const http::Request& request, Names known);
  // `place`: the pointer to the object, with a slash at its end.
  Parameters(const std::vector<JsonMember>& members, Names known, std::string place = "#/");

  std::optional<std::string> text(std::string_view name) const;
  // "true" or "false".
  std::optional<bool> flag(std::string_view name) const;
  std::optional<std::int64_t> number(std::string_view name, std::int64_t min,
                                     std::int64_t max) const;
  // More than 0 and at most `max`.
  std::optional<double> positive(std::string_view name, double max) const;
  std::optional<Uuid> uuid(std::string_view name) const;
  std::optional<Time> time(std::string_view name) const;
  // One of the words.
  std::optional<std::string> word(std::string_view name,
                                  std::span<const std::string_view> words) const;
  // Rows of a page: `limit`, 50 unless given, at most 200.
  int limit() const;

  [[noreturn]] void refuse(std::string_view name, std::string_view why) const;

 private:
  void add(std::string_view pair, Names known);
  void require_known(std::string_view name, Names known) const;
  // A text where JSON has other kinds: "true" is no boolean there, "1" no number.
  bool is_json_text(std::string_view name) const { return json_texts_.contains(name); }
  std::string place_;
  std::set<std::string, std::less<>> json_texts_;
  std::map<std::string, std::string, std::less<>> values_;
};

// The members of the JSON object in the body; none when there is no body. Refused: 415 for another
// media type than application/json (or `other_type`), 400 for what is not a JSON object.
std::vector<JsonMember> read_members(const http::Request& request, std::size_t depth_max,
                                     std::string_view other_type = {});

// The members of a JSON text. Refused (400) when it is no object.
std::vector<JsonMember> members_of(std::string_view text, std::size_t depth_max);
// The member `force` of the body, which has no other.
bool read_force(const http::Request& request, std::size_t depth_max);

// "#/name", escaped as RFC 6901 says. Names that nobody would have meant are left out.
std::string pointer_to(std::string_view name);

}  // namespace eventhub::api
