// CPU times by group of processes: what a child burns is found, while it lives and after.
#include "bench/cpu.hpp"

#include <unistd.h>

#include "bench/records.hpp"
#include "support/catch.hpp"
#include "support/child_case.hpp"

using namespace eventhub::bench;

namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

// A child that burns `burn` ns of CPU time and says so, then waits to be killed.
struct Burner {
  explicit Burner(std::int64_t burn)
      : child("child: burns CPU time", {"CHILD_BURN=" + std::to_string(burn)}) {
    CHECK(child.report() == "burnt");
    pid = child.pid();
  }
  eventhub::test::ChildCase child;
  pid_t pid = 0;
};

TEST_CASE("child: burns CPU time", "[.]") {
  using namespace eventhub::test;
  in_child([] {
    const std::int64_t burn = std::stoll(parameter("CHILD_BURN"));
    while (cpu_of_process(::getpid()) < burn) continue;
    report("burnt");
    end_of_report();
    await_release();
    return 0;
  });
}

}  // namespace

TEST_CASE("a tree's CPU time has its children in it, living and dead") {
  Burner burner(100 * kMillisecond);
  const ProcessTable during;
  CHECK(during.parent_of(burner.pid) == ::getpid());
  CHECK(during.cpu_of_tree(burner.pid) >= 100 * kMillisecond);
  CHECK(during.cpu_of_tree(burner.pid) < 200 * kMillisecond);
  const std::int64_t without =
      during.cpu_of_tree(::getpid(), {burner.pid});  // read first: it grows
  const std::int64_t ours = during.cpu_of_tree(::getpid());
  CHECK(ours - without >= 100 * kMillisecond);
  burner.child.kill9();
  const ProcessTable after;
  CHECK(after.parent_of(burner.pid) == 0);
  CHECK(after.cpu_of_tree(::getpid()) >= ours - 20 * kMillisecond);  // now in ticks
}

TEST_CASE("the machine's busy time grows with ours") {
  const std::int64_t before = busy_cpu();
  const std::int64_t own = cpu_of_process(::getpid());
  while (cpu_of_process(::getpid()) < own + 100 * kMillisecond) continue;
  CHECK(busy_cpu() - before >= 50 * kMillisecond);
}
