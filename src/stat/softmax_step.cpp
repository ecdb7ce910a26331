#include "clearway/stat/softmax_step.hpp"

#include <Eigen/Cholesky>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/row_sums.hpp"

namespace clearway {
namespace {

/// Log-softmax of each row, in place. Column by column: the rows of a column-major matrix are far apart.
void normalise_log_rows(Matrix& scores) {
  Eigen::ArrayXd top = scores.col(0);
  for (Eigen::Index i = 1; i < scores.cols(); ++i) top = top.max(scores.col(i).array());
  Eigen::ArrayXd total = Eigen::ArrayXd::Zero(scores.rows());
  for (Eigen::Index i = 0; i < scores.cols(); ++i) {
    scores.col(i).array() -= top;
    total += scores.col(i).array().exp();
  }
  total = total.log();
  for (Eigen::Index i = 0; i < scores.cols(); ++i) scores.col(i).array() -= total;
}

struct Value {
  double value = 0;
  Value& operator+=(const Value& other) {
    value += other.value;
    return *this;
  }
};

struct Derivatives {
  double value = 0;
  Matrix gradient;  ///< p x (k-1)
  Matrix hessian;   ///< (k-1)p square, lower blocks filled
  Derivatives& operator+=(const Derivatives& other) {
    value += other.value;
    gradient += other.gradient;
    hessian += other.hessian;
    return *this;
  }
};

double objective(const Matrix& features, const Matrix& targets, const Matrix& coefficients,
                 const SoftmaxStepOptions& options) {
  const Value sum = detail::sum_over_rows(features.rows(), options.threads, 1, Value{},
                                          [&](Value& s, Eigen::Index first, Eigen::Index count) {
                                            Matrix log_p = features.middleRows(first, count) * coefficients.transpose();
                                            normalise_log_rows(log_p);
                                            s.value += targets.middleRows(first, count).cwiseProduct(log_p).sum();
                                          });
  return sum.value / static_cast<double>(features.rows()) - 0.5 * options.ridge * coefficients.squaredNorm();
}

Derivatives derivatives(const Matrix& features, const Matrix& targets, const Matrix& coefficients, bool with_hessian,
                        int threads) {
  const Eigen::Index p = features.cols();
  const Eigen::Index free = coefficients.rows() - 1;
  const Derivatives zero{0, Matrix::Zero(p, free), with_hessian ? Matrix::Zero(p * free, p * free) : Matrix()};
  Derivatives sums = detail::sum_over_rows(
      features.rows(), threads, p * free * p * free, zero, [&](Derivatives& s, Eigen::Index first, Eigen::Index count) {
        const auto f = features.middleRows(first, count);
        const auto r = targets.middleRows(first, count);
        Matrix log_p = f * coefficients.transpose();
        normalise_log_rows(log_p);
        s.value += r.cwiseProduct(log_p).sum();
        const Matrix probability = log_p.leftCols(free).array().exp();
        const Vector mass = r.rowwise().sum();
        s.gradient.noalias() += f.transpose() * (r.leftCols(free) - mass.asDiagonal() * probability);
        if (!with_hessian) return;
        Matrix weighted;
        for (Eigen::Index j = 0; j < free; ++j)
          for (Eigen::Index i = j; i < free; ++i) {
            Vector weight = mass.array() * probability.col(i).array() * -probability.col(j).array();
            if (i == j) weight.array() += mass.array() * probability.col(i).array();
            weighted.noalias() = weight.asDiagonal() * f;
            s.hessian.block(i * p, j * p, p, p).noalias() += f.transpose() * weighted;
          }
      });
  const double n = static_cast<double>(features.rows());
  sums.value /= n;
  sums.gradient /= n;
  sums.hessian /= n;
  return sums;
}

void check(const Matrix& features, const Matrix& targets, const Matrix& coefficients) {
  if (targets.rows() != features.rows() || coefficients.cols() != features.cols() ||
      targets.cols() != coefficients.rows() || coefficients.rows() < 1)
    user_error(
        "a softmax step needs n x p features, n x k targets and k x p coefficients, not {} x {}, {} x {}, {} x {}",
        features.rows(), features.cols(), targets.rows(), targets.cols(), coefficients.rows(), coefficients.cols());
}

}  // namespace

Matrix with_ones(const ConstMatrixRef& inputs) {
  Matrix features(inputs.rows(), inputs.cols() + 1);
  features.col(0).setOnes();
  features.rightCols(inputs.cols()) = inputs;
  return features;
}

Matrix log_softmax_rows(const Matrix& features, const Matrix& coefficients, int threads) {
  Matrix result(features.rows(), coefficients.rows());
  detail::for_all_rows(features.rows(), threads, [&](Eigen::Index first, Eigen::Index count) {
    Matrix log_p = features.middleRows(first, count) * coefficients.transpose();
    normalise_log_rows(log_p);
    result.middleRows(first, count) = log_p;
  });
  return result;
}

SoftmaxStepResult softmax_newton_step(const Matrix& features, const Matrix& targets, Matrix& coefficients,
                                      const SoftmaxStepOptions& options) {
  check(features, targets, coefficients);
  const Eigen::Index p = features.cols();
  const Eigen::Index free = coefficients.rows() - 1;
  SoftmaxStepResult result;
  Derivatives at = derivatives(features, targets, coefficients, true, options.threads);
  result.before = result.after = at.value - 0.5 * options.ridge * coefficients.squaredNorm();
  if (free == 0) return result;

  const Matrix current = coefficients.topRows(free).transpose();  // p x (k-1), experts in columns
  at.gradient -= options.ridge * current;
  at.hessian.diagonal().array() += options.ridge;
  const Eigen::Map<const Vector> gradient(at.gradient.data(), p * free);
  const Eigen::LLT<Matrix, Eigen::Lower> cholesky(at.hessian);
  Vector direction = cholesky.info() == Eigen::Success ? Vector(cholesky.solve(gradient)) : Vector(gradient);
  if (!direction.allFinite()) direction = gradient;
  result.decrement = gradient.dot(direction);
  if (!(result.decrement > 0)) return result;

  const Eigen::Map<const Matrix> step(direction.data(), p, free);
  double length = 1;
  for (int halving = 0; halving <= options.most_halvings; ++halving, length *= 0.5) {
    Matrix trial = coefficients;
    trial.topRows(free) += length * step.transpose();
    const double value = objective(features, targets, trial, options);
    if (value >= result.before + options.armijo * length * result.decrement) {
      coefficients = trial;
      result.after = value;
      result.step = length;
      return result;
    }
  }
  return result;
}

void softmax_gradient_step(const Matrix& features, const Matrix& targets, double length, Matrix& coefficients,
                           int threads) {
  check(features, targets, coefficients);
  const Eigen::Index free = coefficients.rows() - 1;
  if (free == 0) return;
  coefficients.topRows(free) +=
      length * derivatives(features, targets, coefficients, false, threads).gradient.transpose();
}

}  // namespace clearway
