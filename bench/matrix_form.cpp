#include "matrix_form.hpp"

#include <Eigen/Dense>
#include <cmath>

namespace clearway::bench {

namespace {
using Matrix = Eigen::MatrixXd;
using Vector = Eigen::VectorXd;
using View = Eigen::Map<const Matrix>;
using VectorView = Eigen::Map<const Vector>;

constexpr double kHalfLogTwoPi = 0.91893853320467274178;

Vector log_sum_exp(const Matrix& a) {
  const Vector top = a.rowwise().maxCoeff();
  return top.array() + (a.colwise() - top).array().exp().rowwise().sum().log();
}
}  // namespace

double e_step(int n, int p, int K, const double* x, const double* y, const double* coefficients, const double* gate,
              const double* sigma, double* r) {
  const View inputs(x, n, p);
  Matrix joint = inputs * View(gate, p, K);
  const Vector gate_sum = log_sum_exp(joint);
  const Matrix mean = inputs * View(coefficients, p, K);
  for (int k = 0; k < K; ++k)
    joint.col(k).array() +=
        -std::log(sigma[k]) - kHalfLogTwoPi - 0.5 * ((VectorView(y, n) - mean.col(k)).array() / sigma[k]).square();
  const Vector total = log_sum_exp(joint);
  Eigen::Map<Matrix>(r, n, K) = (joint.colwise() - total).array().exp();
  return (total - gate_sum).sum();
}

double e_step_by_rows(int n, int p, int K, const double* x, const double* y, const double* coefficients,
                      const double* gate, const double* sigma, double* r) {
  const View inputs(x, n, p);
  const Matrix score = inputs * View(gate, p, K);
  const Matrix mean = inputs * View(coefficients, p, K);
  Vector normaliser(K), inverse(K), joint(K);
  for (int k = 0; k < K; ++k) {
    normaliser(k) = -std::log(sigma[k]) - kHalfLogTwoPi;
    inverse(k) = 1.0 / sigma[k];
  }
  double log_likelihood = 0.0;
  for (int i = 0; i < n; ++i) {
    double gate_top = -INFINITY, top = -INFINITY, gate_sum = 0.0, sum = 0.0;
    for (int k = 0; k < K; ++k) {
      const double u = (y[i] - mean(i, k)) * inverse(k);
      joint(k) = score(i, k) + normaliser(k) - 0.5 * u * u;
      gate_top = std::max(gate_top, score(i, k));
      top = std::max(top, joint(k));
    }
    for (int k = 0; k < K; ++k) {
      gate_sum += std::exp(score(i, k) - gate_top);
      joint(k) = std::exp(joint(k) - top);
      sum += joint(k);
    }
    for (int k = 0; k < K; ++k) r[i + static_cast<std::ptrdiff_t>(k) * n] = joint(k) / sum;
    log_likelihood += top - gate_top + std::log(sum / gate_sum);
  }
  return log_likelihood;
}

void weighted_grams(int n, int p, int K, const double* x, const double* r, double* gram) {
  const View inputs(x, n, p), weights(r, n, K);
  Matrix scaled(n, p);
  for (int k = 0; k < K; ++k) {
    scaled = inputs.array().colwise() * weights.col(k).array().sqrt();
    Eigen::Map<Matrix> out(gram + static_cast<std::ptrdiff_t>(k) * p * p, p, p);
    out.setZero();
    out.selfadjointView<Eigen::Lower>().rankUpdate(scaled.transpose());
  }
}

}  // namespace clearway::bench
