// Unix-domain sockets for a server and clients that are written for TCP: once it is open, a stream
// is read, written and closed by the same calls. Called by http/server_accept.cpp, http/probe.cpp
// and cli/call.cpp.
#include "eventhub/http/unix_socket.hpp"

#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/error.hpp>

namespace eventhub::http {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
constexpr std::string_view kScheme = "unix:";
constexpr mode_t kMode = 0660;

// Only a socket to which nobody listens any more.
bool left_behind(const asio::any_io_executor& executor, const std::string& path) {
  struct stat file {};
  if (::lstat(path.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return false;
  boost::system::error_code error;
  Local::socket caller(executor);
  caller.connect(Local::endpoint(path), error);
  return error == asio::error::connection_refused;
}

}  // namespace

bool is_unix(std::string_view address) {
  return address.starts_with(kScheme);
}

std::string_view unix_path(std::string_view address) {
  return is_unix(address) ? address.substr(kScheme.size()) : std::string_view{};
}

std::string wrong_unix_path(std::string_view path) {
  constexpr std::size_t kLengthMax = sizeof(sockaddr_un{}.sun_path) - 1;
  if (!path.starts_with('/')) return "must be an absolute path after unix:";
  if (path.size() > kLengthMax) return "must be a path of at most 107 bytes after unix:";
  return path.find('\0') == path.npos ? "" : "must be a path without NUL";
}

asio::ip::tcp::acceptor listen_unix(const asio::any_io_executor& executor,
                                    const std::string& path) {
  Local::acceptor acceptor(executor);
  acceptor.open(Local());
  ::fchmod(acceptor.native_handle(), kMode);  // of the file that bind() makes
  boost::system::error_code error;
  acceptor.bind(Local::endpoint(path), error);
  if (error == asio::error::address_in_use && left_behind(executor, path)) {
    ::unlink(path.c_str());
    error = {};
    acceptor.bind(Local::endpoint(path), error);
  }
  if (error) throw boost::system::system_error(error);
  acceptor.listen(asio::socket_base::max_listen_connections);
  return {executor, asio::ip::tcp::v4(), acceptor.release()};
}

asio::ip::tcp::socket connect_unix(const asio::any_io_executor& executor, const std::string& path,
                                   boost::system::error_code& error) {
  Local::socket socket(executor);
  asio::ip::tcp::socket connected(executor);
  socket.connect(Local::endpoint(path), error);
  if (!error) connected.assign(asio::ip::tcp::v4(), socket.release(), error);
  return connected;
}

}  // namespace eventhub::http
