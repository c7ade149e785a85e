#include "api/access.hpp"

#include "eventhub/http/digest.hpp"
#include "guard/connection.hpp"
#include "guard/path.hpp"

namespace eventhub::guard {
namespace {

constexpr std::size_t kRound = 64;
constexpr std::size_t kKeys = 100;

class Access final : public Path {
 public:
  Access() {
    auto set = std::make_shared<store::KeySet>();
    set->version = 1;
    set->any = true;
    for (std::size_t i = 0; i < kKeys; ++i) {
      auto key = std::make_shared<ApiKey>();
      key->scopes = Scopes(Scope::publish);
      key->digest = http::sha256(token(i));
      set->by_digest.emplace(store::digest_prefix(key->digest), std::move(key));
    }
    keys_ = std::move(set);
    std::string request = post_request();
    request.insert(request.find("\r\n") + 2, "Authorization: Bearer " + token(7) + "\r\n");
    receive(*peer_.connection, request);
  }
  std::size_t round() const override { return kRound; }

  // What api::handle does before the handler.
  void run() override {
    for (std::size_t i = 0; i < kRound; ++i) {
      const auto verdict = access_.check(Scope::publish, peer_.connection->request, now_);
      require(!verdict.refusal && verdict.key != nullptr, "the key is refused");
    }
  }

 private:
  static std::string token(std::size_t i) {
    std::string text = "ehk_" + std::string(64, '0');
    return text.replace(text.size() - 3, 3, std::to_string(100 + i));
  }

  Peer peer_;
  ServerConfig config_;
  store::KeySetPtr keys_;
  api::Access access_{keys_, config_, "0.0.0.0"};
  Mono now_{Seconds{1}};
};

}  // namespace

std::unique_ptr<Path> make_access() {
  return std::make_unique<Access>();
}

}  // namespace eventhub::guard
