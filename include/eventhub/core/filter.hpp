#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "eventhub/core/event.hpp"
#include "eventhub/core/json_pick.hpp"

namespace eventhub {

// What a filter looks at: the event, and `values` of its payload, where filter.pointers()[i] is at
// places[i]. event.version is there if filter.reads_version(), and matters only then.
struct FilterSubject {
  const EventHeader& event;
  const JsonPicked& values;
  std::span<const std::uint32_t> places;
};

// Why an event is not wanted: the place in the filter that decides, and what was found there.
struct FilterMiss {
  std::string pointer;
  std::string detail;
};

// The predicate language of docs/filters.md, compiled. The function filter_parts() of the database
// accepts what compile() does, so that a row of `subscribers` never holds another one.
class Filter {
 public:
  static constexpr std::size_t kBytesMax = 16'384;
  static constexpr std::size_t kDepthMax = 16;         // of all, any, not and the predicate in them
  static constexpr std::size_t kPartsMax = 1'000;      // of those, and of values of `in`, together
  static constexpr std::int64_t kExponentMax = 1'000;  // numbers below 1e1000, above 1e-1001

  // What is wrong and where: a pointer into the filter as a fragment, "#/all/0/gt".
  static std::variant<Filter, InputError> compile(std::string_view json);

  // Of the payload; each once.
  const std::vector<JsonPointer>& pointers() const { return pointers_; }
  bool reads_version() const { return reads_version_; }

  bool matches(const FilterSubject& subject) const;
  // Nullopt when it matches.
  std::optional<FilterMiss> miss(const FilterSubject& subject) const;

  // The parts, for filter.cpp and filter_compile.cpp.
  enum class Op { eq, ne, gt, gte, lt, lte, in, exists, prefix };
  enum class Source { payload, event_type, version, organization_id, user_id };
  struct Literal {
    JsonValue::Kind kind = JsonValue::Kind::null;
    std::string text;                     // of a string, without escapes; of others as in JSON
    std::optional<std::int64_t> integer;  // of a number that is one and fits
  };
  struct Test {
    Op op = Op::eq;
    std::vector<Literal> values;  // one, but for `in`
    std::string json;             // they, as written
  };
  struct Node {
    enum class Kind { all, any, negation, predicate };
    Kind kind = Kind::predicate;
    std::string place;  // a pointer to it
    std::vector<Node> parts;
    Source source = Source::payload;
    std::uint32_t pointer = 0;  // of pointers()
    std::vector<Test> tests;    // all of them must hold
  };

 private:
  friend class FilterCompiler;
  Node root_;
  std::vector<JsonPointer> pointers_;
  bool reads_version_ = false;
};
std::string_view op_name(Filter::Op op);
std::string_view source_name(Filter::Source source);

}  // namespace eventhub
