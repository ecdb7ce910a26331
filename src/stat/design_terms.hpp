// Terms of a design: reading them from text, finding their levels, and filling columns of a matrix with them.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "clearway/base/table.hpp"
#include "clearway/stat/design.hpp"

namespace clearway::detail {

/// The rows of a table that take part: all of them, or a list.
class RowSelection {
 public:
  explicit RowSelection(std::size_t rows) : count_(rows) {}
  explicit RowSelection(std::vector<std::size_t> kept) : count_(kept.size()), kept_(std::move(kept)), all_(false) {}

  std::size_t size() const { return count_; }
  std::size_t operator[](std::size_t i) const { return all_ ? i : kept_[i]; }
  bool all() const { return all_; }

 private:
  std::size_t count_;
  std::vector<std::size_t> kept_;
  bool all_ = true;
};

/// The text without blanks around it.
std::string_view trimmed_term(std::string_view text);

/// A number as the name of a category: the shortest text that reads back the same.
std::string category_name(double value);

/// Reads a term. `option` begins every message. Levels of categories are still to be found. An expression of columns
/// becomes a column of the table.
Term parse_term(const std::string& text, Table& table, const std::vector<std::string>& as_category,
                std::string_view option);

/// Splits a product at the signs '*' outside brackets and backticks.
std::vector<std::string_view> product_parts(std::string_view text);
/// Whether a sign '+', '-' or '/' stands outside brackets and backticks.
bool has_open_operator(std::string_view text);

/// The numbers of a column; throws when it is text, naming its first cell that is no number.
const std::vector<double>& numbers_of(const Table& table, const Column& column);

/// Levels of the column that occur in the rows: text by bytes, numbers by size.
std::vector<std::string> levels_of(const Column& column, const RowSelection& rows);

/// Index into `levels` per row (-1 where the cell is missing). A cell that is none of them: std::invalid_argument.
std::vector<int> codes_of(const Table& table, const Column& column, const std::vector<std::string>& levels,
                          const RowSelection& rows);

/// Fills matrices with terms, and remembers the coding of categories between calls.
class TermFiller {
 public:
  TermFiller(const Table& table, const RowSelection& rows) : table_(table), rows_(rows) {}

  /// Writes the columns of a term into `out` from column `first` on; returns how many.
  Eigen::Index fill(const Term& term, Matrix& out, Eigen::Index first);

 private:
  void multiply(const Factor& factor, std::size_t level, Eigen::Ref<Vector> out);
  void multiply_basis(const Factor& factor, std::size_t number, Eigen::Ref<Vector> out);

  const Table& table_;
  const RowSelection& rows_;
  std::map<std::string, std::vector<int>, std::less<>> codes_;
  std::map<std::string, Matrix, std::less<>> bases_;
};

}  // namespace clearway::detail
