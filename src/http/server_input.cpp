// The receive buffer of one connection. Used by server_connection.cpp.
#include "http/server_input.hpp"

#include <algorithm>
#include <cstring>

namespace eventhub::http {
namespace {

constexpr std::size_t kInitialBytes = 4 << 10;
constexpr std::size_t kKeptBytes = 16 << 10;  // what an idle connection may hold on to
constexpr std::size_t kReadBytesMin = 1 << 10;

std::unique_ptr<char[]> uninitialised(std::size_t bytes) {
  return std::make_unique_for_overwrite<char[]>(bytes);
}

}  // namespace

Input::Input() : capacity_(kInitialBytes), bytes_(uninitialised(kInitialBytes)) {}

std::string_view Input::pending(std::size_t offset) const {
  return {bytes_.get() + begin_ + offset, end_ - begin_ - offset};
}

std::span<char> Input::tail() {
  return {bytes_.get() + end_, capacity_ - end_};
}

std::span<char> Input::space() {
  if (capacity_ - end_ < kReadBytesMin) make_room(end_ - begin_ + kReadBytesMin);
  return tail();
}

void Input::make_room(std::size_t bytes) {
  if (begin_ + bytes <= capacity_) return;
  relocate(bytes <= capacity_ ? capacity_ : std::max(bytes, capacity_ * 2));
}

void Input::relocate(std::size_t capacity) {
  const std::size_t size = end_ - begin_;
  if (capacity == capacity_) {
    std::memmove(bytes_.get(), bytes_.get() + begin_, size);
  } else {
    auto bytes = uninitialised(capacity);
    std::memcpy(bytes.get(), bytes_.get() + begin_, size);
    bytes_ = std::move(bytes);
    capacity_ = capacity;
  }
  begin_ = 0;
  end_ = size;
}

void Input::consume(std::size_t bytes) {
  begin_ += bytes;
  if (begin_ < end_) return;
  begin_ = end_ = 0;
  if (capacity_ > kKeptBytes) relocate(kInitialBytes);
}

void Input::erase(std::size_t offset, std::size_t bytes) {
  char* at = bytes_.get() + begin_ + offset;
  std::memmove(at, at + bytes, end_ - begin_ - offset - bytes);
  end_ -= bytes;
}

}  // namespace eventhub::http
