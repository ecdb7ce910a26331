// Tables as text, and what a design says of them: for the tests of designs.
#pragma once

#include <functional>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "clearway/io/csv.hpp"
#include "clearway/stat/design.hpp"

namespace clearway {

using Names = std::vector<std::string>;

inline Table table_of(std::string_view text) {
  return read_csv_text(text, {}, "t.csv");
}

inline std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "no exception";
}

inline std::string design_error(std::string_view text, const ColumnChoice& choice,
                                ExpertKind expert = ExpertKind::linear, GateKind gate = GateKind::softmax) {
  return error_of([&] { (void)make_design(table_of(text), choice, expert, gate); });
}

inline Matrix matrix(std::initializer_list<std::initializer_list<double>> rows) {
  Matrix m(static_cast<Eigen::Index>(rows.size()), static_cast<Eigen::Index>(rows.begin()->size()));
  Eigen::Index i = 0;
  for (const auto& row : rows) {
    Eigen::Index j = 0;
    for (const double value : row) m(i, j++) = value;
    ++i;
  }
  return m;
}

}  // namespace clearway
