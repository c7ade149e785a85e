// What the log says of the database.
#include "app/migrate.hpp"
#include "support/catch.hpp"

namespace eventhub::app {
namespace {

std::string described(const std::string& url) {
  DatabaseConfig database;
  database.url = url;
  return describe(database);
}

TEST_CASE("a connection string is described without its password, wherever that stands") {
  for (const char* url :
       {"postgresql://ada:hunter2@db:5433/events", "postgres://ada:hunter2://x@db:5433/events",
        "postgresql://ada:hun?ter2@db/events", "postgresql://ada:x@ter2?y@db/events",
        "postgresql://db:5433/events?user=ada&password=hunter2",
        "postgresql://db:5433/events?user=ada&password=x@hunter2",
        "host=db port=5433 dbname=events user=ada password=hunter2",
        "host=db port=5433 dbname=events password=x://hunter2",
        "host=db port=5433 dbname=events password='a postgresql://hunter2'"}) {
    CAPTURE(url);
    CHECK(described(url).find("ter2") == std::string::npos);
  }
  CHECK(described("postgresql://ada:a/b://c@db:5433/events?sslmode=require") == "db:5433/events");
  CHECK(described("postgresql:///events") == "/events");
  CHECK(described("host=db password=x://y") == "DATABASE_URL");
}

}  // namespace
}  // namespace eventhub::app
