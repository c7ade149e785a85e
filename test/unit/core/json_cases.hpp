#pragma once
// JSON texts with the verdict a payload gets. Used by the unit test of the parser and by tests that
// send every accepted text through the whole hub and compare the delivered bytes.
#include <string>
#include <string_view>
#include <vector>

namespace eventhub::test {

struct JsonCase {
  std::string text;
  bool accepted;
};

inline std::string repeated(std::string_view part, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += part;
  return out;
}

// The body of an event with `payload` in it, which need not be valid.
inline std::string event_body(std::string_view payload) {
  return R"({"event_type":"json.case","payload":)" + std::string(payload) + "}";
}

inline void add(std::vector<JsonCase>& cases, bool accepted,
                std::initializer_list<std::string_view> texts) {
  for (const auto text : texts) cases.push_back({std::string(text), accepted});
}

inline void add_accepted(std::vector<JsonCase>& cases) {
  using namespace std::string_view_literals;
  add(cases, true,
      {"{}", "[]", "[[]]", "[{}]", R"({"a":{}})", R"({"":0})", R"({"a":[]})", "[ ]", "{ }", "[1]",
       "[1,2]", " [1]"sv, "[1] "sv, "[\n1\t,\r2 ]", "\t\r\n {\"a\" : 1 }\n", R"({"b":1,"a":2})",
       R"({"a":1,"a":2})", R"({"a":1,"\u0061":2})"});
  add(cases, true,
      {"[0]",
       "[-0]",
       "[-1]",
       "[0.0]",
       "[-0.0]",
       "[1.5]",
       "[1.50]",
       "[1e5]",
       "[1E5]",
       "[1e+5]",
       "[1e-5]",
       "[1E+05]",
       "[0e0]",
       "[0.1e1]",
       "[1e999]",
       "[-1e999]",
       "[1e-999]",
       "[99999999999999999999999]",
       "[-99999999999999999999999]",
       "[9007199254740993]",
       "[0.1000000000000000055511151231257827]",
       "[123456789012345678901234567890.123456789012345678901234567890]",
       "[1.0]",
       "[10]"});
  add(cases, true, {"[true]", "[false]", "[null]", "[true,false,null]", R"({"a":null})"});
  add(cases, true,
      {R"([""])",
       R"(["a"])",
       R"(["\""])",
       R"(["\\"])",
       R"(["\/"])",
       R"(["/"])",
       R"(["\b\f\n\r\t"])",
       R"(["\u0000"])",
       R"({"\u0000":"\u0000"})",
       R"(["\u001f"])",
       R"(["\u00e9"])",
       R"(["\u00E9"])",
       R"(["\ud83d\ude00"])",
       R"(["\uD83D\uDE00"])",
       R"(["\ud800"])",
       R"(["\udc00"])",
       R"(["\ude00\ud83d"])",
       R"(["\ud800\ud800"])",
       R"(["\ud800a"])",
       R"(["\uffff"])",
       R"(["\ufeff"])",
       R"(["\u2028\u2029"])",
       R"(["\\u0000"])",
       R"(["\\\\"])",
       R"(["\\\""])",
       "[\"\x7F\"]",
       "[\"\xC2\x80\"]",
       "[\"\xC3\xA9\"]",
       "[\"\xE2\x82\xAC\"]",
       "[\"\xE2\x80\xA8\"]",
       "[\"\xEF\xBB\xBF\"]",
       "[\"\xEF\xBF\xBF\"]",
       "[\"\xED\x9F\xBF\"]",
       "[\"\xEE\x80\x80\"]",
       "[\"\xF0\x9F\x98\x80\"]",
       "[\"\xF4\x8F\xBF\xBF\"]",
       "{\"\xF0\x9F\x98\x80\":1}",
       R"(["1234567"])",
       R"(["12345678"])",
       R"(["123456789"])",
       R"(["1234567\"8901234\\"])",
       R"([" padded  white   space "])",
       R"(["</script><!--"])",
       R"(["'; DROP TABLE events; --"])",
       R"(["$1 %s {0} ${x}"])"});
  cases.push_back({repeated("[", 60) + repeated("]", 60), true});
  cases.push_back({repeated(R"({"a":)", 60) + "1" + repeated("}", 60), true});
  cases.push_back({"[" + repeated("[],", 500) + "{}]", true});
  cases.push_back({R"({"long":")" + repeated("0123456789abcdef", 1000) + "\"}", true});
  cases.push_back({R"({"n":[)" + repeated("1, ", 1000) + "0]}", true});
}

inline void add_refused(std::vector<JsonCase>& cases) {
  using namespace std::string_view_literals;
  add(cases, false, {"",           " ",           "{",
                     "[",          "}",           "]",
                     "[1",         "[1,",         "[1,]",
                     "[,1]",       "[,]",         "[1,,2]",
                     "[1 2]",      "[1}",         "{]",
                     "[[]",        "[]]",         "{}}",
                     "{\"a\"",     "{\"a\":",     "{\"a\":1",
                     "{\"a\":1,",  "{\"a\":1,}",  "{,}",
                     "{,\"a\":1}", "{\"a\" 1}",   "{\"a\":}",
                     "{\"a\",1}",  "{a:1}",       "{'a':1}",
                     "{1:1}",      "{null:1}",    "{\"a\":1 \"b\":2}",
                     "{\"a\"::1}", "{\"a\":1:2}", "{\"a\":1]",
                     "[] []",      "{} {}",       "{}{}",
                     "[]x",        "[]\0"sv,      "[\0]"sv,
                     "\0"sv,       "[1]//",       "/**/[1]",
                     "[1/**/]",    "[\"a\":1]",   "[:]",
                     "[1;2]"});
  add(cases, false,
      {"[01]",        "[-01]",   "[00]",    "[-]",           "[+1]",  "[.5]",  "[1.]",
       "[-.5]",       "[1.e5]",  "[1e]",    "[1e+]",         "[1e-]", "[1E]",  "[0x10]",
       "[1_000]",     "[1e5.5]", "[1.2.3]", "[--1]",         "[1-]",  "[NaN]", "[Infinity]",
       "[-Infinity]", "[inf]",   "[1f]",    "[\xEF\xBC\x91]"});
  add(cases, false,
      {"[tru]", "[true1]", "[True]", "[TRUE]", "[nul]", "[nulll]", "[fals]", "[undefined]", "[t]",
       "[n", "[tru"});
  add(cases, false,
      {"[\"]",
       "[\"a]",
       "[\"a\\\"]",
       "[\"\\",
       "[\"\\u",
       "[\"\\x41\"]",
       "[\"\\a\"]",
       "[\"\\'\"]",
       "[\"\\0\"]",
       "[\"\\u12\"]",
       "[\"\\u123\"]",
       "[\"\\u12g4\"]",
       "[\"\\U0041\"]",
       "[\"\\u{41}\"]",
       "[\"\\ \"]",
       "['a']",
       "[\"a\" \"b\"]",
       "[\"\n\"]",
       "[\"\t\"]",
       "[\"\r\"]",
       "[\"\x01\"]",
       "[\"\x1F\"]",
       "[\"\0\"]"sv,
       "[\"1234567\x01\"]",
       "[\"12345678\x1F\"]",
       "{\"\x08\":1}",
       "[\"\\\n\"]"});
  add(cases, false,
      {"[\"\x80\"]",
       "[\"\xBF\"]",
       "[\"\xC0\x80\"]",
       "[\"\xC1\xBF\"]",
       "[\"\xC3\"]",
       "[\"\xC3(\"]",
       "[\"\xE0\x80\x80\"]",
       "[\"\xE2\x82\"]",
       "[\"\xED\xA0\x80\"]",
       "[\"\xED\xBF\xBF\"]",
       "[\"\xF0\x80\x80\x80\"]",
       "[\"\xF0\x9F\x98\"]",
       "[\"\xF4\x90\x80\x80\"]",
       "[\"\xF5\x80\x80\x80\"]",
       "[\"\xFE\"]",
       "[\"\xFF\"]",
       "\xEF\xBB\xBF[]",
       "\xEF\xBB\xBF",
       "\xFE\xFF\0[\0]"sv,
       "[\0]\0"sv,
       "[\x0B]",
       "[\x0C]",
       "[\xC2\xA0]",
       "[\xE2\x80\x8B]",
       "{\"\xFF\":1}"});
  cases.push_back({repeated("[", 65) + repeated("]", 65), false});
  cases.push_back({repeated("[", 100'000), false});
  cases.push_back({repeated("[", 100'000) + repeated("]", 100'000), false});
  cases.push_back({repeated(R"({"a":)", 100'000) + "1" + repeated("}", 100'000), false});
  cases.push_back({repeated(R"([{"a":)", 40) + "1" + repeated("}]", 40), false});
}

inline std::vector<JsonCase> json_cases() {
  std::vector<JsonCase> cases;
  add_accepted(cases);
  add_refused(cases);
  return cases;
}

}  // namespace eventhub::test
