// Penalised fits: closed forms, the optimality conditions for all inputs by numerical derivatives, a likelihood that never
// falls, and the right inputs where they are known.
#include "clearway/stat/penalised.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include <rapidcheck/gtest.h>

#include "clearway/base/random.hpp"
#include "clearway/stat/simulate.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using Eigen::Index;

// Columns of mean 0 and standard deviation 1 (divisor n): then the scale of the data is the working scale.
Matrix standardised(Matrix x) {
  x.rowwise() -= x.colwise().mean().eval();
  for (Index j = 0; j < x.cols(); ++j) x.col(j) /= std::sqrt(x.col(j).squaredNorm() / static_cast<double>(x.rows()));
  return x;
}

// One linear expert, orthogonal columns (X'X = n I): the lasso is the least-squares slope moved towards zero by
// lambda sigma^2, sigma^2 being the fit's own residual mean square; the elastic net divides by 1 + lambda (1 - mix) sigma^2.
TEST(Penalised, OrthogonalDesignIsSoftThreshold) {
  constexpr Index n = 64;
  Matrix x(n, 4);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < 4; ++j) x(i, j) = ((i >> j) & 1) != 0 ? 1.0 : -1.0;
  RandomStream stream(5);
  Matrix y(n, 1);
  for (Index i = 0; i < n; ++i) y(i) = 0.9 * x(i, 0) - 0.25 * x(i, 1) + 0.5 * stream.normal();
  Data data;
  data.expert_inputs = x;
  data.gate_inputs = Matrix(n, 0);
  data.response = standardised(y);
  FitOptions options;
  options.experts = 1;
  const Vector least_squares = x.transpose() * data.response / static_cast<double>(n);
  const FitResult free = fit(data, options);
  for (const double share : {1.0, 0.4}) {
    PenaltyOptions penalty;
    penalty.kind = share == 1.0 ? PenaltyKind::lasso : PenaltyKind::elastic_net;
    penalty.mix = share;
    penalty.tolerance = 1e-11;
    const double lambda = 0.35;
    const PenalisedPoint point = penalised_fit(data, options, penalty, lambda, free.model);
    const Expert& expert = point.model.experts.front();
    const double variance = expert.sigma() * expert.sigma();
    int zeros = 0;
    for (Index j = 0; j < 4; ++j) {
      const double threshold = lambda * share * variance;
      const double shrunk =
          std::max(0.0, std::abs(least_squares(j)) - threshold) / (1 + lambda * (1 - share) * variance);
      EXPECT_NEAR(expert.parameters()(1 + j), std::copysign(shrunk, least_squares(j)), 1e-9);
      zeros += shrunk == 0 ? 1 : 0;
    }
    const Vector residual = data.response - x * expert.parameters().segment(1, 4);
    EXPECT_NEAR(variance, residual.squaredNorm() / n, 1e-9);
    EXPECT_EQ(point.expert_slopes, 4 - zeros);
    EXPECT_EQ(point.degrees_of_freedom, 2 + 4 - zeros);
    EXPECT_GT(zeros, 0);
  }
}

struct Problem {
  Data data;
  MixtureModel model;
  FitOptions options;
};

Problem random_problem(ExpertKind kind, std::uint64_t seed, Index rows) {
  RandomStream stream(seed);
  Problem problem;
  const testing::ExpertCase which{{.kind = kind}, 1};
  problem.data = testing::random_data(which, rows, 3, 3, stream);
  problem.data.expert_inputs = standardised(problem.data.expert_inputs);
  problem.data.gate_inputs = standardised(problem.data.gate_inputs);
  problem.model = testing::random_model(GateSpec{}, which, problem.data, 2, stream);
  problem.data.response = simulate(problem.model, problem.data, stream).response;
  if (kind == ExpertKind::linear) problem.data.response = standardised(problem.data.response);
  problem.options.experts = 2;
  problem.options.expert.kind = kind;
  return problem;
}

// d log L / d slope by central differences, extrapolated (Richardson): with steps of a thousandth of the smallest noise
// level, truncation h^4 and rounding 1e-16 |log L| / h are below 1e-8 per row.
template <class Get>
double slope_score(const Data& data, MixtureModel model, Get&& slope) {
  double scale = 1;
  for (const Expert& expert : model.experts)
    if (expert.has_sigma()) scale = std::min(scale, expert.sigma());
  const double value = slope(model);
  const auto difference = [&](double h) {
    slope(model) = value + h;
    const double up = model.log_likelihood(data);
    slope(model) = value - h;
    return (up - model.log_likelihood(data)) / (2 * h);
  };
  const double h = 1e-3 * scale;
  return (4 * difference(h / 2) - difference(h)) / 3;
}

void expect_optimal(double score, double slope, double l1, double l2, double allowed) {
  if (slope == 0)
    RC_ASSERT(std::abs(score) <= l1 + allowed);
  else
    RC_ASSERT(std::abs(score - l2 * slope - std::copysign(l1, slope)) <= allowed);
}

// Karush, Kuhn and Tucker for every input: |score| <= n lambda at zero, equal to it (with the slope's sign) elsewhere.
RC_GTEST_PROP(PenalisedLaws, SlopesMeetTheOptimalityConditions, ()) {
  const auto kind = *rc::gen::element(ExpertKind::linear, ExpertKind::poisson, ExpertKind::bernoulli);
  const auto seed = *rc::gen::inRange<std::uint64_t>(1, 100000);
  const double strength = *rc::gen::element(0.02, 0.08, 0.3);
  const Problem problem = random_problem(kind, seed, 120);
  PenaltyOptions penalty;
  penalty.kind = *rc::gen::element(PenaltyKind::lasso, PenaltyKind::elastic_net);
  const PenalisedPoint point = penalised_fit(problem.data, problem.options, penalty, strength, problem.model);
  for (std::size_t i = 1; i < point.history.size(); ++i)  // the penalised likelihood never falls beyond rounding
    RC_ASSERT(point.history[i] >= point.history[i - 1] - 1e-9 * std::abs(point.history[i - 1]));
  RC_PRE(point.converged);
  const double n = 120;
  const double l1 = n * strength * penalty.lasso_share(), l2 = n * strength * (1 - penalty.lasso_share());
  const double allowed = n * (2 * penalty.tolerance + 1e-8);
  for (std::size_t k = 0; k < 2; ++k)
    for (Index j = 0; j < 3; ++j) {
      const auto slope = [&](MixtureModel& m) -> double& { return m.experts[k].parameters()(1 + j); };
      MixtureModel model = point.model;
      const double value = slope(model);
      RC_ASSERT((value != 0) == point.expert_support[k][static_cast<std::size_t>(j)]);
      expect_optimal(slope_score(problem.data, model, slope), value, l1, l2, allowed);
    }
  for (Index j = 0; j < 3; ++j) {
    const auto slope = [&](MixtureModel& m) -> double& { return m.gate.parameters()(1 + j); };
    MixtureModel model = point.model;
    const double value = slope(model);
    expect_optimal(slope_score(problem.data, model, slope), value, l1, l2, allowed);
  }
}

// Two experts that use two of six inputs each, a gate that uses one: 4 + 1 slopes.
Problem sparse_problem() {
  RandomStream stream(21);
  Problem problem;
  problem.data.expert_inputs = testing::random_matrix(stream, 600, 6);
  problem.data.gate_inputs = problem.data.expert_inputs;
  problem.model.gate = Gate(GateSpec{}, 6, 2);
  problem.model.gate.block(0)(3) = 2.0;
  for (int k = 0; k < 2; ++k) {
    Expert expert(ExpertSpec{}, 6);
    expert.parameters()(0) = k == 0 ? 2 : -2;
    expert.parameters()(1 + k) = 1.5;
    expert.parameters()(3 + k) = -1;
    expert.set_sigma(0.5);
    problem.model.experts.push_back(expert);
  }
  problem.data.response = simulate(problem.model, problem.data, stream).response;
  problem.options.experts = 2;
  return problem;
}

TEST(PenalisedPath, FindsTheInputsThatMatter) {
  const Problem problem = sparse_problem();
  PenaltyOptions penalty;
  penalty.kind = PenaltyKind::lasso;
  penalty.length = 12;
  const PenalisedPath path = penalised_path(problem.data, problem.options, penalty);
  const PenalisedPoint& chosen = path.points[path.chosen];
  // All five that matter, and of the thirteen others at most two: BIC lets one through with probability
  // P(chi^2_1 > log 600) = 0.011 each.
  const bool swapped = chosen.model.experts[0].parameters()(0) < 0;  // experts come by decreasing share
  for (std::size_t k = 0; k < 2; ++k) {
    const std::vector<bool>& left = chosen.expert_support[swapped ? 1 - k : k];
    EXPECT_TRUE(left[k] && left[2 + k]);
  }
  EXPECT_TRUE(chosen.gate_support[0][2]);
  EXPECT_LE(chosen.expert_slopes + chosen.gate_slopes, 7);
  EXPECT_LT(chosen.criteria.bic, path.unpenalised.bic);
  EXPECT_EQ(path.points.back().expert_slopes + path.points.back().gate_slopes, 0);  // the top of the grid
  const FitResult result = as_fit_result(path, problem.data);
  EXPECT_NEAR(result.model.log_likelihood(problem.data), result.log_likelihood, 1e-8);
  EXPECT_NE(
      penalised_text(path, {"a", "b", "c", "d", "e", "f"}, {"a", "b", "c", "d", "e", "f"}).find("gate 1 against 2: c"),
      std::string::npos);
}

// Without a penalty the same optimum as fit(): its score is below 1e-6 per row, so that log L differs by far less.
TEST(PenalisedPath, StrengthZeroIsTheUnpenalisedFit) {
  const Problem problem = sparse_problem();
  const FitResult free = fit(problem.data, problem.options);
  PenaltyOptions penalty;
  penalty.kind = PenaltyKind::lasso;
  const PenalisedPoint point = penalised_fit(problem.data, problem.options, penalty, 0.0, problem.model);
  EXPECT_NEAR(point.log_likelihood, free.log_likelihood, 1e-5);
  EXPECT_EQ(point.degrees_of_freedom, free.degrees_of_freedom);
}

TEST(PenalisedPath, RefusesWhatItCannotPenalise) {
  Problem problem = sparse_problem();
  PenaltyOptions penalty;
  EXPECT_THROW(penalised_path(problem.data, problem.options, penalty), std::invalid_argument);
  penalty.kind = PenaltyKind::lasso;
  problem.options.gate.kind = GateKind::laplace;
  EXPECT_THROW(penalised_path(problem.data, problem.options, penalty), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
