// The private PostgreSQL of `eventhubd --embedded`: begun, begun again, killed in every way,
// refused.
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#include <fstream>

#include "integration/store/embedded_hub.hpp"
#include "integration/store/migrate_fixture.hpp"
#include "support/catch.hpp"
#include "support/readme_insert.hpp"

namespace eventhub {
namespace {

using Catch::Matchers::Contains;
using test::EmbeddedHub;
using test::eventually;
using test::is_running;
using test::psql;

TEST_CASE("child: holds an embedded server", "[.]") {
  test::in_child(test::hold_embedded_server);
}

// One directory for all that leave a healthy cluster behind: initdb takes seconds.
const test::EmbeddedDir& shared() {
  static const test::EmbeddedDir dir;
  return dir;
}

TEST_CASE("a new directory becomes a database that is kept", "[embedded]") {
  pid_t server = 0;
  std::string socket_dir;
  {
    const EmbeddedHub hub(shared().config());
    REQUIRE(hub.error() == "");
    server = hub.server_pid();
    socket_dir = hub.socket_dir();
    CHECK(psql(socket_dir,
               "SELECT current_user, current_database(), rolsuper FROM pg_roles WHERE "
               "rolname = current_user") == "eventhub|eventhub|f");
    CHECK(psql(socket_dir,
               "SELECT pg_encoding_to_char(encoding), datcollate FROM pg_database WHERE "
               "datname = current_database()") == "UTF8|C");
    CHECK(psql(socket_dir,
               "SELECT string_agg(setting, ',' ORDER BY name) FROM pg_settings WHERE name IN "
               "('fsync', 'listen_addresses', 'synchronous_commit')") == "on,,on");
    psql(socket_dir, "CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS n");
    struct stat status {};
    REQUIRE(::stat((socket_dir + "/.s.PGSQL.5432").c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
  }
  CHECK_FALSE(is_running(server));
  const EmbeddedHub again(shared().config());
  REQUIRE(again.error() == "");
  CHECK(psql(again.socket_dir(), "SELECT n FROM kept") == "42");
}

TEST_CASE("role eventhub migrates and registers subscribers without naming the schema",
          "[embedded]") {
  const EmbeddedHub hub(shared().config());
  REQUIRE(hub.error() == "");
  DatabaseConfig config;
  config.host = hub.socket_dir();
  config.password = "";
  CHECK(test::migrate(config) == static_cast<int>(store::migrations().size()));
  psql(hub.socket_dir(), test::readme_insert());
  CHECK(psql(hub.socket_dir(), "SELECT count(*) FROM subscribers") == "1");
}

TEST_CASE("a second process is refused and told who is first", "[embedded]") {
  const EmbeddedHub first(shared().config());
  REQUIRE(first.error() == "");
  const EmbeddedHub second(shared().config());
  CHECK_THAT(second.error(),
             Contains("in use by another eventhubd, pid " + std::to_string(first.pid())));
  CHECK(psql(first.socket_dir(), "SELECT 1") == "1");
}

TEST_CASE("two processes at once: one gets it", "[embedded]") {
  EmbeddedHub a(shared().config(), false);
  EmbeddedHub b(shared().config(), false);
  a.wait();
  b.wait();
  REQUIRE((a.error().empty() || b.error().empty()));
  CHECK(a.error().empty() != b.error().empty());
  CHECK_THAT(a.error() + b.error(), Contains("in use by another eventhubd"));
  CHECK(psql((a.error().empty() ? a : b).socket_dir(), "SELECT 1") == "1");
}

TEST_CASE("kill -9 of the hub: the next one takes the running server over", "[embedded]") {
  EmbeddedHub killed(shared().config());
  REQUIRE(killed.error() == "");
  psql(killed.socket_dir(),
       "CREATE TABLE IF NOT EXISTS committed (n int); INSERT INTO committed VALUES (1)");
  killed.kill9();
  REQUIRE(is_running(killed.server_pid()));
  EmbeddedHub next(shared().config());
  REQUIRE(next.error() == "");
  CHECK(next.server_pid() == killed.server_pid());
  CHECK(psql(next.socket_dir(), "SELECT count(*) > 0 FROM committed") == "t");
  next.stop();
  CHECK_FALSE(is_running(killed.server_pid()));
}

TEST_CASE("kill -9 of hub and server: the next one starts it again", "[embedded]") {
  EmbeddedHub killed(shared().config());
  REQUIRE(killed.error() == "");
  psql(killed.socket_dir(),
       "CREATE TABLE IF NOT EXISTS survived (n int); INSERT INTO survived VALUES (1)");
  ::kill(killed.server_pid(), SIGKILL);
  killed.kill9();
  const EmbeddedHub next(shared().config());
  REQUIRE(next.error() == "");
  CHECK(next.server_pid() != killed.server_pid());
  CHECK(psql(next.socket_dir(), "SELECT count(*) > 0 FROM survived") == "t");
}

TEST_CASE("kill -9 of the server: the hub starts it again", "[embedded]") {
  const EmbeddedHub hub(shared().config());
  REQUIRE(hub.error() == "");
  for (int i = 0; i < 2; ++i) {
    const std::string before = psql(hub.socket_dir(), "SELECT pg_postmaster_start_time()");
    std::ifstream pid_file(shared().config().data_dir + "/postgresql/postmaster.pid");
    pid_t server = 0;
    pid_file >> server;
    REQUIRE(server > 0);
    ::kill(server, SIGKILL);
    CHECK(eventually([&] {
      try {
        return psql(hub.socket_dir(), "SELECT pg_postmaster_start_time()") != before;
      } catch (const std::exception&) {
        return false;
      }
    }));
  }
}

TEST_CASE("Ctrl-C in the hub's terminal does not reach the server", "[embedded]") {
  EmbeddedHub hub(shared().config());
  REQUIRE(hub.error() == "");
  REQUIRE(::getpgid(hub.server_pid()) != ::getpgid(hub.pid()));
  REQUIRE(::getsid(hub.server_pid()) != ::getsid(hub.pid()));
}

TEST_CASE("kill -9 while the directory is being made leaves it usable", "[embedded]") {
  const test::EmbeddedDir dir;
  EmbeddedHub killed(dir.config(), false);
  // Somewhere in initdb: its directory is there, under a name of its own.
  const auto unfinished = [&] {
    int count = 0;
    std::error_code none_yet;
    for (const auto& entry : std::filesystem::directory_iterator(dir.config().data_dir, none_yet)) {
      count += entry.path().filename().string().starts_with("postgresql.new-");
    }
    return count;
  };
  REQUIRE(eventually([&] { return unfinished() == 1; }));
  killed.kill9();
  CHECK_FALSE(std::filesystem::exists(dir.config().data_dir + "/postgresql"));
  const EmbeddedHub next(dir.config());
  REQUIRE(next.error() == "");
  CHECK(psql(next.socket_dir(), "SELECT current_database()") == "eventhub");
  CHECK(unfinished() == 0);
}

// Another program of the user PostgreSQL runs as.
struct Sleeper {
  Sleeper() : child("child: sleeps as user postgres") { child.report(); }
  test::ChildCase child;
};

TEST_CASE("child: sleeps as user postgres", "[.]") {
  test::in_child([] {
    const passwd* user = ::geteuid() == 0 ? ::getpwnam("postgres") : nullptr;
    if (user != nullptr && ::setuid(user->pw_uid) != 0) return 1;
    test::end_of_report();
    test::await_release();
    return 0;
  });
}

TEST_CASE("a pid file of before a power failure, its pid now somebody else's", "[embedded]") {
  const std::string cluster = shared().config().data_dir + "/postgresql";
  { const EmbeddedHub makes_it(shared().config()); }
  const Sleeper other;
  std::ofstream(cluster + "/postmaster.pid")
      << other.child.pid() << "\n"
      << cluster << "\n1700000000\n5432\n../run\n\n  1 2147483000\nready   \n";
  const EmbeddedHub hub(shared().config());
  CHECK(hub.error() == "");
}

TEST_CASE("moved to a path too long for a socket and full of odd characters", "[embedded]") {
  const EmbeddedConfig here = shared().config();
  const EmbeddedConfig there = shared().config(std::string(90, 'x') + " $HOME \"`'ü,");
  { const EmbeddedHub makes_it(here); }
  std::filesystem::rename(here.data_dir, there.data_dir);
  {
    const EmbeddedHub hub(there);
    CHECK(hub.error() == "");
    CHECK(hub.socket_dir().size() < 60);
    CHECK(psql(hub.socket_dir(), "SELECT 1") == "1");
  }
  std::filesystem::rename(there.data_dir, here.data_dir);
}

TEST_CASE("a directory of a PostgreSQL that is not installed", "[embedded]") {
  { const EmbeddedHub makes_it(shared().config()); }
  const std::string file = shared().config().data_dir + "/postgresql/PG_VERSION";
  std::string version;
  std::ifstream(file) >> version;
  std::ofstream(file) << "9\n";
  const EmbeddedHub hub(shared().config());
  std::ofstream(file) << version << "\n";
  CHECK_THAT(
      hub.error(),
      Contains("was made by PostgreSQL 9, which is not installed: apt install postgresql-9"));
}

TEST_CASE("a start that cannot work says what to do", "[embedded]") {
  const test::EmbeddedDir dir;
  EmbeddedConfig config = dir.config();
  std::string expected;
  SECTION("no such programs") {
    config.bin_dir = "/nowhere";
    expected = "embedded.bin_dir /nowhere lacks postgres, initdb or pg_ctl";
  }
  SECTION("a file is in the way") {
    std::ofstream(config.data_dir) << "x";
    expected = "is not a directory";
  }
  SECTION("below a file") {
    std::ofstream(dir.root() + "/file") << "x";
    config.data_dir = dir.root() + "/file/data";
    expected = "choose another embedded.data_dir";
  }
  if (::geteuid() == 0) {
    SECTION("the directory is another user's") {
      std::filesystem::create_directory(config.data_dir);
      expected = "belongs to user root, but PostgreSQL runs as postgres";
    }
    SECTION("no such user") {
      config.run_as = "nobody-by-this-name";
      expected = "no user 'nobody-by-this-name'";
    }
    SECTION("root") {
      config.run_as = "root";
      expected = "PostgreSQL does not run as root";
    }
  }
  const EmbeddedHub hub(config);
  CHECK_THAT(hub.error(), Contains(expected));
}

}  // namespace
}  // namespace eventhub
