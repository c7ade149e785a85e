#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eventhub/core/json.hpp"

namespace eventhub {

// A place in a document (RFC 6901): "" is the whole of it, "/a/0/b~1c" a member or an item.
class JsonPointer {
 public:
  static constexpr std::size_t kBytesMax = 255;
  // Nullopt for what is none, and for one of more bytes.
  static std::optional<JsonPointer> parse(std::string_view text);

  const std::string& text() const { return text_; }
  const std::vector<std::string>& tokens() const { return tokens_; }

 private:
  std::string text_;
  std::vector<std::string> tokens_;
};
// Appends "/" and a name as one part of a pointer.
void append_pointer_token(std::string& pointer, std::string_view token);

// What JsonPick::read() found; views into the document. To be used again for the next one.
class JsonPicked {
 public:
  // nullptr: there is nothing at that place.
  const JsonValue* at(std::uint32_t place) const {
    const bool found = place < entries_.size() && entries_[place].round == round_;
    return found ? &entries_[place].value : nullptr;
  }

 private:
  friend class JsonPick;
  friend class PickScan;
  struct Entry {
    JsonValue value;
    std::uint64_t round = 0;
  };
  std::vector<Entry> entries_;
  std::uint64_t round_ = 0;  // of read(): entries of another one are of another document
};

// Finds any number of places in one pass over a document. The document was checked before, by
// validate_json or by PostgreSQL; of what is no JSON it finds something or nothing. Of two members
// with one name the first one counts. No limit of depth: what is not asked for is skipped.
class JsonPick {
 public:
  JsonPick() : nodes_(1) {}
  // The number of the place for JsonPicked::at(); the same for the same pointer.
  std::uint32_t add(const JsonPointer& pointer);
  void read(std::string_view document, JsonPicked& out) const;

 private:
  friend class PickScan;
  struct Node {
    std::vector<std::pair<std::string, std::uint32_t>> members;  // by name
    std::vector<std::pair<std::uint64_t, std::uint32_t>> items;  // those names that are an index
  };
  std::uint32_t child(std::uint32_t parent, const std::string& token);

  std::vector<Node> nodes_;
};

}  // namespace eventhub
