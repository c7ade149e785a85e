#pragma once
#include <cstddef>

namespace eventhub::guard {

// Requests for memory since the program began: operator new in all its forms, the aligned blocks
// that Asio takes for handlers, and what OpenSSL asks for once count_openssl() was called.
std::size_t allocations();

// Before anything else of OpenSSL is used.
void count_openssl();

}  // namespace eventhub::guard
