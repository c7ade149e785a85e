// From the JSON of a filter to its parts: every rule of docs/filters.md, and what to say about it.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "decimal.hpp"
#include "eventhub/core/filter.hpp"

namespace eventhub {
namespace {

using FilterKind = JsonValue::Kind;

constexpr std::array<std::string_view, 9> kOps{"eq",  "ne", "gt",     "gte",   "lt",
                                               "lte", "in", "exists", "prefix"};
constexpr std::array<std::string_view, 5> kSources{"path", "event_type", "version",
                                                   "organization_id", "user_id"};
constexpr std::array<std::string_view, 3> kGroups{"all", "any", "not"};
constexpr std::size_t kFilterNameShown = 64;

// A whole number that fits.
std::optional<std::int64_t> small_integer(std::string_view number) {
  std::int64_t value = 0;
  const char* end = number.data() + number.size();
  const auto [at, error] = std::from_chars(number.data(), end, value);
  return error == std::errc{} && at == end ? std::optional(value) : std::nullopt;
}

bool is_scalar(FilterKind kind) {
  return kind != FilterKind::object && kind != FilterKind::array;
}

// What values an operator takes; empty when this one is good.
std::string_view kind_fault(Filter::Op op, FilterKind kind) {
  using Op = Filter::Op;
  switch (op) {
    case Op::eq:
    case Op::ne:
      return is_scalar(kind) ? "" : "must be a string, a number, true, false or null";
    case Op::in:
      return kind == FilterKind::array ? "" : "must be an array";
    case Op::exists:
      return kind == FilterKind::boolean ? "" : "must be true or false";
    case Op::prefix:
      return kind == FilterKind::string ? "" : "must be a string";
    default:
      return kind == FilterKind::string || kind == FilterKind::number
                 ? ""
                 : "must be a string or a number";
  }
}

}  // namespace

std::string_view op_name(Filter::Op op) {
  return kOps[static_cast<std::size_t>(op)];
}

std::string_view source_name(Filter::Source source) {
  return kSources[static_cast<std::size_t>(source)];
}

class FilterCompiler {
 public:
  explicit FilterCompiler(Filter& out) : out_(out) {}

  // Throws InputError; nothing outside of this file sees that.
  void compile(std::string_view json) {
    if (json.size() > Filter::kBytesMax) {
      refuse("", fmt::format("must not be longer than {} bytes", Filter::kBytesMax));
    }
    if (auto error = validate_json(json, Filter::kDepthMax * 2 + 2)) throw std::move(*error);
    json.remove_prefix(json.find_first_not_of(" \n\t\r"));
    out_.root_ = node(json, "", 1);
  }

 private:
  [[noreturn]] static void refuse(const std::string& place, std::string_view why) {
    throw InputError{fmt::format("{} {}", place.empty() ? "a filter" : "this", why), "#" + place};
  }

  void count(const std::string& place) {
    if (++parts_ > Filter::kPartsMax) {
      refuse(place, fmt::format("is more than {} parts", Filter::kPartsMax));
    }
  }

  Filter::Node node(std::string_view json, const std::string& place, std::size_t depth) {
    if (depth > Filter::kDepthMax) {
      refuse(place, fmt::format("is nested deeper than {}", Filter::kDepthMax));
    }
    count(place);
    if (!json.starts_with('{')) refuse(place, "must be an object");
    auto read = read_json_object(json, Filter::kDepthMax * 2 + 2);
    if (const auto* error = std::get_if<InputError>(&read)) {
      throw InputError{error->detail, "#" + place};
    }
    const auto& members = std::get<0>(read);
    const auto is_group = [](const JsonMember& member) {
      return std::find(kGroups.begin(), kGroups.end(), member.name) != kGroups.end();
    };
    const auto group = std::find_if(members.begin(), members.end(), is_group);
    if (group == members.end()) return predicate(members, place);
    if (members.size() > 1) refuse(place, fmt::format("has {} and other members", group->name));
    return grouped(*group, place, depth);
  }

  Filter::Node grouped(const JsonMember& group, const std::string& place, std::size_t depth) {
    Filter::Node made;
    made.place = place;
    const std::string below = place + "/" + group.name;
    if (group.name == "not") {
      made.kind = Filter::Node::Kind::negation;
      made.parts.push_back(node(group.value.text, below, depth + 1));
      return made;
    }
    made.kind = group.name == "all" ? Filter::Node::Kind::all : Filter::Node::Kind::any;
    if (group.value.kind != FilterKind::array) refuse(below, "must be an array");
    for (const JsonValue& item : json_items(group.value)) {
      const std::string at = fmt::format("{}/{}", below, made.parts.size());
      made.parts.push_back(node(item.text, at, depth + 1));
    }
    if (made.parts.empty()) refuse(below, "must not be empty");
    return made;
  }

  Filter::Node predicate(const std::vector<JsonMember>& members, const std::string& place) {
    Filter::Node made;
    made.place = place;
    int sources = 0;
    for (const JsonMember& member : members) {
      std::string at = place;
      if (member.name.size() <= kFilterNameShown) append_pointer_token(at, member.name);
      const auto* op = std::find(kOps.begin(), kOps.end(), member.name);
      if (op != kOps.end()) {
        made.tests.push_back(test(static_cast<Filter::Op>(op - kOps.begin()), member.value, at));
      } else if (member.name == "path" || member.name == "member") {
        ++sources;
        (member.name == "path") ? path(member.value, at, made) : envelope(member.value, at, made);
      } else {
        refuse(at,
               "is not known here; there is all, any, not, or path or member with eq, ne, gt, "
               "gte, lt, lte, in, exists, prefix");
      }
    }
    if (sources != 1) refuse(place, "needs one of path and member, or one of all, any and not");
    if (made.tests.empty()) {
      refuse(place, "needs one of eq, ne, gt, gte, lt, lte, in, exists, prefix");
    }
    return made;
  }

  void path(const JsonValue& value, const std::string& at, Filter::Node& made) {
    const auto text = json_string(value);
    const auto pointer = JsonPointer::parse(text.value_or("?"));
    if (!pointer || text->find('\0') != std::string::npos) {
      refuse(at, fmt::format("must be a JSON Pointer of up to {} bytes, like /customer/id",
                             JsonPointer::kBytesMax));
    }
    auto& known = out_.pointers_;
    const auto same = [&](const JsonPointer& one) { return one.text() == pointer->text(); };
    const auto found = std::find_if(known.begin(), known.end(), same);
    made.pointer = static_cast<std::uint32_t>(found - known.begin());
    if (found == known.end()) known.push_back(*pointer);
  }

  void envelope(const JsonValue& value, const std::string& at, Filter::Node& made) {
    const std::string name = json_string(value).value_or("");
    const auto* found = std::find(kSources.begin() + 1, kSources.end(), name);
    if (found == kSources.end()) {
      refuse(at, "must be event_type, version, organization_id or user_id");
    }
    made.source = static_cast<Filter::Source>(found - kSources.begin());
    out_.reads_version_ |= made.source == Filter::Source::version;
  }

  Filter::Test test(Filter::Op op, const JsonValue& value, const std::string& at) {
    const std::string_view fault = kind_fault(op, value.kind);
    if (!fault.empty()) refuse(at, fault);
    Filter::Test made{op, {}, std::string(value.text)};
    if (op != Filter::Op::in) {
      made.values.push_back(literal(value, at));
      return made;
    }
    for (const JsonValue& item : json_items(value)) {
      const std::string place = fmt::format("{}/{}", at, made.values.size());
      if (!is_scalar(item.kind)) refuse(place, kind_fault(Filter::Op::eq, item.kind));
      count(place);
      made.values.push_back(literal(item, place));
    }
    if (made.values.empty()) refuse(at, "must not be empty");
    return made;
  }

  static Filter::Literal literal(const JsonValue& value, const std::string& at) {
    Filter::Literal made{value.kind, std::string(value.text), std::nullopt};
    if (value.kind == FilterKind::string) {
      auto text = json_string(value);
      if (!text) refuse(at, "contains half of a surrogate pair");
      if (text->find('\0') != std::string::npos) refuse(at, "must not contain U+0000");
      made.text = std::move(*text);
    } else if (value.kind == FilterKind::number) {
      const std::int64_t exponent = read_decimal(value.text).exponent;
      if (exponent > Filter::kExponentMax || exponent < -Filter::kExponentMax) {
        refuse(at, "is a number beyond 1e1000 or below 1e-1001");
      }
      made.integer = small_integer(value.text);
    }
    return made;
  }

  Filter& out_;
  std::size_t parts_ = 0;
};

std::variant<Filter, InputError> Filter::compile(std::string_view json) {
  Filter made;
  try {
    FilterCompiler(made).compile(json);
  } catch (InputError& error) {
    return std::move(error);
  }
  return made;
}

}  // namespace eventhub
