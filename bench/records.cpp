// Reads the producer's and the sink's logs back; checker.cpp judges them.
#include "bench/records.hpp"

#include <chrono>
#include <filesystem>
#include <stdexcept>

namespace eventhub::bench {
namespace {

template <class Record>
std::vector<Record> read_records(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::error_code error;
  const std::uintmax_t size = std::filesystem::file_size(path, error);
  if (error || !file) throw std::runtime_error("cannot read " + path);
  if (size % sizeof(Record) != 0) throw std::runtime_error(path + " is cut or of another version");
  std::vector<Record> records(size / sizeof(Record));
  file.read(reinterpret_cast<char*>(records.data()), static_cast<std::streamsize>(size));
  if (!file) throw std::runtime_error("cannot read " + path);
  return records;
}

}  // namespace

std::int64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

std::string posts_file(const std::string& directory) {
  return directory + "/posts.log";
}
std::string receipts_file(const std::string& directory) {
  return directory + "/receipts.log";
}
std::string shape_file(const std::string& directory) {
  return directory + "/shape";
}

Logs read_logs(const std::string& directory) {
  Logs logs;
  logs.posts = read_records<Post>(posts_file(directory));
  logs.receipts = read_records<Receipt>(receipts_file(directory));
  return logs;
}

}  // namespace eventhub::bench
