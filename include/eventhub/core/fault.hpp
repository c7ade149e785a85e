#pragma once

// Faults on purpose, for the tests. Only with the CMake option EVENTHUB_FAULTS; without it these
// macros leave nothing behind. CONTRIBUTING.md ("Fault points") says how they are used.
//
//   EVENTHUB_FAULT_POINT("disp.after_send");         a test may kill, stop or delay us here
//   EVENTHUB_FAULT_POINT_IF(condition, "…");         the same when the condition holds
//   EVENTHUB_FAULT_BEFORE_COMMIT("…");               the next pipeline's statements are executed,
//                                                    then it happens, before they are committed
//   EVENTHUB_MUTANT("no_takeover_wait")              a condition: the test wants this mistake made
//   EVENTHUB_MUTATE("…", statement);                 the same as a statement
#ifdef EVENTHUB_FAULTS

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <map>
#include <string>

namespace eventhub::fault {

// A name as a template argument, so that each name is one object, however often it is used.
template <std::size_t size>
struct Name {
  consteval Name(const char (&name)[size]) { std::copy_n(name, size, text); }
  char text[size];
};

// Enters itself in the list of all names before main() runs.
class Entry {
 public:
  Entry(Entry*& list, const char* entry_name) : name(entry_name), next(list) { list = this; }
  const char* const name;
  const Entry* const next;
};

inline constinit Entry* points = nullptr;
inline constinit Entry* mutants = nullptr;
// What the environment asks for; nullptr when it asks for nothing.
inline constinit std::atomic<const Entry*> armed = nullptr;
inline constinit std::atomic<const Entry*> mutant = nullptr;

template <Name name>
inline Entry point_of{points, name.text};
template <Name name>
inline Entry mutant_of{mutants, name.text};

void hit();                // the armed point was reached
void hit_before_commit();  // and is to happen in the next transaction
bool due_before_commit();  // asked once per pipeline
void act();

template <Name name>
void reach() {
  if (armed.load(std::memory_order_relaxed) == &point_of<name>) [[unlikely]]
    hit();
}

template <Name name>
void reach_before_commit() {
  if (armed.load(std::memory_order_relaxed) == &point_of<name>) [[unlikely]]
    hit_before_commit();
}

template <Name name>
bool wanted() {
  return mutant.load(std::memory_order_relaxed) == &mutant_of<name>;
}

// Takes EVENTHUB_FAULT, EVENTHUB_FAULT_WHEN and EVENTHUB_MUTANT out of the environment and arms
// what they say. ConfigError when they name nothing that is there.
void arm(std::map<std::string, std::string>& variables);

}  // namespace eventhub::fault

#define EVENTHUB_FAULT_POINT(name) ::eventhub::fault::reach<name>()
#define EVENTHUB_FAULT_POINT_IF(condition, name) \
  do {                                           \
    if (condition) EVENTHUB_FAULT_POINT(name);   \
  } while (false)
#define EVENTHUB_FAULT_BEFORE_COMMIT(name) ::eventhub::fault::reach_before_commit<name>()
#define EVENTHUB_FAULT_BEFORE_COMMIT_IF(condition, name) \
  do {                                                   \
    if (condition) EVENTHUB_FAULT_BEFORE_COMMIT(name);   \
  } while (false)
#define EVENTHUB_MUTANT(name) ::eventhub::fault::wanted<name>()
#define EVENTHUB_MUTATE(name, ...)            \
  do {                                        \
    if (EVENTHUB_MUTANT(name)) [[unlikely]] { \
      __VA_ARGS__;                            \
    }                                         \
  } while (false)
#define EVENTHUB_FAULT_ARM(variables) ::eventhub::fault::arm(variables)

#else

#define EVENTHUB_FAULT_POINT(name) static_cast<void>(0)
#define EVENTHUB_FAULT_POINT_IF(condition, name) static_cast<void>(0)
#define EVENTHUB_FAULT_BEFORE_COMMIT(name) static_cast<void>(0)
#define EVENTHUB_FAULT_BEFORE_COMMIT_IF(condition, name) static_cast<void>(0)
#define EVENTHUB_MUTANT(name) false
#define EVENTHUB_MUTATE(name, ...) static_cast<void>(0)
#define EVENTHUB_FAULT_ARM(variables) static_cast<void>(0)

#endif
