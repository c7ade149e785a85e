// Makes pg::Error of what libpq and the server say; pipeline.cpp and connect.cpp throw it.
#include "pg/error_of.hpp"

#include <libpq-fe.h>

namespace eventhub::pg {
namespace {

std::string field(const pg_result* result, int code) {
  const char* text = PQresultErrorField(result, code);
  return text != nullptr ? text : "";
}

}  // namespace

bool Error::missing_partition() const {
  // A violated CHECK has the same state and names its constraint; the text is translated, so it
  // says nothing.
  return sqlstate == "23514" && constraint.empty();
}

std::string one_line(std::string_view text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.remove_suffix(1);
  std::string out;
  for (const char c : text) {
    if (c == '\n') {
      out += "; ";
    } else if (c != '\t') {
      out += c;
    }
  }
  return out;
}

bool ends_session(const pg_result* result) {
  const std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity == "FATAL" || severity == "PANIC";
}

Error error_of(const pg_result* result, std::string_view where) {
  std::string state = field(result, PG_DIAG_SQLSTATE);
  std::string said = field(result, PG_DIAG_MESSAGE_PRIMARY);
  if (said.empty()) said = one_line(PQresultErrorMessage(result));
  // Without a state it is libpq's own complaint about the link: the server may have committed.
  const bool lost = state.empty() || ends_session(result);
  std::string message = std::string(where) + ": " + said;
  if (!state.empty()) message += " (" + state + ")";
  Error error(message, state, lost, state.empty());
  error.server_message = std::move(said);
  error.constraint = field(result, PG_DIAG_CONSTRAINT_NAME);
  return error;
}

}  // namespace eventhub::pg
