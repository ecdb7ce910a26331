// Inputs that no fit can use: constant columns (an error) and collinear ones (a warning, and fewer free parameters).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway::detail {

/// Throws std::invalid_argument naming the first column of x that is the same in every row.
void refuse_constant_columns(const ConstMatrixRef& x, const std::vector<std::string>& names, std::string_view option);

/// A sentence for each column that is a linear combination of columns before it and the intercept. Measured on
/// standardised columns: what the others leave unexplained is less than 1e-10 of the variance (a double carries 1e-16;
/// the sums of squares of n rows lose a few digits).
std::vector<std::string> collinear_columns(const ConstMatrixRef& x, const std::vector<std::string>& names,
                                           std::string_view option);

/// Means and correlations of the columns of a matrix that may come in parts.
class ColumnMoments {
 public:
  void add(const ConstMatrixRef& x);
  /// d x d; the unit matrix of fewer than two rows.
  Matrix correlations() const;
  /// How many columns are linear combinations of those before them and the intercept.
  int dependent() const;

 private:
  Eigen::Index rows_ = 0;
  Eigen::RowVectorXd mean_;
  Matrix sums_;  // of squares and products around the means, the lower half
};

/// undetermined_parameters() of data that come in parts.
class UndeterminedParameters {
 public:
  void add(const Data& data);
  int count(const MixtureModel& model) const;

 private:
  ColumnMoments experts_, gate_;
};

/// Coefficients that no fit determines because inputs of experts or of a gate with linear scores are collinear: they are
/// no free parameters, as R's NA coefficients are none. 0 with constraints, which may determine them.
int undetermined_parameters(const MixtureModel& model, const Data& data);

}  // namespace clearway::detail
