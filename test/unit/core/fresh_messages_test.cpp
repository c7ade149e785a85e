// What a fan-out hands to the dispatcher beside it: nothing left out, nothing twice.
#include "eventhub/core/fresh_messages.hpp"

#include "support/catch.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kMany = 100;

std::vector<Message> messages_of(std::initializer_list<std::int64_t> seqs) {
  std::vector<Message> messages;
  for (const std::int64_t seq : seqs) messages.push_back({{seq, 1}, 0, {}});
  return messages;
}

std::vector<std::int64_t> seqs_of(const FreshMessages::Window& window) {
  std::vector<std::int64_t> seqs;
  for (const Message& message : window.messages) seqs.push_back(message.ref.event_seq);
  return seqs;
}

}  // namespace

TEST_CASE("fresh messages are taken once, in windows that meet") {
  FreshMessages fresh;
  fresh.add(10, 12, messages_of({11, 12, 12}), kMany);
  fresh.add(12, 15, messages_of({14}), kMany);
  fresh.add(15, 16, {}, kMany);  // nobody wants that event
  auto window = fresh.take(10, 3);
  REQUIRE(window);
  CHECK(window->end == 13);
  CHECK(window->more);
  CHECK(seqs_of(*window) == std::vector<std::int64_t>{11, 12, 12});
  window = fresh.take(13, 1'000);
  REQUIRE(window);
  CHECK(window->end == 16);
  CHECK_FALSE(window->more);
  CHECK(seqs_of(*window) == std::vector<std::int64_t>{14});
  CHECK_FALSE(fresh.take(16, 1'000));
  CHECK_FALSE(fresh.take(10, 1'000));
  fresh.add(16, 17, messages_of({17}), kMany);
  CHECK(fresh.take(16, 1'000));
}

TEST_CASE("fresh events without messages are passed without a rest") {
  FreshMessages fresh;
  fresh.add(0, 10'000, {}, kMany);
  const auto window = fresh.take(0, 1'000);
  REQUIRE(window);
  CHECK(window->end == 1'000);
  CHECK(window->more);
}

TEST_CASE("who stands elsewhere than fresh messages begin reads the table") {
  FreshMessages fresh;
  CHECK_FALSE(fresh.take(0, 1'000));
  fresh.add(10, 12, messages_of({11, 12}), kMany);
  CHECK_FALSE(fresh.take(9, 1'000));  // what is between is not here
  const auto later = fresh.take(11, 1'000);
  REQUIRE(later);
  CHECK(seqs_of(*later) == std::vector<std::int64_t>{12});
}

TEST_CASE("fresh messages are forgotten when others fanned out in between") {
  FreshMessages fresh;
  fresh.add(10, 12, messages_of({11, 12}), kMany);
  fresh.add(20, 21, messages_of({21}), kMany);
  CHECK_FALSE(fresh.take(10, 1'000));
  CHECK(fresh.take(20, 1'000));
  fresh.add(21, 22, messages_of({22}), kMany);
  fresh.clear();
  CHECK_FALSE(fresh.take(21, 1'000));
}

TEST_CASE("no more fresh messages are kept than allowed") {
  FreshMessages fresh;
  fresh.add(10, 12, messages_of({11, 12}), 3);
  fresh.add(12, 14, messages_of({13, 14}), 3);
  CHECK_FALSE(fresh.take(10, 1'000));
  CHECK(fresh.take(12, 1'000));
  fresh.add(14, 18, messages_of({15, 16, 17, 18}), 3);
  CHECK_FALSE(fresh.take(14, 1'000));
  fresh.add(18, 19, messages_of({19}), 3);
  CHECK(fresh.take(18, 1'000));
}

}  // namespace eventhub
