// The body of POST /events/batch: how it is cut, and what an item may say.
#include "eventhub/core/json.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

using BatchTexts = std::vector<std::string_view>;

BatchTexts array_of(std::string_view body, std::size_t items_max = 10) {
  auto items = split_json_array(body, items_max);
  if (const auto* error = std::get_if<InputError>(&items)) FAIL(error->detail << " in " << body);
  return std::get<BatchTexts>(std::move(items));
}

std::string array_fault(std::string_view body) {
  const auto items = split_json_array(body, 10);
  const auto* error = std::get_if<InputError>(&items);
  return error == nullptr ? "" : error->detail;
}

BatchItem item_of(std::string_view text) {
  auto item = parse_batch_item(text, 64);
  if (const auto* error = std::get_if<InputError>(&item)) FAIL(error->detail << " in " << text);
  return std::get<BatchItem>(std::move(item));
}

std::string item_fault(std::string_view text) {
  const auto item = parse_batch_item(text, 64);
  const auto* error = std::get_if<InputError>(&item);
  return error == nullptr ? "" : error->pointer + " " + error->detail;
}

std::string keyed_item(std::string_view key) {
  return R"({"event_type":"a","payload":{},"idempotency_key":)" + std::string(key) + "}";
}

TEST_CASE("an array is cut into its items, each as it is written") {
  CHECK(array_of("[]").empty());
  CHECK(array_of(" [ \n] ").empty());
  CHECK(array_of(R"( [ {"a":[1,2]} ,"x,]", 1e5,[[],{}],null ] )") ==
        BatchTexts{R"({"a":[1,2]})", R"("x,]")", "1e5", "[[],{}]", "null"});
  for (const char* body : {"", " ", "[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1]]", "[1],",
                           "[{]}", "[\"\xFF\"]", "[tru]", "{", "[1]\n[2]", "\xEF\xBB\xBF[]"}) {
    INFO(body);
    CHECK(array_fault(body).starts_with("not valid JSON"));
  }
  for (const char* body : {"{}", "\"[]\"", "1", R"({"event_type":"a","payload":{}})"}) {
    CHECK(array_fault(body) == "the body must be a JSON array");
  }
}

TEST_CASE("how deep an item is, is a fault of the item") {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  const std::string body = "[" + deep + "]";
  REQUIRE(array_of(body) == BatchTexts{deep});
  CHECK(item_fault(deep) == "# nested deeper than allowed at byte offset 64");
  const std::string bottomless = std::string(5'000, '[') + std::string(5'000, ']');
  CHECK(array_fault(bottomless).starts_with("nested deeper than allowed"));
}

TEST_CASE("lines are cut at line feeds, and empty ones do not count") {
  CHECK(split_lines("", 10).empty());
  CHECK(split_lines("\n\r\n \t\n", 10).empty());
  CHECK(split_lines("a\nb\r\n\n  c", 10) == BatchTexts{"a", "b\r", "  c"});
  CHECK(split_lines("a\n", 10) == BatchTexts{"a"});
  CHECK(split_lines(std::string_view("\0\n", 2), 10).size() == 1);
}

TEST_CASE("no more than one too many are cut") {
  CHECK(array_of("[1,2,3]", 3).size() == 3);
  CHECK(array_of("[1,2,3,4]", 3).size() == 4);
  CHECK(array_of("[1,2,3,4,5,6 and no JSON", 3).size() == 4);
  CHECK(split_lines("1\n2\n3\n4\n5\n6", 3).size() == 4);
}

TEST_CASE("an item is an event and may have a key") {
  const auto item = item_of("{\"event_type\":\"a.b\",\"payload\":[ 1 ],\"user_id\":\"u\"}\r");
  CHECK(item.event.event_type == "a.b");
  CHECK(item.event.payload == "[ 1 ]");
  CHECK(item.event.user_id == "u");
  CHECK_FALSE(item.key.has_value());
  CHECK(item_of(keyed_item("\"k 1\"")).key == "k 1");
  CHECK(item_of(keyed_item("\"\\u006b\"")).key == "k");
  CHECK(item_of(keyed_item("\"" + std::string(255, 'k') + "\"")).key->size() == 255);
  CHECK_FALSE(item_of(keyed_item("null")).key.has_value());
  for (const char* key : {"\"\"", "1", "{}", "\"\xC3\xA9\"", "\"a\\nb\"", "\"\\ud800\""}) {
    INFO(key);
    CHECK(item_fault(keyed_item(key)).starts_with("#/idempotency_key "));
  }
  CHECK(item_fault(keyed_item("\"" + std::string(256, 'k') + "\"")) ==
        "#/idempotency_key idempotency_key must be 1 to 255 printable ASCII characters");
  CHECK(item_fault(keyed_item("\"a\",\"idempotency_key\":\"a\"")) ==
        "#/idempotency_key idempotency_key is given more than once");
  CHECK(item_fault("[]") == "# an event must be a JSON object");
  CHECK(item_fault(R"({"event_type":"a"})") == "#/payload payload is required");
  CHECK(item_fault("{\"event_type\":\"a\",").starts_with("# not valid JSON"));
}

TEST_CASE("the body of one event has no such member") {
  const auto event = parse_new_event(keyed_item("1"), 64);
  CHECK(std::holds_alternative<NewEvent>(event));
  const auto other = parse_new_event("[]", 64);
  CHECK(std::get<InputError>(other).detail == "the body must be a JSON object");
}

}  // namespace
}  // namespace eventhub
