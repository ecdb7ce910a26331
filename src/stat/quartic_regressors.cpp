#include <Eigen/Dense>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/stat/moments.hpp"
#include "clearway/stat/quartic_loss.hpp"
#include "clearway/stat/response_transform.hpp"

namespace clearway {
namespace {

/// Columns v2, v3 (zero without a cubic transform), v4.
Matrix transformed_responses(const Vector& y, double centre, const ResponseTransform& transform, double sigma) {
  Matrix v(y.size(), 3);
  if (transform.link.kind == ExpertKind::linear) {
    // Self-calibrated: the mean square of the centred response stands for 1 + sigma^2, in any unit of y.
    const double square = (y.array() - centre).square().mean();
    for (Eigen::Index t = 0; t < y.size(); ++t) {
      const double c = y(t) - centre;
      v.row(t) << c * c / 2, (c * c - 3 * square) * c / 6, (c * c - 6 * square) * c * c / 24;
    }
    return v;
  }
  for (Eigen::Index t = 0; t < y.size(); ++t)
    v.row(t) << transform.quadratic(y(t)) / transform.c2,
        transform.has_cubic ? transform.cubic(y(t), sigma) / transform.c3 : 0.0,
        transform.quartic(y(t), sigma) / transform.c4;
  return v;
}

QuarticMinimum best_minimum(const QuarticLoss& loss, Eigen::Index k, int starts, std::uint64_t seed) {
  QuarticMinimum best;
  bool any = false;
  for (int start = 0; start < std::max(1, starts); ++start) {
    RandomStream stream(seed, static_cast<std::uint64_t>(start));
    Matrix b(k, k);
    for (Eigen::Index i = 0; i < b.size(); ++i) b(i) = stream.normal();
    const QuarticMinimum found = minimise(loss, b);
    // A start that ran away has the lowest loss of all and is worth nothing.
    const bool better = !any || (found.converged && (!best.converged || found.loss < best.loss));
    if (better) best = found;
    any = true;
  }
  return best;
}

}  // namespace

SpectralResult quartic_regressors(const Matrix& x, const Vector& y, const SpectralOptions& options, int starts) {
  if (options.experts < 1) user_error("experts must be at least 1, not {}", options.experts);
  if (x.rows() != y.size()) user_error("the inputs have {} rows but the response has {}", x.rows(), y.size());
  if (!x.allFinite() || !y.allFinite()) user_error("the spectral method needs finite inputs and responses");
  const ResponseTransform transform = response_transform(options.link);
  if (!transform.has_quartic || !transform.has_quadratic)
    user_error("{} experts have no quartic and quadratic transform", enum_name(options.link.kind));
  const Eigen::Index k = options.experts;
  const bool linear = options.link.kind == ExpertKind::linear;
  const double centre = linear && options.centre_response ? y.mean() : 0.0;
  SpectralResult result;
  result.sigma = options.sigma;
  const Matrix v = transformed_responses(y, centre, transform, std::isnan(options.sigma) ? 0.0 : options.sigma);
  const InputMoments inputs = input_moments(x, v, options.threads);
  if (k > inputs.whitening.rank()) {
    result.diagnoses.push_back(fmt::format(
        "The spectral method needs at least as many independent inputs as experts: {} experts, {} inputs of rank {}.",
        k, x.cols(), inputs.whitening.rank()));
    return result;
  }
  const SecondMoment second = second_moment(x, v, 0, inputs, nullptr, options.threads);
  const TopEigen top = top_eigen(second.m2, k);
  result.eigenvalues = top.values;
  result.noise_level =
      2 * std::sqrt(static_cast<double>(inputs.whitening.rank()) / static_cast<double>(x.rows())) * second.residual_sd;
  if (!(top.values(0) > 0)) {
    result.diagnoses.push_back("The second moment of the transformed response has no positive eigenvalue.");
    return result;
  }
  const Vector m2 = top.values.cwiseMax(1e-3 * top.values(0));
  const QuarticLoss loss({Matrix(m2.asDiagonal()), fourth_moment(x, v, 2, inputs, top.vectors, options.threads)}, {});
  const QuarticMinimum minimum = best_minimum(loss, k, starts, options.seed);
  Matrix directions = directions_of(minimum.b);
  Matrix cubic_signs = Matrix::Zero(k, 1);
  if (transform.has_cubic) {
    const SymmetricTensor3 t3 = third_moment(x, v, 1, inputs, top.vectors, nullptr, options.threads);
    for (Eigen::Index i = 0; i < k; ++i) cubic_signs(i) = t3.form(minimum.b.row(i).transpose());
  }
  result.weights.resize(k);
  for (Eigen::Index i = 0; i < k; ++i) {
    const double along = directions.row(i).dot(minimum.b.row(i));
    result.weights(i) = 1 / (along * along) + loss.mu() / loss.lambda();
    const double sign = transform.has_cubic ? cubic_signs(i) * along : along;
    if (sign < 0) directions.row(i) = -directions.row(i);
  }
  result.weights /= result.weights.sum();
  if (linear) directions *= std::sqrt(m2.sum());
  result.slopes = directions * (inputs.whitening.forward * top.vectors).transpose();
  result.intercepts = (-(result.slopes * inputs.whitening.mean)).array() + centre;
  result.found = result.slopes.allFinite() && result.weights.allFinite();
  result.reliable = result.found && minimum.converged && top.values(k - 1) >= result.noise_level;
  if (!minimum.converged)
    result.diagnoses.push_back("No minimisation of the quartic loss converged: the fourth moment is too noisy.");
  return result;
}

}  // namespace clearway
