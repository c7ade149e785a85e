#include "guard/heap.hpp"

#include <openssl/crypto.h>

#include <cstdlib>
#include <new>

namespace {

std::size_t requests = 0;

void* take(std::size_t bytes) noexcept {
  ++requests;
  return std::malloc(bytes > 0 ? bytes : 1);
}

void* take_aligned(std::size_t bytes, std::align_val_t alignment) noexcept {
  ++requests;
  void* memory = nullptr;
  const auto boundary = static_cast<std::size_t>(alignment);
  return posix_memalign(&memory, boundary, bytes > 0 ? bytes : 1) == 0 ? memory : nullptr;
}

void* or_throw(void* memory) {
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// All forms: a sanitizer has its own of each, and two that do not match are an error.
void* operator new(std::size_t bytes) {
  return or_throw(take(bytes));
}
void* operator new[](std::size_t bytes) {
  return or_throw(take(bytes));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return take(bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return take(bytes);
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return or_throw(take_aligned(bytes, alignment));
}
void* operator new[](std::size_t bytes, std::align_val_t alignment) {
  return or_throw(take_aligned(bytes, alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

// The linker sends the calls of our own objects here (--wrap, see CMakeLists.txt).
extern "C" {
void* __real_aligned_alloc(std::size_t alignment, std::size_t bytes);
void* __wrap_aligned_alloc(std::size_t alignment, std::size_t bytes) {
  ++requests;
  return __real_aligned_alloc(alignment, bytes);
}
}

namespace eventhub::guard {

std::size_t allocations() {
  return requests;
}

void count_openssl() {
  CRYPTO_set_mem_functions([](std::size_t bytes, const char*, int) { return take(bytes); },
                           [](void* memory, std::size_t bytes, const char*, int) {
                             ++requests;
                             return std::realloc(memory, bytes);
                           },
                           [](void* memory, const char*, int) { std::free(memory); });
}

}  // namespace eventhub::guard
