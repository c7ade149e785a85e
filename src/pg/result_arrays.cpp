// Binary decoding of one-dimensional arrays; every length is checked against the bytes there are.
#include <libpq-fe.h>

#include <bit>
#include <stdexcept>
#include <string>

#include "eventhub/pg/result.hpp"
#include "pg/cell.hpp"
#include "pg/wire.hpp"

namespace eventhub::pg {
namespace {

namespace oid = wire::oid;

class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::int32_t number() {
    const std::string_view bytes = take(4);
    return wire::read<std::int32_t>(bytes.data());
  }

  std::string_view take(std::size_t size) {
    if (rest_.size() < size) throw std::logic_error("an array value is cut short");
    const std::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  std::string_view element() {
    const std::int32_t size = number();
    if (size < 0) throw std::logic_error("an array has a NULL element");
    return take(static_cast<std::size_t>(size));
  }

 private:
  std::string_view rest_;
};

// Calls `each` with the bytes of every element.
template <class Each>
void elements(std::string_view bytes, Each each) {
  Reader reader(bytes);
  const std::int32_t dimensions = reader.number();
  reader.number();  // whether there are NULLs
  reader.number();  // type of the elements, known from the column's
  if (dimensions == 0) return;
  if (dimensions != 1) throw std::logic_error("an array has more than one dimension");
  const std::int32_t count = reader.number();
  reader.number();  // lower bound
  for (std::int32_t i = 0; i < count; ++i) each(reader.element());
}

}  // namespace

std::vector<std::string> Result::texts(int row, int column) const {
  const Cell found = cell(raw_.get(), row, column);
  if (found.type != oid::texts && found.type != oid::varchars) {
    wrong_type(raw_.get(), column, oid::texts);
  }
  if (found.null) null_value(raw_.get(), column);
  std::vector<std::string> out;
  elements(found.bytes, [&out](std::string_view bytes) { out.emplace_back(bytes); });
  return out;
}

std::vector<double> Result::f64s(int row, int column) const {
  std::vector<double> out;
  elements(value_of(raw_.get(), row, column, oid::float8s, any_size),
           [&out](std::string_view bytes) {
             if (bytes.size() != 8) throw std::logic_error("a float8 has a wrong size");
             out.push_back(std::bit_cast<double>(wire::read<std::uint64_t>(bytes.data())));
           });
  return out;
}

}  // namespace eventhub::pg
