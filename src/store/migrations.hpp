#pragma once
#include <cstddef>
#include <span>

namespace eventhub::store {

// One file of migrations/, as cmake/embed_migrations.cmake writes it into the binary.
struct MigrationFile {
  int number;
  const char* name;
  const unsigned char* bytes;
  std::size_t size;
  const char* checksum;  // SHA-256, hex
};

// Ascending by number.
std::span<const MigrationFile> migration_files();

}  // namespace eventhub::store
