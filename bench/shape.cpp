// Who gets which event, and the payload that carries its number, key and counter. Pure but for
// save() and load_shape().
#include "bench/shape.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <fstream>
#include <stdexcept>

namespace eventhub::bench {
namespace {

// Takes `name` and the digits behind it off the front of `text`.
template <class Number>
bool take(std::string_view& text, std::string_view name, Number& value) {
  if (!text.starts_with(name)) return false;
  text.remove_prefix(name.size());
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

constexpr std::string_view kPad = ",\"pad\":\"";

}  // namespace

std::uint32_t Shape::subscribers() const {
  return kinds.empty() ? 0 : kinds.back().first + kinds.back().count;
}

bool Shape::bystander(std::uint32_t subscriber) const {
  return subscriber >= bystanders.first && subscriber - bystanders.first < bystanders.count;
}

bool Shape::ordered(std::uint32_t subscriber) const {
  if (bystander(subscriber)) return false;
  return order == Order::all || (order == Order::half && subscriber % 2 == 0);
}

std::uint8_t Shape::kind_of(std::uint64_t number) const {
  return static_cast<std::uint8_t>(number % kinds.size());
}

bool Shape::goes_to(std::uint8_t kind, std::uint32_t subscriber) const {
  if (kind >= kinds.size()) return false;
  if (bystander(subscriber)) return true;
  const Range range = kinds[kind];
  return subscriber >= range.first && subscriber - range.first < range.count;
}

Shape shape_with_fanout(double subscribers_per_event) {
  if (!(subscribers_per_event >= 1) || subscribers_per_event > 100'000) {
    throw std::invalid_argument("the fan-out is 1 to 100000");
  }
  const auto low = static_cast<std::uint32_t>(std::floor(subscribers_per_event));
  Shape shape;
  shape.kinds.push_back({0, low});
  if (subscribers_per_event != low) {
    if (subscribers_per_event - low != 0.5) {
      throw std::invalid_argument("the fan-out is a whole number or a half");
    }
    shape.kinds.push_back({low, low + 1});
  }
  return shape;
}

std::string event_type(std::uint8_t kind) {
  return fmt::format("bench.kind{}", kind);
}

std::string pattern(const Shape& shape, std::uint8_t kind, std::uint32_t subscriber) {
  const bool first = shape.kinds.at(kind).first == subscriber;
  return first ? fmt::format("*.kind{}", kind) : event_type(kind);
}

void append_payload(std::string& out, std::uint64_t number, std::uint32_t key,
                    std::uint32_t counter, std::uint32_t bytes) {
  const std::size_t begin = out.size();
  fmt::format_to(std::back_inserter(out), R"({{"n":{},"k":{},"c":{})", number, key, counter);
  out += kPad;
  const std::size_t used = out.size() - begin + 2;
  if (used < bytes) out.append(bytes - used, 'x');
  out += "\"}";
}

Payload read_payload(std::string_view body, std::uint32_t bytes) {
  Payload payload;
  std::string_view rest = body;
  if (!take(rest, "{\"n\":", payload.number) || !take(rest, ",\"k\":", payload.key) ||
      !take(rest, ",\"c\":", payload.counter)) {
    return {};
  }
  const std::size_t head = body.size() - rest.size() + kPad.size() + 2;
  const std::size_t pad = head < bytes ? bytes - head : 0;
  if (!rest.starts_with(kPad) || !rest.ends_with("\"}") || body.size() != head + pad) {
    return payload;
  }
  rest = rest.substr(kPad.size(), pad);
  payload.intact = rest.find_first_not_of('x') == std::string_view::npos;
  return payload;
}

std::string_view to_string(Order order) {
  switch (order) {
    case Order::none:
      return "none";
    case Order::half:
      return "half";
    case Order::all:
      break;
  }
  return "all";
}

Order order_named(std::string_view name) {
  for (const Order order : {Order::none, Order::half, Order::all}) {
    if (to_string(order) == name) return order;
  }
  throw std::invalid_argument("order is none, half or all");
}

void save(const Shape& shape, const std::string& path) {
  std::ofstream file(path, std::ios::trunc);
  file << "order " << to_string(shape.order) << "\nat_most_once " << shape.at_most_once
       << "\npayload_bytes " << shape.payload_bytes << "\nidle " << shape.idle << "\nbystanders "
       << shape.bystanders.first << " " << shape.bystanders.count << "\n";
  for (const Shape::Range& range : shape.kinds) {
    file << "kind " << range.first << " " << range.count << "\n";
  }
  file.close();
  if (!file) throw std::runtime_error("cannot write " + path);
}

Shape load_shape(const std::string& path) {
  std::ifstream file(path);
  Shape shape;
  std::string name, order;
  while (file >> name) {
    Shape::Range range;
    if (name == "order" && file >> order) {
      shape.order = order_named(order);
    } else if (name == "at_most_once" && file >> shape.at_most_once) {
    } else if (name == "payload_bytes" && file >> shape.payload_bytes) {
    } else if (name == "idle" && file >> shape.idle) {
    } else if (name == "bystanders" && file >> shape.bystanders.first >> shape.bystanders.count) {
    } else if (name == "kind" && file >> range.first >> range.count) {
      shape.kinds.push_back(range);
    } else {
      throw std::runtime_error(path + ": cannot read " + name);
    }
  }
  if (shape.kinds.empty()) throw std::runtime_error("cannot read " + path);
  return shape;
}

}  // namespace eventhub::bench
