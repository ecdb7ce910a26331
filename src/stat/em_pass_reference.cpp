// The readable form of em_pass: whole matrices, one formula per line.
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/em_pass.hpp"

namespace clearway {

namespace {

// log sum exp of every row.
Vector log_sum_exp(const Matrix& a) {
  const Vector top = a.rowwise().maxCoeff();
  return top.array() + (a.colwise() - top).array().exp().rowwise().sum().log();
}

// sum over rows of weight a b'.
Matrix weighted_product(const ConstMatrixRef& a, const Vector& weight, const ConstMatrixRef& b) {
  return a.transpose() * weight.asDiagonal() * b;
}

}  // namespace

EmSums em_pass_reference(const ConstMatrixRef& x, const ConstMatrixRef& z, const ConstVectorRef& y,
                         const Vector& weights, const EmParameters& parameters, Matrix* responsibilities) {
  const Eigen::Index n = x.rows(), K = parameters.experts(), q = z.cols();
  const double eps = parameters.has_noise ? parameters.noise_weight : 0.0;
  const Vector w = weights.size() > 0 ? weights : Vector::Ones(n);

  const Matrix score = z * parameters.gate;
  const Matrix log_gate = score.colwise() - log_sum_exp(score);
  const Matrix residual = (-(x * parameters.coefficients)).colwise() + y;
  const Eigen::Index components = K + (parameters.has_noise ? 1 : 0);
  Matrix joint(n, components);  // log (1 - eps) pi f, and with noise log eps u in the last column
  for (Eigen::Index k = 0; k < K; ++k) {
    const double sigma = parameters.sigma(k);
    joint.col(k) = log_gate.col(k).array() + std::log1p(-eps) - std::log(sigma) - 0.5 * std::log(2.0 * M_PI) -
                   0.5 * (residual.col(k).array() / sigma).square();
  }
  if (parameters.has_noise) joint.col(K).setConstant(std::log(eps) + parameters.noise_log_density);
  const Vector log_density = log_sum_exp(joint);
  const Matrix log_r = joint.colwise() - log_density;
  const Matrix r = log_r.array().exp();
  const Vector share = r.leftCols(K).rowwise().sum();  // 1 - rho
  const Matrix gate = log_gate.array().exp();

  EmSums sums;
  sums.log_likelihood = w.dot(log_density);
  if (parameters.has_noise) sums.noise_mass = w.dot(r.col(K));
  sums.entropy = -(r.array() * log_r.array()).rowwise().sum().matrix().dot(w);
  sums.counts = r.leftCols(K).transpose() * w;
  sums.cross.resize(x.cols(), K);
  sums.squares.resize(K);
  sums.gate_gradient.resize(q, K);
  sums.gate_information.resize(q * (K - 1), q * (K - 1));
  for (Eigen::Index k = 0; k < K; ++k) {
    const Vector wr = w.cwiseProduct(r.col(k));
    sums.gram.push_back(weighted_product(x, wr, x));
    sums.cross.col(k) = x.transpose() * wr.cwiseProduct(residual.col(k));
    sums.squares(k) = wr.dot(residual.col(k).cwiseAbs2());
    sums.gate_gradient.col(k) = z.transpose() * (wr - w.cwiseProduct(share).cwiseProduct(gate.col(k)));
    for (Eigen::Index l = 0; l + 1 < K && k + 1 < K; ++l) {
      const Vector curvature =
          w.array() * share.array() * gate.col(k).array() * ((k == l ? 1.0 : 0.0) - gate.col(l).array());
      sums.gate_information.block(k * q, l * q, q, q) = weighted_product(z, curvature, z);
    }
  }
  if (responsibilities) *responsibilities = r;
  return sums;
}

}  // namespace clearway
