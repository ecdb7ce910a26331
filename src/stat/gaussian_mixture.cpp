#include "clearway/stat/gaussian_mixture.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"

namespace clearway {
namespace {

void finish(GaussianComponent& component, double ridge) {
  const Eigen::Index r = component.mean.size();
  component.covariance.diagonal().array() += ridge;
  const Eigen::LLT<Matrix> cholesky(component.covariance);
  component.factor = cholesky.matrixL();
  component.precision = cholesky.solve(Matrix::Identity(r, r));
  component.log_normaliser =
      -0.5 * static_cast<double>(r) * std::log(2 * std::numbers::pi) - component.factor.diagonal().array().log().sum();
}

/// log weight + log density per row and component.
Matrix joint(const GaussianMixture& mixture, const ConstMatrixRef& z) {
  Matrix result(z.rows(), static_cast<Eigen::Index>(mixture.components.size()));
  for (std::size_t c = 0; c < mixture.components.size(); ++c) {
    const GaussianComponent& component = mixture.components[c];
    Matrix centred = (z.rowwise() - component.mean.transpose()).transpose();
    component.factor.triangularView<Eigen::Lower>().solveInPlace(centred);
    result.col(static_cast<Eigen::Index>(c)) =
        (-0.5 * centred.colwise().squaredNorm().array() + component.log_normaliser + component.log_weight).matrix();
  }
  return result;
}

/// Rows to responsibilities in place; returns the mean log-likelihood.
double normalise_rows(Matrix& values) {
  const Vector top = values.rowwise().maxCoeff();
  values = (values.colwise() - top).array().exp();
  const Vector total = values.rowwise().sum();
  values.array().colwise() /= total.array();
  return (top.array() + total.array().log()).mean();
}

GaussianMixture run_em(const Matrix& z, GaussianMixture mixture, const GaussianMixtureOptions& options) {
  const double n = static_cast<double>(z.rows());
  const double fewest = static_cast<double>(z.cols() + 1) / n;
  double previous = -std::numeric_limits<double>::infinity();
  for (int iteration = 0; iteration < options.iterations; ++iteration) {
    Matrix r = joint(mixture, z);
    mixture.log_likelihood = normalise_rows(r);
    if (mixture.log_likelihood - previous < options.tolerance) break;
    previous = mixture.log_likelihood;
    std::vector<GaussianComponent> next;
    double kept = 0;
    for (Eigen::Index c = 0; c < r.cols(); ++c) {
      const double weight = r.col(c).mean();
      if (weight < fewest && r.cols() > 1) continue;
      GaussianComponent component;
      component.log_weight = weight;
      component.mean = z.transpose() * r.col(c) / (n * weight);
      const Matrix centred = z.rowwise() - component.mean.transpose();
      component.covariance = centred.transpose() * r.col(c).asDiagonal() * centred / (n * weight);
      finish(component, options.ridge);
      kept += weight;
      next.push_back(std::move(component));
    }
    if (next.empty()) break;
    for (auto& component : next) component.log_weight = std::log(component.log_weight / kept);
    mixture.components = std::move(next);
  }
  Matrix r = joint(mixture, z);
  mixture.log_likelihood = normalise_rows(r);
  const double p = static_cast<double>(z.cols());
  const double df = static_cast<double>(mixture.components.size()) * (1 + p + p * (p + 1) / 2) - 1;
  mixture.bic = -2 * n * mixture.log_likelihood + df * std::log(n);
  return mixture;
}

GaussianMixture spread_start(const Matrix& z, const GaussianMixtureOptions& options) {
  RandomStream stream(options.seed, 0);
  GaussianMixture mixture;
  Vector distance = Vector::Constant(z.rows(), 1.0);
  for (int c = 0; c < options.components; ++c) {
    GaussianComponent component;
    const auto row =
        static_cast<Eigen::Index>(stream.categorical(distance.data(), static_cast<std::size_t>(distance.size())));
    component.mean = z.row(row).transpose();
    component.covariance = Matrix::Identity(z.cols(), z.cols());
    component.log_weight = -std::log(static_cast<double>(options.components));
    finish(component, options.ridge);
    mixture.components.push_back(component);
    const Vector squared = (z.rowwise() - component.mean.transpose()).rowwise().squaredNorm();
    distance = c == 0 ? squared : distance.cwiseMin(squared);
    if (!(distance.sum() > 0)) break;  // fewer distinct rows than components
  }
  return mixture;
}

/// EM for a mixture of N(0, s_c I): only the squared lengths of the rows matter.
GaussianMixture fit_scale_mixture(const Matrix& z, const GaussianMixtureOptions& options) {
  const Vector squared = z.rowwise().squaredNorm();
  // A scale costs two parameters and a pass over n numbers: take enough of them to follow the tails.
  const auto components = static_cast<Eigen::Index>(std::max(options.components, 8));
  const double n = static_cast<double>(z.rows());
  const double r = static_cast<double>(z.cols());
  Vector log_weight = Vector::Constant(components, -std::log(static_cast<double>(components)));
  Vector scale(components);
  for (Eigen::Index c = 0; c < components; ++c) scale(c) = 0.2 * std::pow(2.0, static_cast<double>(c)) + options.ridge;
  Matrix values(z.rows(), components);
  GaussianMixture mixture;
  double previous = -std::numeric_limits<double>::infinity();
  constexpr int kMoreIterations = 5;  // an iteration costs n numbers instead of n r^2
  for (int iteration = 0; iteration < kMoreIterations * options.iterations; ++iteration) {
    for (Eigen::Index c = 0; c < components; ++c)
      values.col(c) =
          -0.5 * squared.array() / scale(c) - 0.5 * r * std::log(2 * std::numbers::pi * scale(c)) + log_weight(c);
    mixture.log_likelihood = normalise_rows(values);
    if (mixture.log_likelihood - previous < 0.1 * options.tolerance) break;
    previous = mixture.log_likelihood;
    for (Eigen::Index c = 0; c < components; ++c) {
      const double mass = std::max(values.col(c).sum(), 1e-10 * n);
      log_weight(c) = std::log(mass / n);
      scale(c) = std::max(values.col(c).dot(squared) / (r * mass), options.ridge);
    }
  }
  for (Eigen::Index c = 0; c < components; ++c) {
    GaussianComponent component;
    component.log_weight = log_weight(c);
    component.mean = Vector::Zero(z.cols());
    component.covariance = Matrix::Identity(z.cols(), z.cols()) * scale(c);
    finish(component, 0);
    mixture.components.push_back(std::move(component));
  }
  mixture.bic = -2 * n * mixture.log_likelihood + (2 * static_cast<double>(components) - 1) * std::log(n);
  return mixture;
}

}  // namespace

Matrix GaussianMixture::responsibilities(const ConstMatrixRef& z) const {
  Matrix r = joint(*this, z);
  normalise_rows(r);
  return r;
}

GaussianMixture fit_gaussian_mixture(const Matrix& z, const GaussianMixtureOptions& options) {
  if (options.components < 1) user_error("components must be at least 1, not {}", options.components);
  if (z.rows() < 1) user_error("a Gaussian mixture needs at least one row");
  Matrix sample;
  if (z.rows() > options.rows) {
    sample.resize(options.rows, z.cols());
    for (Eigen::Index i = 0; i < options.rows; ++i)
      sample.row(i) = z.row(static_cast<Eigen::Index>(static_cast<double>(i) * static_cast<double>(z.rows()) /
                                                      static_cast<double>(options.rows)));
  } else {
    sample = z;
  }
  if (options.components == 1) {
    GaussianMixture one;
    one.components.resize(1);
    one.components[0].mean = Vector::Zero(z.cols());
    one.components[0].covariance = Matrix::Identity(z.cols(), z.cols());
    finish(one.components[0], options.ridge);
    return run_em(sample, std::move(one), options);
  }
  GaussianMixture scales = fit_scale_mixture(sample, options);
  GaussianMixture full = run_em(sample, spread_start(sample, options), options);
  return full.bic < scales.bic ? full : scales;
}

}  // namespace clearway
