// How far a fit of the rates study is from the truth.
#include <algorithm>
#include <cmath>

#include "clearway/base/random.hpp"
#include "clearway/stat/study_rates.hpp"
#include "compare_atoms.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr std::uint64_t kYardstickStream = 7005;
constexpr Index kLinePoints = 1000;      // inputs for the regression function, one input
constexpr Index kBoxPoints = 2000;       // the same, several inputs
constexpr Index kDensityLine = 101;      // inputs for the density, one input
constexpr Index kDensityBox = 200;       // the same, several inputs
constexpr Index kResponsePoints = 401;   // responses per input: steps of less than half a noise deviation
constexpr double kResponseMargin = 6.0;  // noise deviations beyond the outermost means

// Midpoints of equal cells of [low, high] for one input, else points drawn once and for all.
Matrix yardstick(const RateProblem& problem, Index line, Index box) {
  const double width = problem.high - problem.low;
  if (problem.dim() == 1) {
    Matrix points(line, 1);
    for (Index i = 0; i < line; ++i)
      points(i, 0) = problem.low + width * (static_cast<double>(i) + 0.5) / static_cast<double>(line);
    return points;
  }
  RandomStream stream(kYardstickStream);
  return Matrix::NullaryExpr(box, problem.dim(), [&] { return stream.uniform(problem.low, problem.high); });
}

void set_inputs(Data& data, Matrix inputs, const MixtureModel& model) {
  data.gate_inputs = inputs.leftCols(model.gate.inputs());
  data.expert_inputs = std::move(inputs);
}

// Every input beside every response of a grid; the quadrature averages over inputs and sums over responses.
void make_density_grid(const RateProblem& problem, Data& points, Vector& quadrature) {
  const Matrix inputs = yardstick(problem, kDensityLine, kDensityBox);
  const Expert& first = problem.truth.experts.front();
  Vector responses;
  double step = 1.0;
  if (first.spec().kind == ExpertKind::multinomial) {
    responses = Vector::LinSpaced(first.classes(), 0, first.classes() - 1);
  } else if (first.spec().kind == ExpertKind::bernoulli) {
    responses = Vector{{0.0, 1.0}};
  } else if (first.has_sigma() && problem.truth.form == ModelForm::mixture) {
    double low = std::numeric_limits<double>::infinity(), high = -low;
    for (const Expert& expert : problem.truth.experts) {
      const Matrix mean = expert.mean(inputs, Vector(), Vector());
      low = std::min(low, mean.minCoeff() - kResponseMargin * expert.sigma());
      high = std::max(high, mean.maxCoeff() + kResponseMargin * expert.sigma());
    }
    responses = Vector::LinSpaced(kResponsePoints, low, high);
    step = responses(1) - responses(0);
  } else {
    return;
  }
  const Index rows = inputs.rows() * responses.size();
  Matrix repeated(rows, inputs.cols());
  points.response.resize(rows, 1);
  for (Index i = 0; i < inputs.rows(); ++i) {
    repeated.middleRows(i * responses.size(), responses.size()).rowwise() = inputs.row(i);
    points.response.col(0).segment(i * responses.size(), responses.size()) = responses;
  }
  points.classes = first.classes();
  set_inputs(points, std::move(repeated), problem.truth);
  quadrature = Vector::Constant(rows, step / static_cast<double>(inputs.rows()));
}

// Square roots of the density p(y | x) at points.
Vector root_density(const MixtureModel& model, const Data& points) {
  return model.joint_log_density(points).array().exp().rowwise().sum().sqrt();
}

struct KindErrors {
  double gate_slope = std::numeric_limits<double>::quiet_NaN();
  double expert_slope = std::numeric_limits<double>::quiet_NaN();
  double expert_intercept = std::numeric_limits<double>::quiet_NaN();
  double variance = std::numeric_limits<double>::quiet_NaN();

  static void raise(double& largest, double error) { largest = std::isnan(largest) ? error : std::max(largest, error); }
};

// A fit whose parameters ran to infinity is as wrong as can be, and is measured, not dropped: distances stay finite.
template <class Numbers>
void keep_finite(Numbers& numbers) {
  constexpr double kFarAway = 1e12;
  for (Eigen::Index i = 0; i < numbers.size(); ++i) {
    double& value = numbers.data()[i];
    value = std::isfinite(value) ? std::clamp(value, -kFarAway, kFarAway) : kFarAway;
  }
}

}  // namespace

RateErrors::RateErrors(const RateProblem& problem) : problem_(&problem) {
  set_inputs(inputs_, yardstick(problem, kLinePoints, kBoxPoints), problem.truth);
  inputs_.response = Matrix::Zero(inputs_.expert_inputs.rows(), 1);
  true_mean_ = problem.truth.mean(inputs_);
  make_density_grid(problem, density_points_, quadrature_);
  if (quadrature_.size() > 0) true_root_ = root_density(problem.truth, density_points_);
}

void RateErrors::measure(const MixtureModel& fitted, RateTrial& trial) const {
  measure_parameters(fitted, trial);
  measure_functions(fitted, trial);
}

Vector RateErrors::average_weights(const Gate& gate) const {
  return gate.log_weights(inputs_.gate_inputs).array().exp().colwise().mean().matrix().transpose();
}

void RateErrors::measure_functions(const MixtureModel& fitted, RateTrial& trial) const {
  const Matrix difference = fitted.mean(inputs_) - true_mean_;
  trial.error(RateQuantity::regression) = std::sqrt(difference.squaredNorm() / static_cast<double>(difference.rows()));
  if (quadrature_.size() == 0) return;
  const Vector roots = root_density(fitted, density_points_);
  trial.error(RateQuantity::density) = std::sqrt(0.5 * (roots - true_root_).array().square().matrix().dot(quadrature_));
}

void RateErrors::measure_parameters(const MixtureModel& fitted, RateTrial& trial) const {
  MixingMeasure ours = mixing_measure(fitted);
  keep_finite(ours.gate_slopes);
  keep_finite(ours.expert_slopes);
  keep_finite(ours.expert_intercepts);
  MixingMeasure theirs = mixing_measure(problem_->truth);
  if (problem_->truth.form == ModelForm::regression) {  // the noise is no parameter
    ours.variances.resize(0);
    theirs.variances.resize(0);
  }
  const Vector shares = average_weights(fitted.gate);
  GateBlocks form = gate_blocks(problem_->truth.gate);
  if (!form.comparable || !problem_->gate_comparable) {
    form.intercepts_relative = form.slopes_relative = false;
    ours.gate_intercepts = shares.array().log();
    theirs.gate_intercepts = average_weights(problem_->truth.gate).array().log();
    ours.gate_slopes.resize(ours.size(), 0);
    theirs.gate_slopes.resize(theirs.size(), 0);
  }
  const auto loss_of = [&](const VoronoiExponentRule& rule) {
    if (!form.intercepts_relative) return voronoi_loss(ours, theirs, rule, problem_->atom_weight);
    return voronoi_loss_up_to_translation(
        ours, theirs, rule,
        form.slopes_relative ? GateTranslation::intercepts_and_slopes : GateTranslation::intercepts);
  };
  // The search over translations needs some exponent for every cell; a loss with an unknown one is not reported.
  const VoronoiLoss loss =
      loss_of([&](int atoms) { return problem_->exponents(std::min(atoms, problem_->known_cells)); });
  const VoronoiLoss first_order = loss_of([](int) { return VoronoiExponents{1, 1, 1, 1}; });
  std::vector<int> atoms(static_cast<std::size_t>(theirs.size()), 0);
  for (const int cell : loss.cells) ++atoms[static_cast<std::size_t>(cell)];
  trial.cells = fmt::format("{}", fmt::join(atoms, "+"));
  if (*std::max_element(atoms.begin(), atoms.end()) <= problem_->known_cells) {
    trial.error(RateQuantity::loss) = loss.total;
    trial.error(RateQuantity::weight) = loss.weight_part;
  }
  trial.error(RateQuantity::first_order_loss) = first_order.total;

  const auto stands_alone = [&](int i) {
    return atoms[static_cast<std::size_t>(loss.cells[static_cast<std::size_t>(i)])] == 1;
  };
  // Slopes of a softmax gate are known up to one translation: that which makes the expert with the largest share among
  // those that stand alone agree with the truth. Where only one stands alone its own slope says nothing then.
  int reference = -1;
  int alone_count = 0;
  if (form.slopes_relative && ours.gate_slopes.cols() > 0) {
    for (int i = 0; i < ours.size(); ++i) {
      if (!stands_alone(i)) continue;
      ++alone_count;
      if (reference < 0 || shares(i) > shares(reference)) reference = i;
    }
    Vector shift = loss.slope_shift;
    if (reference >= 0)
      shift = theirs.gate_slopes.row(loss.cells[static_cast<std::size_t>(reference)]) - ours.gate_slopes.row(reference);
    ours = translated(ours, loss.intercept_shift, shift);
  }
  KindErrors exact, over;
  double by_share = 0;
  double share = 0;
  for (int i = 0; i < ours.size(); ++i) {
    const int j = loss.cells[static_cast<std::size_t>(i)];
    const bool alone = stands_alone(i);
    KindErrors& kind = alone ? exact : over;
    const double slope = (ours.expert_slopes.row(i) - theirs.expert_slopes.row(j)).norm();
    const double intercept = std::abs(ours.expert_intercepts(i) - theirs.expert_intercepts(j));
    if (ours.gate_slopes.cols() > 0)
      KindErrors::raise(kind.gate_slope, (ours.gate_slopes.row(i) - theirs.gate_slopes.row(j)).norm());
    if (ours.expert_slopes.cols() > 0) KindErrors::raise(kind.expert_slope, slope);
    KindErrors::raise(kind.expert_intercept, intercept);
    if (ours.variances.size() > 0) KindErrors::raise(kind.variance, std::abs(ours.variances(i) - theirs.variances(j)));
    if (alone) continue;
    by_share += shares(i) * std::hypot(slope, intercept);
    share += shares(i);
  }
  if (reference < 0 || alone_count > 1) trial.error(RateQuantity::gate_slope_exact) = exact.gate_slope;
  trial.error(RateQuantity::expert_slope_exact) = exact.expert_slope;
  trial.error(RateQuantity::expert_intercept_exact) = exact.expert_intercept;
  trial.error(RateQuantity::variance_exact) = exact.variance;
  trial.error(RateQuantity::gate_slope_over) = over.gate_slope;
  trial.error(RateQuantity::expert_slope_over) = over.expert_slope;
  trial.error(RateQuantity::expert_intercept_over) = over.expert_intercept;
  trial.error(RateQuantity::variance_over) = over.variance;
  if (share > 0) trial.error(RateQuantity::expert_over_by_share) = by_share / share;
}

}  // namespace clearway
