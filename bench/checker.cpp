// The rules of a correct run, one function each; breaks.cpp has a broken log for every rule.
#include "bench/checker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <unordered_map>

namespace eventhub::bench {
namespace {

constexpr std::uint64_t kExamples = 5;
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::max();

// A receipt of a known event by one of its subscribers.
struct Match {
  const Post* post;
  const Receipt* receipt;

  bool delivered() const { return receipt->status >= 200 && receipt->status < 300; }
  std::int64_t answered_post() const { return post->accepted() ? post->answered : kNever; }
  // An answer that could not be given takes no time: the hub had hung up.
  std::int64_t end() const { return std::max(receipt->received, receipt->answered); }
};

class Judge {
 public:
  Judge(const Shape& shape, const Logs& logs) : shape_(shape), logs_(logs) {}

  Verdict judge() {
    take_posts();
    take_receipts();
    by_message();
    by_key();
    seq_by_key();
    return std::move(verdict_);
  }

 private:
  void add(Fault fault, std::uint64_t number, std::uint32_t subscriber, std::string_view what) {
    const auto count = ++verdict_.faults[static_cast<std::size_t>(fault)];
    if (count > kExamples) return;
    verdict_.examples.push_back(fmt::format("{}: event {} at subscriber {}: {}", to_string(fault),
                                            number, subscriber, what));
  }

  void take_posts() {
    verdict_.posted = logs_.posts.size();
    verdict_.idle = shape_.idle;
    posts_.reserve(logs_.posts.size());
    for (const Post& post : logs_.posts) {
      posts_.emplace(post.number, &post);
      verdict_.accepted += post.accepted();
      verdict_.refused += post.refused();
      verdict_.failed += post.status >= 500;
      verdict_.unanswered += post.status == 0;
      if (must_come(post)) verdict_.expected += shape_.kinds.at(post.kind).count;
    }
  }

  static bool must_come(const Post& post) { return post.accepted() && !post.optional; }

  void take_receipts() {
    verdict_.deliveries = logs_.receipts.size();
    matches_.reserve(logs_.receipts.size());
    for (const Receipt& receipt : logs_.receipts) {
      const auto found = posts_.find(receipt.number);
      if (const char* wrong = foreign(found == posts_.end() ? nullptr : found->second, receipt)) {
        add(Fault::unknown, receipt.number, receipt.subscriber, wrong);
        continue;
      }
      const Post& post = *found->second;
      if (!receipt.intact || receipt.key != post.key || receipt.counter != post.counter) {
        add(Fault::altered, receipt.number, receipt.subscriber, "not the body that was posted");
      }
      matches_.push_back({&post, &receipt});
    }
  }

  const char* foreign(const Post* post, const Receipt& receipt) const {
    if (post == nullptr) return "nobody posted it";
    if (post->refused()) return "it was refused";
    if (post->accepted() && post->event_id != receipt.event_id) return "another X-Event-Id";
    if (!shape_.goes_to(post->kind, receipt.subscriber)) return "not its subscriber";
    return nullptr;
  }

  // Lost and duplicate: receipts grouped by message, against the messages that there must be.
  void by_message() {
    std::ranges::sort(matches_, {}, [](const Match& m) {
      return std::tuple(m.post->number, m.receipt->subscriber, m.receipt->received);
    });
    std::uint64_t found = 0;
    std::vector<const Match*> firsts;
    for (std::size_t i = 0, end = 0; i < matches_.size(); i = end) {
      const Match& first = matches_[i];
      std::uint64_t delivered = 0;
      for (end = i; end < matches_.size() && same_message(first, matches_[end]); ++end) {
        const bool counts = (matches_[end].delivered() || shape_.at_most_once) &&
                            !shape_.bystander(first.receipt->subscriber);
        if (counts && ++delivered > 1) report(Fault::duplicate, matches_[end], "sent again");
        if (matches_[end].receipt->message_id != first.receipt->message_id) {
          report(Fault::altered, matches_[end], "its X-Message-Id changed");
        }
      }
      if (delivered > 0 && must_come(*first.post)) ++found, firsts.push_back(&first);
    }
    if (found < verdict_.expected) find_lost(firsts);
  }

  static bool same_message(const Match& a, const Match& b) {
    return a.post == b.post && a.receipt->subscriber == b.receipt->subscriber;
  }

  void report(Fault fault, const Match& match, std::string_view what) {
    add(fault, match.receipt->number, match.receipt->subscriber, what);
  }

  void find_lost(const std::vector<const Match*>& delivered) {
    std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> subscribers;
    for (const Match* match : delivered) {
      subscribers[match->post->number].push_back(match->receipt->subscriber);
    }
    for (const Post& post : logs_.posts) {
      if (!must_come(post)) continue;
      const auto& got = subscribers[post.number];
      const Shape::Range range = shape_.kinds.at(post.kind);
      for (std::uint32_t s = range.first; s < range.first + range.count; ++s) {
        if (std::ranges::find(got, s) == got.end()) {
          add(Fault::lost, post.number, s, to_string(post.event_id));
        }
      }
    }
  }

  // Order and overlap, for subscribers that ask for order. Before: B was sent after A's 202. So an
  // event that comes when the latest send among those that came is after its 202 is too late.
  void by_key() {
    std::vector<Match> ordered;
    std::ranges::copy_if(matches_, std::back_inserter(ordered), [this](const Match& m) {
      return m.post->key != kNoKey && shape_.ordered(m.receipt->subscriber);
    });
    std::ranges::sort(ordered, {}, [](const Match& m) {
      return std::tuple(m.receipt->subscriber, m.post->key, m.receipt->received);
    });
    const Match* before = nullptr;
    std::int64_t latest_sent = 0, busy_until = 0;
    for (const Match& match : ordered) {
      if (before == nullptr || before->post->key != match.post->key ||
          before->receipt->subscriber != match.receipt->subscriber) {
        latest_sent = busy_until = 0;
      }
      if (match.answered_post() < latest_sent) report(Fault::order, match, "after a younger one");
      if (match.receipt->received < busy_until) report(Fault::overlap, match, "before an answer");
      latest_sent = std::max(latest_sent, match.post->sent);
      busy_until = std::max(busy_until, match.end());
      before = &match;
    }
  }

  // X-Event-Seq grows along a key, for every subscriber: a consumer may drop what is not newer.
  void seq_by_key() {
    std::vector<Match> events;
    for (const Match& match : matches_) {
      if (match.post->key == kNoKey) continue;
      if (!events.empty() && events.back().post == match.post) {
        if (events.back().receipt->seq != match.receipt->seq) {
          report(Fault::altered, match, "its X-Event-Seq changed");
        }
        continue;
      }
      events.push_back(match);
    }
    std::ranges::sort(events, {},
                      [](const Match& m) { return std::tuple(m.post->key, m.receipt->seq); });
    std::int64_t latest_sent = 0;
    for (std::size_t i = 0; i < events.size(); ++i) {
      if (i == 0 || events[i - 1].post->key != events[i].post->key) latest_sent = 0;
      if (events[i].answered_post() < latest_sent) {
        report(Fault::order, events[i], "its X-Event-Seq is above that of a younger one");
      }
      latest_sent = std::max(latest_sent, events[i].post->sent);
    }
  }

  const Shape& shape_;
  const Logs& logs_;
  Verdict verdict_;
  std::unordered_map<std::uint64_t, const Post*> posts_;
  std::vector<Match> matches_;
};

}  // namespace

std::string_view to_string(Fault fault) {
  constexpr std::array<std::string_view, kFaults> names = {"lost",    "duplicate", "order",
                                                           "overlap", "unknown",   "altered"};
  return names[static_cast<std::size_t>(fault)];
}

bool Verdict::clean() const {
  return std::ranges::all_of(faults, [](std::uint64_t count) { return count == 0; });
}

Verdict check(const Shape& shape, const Logs& logs) {
  return Judge(shape, logs).judge();
}

}  // namespace eventhub::bench
