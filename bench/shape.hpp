#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Who subscribes to what in a run, and what an event looks like: agreed between producer, sink,
// checker and the rows in `subscribers`.
namespace eventhub::bench {

enum class Order { none, half, all };

struct Shape {
  // Subscribers are numbered from 0; event type k goes to `count` of them from `first` on.
  struct Range {
    std::uint32_t first = 0, count = 0;
  };
  std::vector<Range> kinds;
  // Others that may get every event, and need not: they are there to disturb.
  Range bystanders;
  Order order = Order::none;  // `half`: every second subscriber asks for order
  bool at_most_once = false;
  std::uint32_t payload_bytes = 300;
  bool idle = false;  // nothing is posted, and that is right

  std::uint32_t subscribers() const;  // without bystanders
  bool bystander(std::uint32_t subscriber) const;
  bool ordered(std::uint32_t subscriber) const;
  std::uint8_t kind_of(std::uint64_t number) const;
  bool goes_to(std::uint8_t kind, std::uint32_t subscriber) const;
};

// 2.5 makes two event types with 2 and 3 subscribers, a whole number one with so many.
Shape shape_with_fanout(double subscribers_per_event);

std::string event_type(std::uint8_t kind);
// The pattern of one subscriber of `kind`; the first of each has a wildcard.
std::string pattern(const Shape& shape, std::uint8_t kind, std::uint32_t subscriber);

// {"n":1,"k":2,"c":3,"pad":"xxx"} of `bytes` bytes, or a little more when they are too few.
void append_payload(std::string& out, std::uint64_t number, std::uint32_t key,
                    std::uint32_t counter, std::uint32_t bytes);
struct Payload {
  std::uint64_t number = 0;
  std::uint32_t key = 0, counter = 0;
  bool intact = false;  // exactly what append_payload makes of these
};
// number 0 with intact = false when it is something else.
Payload read_payload(std::string_view body, std::uint32_t bytes);

// Kept beside the logs. load() throws std::runtime_error.
void save(const Shape& shape, const std::string& path);
Shape load_shape(const std::string& path);

std::string_view to_string(Order order);
Order order_named(std::string_view name);  // throws std::invalid_argument

}  // namespace eventhub::bench
