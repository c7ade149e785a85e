#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

namespace eventhub::http {

// The bytes a connection has received and not yet used up, in one piece. Small for a connection
// that waits, grown for a large header, never beyond what its users ask for.
class Input {
 public:
  Input();
  // From `offset` in the unused bytes to their end.
  std::string_view pending(std::size_t offset = 0) const;
  // Where the next read goes, never empty: moves or grows the buffer when it has to, so pending()
  // moves too.
  std::span<char> space();
  // The same without moving anything; may be empty.
  std::span<char> tail();
  void received(std::size_t bytes) { end_ += bytes; }
  // Makes room for `bytes` from the start of pending() on, so that tail() has what is missing.
  void make_room(std::size_t bytes);
  // Whether make_room(bytes) needs no larger buffer.
  bool has_room(std::size_t bytes) const { return bytes <= capacity_; }
  void consume(std::size_t bytes);
  // Takes bytes out of the middle: those before `offset` stay where they are.
  void erase(std::size_t offset, std::size_t bytes);

 private:
  void relocate(std::size_t capacity);
  std::size_t capacity_;
  std::size_t begin_ = 0, end_ = 0;
  std::unique_ptr<char[]> bytes_;
};

}  // namespace eventhub::http
