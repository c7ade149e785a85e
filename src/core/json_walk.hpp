#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "eventhub/core/json.hpp"

namespace eventhub::json {

// A string of the document: the bytes between the quotes, escapes checked but not undone.
struct RawString {
  std::string_view bytes;
  bool escaped = false;
};

// One forward pass over a JSON text. Every function returns false at the first fault, which error()
// then describes; after that the walker is not used further. No recursion: open brackets are bits
// of a stack.
class Walker {
 public:
  static constexpr std::size_t kDepthLimit = 1024;
  Walker(std::string_view text, std::size_t depth_max);

  // What can be said before the grammar: not empty, no byte order mark, UTF-8.
  bool begin();
  // One value with all that is in it, and the white space before it.
  bool value();
  // A string, beginning at its quote.
  bool string(RawString& out);
  // The name of a member and the colon after it.
  bool name(RawString& out);
  // Whether nothing but white space is left; the fault says there is more.
  bool end();

  // Skips white space; the next byte, or '\0' at the end (a NUL in the text is a fault everywhere).
  char peek();
  bool take(char wanted);
  // Enters or leaves a bracket that the caller reads itself, for the depth bound.
  bool enter(bool object);
  void leave() { --depth_; }

  bool fail(const char* what);
  // "… at byte offset N" (but at 0); never quotes the text.
  InputError error() const;
  const char* position() const { return at_; }

 private:
  bool string_body(bool& escaped);
  bool escape();
  bool number();
  bool digits();
  bool literal(std::string_view word);
  bool scalar(char first);
  bool open(char first, bool& closed);
  bool after_value(std::size_t base, bool& more);
  bool in_object() const;

  const char* begin_;
  const char* at_;
  const char* end_;
  std::size_t depth_max_;
  std::size_t depth_ = 0;
  std::array<std::uint64_t, kDepthLimit / 64> objects_{};
  const char* fault_ = nullptr;
};

// What kind of value begins with this byte, in a checked text.
JsonValue::Kind kind_of(char first);

// Undoes the escapes of a checked string. False when it holds half a surrogate pair.
bool unescape(std::string_view raw, std::string& out);

}  // namespace eventhub::json
