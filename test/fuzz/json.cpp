// The walk over a JSON text against Boost.JSON: both accept it or both refuse it. And what is
// written as a JSON string is read back as what it was.
#include "core/json_walk.hpp"
#include "fuzz/fuzz.hpp"
#include "fuzz/json_oracle.hpp"

namespace eventhub::fuzz {
namespace {

constexpr std::size_t kDepth = 64;

void same_verdict(std::string_view text) {
  const auto fault = validate_json(text, kDepth);
  const bool valid = read_document(without_differences(text), kDepth).has_value();
  require(!fault == valid, "ours and Boost.JSON accept the same texts");
  require(fault || !validate_json("[" + std::string(text) + "]", kDepth + 1),
          "a valid text is a valid element, one level deeper");
}

// "… at byte offset N", and never a byte of the text itself.
void fault_is_told_safely(std::string_view text) {
  const auto fault = validate_json(text, kDepth);
  if (!fault) return;
  require(fault->pointer == "#", "a syntax fault points at the document");
  require(fault->detail.size() < 100, "a fault is told in one line");
  const auto at = fault->detail.rfind("at byte offset ");
  if (at == std::string::npos) return;
  require(std::stoull(fault->detail.substr(at + 15)) <= text.size(), "the offset is in the text");
}

void written_strings_are_read_back(std::string_view text) {
  std::string written;
  append_json_string(written, text);
  json::Walker walker(written, 1);
  if (!walker.begin()) return;  // not UTF-8
  json::RawString raw;
  require(walker.string(raw) && walker.end(), "a written string is one JSON string");
  std::string read;
  require(json::unescape(raw.bytes, read), "a written string has no half of a surrogate pair");
  require(read == text, "a written string is read back as it was");
}

}  // namespace
}  // namespace eventhub::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = eventhub::fuzz::text_of(data, size);
  eventhub::fuzz::same_verdict(text);
  eventhub::fuzz::fault_is_told_safely(text);
  eventhub::fuzz::written_strings_are_read_back(text);
  return 0;
}
