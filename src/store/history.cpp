// Events and messages for the management API. The statements are in history_sql.hpp, lists go
// through history_scan.cpp.
#include "eventhub/store/history.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "store/history_scan.hpp"
#include "store/history_sql.hpp"

namespace eventhub::store {
namespace {

constexpr int kMessagesShown = 1'000;  // of one event

std::string event_text(const pg::Result& rows, int row) {
  return std::string(rows.text(row, 3));
}

// The id of a message is made from what the row says; it is not in the database.
std::string message_text(const pg::Result& rows, int row) {
  const MessageRef ref{rows.i64(row, 0), rows.i32(row, 1)};
  const std::string id = to_string(message_id(ref, rows.uuid(row, 2)));
  return "{\"id\":\"" + id + "\"," + std::string(rows.text(row, 3).substr(1));
}

// One more member, whose value is JSON.
void append_member(std::string& object, std::string_view name, std::string_view value) {
  object.pop_back();
  object.append(",\"").append(name).append("\":").append(value).append("}");
}

struct ShownMessage {
  Uuid id;
  std::string json;
};

// Attempts of the messages of an event, in their order, as JSON arrays by sid.
Task<std::map<std::int32_t, std::string>> attempts_of(pg::Connection& connection,
                                                      std::int64_t event_seq) {
  pg::Params params;
  params.i64(event_seq);
  const pg::Result rows = co_await connection.run(sql::kHistoryAttempts, std::move(params));
  std::map<std::int32_t, std::string> found;
  for (int row = 0; row < rows.rows(); ++row) {
    std::string& list = found[rows.i32(row, 0)];
    list += list.empty() ? "[" : ",";
    list += rows.text(row, 1);
  }
  for (auto& [sid, list] : found) list += ']';
  co_return found;
}

// Messages of one event, with their attempts: those before `place`, the last ones first.
Task<std::vector<ShownMessage>> messages_of(pg::Connection& connection, std::int64_t event_seq,
                                            MessageRef place, int limit) {
  auto params = history_params(event_seq - 1, event_seq, place, limit, {}, true);
  const pg::Result rows = co_await connection.run(sql::kHistoryMessages, std::move(params));
  const auto attempts = co_await attempts_of(connection, event_seq);
  std::vector<ShownMessage> found;
  for (int row = 0; row < rows.rows(); ++row) {
    const MessageRef ref{rows.i64(row, 0), rows.i32(row, 1)};
    const auto list = attempts.find(ref.sid);
    std::string text = message_text(rows, row);
    append_member(text, "delivery_attempts", list == attempts.end() ? "[]" : list->second);
    found.push_back({message_id(ref, rows.uuid(row, 2)), std::move(text)});
  }
  co_return found;
}

// The id has a coarse index only, so the newest partition is asked first.
Task<std::optional<pg::Result>> event_row(pg::Connection& connection, Uuid id) {
  const pg::Result partitions = co_await connection.run(sql::kHistoryPartitions, {});
  for (int row = 0; row < partitions.rows(); ++row) {
    pg::Params params;
    params.uuid(id).i64(partitions.i64(row, 0)).i64(partitions.i64(row, 1));
    pg::Result found = co_await connection.run(sql::kHistoryEvent, std::move(params));
    if (found.rows() > 0) co_return std::move(found);
  }
  co_return std::nullopt;
}

std::string joined(const std::vector<ShownMessage>& rows) {
  std::string text = "[";
  for (const ShownMessage& row : rows) text.append(text.size() > 1 ? "," : "").append(row.json);
  return text + ']';
}

// What kSendAgain's row says.
Resent sent_again(const pg::Result& row, bool force) {
  if (row.is_null(0, 1)) return Resent::no_subscriber;
  const std::string_view state = row.text(0, 0);
  if (row.boolean(0, 2)) return Resent::done;
  if (row.boolean(0, 3)) return Resent::under_way;
  if (state != "dead" && state != "delivered") return Resent::open;
  return row.text(0, 1) == "at_most_once" && !force ? Resent::at_most_once : Resent::under_way;
}

}  // namespace

Task<HistoryPage> History::events(HistoryFilter filter, std::optional<MessageRef> before,
                                  int limit) {
  auto connection = co_await queries_.lease();
  const HistoryQuery query{sql::kHistoryEvents, event_text};
  auto page = co_await scan_history(*connection, query, std::move(filter), before, limit, false);
  co_return page;
}

Task<HistoryPage> History::messages(HistoryFilter filter, std::optional<MessageRef> before,
                                    int limit) {
  auto connection = co_await queries_.lease();
  const HistoryQuery query{sql::kHistoryMessages, message_text};
  auto page = co_await scan_history(*connection, query, std::move(filter), before, limit, true);
  co_return page;
}

// `filed` is asked before the events: what is moved meanwhile is found by the later look.
Task<std::optional<std::string>> History::event(Uuid id) {
  auto connection = co_await queries_.lease();
  pg::Params params;
  params.uuid(id);
  const pg::Result filed = co_await connection->run(sql::kHistoryFiled, std::move(params));
  if (filed.rows() > 0) {
    std::string text(filed.text(0, 0));
    append_member(text, "payload", filed.text(0, 1));
    append_member(text, "messages", "[]");
    co_return text;
  }
  const auto found = co_await event_row(*connection, id);
  if (!found) co_return std::nullopt;
  std::string text(found->text(0, 1));
  append_member(text, "payload", found->text(0, 2));
  const std::int64_t seq = found->i64(0, 0);
  const MessageRef all{seq + 1, 0};
  const auto messages = co_await messages_of(*connection, seq, all, kMessagesShown);
  append_member(text, "messages", joined(messages));
  co_return text;
}

Task<Cancelled> History::cancel(Uuid id) {
  auto connection = co_await queries_.lease();
  pg::Params params;
  params.uuid(id);
  const pg::Result gone = co_await connection->run(sql::kCancelFiled, std::move(params));
  if (gone.rows() > 0) co_return Cancelled::done;
  const auto found = co_await event_row(*connection, id);
  co_return found ? Cancelled::too_late : Cancelled::no_event;
}

Task<bool> History::expunge(Uuid id) {
  auto connection = co_await queries_.lease();
  pg::Params params;
  params.uuid(id);
  const pg::Result found = co_await connection->run(sql::kExpunge, std::move(params));
  co_return found.boolean(0, 0);
}

Task<std::optional<std::string>> History::message(Uuid id) {
  const auto ref = decode_message_id(id);
  if (!ref) co_return std::nullopt;
  auto connection = co_await queries_.lease();
  const std::int32_t last = std::min(ref->sid, std::numeric_limits<std::int32_t>::max() - 1);
  const MessageRef next{ref->event_seq, last + 1};
  auto found = co_await messages_of(*connection, ref->event_seq, next, 1);
  if (found.empty() || found.front().id != id) co_return std::nullopt;
  co_return std::move(found.front().json);
}

Task<Resent> History::send_again(Uuid message, bool force) {
  const auto ref = decode_message_id(message);
  if (!ref) co_return Resent::no_message;
  auto connection = co_await queries_.lease();
  pg::Params which;
  which.i64(ref->event_seq);
  const pg::Result event = co_await connection->run(sql::kHistoryEventId, std::move(which));
  const bool known = event.rows() == 1 && message_id(*ref, event.uuid(0, 0)) == message;
  if (!known) co_return Resent::no_message;
  pg::Params params;
  params.i64(ref->event_seq).i32(ref->sid).text(force ? "true" : "false");
  const pg::Result row = co_await connection->run(sql::kSendAgain, std::move(params));
  if (row.rows() == 0) co_return Resent::no_message;
  co_return sent_again(row, force);
}

}  // namespace eventhub::store
