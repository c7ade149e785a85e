#pragma once
#include <string>
#include <vector>

namespace eventhub::test {

// A filter that is none, and where the fault is.
struct BadFilter {
  std::string filter, pointer;
  bool only_compiled = false;  // jsonb takes it otherwise, or not at all
};

inline std::string nested_filter(int depth) {
  std::string text = R"({"path":"/a","eq":1})";
  for (int i = 1; i < depth; ++i) text = R"({"not":)" + text + "}";
  return text;
}

inline std::string wide_filter(int values) {
  std::string text = R"({"path":"/a","in":[1)";
  for (int i = 1; i < values; ++i) text += "," + std::to_string(i);
  return text + "]}";
}

inline std::vector<std::string> good_filters() {
  return {
      R"({"path":"","exists":true})",
      R"({"path":"/","eq":""})",
      R"({"path":"/a~0b~1c/0","ne":null})",
      R"({"path":"/a","eq":true})",
      R"({"path":"/a","gt":-1.5e3,"lte":"x"})",
      R"({"path":"/a","gte":0,"lt":1e300})",
      R"({"path":"/a","in":[1,"1",true,null]})",
      R"({"member":"event_type","prefix":"user."})",
      R"({"member":"version","eq":"v1"})",
      R"({"member":"organization_id","exists":false})",
      R"({"member":"user_id","in":["a","b"]})",
      R"({"all":[{"path":"/a","gt":100},{"any":[{"path":"/b","eq":1},{"path":"/b","eq":2}]},)"
      R"({"not":{"member":"organization_id","prefix":"acme"}}]})",
      nested_filter(16),
      wide_filter(999),
      R"({"path":"/a","eq":9e999})",
      R"({"path":"/a","eq":1e-1000})",
  };
}

inline std::vector<BadFilter> bad_filters() {
  return {
      {"[]", "#"},
      {"1", "#"},
      {"{}", "#"},
      {R"({"path":"/a"})", "#"},
      {R"({"eq":1})", "#"},
      {R"({"path":"/a","member":"user_id","eq":"a"})", "#"},
      {R"({"path":"a","eq":1})", "#/path"},
      {R"({"path":"/a~2","eq":1})", "#/path"},
      {R"({"path":"/a~","eq":1})", "#/path"},
      {R"({"path":1,"eq":1})", "#/path"},
      {R"({"path":"/)" + std::string(255, 'a') + R"(","eq":1})", "#/path"},
      {R"({"member":"payload","eq":"a"})", "#/member"},
      {R"({"member":["user_id"],"eq":"a"})", "#/member"},
      {R"({"path":"/a","is":1})", "#/is"},
      {R"({"path":"/a","eq":[1]})", "#/eq"},
      {R"({"path":"/a","ne":{}})", "#/ne"},
      {R"({"path":"/a","gt":true})", "#/gt"},
      {R"({"path":"/a","lte":null})", "#/lte"},
      {R"({"path":"/a","prefix":1})", "#/prefix"},
      {R"({"path":"/a","exists":"true"})", "#/exists"},
      {R"({"path":"/a","in":1})", "#/in"},
      {R"({"path":"/a","in":[]})", "#/in"},
      {R"({"path":"/a","in":[1,[2]]})", "#/in/1"},
      {R"({"all":[]})", "#/all"},
      {R"({"any":{}})", "#/any"},
      {R"({"not":[{"path":"/a","eq":1}]})", "#/not"},
      {R"({"all":[{"path":"/a","eq":1}],"any":[{"path":"/a","eq":1}]})", "#"},
      {R"({"not":{"path":"/a","eq":1},"path":"/a","eq":1})", "#"},
      {R"({"all":[{"path":"/a","eq":1},{"any":[{"path":"/b","gt":null}]}]})", "#/all/1/any/0/gt"},
      {nested_filter(17), "#/not/not/not/not/not/not/not/not/not/not/not/not/not/not/not/not"},
      {wide_filter(1000), "#/in/999"},
      {R"({"path":"/a","eq":1e1000})", "#/eq"},
      {R"({"path":"/a","eq":1e-1002})", "#/eq"},
      {R"({"path":"/a","eq":1e99999999999999999999})", "#/eq", true},
      {R"({"path":"/a","eq":1,"eq":2})", "#", true},
      {R"({"path":"/a","eq":"\u0000"})", "#/eq", true},
      {R"({"path":"/a","eq":"\ud800"})", "#/eq", true},
      {R"({"path":"/a","eq":1)", "#", true},
      {R"({"path":"/a","eq":")" + std::string(16'384, 'x') + R"("})", "#"},
  };
}

}  // namespace eventhub::test
