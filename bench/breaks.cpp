// One broken record per kind of fault; checker.cpp must find every one of them.
#include "bench/breaks.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>
#include <unordered_map>

namespace eventhub::bench {
namespace {

// The record to break is taken from the middle: neither the first nor the last is special.
Receipt& middle(Logs& logs) {
  if (logs.receipts.empty()) throw std::runtime_error("the log has no delivery to break");
  return logs.receipts[logs.receipts.size() / 2];
}

// Two deliveries in a row of one key to one subscriber that asks for order.
std::pair<Receipt*, Receipt*> neighbours(const Shape& shape, Logs& logs) {
  std::unordered_map<std::uint64_t, const Post*> posts;
  for (const Post& post : logs.posts) posts.emplace(post.number, &post);
  std::ranges::sort(logs.receipts, {}, &Receipt::received);
  std::map<std::pair<std::uint32_t, std::uint32_t>, Receipt*> last;
  for (Receipt& receipt : logs.receipts) {
    if (!shape.ordered(receipt.subscriber) || !posts.contains(receipt.number)) continue;
    const Post& post = *posts.at(receipt.number);
    if (post.key == kNoKey || !post.accepted()) continue;
    Receipt*& before = last[{receipt.subscriber, post.key}];
    if (before != nullptr && posts.at(before->number)->answered < post.sent) {
      return {before, &receipt};
    }
    before = &receipt;
  }
  throw std::runtime_error("the log has no two ordered deliveries of one key to break");
}

}  // namespace

Fault fault_named(std::string_view name) {
  for (std::size_t i = 0; i < kFaults; ++i) {
    const auto fault = static_cast<Fault>(i);
    if (to_string(fault) == name) return fault;
  }
  throw std::invalid_argument("--break is lost, duplicate, order, overlap, unknown or altered");
}

void break_logs(Fault fault, const Shape& shape, Logs& logs) {
  switch (fault) {
    case Fault::lost: {
      const Receipt& gone = middle(logs);
      logs.receipts.erase(logs.receipts.begin() + (&gone - logs.receipts.data()));
      break;
    }
    case Fault::duplicate: {
      Receipt copy = middle(logs);
      copy.received = copy.answered = std::max(copy.received, copy.answered) + 1;
      ++copy.attempt;
      logs.receipts.push_back(copy);
      break;
    }
    case Fault::order: {
      const auto [first, second] = neighbours(shape, logs);
      std::swap(first->received, second->received);
      std::swap(first->answered, second->answered);
      break;
    }
    case Fault::overlap: {
      const auto [first, second] = neighbours(shape, logs);
      first->answered = second->received + 1;
      break;
    }
    case Fault::unknown: {
      Receipt made_up = middle(logs);
      made_up.number = std::numeric_limits<std::uint64_t>::max();
      logs.receipts.push_back(made_up);
      break;
    }
    case Fault::altered:
      middle(logs).intact = 0;
      break;
  }
}

}  // namespace eventhub::bench
