#pragma once
// A private PostgreSQL for tests: one server per test program, started at first use in a directory
// of its own under /tmp, unix socket only, fsync off, stopped at exit (and by the kernel when the
// program dies). Header only; needs the server's programs and psql, links nothing.
//
//   TEST_CASE("…") {
//     test::TestDatabase db;                 // a fresh database with the whole schema, dropped at
//     the end store::Database database(executor_of(io), db.config(), metrics); db.sql("INSERT
//     INTO subscribers …");    // any SQL, by psql, search_path = eventhub; throws on error
//     CHECK(db.query("SELECT count(*) FROM events") == "3");  // one column as text, rows by
//     newline
//   }
//
// test::TestDatabase db(100) makes partitions of 100 events. test::TestDatabase db(test::empty) has
// no schema at all. test::PrivatePostgres::server() gives the server itself: pid() for SIGSTOP and
// SIGCONT, crash() and start() for a crash of the whole server, socket_dir(). EVENTHUB_PG_BIN
// overrides /usr/lib/postgresql/15/bin.
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "eventhub/core/config.hpp"
#include "support/child_case.hpp"
#include "support/shell.hpp"

namespace eventhub::test {

class PrivatePostgres {
 public:
  static PrivatePostgres& server() {
    static PrivatePostgres instance;
    return instance;
  }
  // Another server, on `tls_port` of localhost too, with TLS only and certificate().
  explicit PrivatePostgres(int tls_port) : port_(tls_port), tls_(true) { make(); }

  const std::string& socket_dir() const { return dir_; }
  pid_t pid() const { return pid_; }
  std::string certificate() const { return dir_ + "/data/server.pem"; }

  // Runs SQL; returns what it printed (unaligned, no headers), without the last newline.
  std::string psql(const std::string& database, const std::string& sql) {
    const std::string file = dir_ + "/sql" + std::to_string(++counter_) + ".sql";
    std::ofstream(file) << sql;
    // Not the psql of the path, which is a Perl script on Debian and takes six times as long.
    const std::string command = bin_ + "/psql -X -q -A -t -v ON_ERROR_STOP=1 -h " + dir_ + " -p " +
                                std::to_string(port_) + " -U eventhub -d " + database + " -f " +
                                file;
    std::string out, complaint;
    try {
      out = shell(command);
    } catch (const std::exception& error) {
      complaint = error.what();
    }
    std::filesystem::remove(file);
    if (complaint.empty()) return out;
    throw std::runtime_error("psql: " + complaint + "\nin: " + sql.substr(0, 2000));
  }

  // A new database, copied from one made once with the migrations (partition_rows 0: empty).
  std::string create_database(std::int64_t partition_rows) {
    const std::string name = "test" + std::to_string(++counter_);
    std::string from = "template0";
    if (partition_rows > 0) from = schema_template(partition_rows);
    psql("postgres", "CREATE DATABASE " + name + " TEMPLATE " + from + " ENCODING 'UTF8'");
    return name;
  }

  void drop_database(const std::string& name) {
    psql("postgres", "DROP DATABASE IF EXISTS " + name + " WITH (FORCE)");
  }

  // Starts the server again after crash().
  void start() {
    if (pid_ > 0) return;
    const std::string listen = tls_ ? "localhost" : "";
    pid_ = spawn({bin_ + "/postgres", "-D", dir_ + "/data", "-k", dir_, "-p", std::to_string(port_),
                  "-c", "listen_addresses=" + listen},
                 SIGQUIT);
    for (int i = 0; i < 600; ++i) {
      Program ready(
          {bin_ + "/pg_isready", "-q", "-h", dir_, "-p", std::to_string(port_), "-d", "postgres"});
      if (ready.wait() == 0) return;
      if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
        pid_ = 0;
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    throw std::runtime_error("PostgreSQL does not start, see " + dir_ + "/log");
  }

  // Ends the server at once (SIGQUIT: all sessions die, recovery at the next start).
  void crash() { stop(SIGQUIT); }

  ~PrivatePostgres() {
    try {
      stop(SIGINT);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }
  PrivatePostgres(const PrivatePostgres&) = delete;
  PrivatePostgres& operator=(const PrivatePostgres&) = delete;

 private:
  PrivatePostgres() { make(); }

  void make() {
    const char* bin = std::getenv("EVENTHUB_PG_BIN");
    bin_ = bin != nullptr ? bin : "/usr/lib/postgresql/15/bin";
    std::string name = std::filesystem::temp_directory_path() / "eventhub-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
    dir_ = name;
    if (::geteuid() == 0) {
      const passwd* user = ::getpwnam("postgres");
      if (user == nullptr) throw std::runtime_error("root cannot run PostgreSQL: no user postgres");
      uid_ = user->pw_uid;
      gid_ = user->pw_gid;
      if (::chown(dir_.c_str(), uid_, gid_) != 0) throw std::runtime_error("cannot chown " + dir_);
    }
    ::chmod(dir_.c_str(), 0755);
    const pid_t initdb = spawn({bin_ + "/initdb", "-D", dir_ + "/data", "-U", "eventhub", "-A",
                                "trust", "-E", "UTF8", "--locale=C", "--no-sync"},
                               SIGKILL);
    if (wait_for_child(initdb, "initdb") != 0)
      throw std::runtime_error("initdb failed, see " + dir_ + "/log");
    write_settings();
    if (tls_) use_tls();
    start();
  }

  void use_tls() {
    const std::string key = dir_ + "/data/server.key";
    shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
        "subjectAltName=DNS:localhost -keyout " +
        key + " -out " + certificate());
    ::chmod(key.c_str(), 0600);
    if (uid_ != 0 && ::chown(key.c_str(), uid_, gid_) != 0) throw std::runtime_error("chown");
    std::ofstream(dir_ + "/data/postgresql.conf", std::ios::app)
        << "ssl = on\nssl_cert_file = 'server.pem'\nssl_key_file = 'server.key'\n";
    std::ofstream(dir_ + "/data/pg_hba.conf") << "local all all trust\nhostssl all all all trust\n";
  }

  void write_settings() {
    std::ofstream conf(dir_ + "/data/postgresql.conf", std::ios::app);
    conf << "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nmax_connections = 200\n"
            "shared_buffers = 64MB\nmax_wal_size = 512MB\nautovacuum_naptime = 5\n"
            "log_min_messages = warning\nlog_min_error_statement = panic\n";
  }

  // A child as user postgres when we are root; `on_death` is what the kernel sends it when we die.
  pid_t spawn(const std::vector<std::string>& arguments, int on_death) {
    std::vector<char*> raw;
    for (const std::string& argument : arguments)
      raw.push_back(const_cast<char*>(argument.c_str()));
    raw.push_back(nullptr);
    const std::string log = dir_ + "/log";
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const int in = ::open("/dev/null", O_RDONLY);
    ::dup2(in, 0);
    ::dup2(out, 1);
    ::dup2(out, 2);
    for (int fd = 3; fd < 256; ++fd) ::close(fd);  // the server must not hold sockets of the test
    ::setsid();                                    // Ctrl-C is for us; we stop it
    if (uid_ != 0 && (::setgroups(0, nullptr) != 0 || ::setgid(gid_) != 0 || ::setuid(uid_) != 0)) {
      ::_exit(126);
    }
    ::prctl(PR_SET_PDEATHSIG, on_death);
    if (::getppid() != parent) ::_exit(125);
    if (::chdir(dir_.c_str()) != 0) ::_exit(126);
    ::execv(raw[0], raw.data());
    ::_exit(127);
  }

  void stop(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGCONT);
    ::kill(pid_, signal);
    wait_for_child(std::exchange(pid_, 0), "PostgreSQL of " + dir_);
  }

  std::string schema_template(std::int64_t partition_rows) {
    std::string& name = templates_[partition_rows];
    if (!name.empty()) return name;
    const std::string made = "template_" + std::to_string(partition_rows);
    psql("postgres", "CREATE DATABASE " + made + " TEMPLATE template0 ENCODING 'UTF8'");
    std::ostringstream sql;
    sql << "BEGIN;\nCREATE SCHEMA eventhub;\nSET search_path = eventhub;\n";
    std::map<std::string, std::filesystem::path> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(EVENTHUB_SOURCE_DIR "/migrations")) {
      if (entry.path().extension() == ".sql") files[entry.path().filename()] = entry.path();
    }
    for (const auto& [file, path] : files) {
      sql << std::ifstream(path).rdbuf() << "\n";
      if (file.starts_with("0001_")) {
        sql << "INSERT INTO settings VALUES ('partition_rows', '" << partition_rows << "');\n";
      }
    }
    sql << "SELECT create_next_partition();\nCOMMIT;\n";
    psql(made, sql.str());
    name = made;
    return name;
  }

  std::string bin_, dir_;
  uid_t uid_ = 0;
  gid_t gid_ = 0;
  pid_t pid_ = 0;
  int port_ = 5432;
  bool tls_ = false;
  int counter_ = 0;
  std::map<std::int64_t, std::string> templates_;
};

inline DatabaseConfig database_config(const std::string& host, const std::string& name) {
  DatabaseConfig config;
  config.host = host;
  config.port = 5432;
  config.name = name;
  config.user = "eventhub";
  config.password = "";
  config.schema = "eventhub";
  return config;
}

struct Empty {};
inline constexpr Empty empty{};

// A database for one test case.
class TestDatabase {
 public:
  explicit TestDatabase(std::int64_t partition_rows = 1'000'000)
      : name_(PrivatePostgres::server().create_database(partition_rows)) {}
  explicit TestDatabase(Empty) : name_(PrivatePostgres::server().create_database(0)) {}
  ~TestDatabase() {
    try {
      PrivatePostgres::server().drop_database(name_);
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
  }
  TestDatabase(const TestDatabase&) = delete;
  TestDatabase& operator=(const TestDatabase&) = delete;

  const std::string& name() const { return name_; }

  DatabaseConfig config() const {
    return database_config(PrivatePostgres::server().socket_dir(), name_);
  }

  void sql(const std::string& text) { query(text); }
  std::string query(const std::string& text) {
    return PrivatePostgres::server().psql(name_, "SET search_path = eventhub, public;\n" + text);
  }

 private:
  std::string name_;
};

}  // namespace eventhub::test
