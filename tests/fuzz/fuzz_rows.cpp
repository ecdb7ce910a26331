// Any bytes are rows or a std::invalid_argument.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string_view>

#include "clearway/fusion/raw_data.hpp"
#include "clearway/fusion/row_scanner.hpp"

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace clearway;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto separator = static_cast<CsvSeparator>(data[0] % 5);
  fusion::RowScanner rows(text, "text", separator);
  std::size_t width = 0, line = 0;
  try {
    while (rows.next()) {
      require(!rows.cells().empty() && (width == 0 || rows.cells().size() == width) && rows.line() > line);
      width = rows.cells().size();
      line = rows.line();
      for (const auto cell : rows.cells()) {
        double number = 0;
        if (fusion::read_finite(cell, number)) require(std::isfinite(number));
        const std::string name = fusion::canonical_name(cell);
        require(fusion::canonical_name(name) == name);
        for (const auto unit : {fusion::TimeUnit::clock, fusion::TimeUnit::iso, fusion::TimeUnit::hours})
          if (fusion::read_time(cell, unit, number)) require(std::isfinite(number));
      }
    }
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
