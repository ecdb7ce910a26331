// Tables whose cells are separated by blanks, as write.table() of R and fixed-width listings write them, turned into ones
// that are separated by tabulators while they are read.
#pragma once

#include <string>
#include <string_view>

#include "byte_source.hpp"

namespace clearway::detail {

/// Whether the first lines look like such a table: at least two names, the same number of cells in every further line, or
/// one more (names of rows), and a number in the second.
bool looks_blank_separated(std::string_view start);

/// Reads another source: runs of blanks and tabulators outside quotation marks become one tabulator, those at the ends of
/// lines go. Where the second line has one cell more than the first, R wrote names of rows: the first cell of every line
/// but the first goes too. The other source must outlive this one and stand at its first byte.
class BlankSeparated : public ByteSource {
 public:
  explicit BlankSeparated(ByteSource& from);

  std::size_t read(char* buffer, std::size_t size) override;
  void rewind() override;
  std::size_t size() const override { return from_.size(); }

 private:
  void convert(char c);

  ByteSource& from_;
  bool row_names_ = false;
  bool quoted_ = false, pending_ = false, line_begins_ = true, any_cell_ = false, dropping_ = false;
  bool first_line_ = true;
  std::string ready_;  // converted, not yet handed out
};

}  // namespace clearway::detail
