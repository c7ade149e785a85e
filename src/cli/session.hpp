#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/call.hpp"
#include "cli/query.hpp"
#include "cli/rows.hpp"
#include "cli/values.hpp"
#include "eventhub/core/config.hpp"

namespace eventhub::cli {

// How to reach the API: flags, then variables, then the hub of this machine.
struct ApiPlace {
  std::string url, key, ca_file;
  Millis timeout{30'000};
};
// `own_url` is asked for only when nothing names another. Throws UsageError. `warning` is for
// people.
ApiPlace api_place(const Values& values, const Environment& environment,
                   const std::function<std::string()>& own_url, std::string& warning);

// What a refusal says, in lines for a person: the detail or every error with its place, and what to
// do.
std::string refusal_text(const CallAnswer& answer);

// The API of one hub, for one command.
class Session {
 public:
  // Throws UsageError for a URL that is none.
  Session(const ApiPlace& place, bool json);

  // The body of a 2xx answer; else RefusedError, CallFailed.
  std::string get(const std::string& target);
  std::string post(const std::string& target, const std::string& body = "");
  std::string patch(const std::string& target, const std::string& body);
  // DELETE; the body may be empty.
  std::string discard(const std::string& target);
  // GET of what is more than its body.
  CallAnswer fetch(const std::string& target);
  // Whatever was answered; adds the key.
  CallAnswer call(Call call);

  bool json() const { return json_; }
  const Clock& clock() const { return clock_; }

 private:
  CallAnswer checked(Call call);

  std::unique_ptr<Caller> caller_;
  std::string key_;
  bool json_;
  SystemClock clock_;
};

// Waits without work.
void pause_for(Millis time);

// A line of JSON on standard output as the API sent it.
void print_json(std::string_view json);
void print_text(std::string_view text);
// A line on standard error.
void tell(std::string_view line);

}  // namespace eventhub::cli
