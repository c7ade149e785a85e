// Takes a connection URL apart; store/database.cpp adds its own keywords.
#include <libpq-fe.h>

#include <memory>
#include <stdexcept>

#include "eventhub/pg/connection.hpp"

namespace eventhub::pg {

std::vector<std::pair<std::string, std::string>> parse_conninfo(const std::string& conninfo) {
  char* complaint = nullptr;
  const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options(
      PQconninfoParse(conninfo.c_str(), &complaint), PQconninfoFree);
  PQfreemem(complaint);  // it quotes the text, password and all
  if (!options) throw std::runtime_error("not a valid postgresql:// URL or list of keyword=value");
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val != nullptr) out.emplace_back(option->keyword, option->val);
  }
  return out;
}

}  // namespace eventhub::pg
