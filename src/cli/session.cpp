// The way of a command to a hub and back: address, key, refusals in words. Calls call.cpp.
#include "cli/session.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <iostream>

#include "cli/error.hpp"
#include "cli/files.hpp"
#include "cli/table.hpp"
#include "eventhub/core/utf8.hpp"
#include "eventhub/http/unix_socket.hpp"

namespace eventhub::cli {
namespace {

std::string variable(const Environment& environment, const std::string& name) {
  const auto found = environment.find(name);
  return found == environment.end() ? "" : found->second;
}

std::string hint_for(const CallAnswer& answer) {
  if (answer.status == 401) {
    return "\n  name a key: EVENTHUB_API_KEY or --key-file (`eventhubd keys create` makes one)";
  }
  const auto wait = answer.header("retry-after");
  if (!wait.empty()) return fmt::format("\n  try again in {} s", terminal_text(wait));
  return {};
}

}  // namespace

ApiPlace api_place(const Values& values, const Environment& environment,
                   const std::function<std::string()>& own_url, std::string& warning) {
  ApiPlace place;
  place.url = values.text("url").value_or(variable(environment, "EVENTHUB_URL"));
  if (place.url.empty()) place.url = own_url();
  place.ca_file = values.text("ca-file").value_or(variable(environment, "EVENTHUB_CA_FILE"));
  const std::string file = variable(environment, "EVENTHUB_API_KEY_FILE");
  if (const auto given = values.text("key-file")) {
    place.key = first_line_of(*given, "key");
  } else if (const auto key = values.text("key")) {
    place.key = *key;
    warning =
        "a key on the command line is seen by everyone on this machine; better: "
        "EVENTHUB_API_KEY or --key-file";
  } else {
    place.key = variable(environment, "EVENTHUB_API_KEY");
    if (place.key.empty() && !file.empty()) {
      place.key = first_line_of(file, "key");
    }
  }
  place.timeout = Millis{values.integer("timeout", 1, 3'600, 30) * 1'000};
  return place;
}

std::string refusal_text(const CallAnswer& answer) {
  std::string title, detail, places;
  if (answer.header("content-type").starts_with("application/problem+json")) {
    const Row problem(answer.body);
    title = problem.text("title");
    detail = problem.text("detail");
    for (const Row& error : problem.rows("errors")) {
      places += fmt::format("\n  {}: {}", terminal_text(error.text("pointer")),
                            terminal_text(error.text("detail")));
    }
  }
  if (!places.empty()) detail.clear();
  return fmt::format("refused ({}{}{}){}{}{}{}", answer.status, title.empty() ? "" : " ",
                     terminal_text(title), detail.empty() ? "" : ": ", terminal_text(detail),
                     places, hint_for(answer));
}

Session::Session(const ApiPlace& place, bool json) : key_(place.key), json_(json) {
  CallerOptions options;
  options.socket_path = http::unix_path(place.url);
  auto url = http::parse_url(options.socket_path.empty() ? place.url : "http://localhost");
  if (const auto* wrong = std::get_if<std::string>(&url)) {
    throw UsageError(fmt::format("--url {}: {}", http::redact_url(place.url), *wrong));
  }
  options.timeout = place.timeout;
  options.ca_file = place.ca_file;
  try {
    caller_ = std::make_unique<Caller>(std::get<http::Url>(std::move(url)), options);
  } catch (const std::runtime_error& error) {
    throw UsageError(fmt::format("--ca-file: {}", error.what()));
  }
}

CallAnswer Session::call(Call call) {
  if (!key_.empty()) call.headers.emplace_back("Authorization", "Bearer " + key_);
  if (!call.body.empty()) call.headers.emplace_back("Content-Type", "application/json");
  return caller_->exchange(call);
}

CallAnswer Session::checked(Call wanted) {
  auto answer = call(std::move(wanted));
  if (answer.status / 100 != 2) throw RefusedError(refusal_text(answer), answer.status);
  return answer;
}

CallAnswer Session::fetch(const std::string& target) {
  return checked(
      {.method = "GET", .target = target, .headers = {}, .body = {}, .repeatable = true});
}

std::string Session::get(const std::string& target) {
  return fetch(target).body;
}

std::string Session::post(const std::string& target, const std::string& body) {
  return checked({.method = "POST", .target = target, .headers = {}, .body = body}).body;
}

std::string Session::patch(const std::string& target, const std::string& body) {
  return checked(
             {.method = "PATCH", .target = target, .headers = {}, .body = body, .repeatable = true})
      .body;
}

std::string Session::discard(const std::string& target) {
  return checked({.method = "DELETE", .target = target, .headers = {}, .body = {}}).body;
}

void pause_for(Millis time) {
  boost::asio::io_context context(1);
  boost::asio::steady_timer timer(context, time);
  timer.wait();
}

void print_json(std::string_view json) {
  std::cout << json << (json.ends_with('\n') ? "" : "\n") << std::flush;
}

void print_text(std::string_view text) {
  std::cout << text << std::flush;
}

void tell(std::string_view line) {
  std::cerr << "eventhubd: " << line << std::endl;
}

}  // namespace eventhub::cli
