// Values that are texts to the option table and something to a library: asked here, so that a bad
// one stops the start with its name and place, whatever the roles are. Calls pg and http.
#include "app/config_checks.hpp"

#include <boost/asio/ip/address.hpp>
#include <stdexcept>

#include "eventhub/http/client.hpp"
#include "eventhub/http/egress.hpp"
#include "eventhub/http/master_keys.hpp"
#include "eventhub/http/server.hpp"
#include "eventhub/http/unix_socket.hpp"
#include "eventhub/pg/connection.hpp"

namespace eventhub::app {
namespace {

std::string not_an_address(const std::string& text) {
  boost::system::error_code error;
  boost::asio::ip::make_address(text, error);
  return error ? "is not an IPv4 or IPv6 address to listen on" : "";
}

std::string wrong_bind(const Config& config) {
  const std::string& bind = config.server.bind;
  return http::is_unix(bind) ? http::wrong_unix_path(http::unix_path(bind)) : not_an_address(bind);
}

// What a module's own reader of its settings throws, without the option's name in front.
template <class Read>
std::string complaint(std::string_view option, const Read& read) {
  try {
    read();
  } catch (const std::runtime_error& error) {
    const std::string text = error.what();
    const std::string name = std::string(option) + ": ";
    return text.starts_with(name) ? text.substr(name.size()) : text;
  }
  return {};
}

std::string wrong_url(const Config& config) {
  const std::string& url = config.database.url;
  if (url.empty()) return {};
  return complaint("database.url", [&url] {
    for (const auto& [keyword, value] : pg::parse_conninfo(url)) {
      // Else a part of a password is taken for the host, and told.
      if (keyword == "host" && value.find('@') != std::string::npos)
        throw std::runtime_error("has a host with an @; in a user or password it is written %40");
    }
  });
}

std::string wrong_dns_servers(const Config& config) {
  return complaint("webhook.dns_servers", [&] { http::check_dns_servers(config.webhook); });
}

// Of one list alone: the complaint names its own option.
ConfigCheck check_list(std::string option, std::vector<std::string> EgressConfig::*list) {
  auto wrong = [option, list](const Config& config) {
    EgressConfig only;
    only.*list = config.egress.*list;
    return complaint(option, [&] { const http::EgressPolicy policy(only); });
  };
  return {std::move(option), std::move(wrong)};
}

std::string wrong_ca_file(const Config& config) {
  return complaint("egress.ca_file", [&] { http::check_ca_file(config.egress); });
}

std::string wrong_master_key(const Config& config) {
  return complaint("secrets.master_key",
                   [&] { const http::MasterKeys keys(config.secrets.master_key); });
}

// Both files are read together; the complaint is about the one that is wrong.
std::string wrong_tls(std::string_view option, const Config& config) {
  if (config.server.tls_certificate_file.empty() || config.server.tls_key_file.empty()) return {};
  const std::string wrong = complaint(option, [&] { http::check_server_tls(config.server); });
  return wrong.starts_with("server.tls_") ? "" : wrong;  // of the other one
}

}  // namespace

std::vector<ConfigCheck> config_checks() {
  return {
      {"server.bind", wrong_bind},
      {"server.metrics_bind",
       [](const Config& config) { return not_an_address(config.server.metrics_bind); }},
      {"database.url", wrong_url},
      {"webhook.dns_servers", wrong_dns_servers},
      check_list("egress.allow_cidrs", &EgressConfig::allow_cidrs),
      check_list("egress.allow_hosts", &EgressConfig::allow_hosts),
      check_list("egress.allow_ports", &EgressConfig::allow_ports),
      {"egress.ca_file", wrong_ca_file},
      {"secrets.master_key", wrong_master_key},
      {"server.tls_certificate_file",
       [](const Config& config) { return wrong_tls("server.tls_certificate_file", config); }},
      {"server.tls_key_file",
       [](const Config& config) { return wrong_tls("server.tls_key_file", config); }},
  };
}

}  // namespace eventhub::app
