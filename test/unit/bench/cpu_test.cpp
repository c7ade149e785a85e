// CPU times by group of processes: what a child burns is found, while it lives and after.
#include "bench/cpu.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/records.hpp"
#include "support/catch.hpp"

using namespace eventhub::bench;

namespace {

constexpr std::int64_t kMilli = 1'000'000;

// A child that burns `burn` ns of CPU time and says so, then waits to be killed.
struct Burner {
  explicit Burner(std::int64_t burn) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    pid = ::fork();
    if (pid == 0) {
      while (cpu_of_process(::getpid()) < burn) continue;
      const bool told = ::write(ends[1], "x", 1) == 1;
      while (told) ::pause();
      ::_exit(1);
    }
    char ready = 0;
    CHECK(::read(ends[0], &ready, 1) == 1);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  void end() const {
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
  pid_t pid = 0;
};

}  // namespace

TEST_CASE("a tree's CPU time has its children in it, living and dead") {
  const Burner child(100 * kMilli);
  const ProcessTable during;
  CHECK(during.parent_of(child.pid) == ::getpid());
  CHECK(during.cpu_of_tree(child.pid) >= 100 * kMilli);
  CHECK(during.cpu_of_tree(child.pid) < 200 * kMilli);
  const std::int64_t without = during.cpu_of_tree(::getpid(), {child.pid});  // read first: it grows
  const std::int64_t ours = during.cpu_of_tree(::getpid());
  CHECK(ours - without >= 100 * kMilli);
  child.end();
  const ProcessTable after;
  CHECK(after.parent_of(child.pid) == 0);
  CHECK(after.cpu_of_tree(::getpid()) >= ours - 20 * kMilli);  // now in ticks
}

TEST_CASE("the machine's busy time grows with ours") {
  const std::int64_t before = busy_cpu();
  const std::int64_t own = cpu_of_process(::getpid());
  while (cpu_of_process(::getpid()) < own + 100 * kMilli) continue;
  CHECK(busy_cpu() - before >= 50 * kMilli);
}
