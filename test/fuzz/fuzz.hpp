#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <vector>

// What all targets share. A target is one function over bytes that must hold for any bytes.
namespace eventhub::fuzz {

inline std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A property that does not hold ends the program as a crash does.
inline void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "the property does not hold: %s\n", property);
  std::abort();
}

// Ways in which the same bytes can arrive, as the lengths of the pieces: in one, byte by byte, in
// two, and in pieces of several lengths. Taken from the bytes, so that an input of the corpus is
// nothing but the bytes.
inline std::vector<std::vector<std::size_t>> cuttings(std::string_view bytes) {
  std::size_t seed = std::hash<std::string_view>{}(bytes);
  const auto below = [&seed](std::size_t limit) {
    seed = seed * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    return (seed >> 33) % limit;
  };
  const std::size_t first = bytes.empty() ? 0 : 1 + below(bytes.size());
  std::vector<std::size_t> several;
  for (std::size_t done = 0; done < bytes.size(); done += several.back()) {
    several.push_back(std::min(1 + below(16), bytes.size() - done));
  }
  return {{bytes.size()},
          std::vector<std::size_t>(bytes.size(), 1),
          {first, bytes.size() - first},
          several};
}

}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
