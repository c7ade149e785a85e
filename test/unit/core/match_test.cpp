#include "eventhub/core/match.hpp"

#include <set>

#include "support/catch.hpp"

namespace eventhub {
namespace {

Subscriber subscriber(std::int32_t sid, std::vector<std::string> patterns) {
  Subscriber s;
  s.sid = sid;
  s.patterns = std::move(patterns);
  return s;
}

SubscriberSetPtr set_of(std::vector<Subscriber> subscribers) {
  auto set = std::make_shared<SubscriberSet>();
  set->version = 7;
  for (Subscriber& s : subscribers) {
    const std::int32_t sid = s.sid;
    set->by_sid[sid] = std::make_shared<const Subscriber>(std::move(s));
  }
  return set;
}

EventHeader event(std::string type, std::int64_t seq = 1) {
  EventHeader header;
  header.event_seq = seq;
  header.event_type = std::move(type);
  return header;
}

std::vector<Message> match(const Matcher& matcher, const EventHeader& header) {
  std::vector<Message> out;
  matcher.match(header, out);
  return out;
}

std::vector<std::int32_t> sids(const std::vector<Message>& messages) {
  std::vector<std::int32_t> out;
  for (const Message& message : messages) out.push_back(message.ref.sid);
  return out;
}

}  // namespace

TEST_CASE("a pattern is exact, or has a wildcard for one segment or the rest") {
  struct Row {
    const char *pattern, *type;
    bool matches;
  };
  const Row rows[] = {
      {"user.created", "user.created", true},
      {"user.created", "user.created.v2", false},
      {"user.created", "user", false},
      {"user.created", "user.creates", false},
      {"user.*", "user.created", true},
      {"user.*", "user", false},
      {"user.*", "user.created.v2", false},
      {"user.*", "users.created", false},
      {"*.created", "user.created", true},
      {"*.created", "a.b.created", false},
      {"user.*.v2", "user.created.v2", true},
      {"user.*.v2", "user.created.v3", false},
      {"*", "ping", true},
      {"*", "user.created", false},
      {"user.>", "user.created", true},
      {"user.>", "user.created.v2", true},
      {"user.>", "user", false},
      {"user.>", "users.created", false},
      {"user.*.>", "user.a.b.c", true},
      {"user.*.>", "user.a", false},
      {">", "ping", true},
      {">", "a.b.c", true},
      {"a:b/c-d_e", "a:b/c-d_e", true},
      {"user.*", "user.", true},  // an empty segment is a segment
      {"user.>", "user.", true},
      {"user", "user.", false},
      {"user.", "user", false},
  };
  for (const Row& row : rows) {
    INFO(row.pattern << " on " << row.type);
    CHECK(pattern_matches(row.pattern, row.type) == row.matches);
  }
}

TEST_CASE("every matching subscriber gets one message, ascending by sid") {
  const Matcher matcher(
      set_of({subscriber(9, {"user.created"}), subscriber(2, {"user.*"}),
              subscriber(5, {"user.created", "user.*", ">"}), subscriber(1, {"order.paid"}),
              subscriber(7, {"user.created"}), subscriber(3, {"user.created", "user.created"}),
              subscriber(11, {"*.created", "order.paid"})}));
  CHECK(sids(match(matcher, event("user.created"))) ==
        std::vector<std::int32_t>{2, 3, 5, 7, 9, 11});
  CHECK(sids(match(matcher, event("order.paid"))) == std::vector<std::int32_t>{1, 5, 11});
  CHECK(sids(match(matcher, event("x.y.z"))) == std::vector<std::int32_t>{5});
  CHECK(matcher.version() == 7);
}

TEST_CASE("an inactive subscriber gets no messages, a paused one does") {
  Subscriber inactive = subscriber(1, {"a", ">"});
  inactive.active = false;
  Subscriber paused = subscriber(2, {"a"});
  paused.paused = true;
  CHECK(sids(match(Matcher(set_of({inactive, paused})), event("a"))) ==
        std::vector<std::int32_t>{2});
}

TEST_CASE("the ordering key decides khash and shard; without a value the message is unordered") {
  Subscriber by_user = subscriber(1, {"a"});
  by_user.ordering = OrderingKey::user_id;
  Subscriber by_organization = subscriber(2, {"a"});
  by_organization.ordering = OrderingKey::organization_id;
  const Matcher matcher(set_of({by_user, by_organization, subscriber(3, {"a"})}));

  EventHeader header = event("a", 10);
  header.user_id = "user-123";
  const auto first = match(matcher, header);
  REQUIRE(first.size() == 3);
  CHECK(first[0].khash == static_cast<std::int64_t>(stable_hash("user-123")));
  CHECK_FALSE(first[1].khash);
  CHECK_FALSE(first[2].khash);

  header.event_seq = 11;
  header.organization_id = "";  // empty is a value
  const auto second = match(matcher, header);
  CHECK(second[0].khash == first[0].khash);
  CHECK(second[0].shard == first[0].shard);
  CHECK(second[1].khash == static_cast<std::int64_t>(stable_hash("")));
}

TEST_CASE("a subscriber's messages spread over its number of shards") {
  Subscriber narrow = subscriber(1, {"a"});
  narrow.spread = 1;
  Subscriber wide = subscriber(2, {"a"});
  wide.spread = 16;
  const Matcher matcher(set_of({narrow, wide}));
  std::set<int> narrow_shards, wide_shards;
  for (int seq = 1; seq <= 1000; ++seq) {
    const auto messages = match(matcher, event("a", seq));
    narrow_shards.insert(messages[0].shard);
    wide_shards.insert(messages[1].shard);
  }
  CHECK(narrow_shards.size() == 1);
  CHECK(wide_shards.size() == 16);
  CHECK(*wide_shards.rbegin() < kShards);
}

TEST_CASE("hashes that are stored never change") {
  CHECK(stable_hash("user-123") == 0x41d21bee0ce96101);
  CHECK(shard_of(1, stable_hash("user-123"), 16) == 2);
  CHECK(shard_of(77, stable_hash("user-123"), 1) == 1);
}

}  // namespace eventhub
