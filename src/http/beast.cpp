// Compiles Beast's and Asio's TLS sources once for the whole program
// (BOOST_*_SEPARATE_COMPILATION).
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
