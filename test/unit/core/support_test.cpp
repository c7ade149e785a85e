// The tests' own helpers: what stands still ends, and the test is told.
#include <functional>

#include "eventhub/core/async.hpp"
#include "support/catch.hpp"
#include "support/child_case.hpp"
#include "support/run_task.hpp"
#include "support/shell.hpp"

using namespace eventhub;
using namespace eventhub::test;
using Catch::Matchers::Contains;

namespace {

std::string complaint_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace

TEST_CASE("child: answers", "[.]") {
  in_child([] {
    const std::string task = parameter("CHILD_TASK");
    if (task == "throw") throw std::runtime_error("as told");
    report("does " + task);
    end_of_report();
    await_release();
    return 7;
  });
}

TEST_CASE("a child tells what it does, goes on when it is let, and hands back its exit code") {
  ChildCase child("child: answers", {"CHILD_TASK=a \"task'"});
  CHECK(child.report() == "does a \"task'");
  child.release();
  CHECK(child.wait() == 7);
  ChildCase failing("child: answers", {"CHILD_TASK=throw"});
  CHECK(failing.wait() == 99);
  ChildCase killed("child: answers", {"CHILD_TASK=x"});
  killed.kill9();
  CHECK_FALSE(killed.is_running());
}

TEST_CASE("a child that stands still is killed and named") {
  ChildCase child("child: answers", {"CHILD_TASK=x"}, ChildLimit{2'000});
  const pid_t pid = child.pid();
  CHECK(child.report() == "does x");
  CHECK_THAT(complaint_of([&] { child.wait(); }),
             Contains("stood still for 2000 ms and was killed: child: answers"));
  CHECK(::kill(pid, 0) != 0);
  Pipe silent;
  Program program({"/bin/sleep", "60"}, {}, {}, ChildLimit{50});
  CHECK_THAT(complaint_of([&] { program.read(silent.ends[0]); }), Contains("stood still"));
  CHECK_FALSE(program.is_running());
}

TEST_CASE("shell: what a command prints, or why it failed") {
  CHECK(shell("echo a; echo b >&2") == "a\nb");
  CHECK(complaint_of([] { shell("echo no; exit 3"); }) == "no");
}

TEST_CASE("a coroutine that does not end is given up") {
  boost::asio::io_context io;
  CHECK_THAT(complaint_of([&] { run(io, sleep_for(Millis{300}), Millis{20}); }),
             Contains("did not end within 20 ms"));
  CHECK(runs_out(io));
  spawn(io.get_executor(), "sleeper", sleep_for(Millis{300}));
  CHECK_FALSE(runs_out(io, Millis{20}));
  CHECK(runs_out(io));
}
