#pragma once
// Members of an answer's JSON, wherever in it they stand.
#include <regex>
#include <string>
#include <vector>

#include "api_fixture.hpp"

namespace eventhub::test {

constexpr const char* kJson = "Content-Type: application/json\r\n";

using Words = std::vector<std::string>;

// Every value that a member of this name has, strings without their quotes.
inline Words all(const Answer& answer, const std::string& member) {
  Words found;
  const std::regex pattern("\"" + member + R"re(":(?:"([^"]*)"|([^,}\]]*)))re");
  for (auto at = std::sregex_iterator(answer.body.begin(), answer.body.end(), pattern);
       at != std::sregex_iterator(); ++at) {
    found.push_back((*at)[1].matched ? (*at)[1].str() : (*at)[2].str());
  }
  return found;
}

inline std::string one(const Answer& answer, const std::string& member) {
  INFO(answer.body);
  const auto found = all(answer, member);
  REQUIRE_FALSE(found.empty());
  return found.front();
}

}  // namespace eventhub::test
