// The matrix types of the statistical half. Rows are observations, always.
#pragma once

#include <Eigen/Core>

namespace clearway {

using Matrix = Eigen::MatrixXd;  ///< column-major, double
using Vector = Eigen::VectorXd;
using ConstMatrixRef = Eigen::Ref<const Eigen::MatrixXd, 0, Eigen::OuterStride<>>;
using ConstVectorRef = Eigen::Ref<const Eigen::VectorXd>;

}  // namespace clearway
