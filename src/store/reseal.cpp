// Encrypting the secrets of subscribers anew, for `eventhubd keys rotate-master`.
#include "eventhub/store/reseal.hpp"

#include <fmt/format.h>

#include <optional>

#include "eventhub/core/json.hpp"

namespace eventhub::store {
namespace {

constexpr int kPassesMax = 20;  // over rows that others change at the same time

const pg::Statement kRead{
    "reseal_read",
    "SELECT sid, id, secret, previous_secret, headers::text FROM subscribers WHERE sid > $1"
    " ORDER BY sid LIMIT 100"};

// updated_at stays: it is about what people change.
const pg::Statement kWrite{"reseal_write", R"(
UPDATE subscribers s SET secret = n.secret, previous_secret = n.previous_secret, headers = n.headers
FROM jsonb_to_recordset($1::jsonb) AS n(sid int, secret text, previous_secret text, headers jsonb,
                                        was_secret text, was_previous text, was_headers jsonb)
WHERE s.sid = n.sid AND s.secret IS NOT DISTINCT FROM n.was_secret
  AND s.previous_secret IS NOT DISTINCT FROM n.was_previous AND s.headers = n.was_headers)"};

using OptionalText = std::optional<std::string>;

std::string quoted_or_null(const OptionalText& text) {
  std::string out;
  if (!text) return "null";
  append_json_string(out, *text);
  return out;
}

// The text as it should be stored; `changed` when it is not so yet.
OptionalText renewed(const SecretBox& box, SecretUse use, const OptionalText& stored,
                     bool& changed) {
  if (!stored || box.is_current(*stored)) return stored;
  changed = true;
  return box.seal(use, box.open(use, *stored));
}

std::string renewed_headers(const SecretBox& box, const std::string& json, bool& changed) {
  constexpr std::size_t kDepth = 1'000;  // only texts are headers, the rest is left as it is
  const auto members = read_json_object(json, kDepth);
  if (!std::holds_alternative<std::vector<JsonMember>>(members)) return json;
  std::string out;
  for (const JsonMember& member : std::get<0>(members)) {
    if (!out.empty()) out += ',';
    append_json_string(out, member.name);
    const OptionalText value = renewed(box, SecretUse::header, json_string(member.value), changed);
    out += ':' + (value ? quoted_or_null(value) : std::string(member.value.text));
  }
  return '{' + out + '}';
}

struct ResealBatch {
  std::int32_t last = -1;  // sid; none read
  std::string rows;        // of those to write, for kWrite
  std::int64_t count = 0;
};

void add_row(const pg::Result& result, int row, const SecretBox& box, ResealBatch& batch) {
  const auto text = [&](int column) {
    return result.is_null(row, column) ? OptionalText() : OptionalText(result.text(row, column));
  };
  bool changed = false;
  const OptionalText secret = renewed(box, SecretUse::signing, text(2), changed);
  const OptionalText previous = renewed(box, SecretUse::signing, text(3), changed);
  const std::string before(result.text(row, 4));
  const std::string headers = renewed_headers(box, before, changed);
  if (!changed) return;
  if (batch.count++ > 0) batch.rows += ',';
  batch.rows +=
      fmt::format(R"({{"sid":{},"secret":{},"previous_secret":{},"headers":{},"was_secret":{},)"
                  R"("was_previous":{},"was_headers":{}}})",
                  result.i32(row, 0), quoted_or_null(secret), quoted_or_null(previous), headers,
                  quoted_or_null(text(2)), quoted_or_null(text(3)), before);
}

ResealBatch read_rows(const pg::Result& result, const SecretBox& box, Resealed& done) {
  ResealBatch batch;
  for (int row = 0; row < result.rows(); ++row) {
    batch.last = result.i32(row, 0);
    try {
      add_row(result, row, box, batch);
    } catch (const SealedError& error) {
      done.problems.push_back(
          fmt::format("subscriber {}: {}", to_string(result.uuid(row, 1)), error.what()));
    }
  }
  return batch;
}

// All rows once. Returns how many were changed by others between being read and being written.
Task<std::int64_t> pass(pg::Connection& connection, const SecretBox& box, Resealed& done) {
  std::int64_t missed = 0;
  std::int32_t after = -1;
  done.problems.clear();
  while (true) {
    pg::Params params;
    params.i32(after);
    const pg::Result result = co_await connection.run(kRead, std::move(params));
    const ResealBatch batch = read_rows(result, box, done);
    if (batch.last < 0) co_return missed;
    after = batch.last;
    if (batch.count == 0) continue;
    pg::Params rows;
    rows.text('[' + batch.rows + ']');
    const pg::Result written = co_await connection.run(kWrite, std::move(rows));
    done.changed += written.affected();
    missed += batch.count - written.affected();
  }
}

}  // namespace

Task<Resealed> reseal(Database& database, const SecretBox& box) {
  Resealed done;
  const pg::ConnectionPtr connection = co_await database.connect(Profile::general);
  for (int i = 0; i < kPassesMax; ++i) {
    const std::int64_t missed = co_await pass(*connection, box, done);
    if (missed == 0) co_return done;
  }
  throw std::runtime_error("subscribers are changed all the time by others; try again");
}

}  // namespace eventhub::store
