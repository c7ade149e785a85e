#pragma once
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <string>
#include <string_view>

// Unix-domain stream sockets (unix(7)) beside TCP: who may connect is a question of the file's
// permissions. Written "unix:/path".
namespace eventhub::http {

// Whether it is written so, be the path a good one or not.
bool is_unix(std::string_view address);
// The path of "unix:/path"; empty for everything else.
std::string_view unix_path(std::string_view address);

// What is wrong with it ("must be …"), or empty.
std::string wrong_unix_path(std::string_view path);

// Binds and listens; the file's mode is 0660 less the umask. A file that a dead process has left is
// replaced. Throws boost::system::system_error. The acceptor is one of TCP by type only: neither
// its endpoints nor those of its connections may be asked for.
boost::asio::ip::tcp::acceptor listen_unix(const boost::asio::any_io_executor& executor,
                                           const std::string& path);

// Connected, for what is written for TCP.
boost::asio::ip::tcp::socket connect_unix(const boost::asio::any_io_executor& executor,
                                          const std::string& path,
                                          boost::system::error_code& error);

}  // namespace eventhub::http
