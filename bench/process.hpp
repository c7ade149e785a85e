#pragma once
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <functional>

// Producer and receiver run in processes of their own, so that their CPU time can be told apart.
namespace eventhub::bench {

using Counter = std::atomic<std::uint64_t>;

// In memory that is shared with children made later.
Counter* shared_counter();

// A function in a process of its own, which does not outlive us. This process has one thread, so
// the child inherits no lock that somebody holds.
class Child {
 public:
  Child(const char* name, const std::function<void()>& work);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void terminate() const;
  // Waits for its end; its CPU time in ns. Throws std::runtime_error when it failed.
  std::int64_t wait();

 private:
  const char* name_;
  pid_t pid_ = 0;
};

}  // namespace eventhub::bench
