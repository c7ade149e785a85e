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

namespace {

Subscriber routed(std::int32_t sid, std::vector<std::string> patterns, Routing routing) {
  Subscriber s = subscriber(sid, std::move(patterns));
  if (routing.key) s.ordering = OrderingKey::pointer;
  s.routing = std::make_shared<const Routing>(std::move(routing));
  return s;
}

Routing filtered(const char* filter) {
  Routing routing;
  routing.filter = std::get<Filter>(Filter::compile(filter));
  return routing;
}

Routing keyed(const char* pointer) {
  Routing routing;
  routing.key = JsonPointer::parse(pointer);
  return routing;
}

EventHeader event_with(std::string type, std::string payload) {
  EventHeader header = event(std::move(type));
  header.payload = std::move(payload);
  return header;
}

}  // namespace

TEST_CASE("routing: a filter and an organization narrow what a subscriber gets") {
  Routing both = filtered(R"({"path":"/n","gt":1})");
  both.organization_id = "org-1";
  Routing own;
  own.organization_id = "org-1";
  const Matcher matcher(
      set_of({subscriber(1, {"a"}), routed(2, {"a"}, own),
              routed(3, {"*"}, filtered(R"({"path":"/n","gt":1})")), routed(4, {"a"}, both),
              routed(5, {"a"}, filtered(R"({"member":"version","eq":"v2"})"))}));
  EventHeader one = event_with("a", R"({"n":2})");
  CHECK(sids(match(matcher, one)) == std::vector<std::int32_t>{1, 3});
  one.organization_id = "org-1";
  one.version = "v2";
  CHECK(sids(match(matcher, one)) == std::vector<std::int32_t>{1, 2, 3, 4, 5});
  one.payload = R"({"n":1})";  // of the same event_seq: what was read before does not stay
  CHECK(sids(match(matcher, one)) == std::vector<std::int32_t>{1, 2, 5});
  one.organization_id = "org-2";
  CHECK(sids(match(matcher, one)) == std::vector<std::int32_t>{1, 5});
}

TEST_CASE("routing: a payload is asked for only when somebody who may get the event looks at it") {
  CHECK_FALSE(Matcher(set_of({subscriber(1, {"a"})})).reads_bodies());
  Subscriber inactive = routed(1, {"a"}, filtered(R"({"path":"/n","gt":1})"));
  inactive.active = false;
  CHECK_FALSE(Matcher(set_of({inactive})).reads_bodies());
  CHECK_FALSE(Matcher(set_of({routed(1, {"a"}, filtered(R"({"member":"user_id","eq":"u"})"))}))
                  .reads_bodies());
  Routing own = filtered(R"({"path":"/n","gt":1})");
  own.organization_id = "org-1";
  const Matcher matcher(
      set_of({subscriber(1, {">"}), routed(2, {"a.*"}, own), routed(3, {"b"}, keyed("/n")),
              routed(4, {"c"}, filtered(R"({"member":"version","eq":"v2"})"))}));
  CHECK(matcher.reads_bodies());
  EventHeader header = event("a.b");
  CHECK_FALSE(matcher.needs_body(header));
  header.organization_id = "org-1";
  CHECK(matcher.needs_body(header));
  CHECK(matcher.needs_body(event("b")));
  CHECK(matcher.needs_body(event("c")));
  CHECK_FALSE(matcher.needs_body(event("d")));
}

TEST_CASE("routing: a place in the payload is a key when a scalar is there, each kind apart") {
  const Matcher matcher(set_of({routed(1, {"a"}, keyed("/customer/id"))}));
  const auto key = [&](const std::string& id) {
    const auto found = match(matcher, event_with("a", R"({"customer":{"id":)" + id + "}}"));
    REQUIRE(found.size() == 1);
    return found[0].khash;
  };
  const char* const apart[] = {"17",           R"("17")", "true",      R"("true")", "false",
                               "-17",          "170",     "1.7",       R"("")",     R"("\ud800")",
                               R"("\\ud800")", "0",       R"("n17e2")"};
  std::set<std::int64_t> keys;
  for (const char* id : apart) keys.insert(key(id).value());
  CHECK(keys.size() == std::size(apart));
  CHECK(key("17") == key("17.0"));
  CHECK(key("17") == key("1.7e1"));
  CHECK(key(R"("ab")") == key(R"("a\u0062")"));
  for (const char* none : {"null", "{}", R"(["17"])"}) CHECK_FALSE(key(none));
  CHECK_FALSE(match(matcher, event_with("a", R"({"customer":"17"})"))[0].khash);
  CHECK_FALSE(match(matcher, event_with("a", "[]"))[0].khash);
}

TEST_CASE("routing: what is said of an event and a subscriber is what is done") {
  using Reason = Judgement::Reason;
  const auto judged = [](Subscriber row, const EventHeader& header) {
    const Judgement judgement = judge(std::make_shared<const Subscriber>(row), header);
    const auto done = match(Matcher(set_of({row})), header);
    CHECK((judgement.reason == Reason::none) == !done.empty());
    if (!done.empty()) CHECK(judgement.key.has_value() == done[0].khash.has_value());
    return judgement;
  };
  EventHeader header = event_with("a.b", R"({"n":2,"id":"x\u0079"})");
  header.user_id = "u\n";
  Routing routing = filtered(R"({"path":"/n","gt":1})");
  routing.key = JsonPointer::parse("/id");
  Subscriber row = routed(1, {"a.*"}, routing);
  CHECK(judged(row, header).key == R"("x\u0079")");
  CHECK(judged(row, event("b.b")).reason == Reason::event_type);
  const Judgement missed = judged(row, event_with("a.b", R"({"n":1})"));
  CHECK(missed.reason == Reason::filter);
  CHECK(missed.miss.pointer == "/gt");
  row.active = false;
  CHECK(judged(row, header).reason == Reason::inactive);
  routing.organization_id = "org-1";
  CHECK(judged(routed(1, {"a.*"}, routing), header).reason == Reason::organization_id);
  Subscriber plain = subscriber(1, {">"});
  CHECK_FALSE(judged(plain, header).key);
  plain.ordering = OrderingKey::user_id;
  CHECK(judged(plain, header).key == R"("u\u000a")");
}

}  // namespace eventhub
