// Members of a JSON object, as the management API reads them.
#include "eventhub/core/json.hpp"
#include "support/catch.hpp"

namespace eventhub {
namespace {

using Kind = JsonValue::Kind;

std::string member_fault(std::string_view text, std::size_t depth = 8) {
  const auto result = read_json_object(text, depth);
  const auto* error = std::get_if<InputError>(&result);
  return error == nullptr ? "" : error->detail;
}

TEST_CASE("members keep their order, kind and spelling") {
  const std::string_view text =
      R"( {"a":"x","b\u00e9":[1, "2",[3]],"c":{"d":null},"e":true,"f":-1.50e2,"g":null} )";
  const auto result = read_json_object(text, 8);
  REQUIRE(std::holds_alternative<std::vector<JsonMember>>(result));
  const auto& members = std::get<0>(result);
  REQUIRE(members.size() == 6);
  CHECK(members[0].name == "a");
  CHECK(json_string(members[0].value) == "x");
  CHECK(members[1].name == "b\xC3\xA9");
  const auto items = json_items(members[1].value);
  REQUIRE(items.size() == 3);
  CHECK(items[0].kind == Kind::number);
  CHECK(json_string(items[1]) == "2");
  CHECK(items[2].text == "[3]");
  CHECK(members[2].value.kind == Kind::object);
  CHECK(members[2].value.text == R"({"d":null})");
  CHECK(members[3].value.kind == Kind::boolean);
  CHECK(members[4].value.text == "-1.50e2");
  CHECK(members[5].value.kind == Kind::null);
  CHECK_FALSE(json_string(members[5].value));
  CHECK(std::get<0>(read_json_object("{}", 1)).empty());
  CHECK(json_items({Kind::array, "[ ]"}).empty());
}

TEST_CASE("what is no object of members is refused") {
  CHECK(member_fault("[]") == "the body must be a JSON object");
  CHECK(member_fault("1") == "the body must be a JSON object");
  CHECK(member_fault("").find("empty") != std::string::npos);
  CHECK(member_fault(R"({"a":1,"\u0061":2})") == "a member is given more than once");
  CHECK(member_fault(R"({"\ud800":1})").find("surrogate") != std::string::npos);
  CHECK(member_fault(R"({"a":[[1]]})", 2) == "nested deeper than allowed at byte offset 6");
  for (const char* text : {R"({"a")", R"({"a":})", R"({"a":1,})", R"({"a":1}x)", "{\"a\":\"\xff\"}",
                           R"({"a":tru})", "[1"}) {
    INFO(text);
    CHECK(member_fault(text).starts_with("not valid JSON"));
  }
  CHECK_FALSE(json_string({Kind::string, R"("\ud800")"}));
}

}  // namespace
}  // namespace eventhub
