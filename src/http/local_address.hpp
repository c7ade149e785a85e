#pragma once
#include <boost/asio/ip/address.hpp>
#include <string_view>

namespace eventhub::http {

// Whether a connection to `address` ends at this machine's listener on `bind`: that address itself,
// or any address of the machine when the listener has no address of its own.
bool reaches(const boost::asio::ip::address& address, std::string_view bind);

}  // namespace eventhub::http
