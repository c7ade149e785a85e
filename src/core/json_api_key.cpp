// The body of POST /keys: one walk (json_walk.cpp) over an object of strings, numbers and one list
// of strings. Called by src/api/keys.cpp.
#include <charconv>

#include "eventhub/core/api_key.hpp"
#include "json_walk.hpp"

namespace eventhub {
namespace {

constexpr std::size_t kDepthMax = 8;

class KeyReader {
 public:
  explicit KeyReader(std::string_view body) : walk_(body, kDepthMax) {}

  std::variant<NewApiKey, InputError> read() {
    if (!walk_.begin()) return walk_.error();
    if (walk_.peek() != '{') return not_an_object();
    if (!members() || !walk_.end()) return error();
    if (auto wrong = complete(key_)) return std::move(*wrong);
    return std::move(key_);
  }

 private:
  InputError error() const { return refused_ ? *refused_ : walk_.error(); }
  InputError not_an_object() {
    if (walk_.value() && walk_.end()) return {"the body must be a JSON object", "#"};
    return walk_.error();
  }
  bool refused(std::string_view member, std::string_view what) {
    refused_ = {std::string(member) + " " + std::string(what), "#/" + std::string(member)};
    return false;
  }

  bool members() {
    if (!walk_.enter(true)) return false;
    if (walk_.take('}')) return true;
    do {
      json::RawString raw;
      if (!walk_.name(raw) || !member(raw)) return false;
    } while (walk_.take(','));
    if (!walk_.take('}')) return walk_.fail("not valid JSON: expected a comma or a closing brace");
    walk_.leave();
    return true;
  }

  // Not ignored: a misspelt "scopes" or a limit this version does not know would go unnoticed.
  bool member(const json::RawString& raw) {
    if (raw.bytes == "name") return text("name", key_.name);
    if (raw.bytes == "producer") return text("producer", key_.producer);
    if (raw.bytes == "scopes") return scopes();
    if (raw.bytes == "rate") return number("rate", key_.rate, "must be a number");
    if (raw.bytes == "burst") return number("burst", key_.burst, "must be an integer");
    refused_ = {"a key has the members name, producer, scopes, rate and burst, and no others", "#"};
    return false;
  }

  bool text(std::string_view member, std::string& out) {
    json::RawString raw;
    if (!out.empty()) return refused(member, "is given more than once");
    if (walk_.peek() != '"') return walk_.value() && refused(member, "must be a string");
    if (!walk_.string(raw)) return false;
    if (raw.bytes.empty()) return refused(member, "must not be empty");
    out = raw.bytes;  // an escape is none of the characters that names have
    return true;
  }

  template <class T>
  bool number(std::string_view member, std::optional<T>& out, std::string_view what) {
    if (out) return refused(member, "is given more than once");
    walk_.peek();
    const char* from = walk_.position();
    if (!walk_.value()) return false;
    T value{};
    const auto [end, error] = std::from_chars(from, walk_.position(), value);
    if (error != std::errc{} || end != walk_.position()) return refused(member, what);
    out = value;
    return true;
  }

  bool scopes() {
    constexpr std::string_view kWhat = "must be a list of publish, read and admin";
    if (walk_.peek() != '[') return walk_.value() && refused("scopes", kWhat);
    if (!key_.scopes.empty()) return refused("scopes", "is given more than once");
    if (!walk_.enter(false)) return false;
    if (walk_.take(']')) return refused("scopes", kWhat);
    do {
      json::RawString raw;
      if (walk_.peek() != '"') return walk_.value() && refused("scopes", kWhat);
      if (!walk_.string(raw)) return false;
      const auto scope = parse_scope(raw.bytes);
      if (!scope) return refused("scopes", kWhat);
      key_.scopes.add(*scope);
    } while (walk_.take(','));
    if (!walk_.take(']')) return walk_.fail("not valid JSON: expected a comma or a bracket");
    walk_.leave();
    return true;
  }

  json::Walker walk_;
  NewApiKey key_;
  std::optional<InputError> refused_;
};

}  // namespace

std::variant<NewApiKey, InputError> parse_new_api_key(std::string_view body) {
  return KeyReader(body).read();
}

}  // namespace eventhub
