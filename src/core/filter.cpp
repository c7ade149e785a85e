// Whether an event is one that a filter wants. Nothing is allocated but for strings with escapes
// and numbers that are no 64-bit integer. Called by match.cpp.
#include "eventhub/core/filter.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <compare>
#include <utility>

#include "decimal.hpp"
#include "json_walk.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kShownMax = 200;  // bytes of a value in an explanation

// A value of the event.
struct Operand {
  JsonValue::Kind kind = JsonValue::Kind::null;
  std::string_view text;  // as in Filter::Literal
  bool broken = false;    // a string with half of a surrogate pair: like no other one
};

std::strong_ordering compare_numbers(std::string_view number, const Filter::Literal& wanted) {
  std::int64_t value = 0;
  const char* end = number.data() + number.size();
  const auto [at, error] = std::from_chars(number.data(), end, value);
  if (error == std::errc{} && at == end && wanted.integer) return value <=> *wanted.integer;
  return compare(read_decimal(number), read_decimal(wanted.text));
}

// Nullopt for two that have no order: of different kinds, or neither strings nor numbers.
std::optional<std::strong_ordering> order_of(const Operand& value, const Filter::Literal& wanted) {
  if (value.kind != wanted.kind || value.broken) return std::nullopt;
  if (value.kind == JsonValue::Kind::number) return compare_numbers(value.text, wanted);
  if (value.kind != JsonValue::Kind::string) return std::nullopt;
  return value.text.compare(wanted.text) <=> 0;
}

bool is_equal(const Operand& value, const Filter::Literal& wanted) {
  if (value.kind != wanted.kind || value.broken) return false;
  if (value.kind == JsonValue::Kind::number) return std::is_eq(compare_numbers(value.text, wanted));
  return value.text == wanted.text;
}

bool holds(const Filter::Test& test, const std::optional<Operand>& value) {
  using Op = Filter::Op;
  if (test.op == Op::exists) return value.has_value() == (test.values[0].text == "true");
  if (!value) return false;
  const auto equal = [&](const Filter::Literal& wanted) { return is_equal(*value, wanted); };
  switch (test.op) {
    case Op::eq:
      return equal(test.values[0]);
    case Op::ne:
      return !equal(test.values[0]);
    case Op::in:
      return std::any_of(test.values.begin(), test.values.end(), equal);
    case Op::prefix:
      return value->kind == JsonValue::Kind::string && !value->broken &&
             value->text.starts_with(test.values[0].text);
    default:
      break;
  }
  const auto order = order_of(*value, test.values[0]);
  if (!order) return false;
  if (test.op == Op::gt) return std::is_gt(*order);
  if (test.op == Op::gte) return std::is_gteq(*order);
  return test.op == Op::lt ? std::is_lt(*order) : std::is_lteq(*order);
}

class Evaluation {
 public:
  // `miss`: where to say why not, if anywhere.
  Evaluation(const FilterSubject& subject, FilterMiss* miss) : subject_(subject), miss_(miss) {}

  bool wants(const Filter::Node& node) {
    switch (node.kind) {
      case Filter::Node::Kind::all:
        return std::all_of(node.parts.begin(), node.parts.end(),
                           [this](const Filter::Node& part) { return wants(part); });
      case Filter::Node::Kind::any: {
        const bool found = std::any_of(node.parts.begin(), node.parts.end(),
                                       [this](const Filter::Node& part) { return quietly(part); });
        return found || tell(node.place + "/any", "none of them holds");
      }
      case Filter::Node::Kind::negation:
        return !quietly(node.parts[0]) || tell(node.place + "/not", "it holds");
      case Filter::Node::Kind::predicate:
        break;
    }
    const std::optional<Operand> value = operand(node);
    for (const Filter::Test& test : node.tests) {
      if (!holds(test, value)) return miss_ != nullptr && tell_test(node, test);
    }
    return true;
  }

 private:
  bool quietly(const Filter::Node& node) {
    FilterMiss* const kept = std::exchange(miss_, nullptr);
    const bool wanted = wants(node);
    miss_ = kept;
    return wanted;
  }

  // Always false.
  bool tell(const std::string& pointer, std::string_view detail) {
    if (miss_ != nullptr) *miss_ = {pointer, std::string(detail)};
    return false;
  }

  bool tell_test(const Filter::Node& node, const Filter::Test& test) {
    const bool payload = node.source == Filter::Source::payload;
    const JsonValue* raw = payload ? subject_.values.at(subject_.places[node.pointer]) : nullptr;
    const std::optional<Operand> value = operand(node);
    std::string shown = "missing";
    if (raw != nullptr) {
      shown = raw->text.size() <= kShownMax ? std::string(raw->text) : "a long value";
    } else if (value) {
      shown.clear();
      append_json_string(shown, value->text);
    }
    const auto wanted = test.json.size() <= kShownMax ? test.json : "…";
    return tell(fmt::format("{}/{}", node.place, op_name(test.op)),
                fmt::format("it is {}, wanted is {} {}", shown, op_name(test.op), wanted));
  }

  std::optional<Operand> operand(const Filter::Node& node) {
    switch (node.source) {
      case Filter::Source::event_type:
        return text(std::string_view{subject_.event.event_type});
      case Filter::Source::version:
        return text(std::string_view{subject_.event.version});
      case Filter::Source::organization_id:
        return text(subject_.event.organization_id);
      case Filter::Source::user_id:
        return text(subject_.event.user_id);
      case Filter::Source::payload:
        break;
    }
    const JsonValue* value = subject_.values.at(subject_.places[node.pointer]);
    if (value == nullptr) return std::nullopt;
    Operand found{value->kind, value->text, false};
    if (value->kind == JsonValue::Kind::string) unquote(found);
    return found;
  }

  static std::optional<Operand> text(std::string_view member) {
    return Operand{JsonValue::Kind::string, member, false};
  }
  static std::optional<Operand> text(const std::optional<std::string>& member) {
    return member ? text(std::string_view{*member}) : std::nullopt;
  }

  void unquote(Operand& string) {
    string.text =
        string.text.substr(1, string.text.size() - std::min<std::size_t>(string.text.size(), 2));
    if (string.text.find('\\') == std::string_view::npos) return;
    plain_.clear();
    string.broken = !json::unescape(string.text, plain_);
    string.text = plain_;
  }

  const FilterSubject& subject_;
  FilterMiss* miss_;
  std::string plain_;  // the last string with escapes
};

}  // namespace

bool Filter::matches(const FilterSubject& subject) const {
  return Evaluation(subject, nullptr).wants(root_);
}

std::optional<FilterMiss> Filter::miss(const FilterSubject& subject) const {
  FilterMiss miss;
  if (Evaluation(subject, &miss).wants(root_)) return std::nullopt;
  return miss;
}

}  // namespace eventhub
