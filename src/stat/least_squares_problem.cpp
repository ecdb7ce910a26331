#include "least_squares_problem.hpp"

#include <Eigen/QR>
#include <algorithm>
#include <cmath>

#include "clearway/base/parallel.hpp"
#include "regression_function.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr Index kBlockRows = 512;                // a block of some ten columns stays in the cache
constexpr std::size_t kChunkBlocks = 8;          // blocks that one task takes
constexpr double kLargestLogTemperature = 12.0;  // as in EM

double& value_of(MixtureModel& model, const RegressionParameter& p) {
  return p.gate ? model.gate.parameters()(p.index)
                : model.experts[static_cast<std::size_t>(p.expert)].parameters()(p.index);
}
double value_of(const MixtureModel& model, const RegressionParameter& p) {
  return p.gate ? model.gate.parameters()(p.index)
                : model.experts[static_cast<std::size_t>(p.expert)].parameters()(p.index);
}

// The triangular factor of `rows` below the factor `r`, which it replaces.
void join(Matrix& r, const Matrix& rows, Eigen::HouseholderQR<Matrix>& qr) {
  const Index columns = r.cols();
  Matrix stack(columns + rows.rows(), columns);
  stack.topRows(columns) = r;
  stack.bottomRows(rows.rows()) = rows;
  qr.compute(stack);
  r = qr.matrixQR().topRows(columns).triangularView<Eigen::Upper>();
}

Vector residual(const MixtureModel& model, const Data& block, int response) {
  const Matrix weights = model.gate.log_weights(block.gate_inputs).array().exp();
  return block.response.col(response) - weights.cwiseProduct(expert_means(model, block, response)).rowwise().sum();
}

}  // namespace

LeastSquaresProblem::LeastSquaresProblem(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                                         int threads)
    : threads_(threads) {
  for (Index begin = 0; begin < data.rows(); begin += kBlockRows)
    blocks_.push_back(scaling.standardised(data, begin, std::min(kBlockRows, data.rows() - begin)));
  total_weight_ = data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows());
  responses_ = static_cast<int>(data.response.cols());
  parameters_ = regression_parameters(prototype);
  std::stable_partition(parameters_.begin(), parameters_.end(), [](const RegressionParameter& p) { return p.linear; });
  for (const RegressionParameter& p : parameters_)
    if (p.linear) linear_parameters_.push_back(p);
  linear_ = static_cast<Index>(linear_parameters_.size());
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const RegressionParameter& p = parameters_[i];
    ridged_.push_back(p.gate && !prototype.gate.unpenalised(p.index));
    if (p.gate && prototype.gate.is_log_temperature(p.index)) log_temperature_ = static_cast<Index>(i) - linear_;
  }
}

Vector LeastSquaresProblem::nonlinear(const MixtureModel& model) const {
  Vector values(nonlinear_count());
  for (Index i = 0; i < values.size(); ++i)
    values(i) = value_of(model, parameters_[static_cast<std::size_t>(linear_ + i)]);
  return values;
}

void LeastSquaresProblem::set_nonlinear(const Vector& values, MixtureModel& model) const {
  for (Index i = 0; i < values.size(); ++i)
    value_of(model, parameters_[static_cast<std::size_t>(linear_ + i)]) =
        i == log_temperature_ ? std::clamp(values(i), -kLargestLogTemperature, kLargestLogTemperature) : values(i);
}

Matrix LeastSquaresProblem::ridge_rows(const MixtureModel& model) const {
  const auto size = static_cast<Index>(parameters_.size());
  std::vector<Index> ridged;
  for (Index i = 0; i < size; ++i) {
    const RegressionParameter& p = parameters_[static_cast<std::size_t>(i)];
    if (p.gate ? ridge_ > 0 && ridged_[static_cast<std::size_t>(i)] : expert_ridge_ > 0) ridged.push_back(i);
  }
  Matrix rows = Matrix::Zero(static_cast<Index>(ridged.size()), size + 1);
  for (Index i = 0; i < rows.rows(); ++i) {
    const Index column = ridged[static_cast<std::size_t>(i)];
    const RegressionParameter& p = parameters_[static_cast<std::size_t>(column)];
    const double root = std::sqrt(p.gate ? ridge_ : expert_ridge_);
    rows(i, column) = root;
    rows(i, size) = -root * value_of(model, p);
  }
  return rows;
}

double LeastSquaresProblem::penalty(const MixtureModel& model) const {
  return ridge_rows(model).rightCols(1).squaredNorm();
}

Matrix LeastSquaresProblem::accumulate(Index columns, const Fill& fill, const Matrix& extra_rows) const {
  const std::size_t chunks = (blocks_.size() + kChunkBlocks - 1) / kChunkBlocks;
  std::vector<Matrix> factors(chunks, Matrix::Zero(columns, columns));
  parallel_for(chunks, threads_, [&](std::size_t chunk) {
    Eigen::HouseholderQR<Matrix> qr;
    const std::size_t end = std::min(blocks_.size(), (chunk + 1) * kChunkBlocks);
    for (std::size_t b = chunk * kChunkBlocks; b < end; ++b) {
      const Data& block = blocks_[b];
      Matrix rows(block.rows() * responses_, columns);
      for (int j = 0; j < responses_; ++j) fill(block, j, rows.middleRows(j * block.rows(), block.rows()));
      if (block.weights.size()) {
        const Vector root = block.weights.cwiseSqrt();
        for (int j = 0; j < responses_; ++j) {
          auto part = rows.middleRows(j * block.rows(), block.rows());
          for (Index c = 0; c < columns; ++c) part.col(c).array() *= root.array();
        }
      }
      join(factors[chunk], rows, qr);
    }
  });
  Matrix total = factors.front();
  Eigen::HouseholderQR<Matrix> qr;
  for (std::size_t chunk = 1; chunk < chunks; ++chunk) join(total, factors[chunk], qr);
  if (extra_rows.rows() > 0) join(total, extra_rows, qr);
  return total;
}

Matrix LeastSquaresProblem::residual_products(const MixtureModel& model) const {
  std::vector<Matrix> parts(blocks_.size());
  parallel_for(blocks_.size(), threads_, [&](std::size_t b) {
    const Data& block = blocks_[b];
    Matrix e(block.rows(), responses_);
    for (int j = 0; j < responses_; ++j) e.col(j) = residual(model, block, j);
    parts[b] =
        block.weights.size() ? Matrix(e.transpose() * block.weights.asDiagonal() * e) : Matrix(e.transpose() * e);
  });
  Matrix total = Matrix::Zero(responses_, responses_);
  for (const Matrix& part : parts) total += part;
  return total;
}

double LeastSquaresProblem::sum_of_squares(const MixtureModel& model) const {
  return residual_products(model).trace() + penalty(model);
}

double LeastSquaresProblem::solve_linear(MixtureModel& model) const {
  if (linear_ == 0) return sum_of_squares(model);
  // Ridge rows: those of nonlinear parameters only add a constant.
  const Matrix all_rows = ridge_rows(model);
  Matrix own_rows(all_rows.rows(), linear_ + 1);
  own_rows.leftCols(linear_) = all_rows.leftCols(linear_);
  own_rows.col(linear_) = all_rows.col(all_rows.cols() - 1);
  const Matrix r = accumulate(
      linear_ + 1,
      [&](const Data& block, int response, Eigen::Ref<Matrix> rows) {
        rows.leftCols(linear_) = regression_jacobian(model, linear_parameters_, block, response);
        rows.col(linear_) = residual(model, block, response);
      },
      own_rows);
  if (!r.allFinite()) return std::numeric_limits<double>::infinity();
  const double shortest = kNoInfluence * std::sqrt(total_weight_);
  const Vector length = r.leftCols(linear_).colwise().norm();
  const Vector scale = length.cwiseMax(shortest);
  Matrix unit = r.topLeftCorner(linear_, linear_) * scale.cwiseInverse().asDiagonal();
  for (Index j = 0; j < linear_; ++j)
    if (length(j) < shortest) unit.col(j).setZero();
  Eigen::CompleteOrthogonalDecomposition<Matrix> solver;
  solver.setThreshold(kLinearlyDependent);
  solver.compute(unit);
  const Vector target = r.col(linear_).head(linear_);
  const Vector step = solver.solve(target);
  const double left = (target - unit * step).squaredNorm() + r(linear_, linear_) * r(linear_, linear_);
  for (Index i = 0; i < linear_; ++i) value_of(model, parameters_[static_cast<std::size_t>(i)]) += step(i) / scale(i);
  return left;
}

Matrix LeastSquaresProblem::factor(const MixtureModel& model) const {
  const auto size = static_cast<Index>(parameters_.size());
  return accumulate(
      size + 1,
      [&](const Data& block, int response, Eigen::Ref<Matrix> rows) {
        rows.leftCols(size) = regression_jacobian(model, parameters_, block, response);
        rows.col(size) = residual(model, block, response);
      },
      ridge_rows(model));
}

}  // namespace clearway::detail
