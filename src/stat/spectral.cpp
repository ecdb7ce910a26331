#include "clearway/stat/spectral.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "clearway/base/errors.hpp"
#include "clearway/stat/gaussian_mixture.hpp"
#include "clearway/stat/joint_em.hpp"
#include "clearway/stat/moments.hpp"
#include "clearway/stat/response_transform.hpp"
#include "clearway/stat/row_sums.hpp"

namespace clearway {
namespace {

constexpr double kEigenvalueClip = 1e-3;

void check(const Matrix& x, const Vector& y, const SpectralOptions& options) {
  if (options.experts < 1) user_error("experts must be at least 1, not {}", options.experts);
  if (x.rows() != y.size()) user_error("the inputs have {} rows but the response has {}", x.rows(), y.size());
  if (x.rows() < 2 || x.cols() < 1)
    user_error("the spectral method needs at least 2 rows and 1 input, not {} x {}", x.rows(), x.cols());
  if (!x.allFinite() || !y.allFinite()) user_error("the spectral method needs finite inputs and responses");
  if (options.sigma < 0) user_error("sigma must be at least 0, not {}", options.sigma);
}

/// The origin of the response: its mean for linear experts, unless told otherwise.
double response_centre(const Vector& y, const SpectralOptions& options) {
  return options.link.kind == ExpertKind::linear && options.centre_response ? y.mean() : 0.0;
}

/// The transformed responses, divided by c2 and c3: columns v2, v3 of an n x 2 matrix.
Matrix transformed_responses(const Vector& y, double centre, const ResponseTransform& transform, double sigma) {
  const Eigen::Index n = y.size();
  Matrix v(n, 2);
  if (transform.link.kind == ExpertKind::linear) {
    // Self-calibrated: with y centred, beta = -3 mean(y^2) is right for any noise level and any common length.
    const double square = (y.array() - centre).square().mean();
    for (Eigen::Index t = 0; t < n; ++t) {
      const double c = y(t) - centre;
      v(t, 0) = 0.5 * c * c;
      v(t, 1) = (c * c - 3 * square) * c / 6;
    }
    return v;
  }
  for (Eigen::Index t = 0; t < n; ++t) {
    v(t, 0) = transform.quadratic(y(t)) / transform.c2;
    v(t, 1) = transform.cubic(y(t), sigma) / transform.c3;
  }
  return v;
}

/// Mean over rows of the squared distance of y to the nearest expert.
double nearest_residual_square(const Matrix& x, const Vector& y, const ExpertSpec& link, const SpectralResult& result,
                               int threads) {
  struct Sum {
    double value = 0;
    Sum& operator+=(const Sum& other) {
      value += other.value;
      return *this;
    }
  };
  const Sum sum =
      detail::sum_over_rows(x.rows(), threads, 1, Sum{}, [&](Sum& s, Eigen::Index first, Eigen::Index count) {
        const Matrix eta =
            (x.middleRows(first, count) * result.slopes.transpose()).rowwise() + result.intercepts.transpose();
        Matrix mean;
        mean_function(link, eta, mean);
        s.value += (mean.colwise() - y.segment(first, count)).array().square().rowwise().minCoeff().sum();
      });
  return sum.value / static_cast<double>(x.rows());
}

std::optional<GaussianMixture> input_mixture(const Matrix& x, const InputMoments& inputs, const SecondMoment& shape,
                                             const SpectralOptions& options, SpectralResult& result) {
  if (options.inputs == InputModel::gaussian) return std::nullopt;
  // Mardia's statistics at 5 standard deviations, and large enough to matter: at 1e6 rows everything is significant.
  const bool rejected =
      (std::abs(shape.kurtosis_z) > 5 && std::abs(shape.kurtosis_ratio - 1) > 0.03) || shape.skewness_z > 5;
  if (options.inputs == InputModel::automatic && !rejected) return std::nullopt;
  const GaussianMixtureOptions mixture_options{.components = options.mixture_components, .seed = options.seed};
  // The fit takes evenly spaced rows, so that whitening all of a long table first would be a waste.
  const Eigen::Index rows = std::min(x.rows(), mixture_options.rows);
  Matrix sample(rows, x.cols());
  for (Eigen::Index i = 0; i < rows; ++i)
    sample.row(i) = x.row(
        static_cast<Eigen::Index>(static_cast<double>(i) * static_cast<double>(x.rows()) / static_cast<double>(rows)));
  const Matrix z = inputs.whitening.apply(sample);
  GaussianMixture mixture = fit_gaussian_mixture(z, mixture_options);
  if (options.inputs == InputModel::automatic) {
    GaussianMixtureOptions single = mixture_options;
    single.components = 1;
    if (!(mixture.bic < fit_gaussian_mixture(z, single).bic)) return std::nullopt;
    result.diagnoses.push_back(
        fmt::format("The inputs are not Gaussian (fourth moment {:.3g} times that of a Gaussian); score tensors of a "
                    "mixture of {} Gaussians were used, and the regressors are starting values only.",
                    shape.kurtosis_ratio, mixture.components.size()));
  }
  result.used_mixture = true;
  return mixture;
}

/// Slopes and intercepts of the given inputs from regressors in whitened inputs (r x k).
void map_back(const Matrix& regressors, const Whitening& whitening, double response_centre, SpectralResult& result) {
  result.slopes = (whitening.forward * regressors).transpose();
  result.intercepts = (-(result.slopes * whitening.mean)).array() + response_centre;
}

/// One expert needs no tensor: E[y z] = E[g'(Z)] a, and least squares is exact for linear g.
void single_expert(const Vector& y, const InputMoments& inputs, const ResponseTransform& transform,
                   const SpectralOptions& options, SpectralResult& result) {
  Vector a = inputs.v_slope.col(2) / transform.moments[1][1];
  const bool linear = options.link.kind == ExpertKind::linear;
  if (options.length == RegressorLength::unit || (options.length == RegressorLength::automatic && !linear))
    a.normalize();
  map_back(a, inputs.whitening, linear ? y.mean() : 0.0, result);
  result.weights = Vector::Ones(1);
  result.found = result.reliable = result.slopes.allFinite();
}

SpectralResult run_once(const Matrix& x, const Vector& y, const SpectralOptions& options,
                        const ResponseTransform& transform, double sigma) {
  const Eigen::Index k = options.experts;
  const bool linear = options.link.kind == ExpertKind::linear;
  const double n = static_cast<double>(x.rows());
  const double centre = response_centre(y, options);
  SpectralResult result;
  Matrix v(x.rows(), 3);
  v.leftCols(2) = transformed_responses(y, centre, transform, sigma);
  v.col(2) = y;
  const InputMoments inputs = input_moments(x, v, options.threads);
  const Eigen::Index rank = inputs.whitening.rank();
  if (k > rank) {
    result.diagnoses.push_back(fmt::format(
        "The spectral method needs at least as many independent inputs as experts: {} experts, {} inputs of rank {}.",
        k, x.cols(), rank));
    return result;
  }
  if (k == 1) {
    single_expert(y, inputs, transform, options, result);
    return result;
  }

  SecondMoment second = second_moment(x, v, 0, inputs, nullptr, options.threads);
  const std::optional<GaussianMixture> mixture = input_mixture(x, inputs, second, options, result);
  const GaussianMixture* scores = mixture ? &*mixture : nullptr;
  if (scores != nullptr) second.m2 = second_moment(x, v, 0, inputs, scores, options.threads).m2;
  const TopEigen top = top_eigen(second.m2, k);
  result.eigenvalues = top.values;
  result.noise_level = 2 * std::sqrt(static_cast<double>(rank) / n) * second.residual_sd;
  if (!(top.values(0) > 0)) {
    result.diagnoses.push_back(
        "The second moment of the transformed response has no positive eigenvalue: there is no signal of this mean "
        "function in the response.");
    return result;
  }
  const Vector m2 = top.values.cwiseMax(kEigenvalueClip * top.values(0));
  const SymmetricTensor3 t3 = third_moment(x, v, 1, inputs, top.vectors, scores, options.threads);
  const RankOneTerms terms = decompose(m2, t3,
                                       {.method = options.decomposition,
                                        .starts = options.starts,
                                        .iterations = options.iterations,
                                        .seed = options.seed});
  result.residual = terms.residual;

  Matrix regressors = top.vectors * terms.vectors;
  const RegressorLength length = options.length != RegressorLength::automatic ? options.length
                                 : linear                                     ? RegressorLength::common
                                                                              : RegressorLength::unit;
  // trace(M2) = sum_i w_i |a_i|^2, and the weights sum to 1.
  if (length == RegressorLength::unit) regressors.colwise().normalize();
  if (length == RegressorLength::common) regressors = regressors.colwise().normalized() * std::sqrt(m2.sum());
  map_back(regressors, inputs.whitening, centre, result);
  result.weights = terms.weights / terms.weights.sum();
  result.found = result.slopes.allFinite() && result.weights.allFinite();

  result.reliable = result.found;
  if (top.values(k - 1) < result.noise_level) {
    result.reliable = false;
    result.diagnoses.push_back(
        fmt::format("Eigenvalue {} of the second moment is {:.3g}, within its noise level {:.3g}: there are fewer than "
                    "{} experts, or regressors are nearly collinear, or there are too few rows.",
                    k, top.values(k - 1), result.noise_level, k));
  }
  if (!terms.usable) {
    result.reliable = false;
    result.diagnoses.push_back(
        "The tensor decomposition found a term without positive weight: the moments are too noisy for this many "
        "experts.");
  }
  if (x.rows() < 2000 * k)
    result.diagnoses.push_back(fmt::format(
        "{} rows are few for {} experts: below 2000 per expert the spectral start is often poor; other starts are "
        "needed beside it.",
        x.rows(), k));
  return result;
}

/// Noise level after 10 iterations of joint EM from the spectral answer, on at most 5000 rows.
double refined_sigma(const Matrix& x, const Vector& y, const SpectralOptions& options, const SpectralResult& start) {
  constexpr Eigen::Index kMostRows = 5000;
  constexpr int kIterations = 10;
  const Eigen::Index rows = std::min(kMostRows, x.rows());
  const Eigen::Index d = x.cols();
  // Standardised inputs and a column of ones, so that the steps of EM are well scaled.
  const Eigen::RowVectorXd centre = x.topRows(rows).colwise().mean();
  Matrix z(rows, d + 1);
  z.leftCols(d) = x.topRows(rows).rowwise() - centre;
  Eigen::RowVectorXd scale = (z.leftCols(d).colwise().squaredNorm() / static_cast<double>(rows)).cwiseSqrt();
  scale = (scale.array() > 0).select(scale, 1.0);
  z.leftCols(d).array().rowwise() /= scale.array();
  z.col(d).setOnes();
  JointEmState state;
  state.regressors.resize(options.experts, d + 1);
  state.regressors.leftCols(d) = start.slopes.array().rowwise() * scale.array();
  state.regressors.col(d) = start.intercepts + start.slopes * centre.transpose();
  state.gate = Matrix::Zero(options.experts, d + 1);
  state.variance = std::max(start.sigma * start.sigma, 1e-12);
  JointEmOptions em;
  em.expert = options.link;
  em.max_iterations = kIterations;
  em.tolerance = 0;
  return std::sqrt(joint_em(z, y.head(rows), std::move(state), em).state.variance);
}

}  // namespace

SpectralResult spectral_regressors(const Matrix& x, const Vector& y, const SpectralOptions& options) {
  check(x, y, options);
  const ResponseTransform transform = response_transform(options.link);
  if (!transform.has_cubic && options.experts > 1)
    user_error(
        "the spectral method has no cubic transform for {} experts of degree {}: the mean function is even and "
        "its third moment is zero (quartic_loss.hpp works with the fourth)",
        enum_name(options.link.kind), options.link.degree);
  const bool known = !std::isnan(options.sigma);
  const auto finish = [&](SpectralResult& result) {
    if (result.found)
      result.sigma =
          known ? options.sigma : std::sqrt(nearest_residual_square(x, y, options.link, result, options.threads));
  };
  SpectralResult result = run_once(x, y, options, transform, known ? options.sigma : 0.0);
  finish(result);
  if (known || !result.found || options.experts == 1 || options.link.kind == ExpertKind::linear) return result;
  const double sigma = refined_sigma(x, y, options, result);
  if (!std::isfinite(sigma)) return result;
  result = run_once(x, y, options, transform, sigma);
  if (result.found) result.sigma = sigma;
  return result;
}

double orthogonality_diagnosis(const Matrix& gate_slopes, const Matrix& expert_slopes, const Matrix& covariance) {
  if (gate_slopes.cols() != expert_slopes.cols())
    user_error("gate slopes over {} inputs cannot be compared with expert slopes over {}", gate_slopes.cols(),
               expert_slopes.cols());
  Matrix gates = gate_slopes;
  Matrix experts = expert_slopes;
  if (covariance.size() > 0) {
    if (covariance.rows() != gates.cols() || covariance.cols() != gates.cols())
      user_error("the covariance must be {0} x {0}, not {1} x {2}", gates.cols(), covariance.rows(), covariance.cols());
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(covariance);
    const Matrix root = eigen.eigenvectors() * eigen.eigenvalues().cwiseMax(0).cwiseSqrt().asDiagonal();
    gates *= root;
    experts *= root;
  }
  double longest = 0;
  for (Eigen::Index i = 0; i < gates.rows(); ++i)
    for (Eigen::Index j = 0; j < i; ++j) longest = std::max(longest, (gates.row(i) - gates.row(j)).norm());
  double largest = 0;
  for (Eigen::Index i = 0; i < gates.rows(); ++i)
    for (Eigen::Index j = 0; j < i; ++j) {
      const Eigen::RowVectorXd w = gates.row(i) - gates.row(j);
      const double length = w.norm();
      if (!(length > 1e-8 * longest)) continue;
      for (Eigen::Index l = 0; l < experts.rows(); ++l)
        if (const double size = experts.row(l).norm(); size > 0)
          largest = std::max(largest, std::abs(w.dot(experts.row(l))) / (length * size));
    }
  return largest;
}

}  // namespace clearway
