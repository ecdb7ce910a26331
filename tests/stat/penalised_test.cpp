// Penalised fits: closed forms, the optimality conditions for all inputs by numerical derivatives, a likelihood that never
// falls, and the right inputs where they are known.
#include "clearway/stat/penalised.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>

#include <rapidcheck/gtest.h>

#include "clearway/base/random.hpp"
#include "clearway/stat/inference.hpp"
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

// Two lines far apart; of the further slopes some are weak (about one standard error) and some zero. Inputs are
// independent, so that a chosen slope estimates the true one whatever else was chosen.
Data weak_slopes(std::uint64_t seed, Index n, Matrix& slopes) {
  constexpr int kInputs = 9;
  slopes.setZero(2, kInputs);
  slopes.row(0).head(3) << 1.0, 0.1, 0.1;
  slopes.row(1).head(4) << -1.0, 0, 0.1, -0.1;
  RandomStream stream(seed);
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(n, kInputs, [&] { return stream.normal(); });
  data.gate_inputs = Matrix(n, 0);
  data.response.resize(n, 1);
  for (Index i = 0; i < n; ++i) {
    const int k = stream.uniform() < 0.5 ? 0 : 1;
    data.response(i, 0) = (k == 0 ? 4 : -4) + data.expert_inputs.row(i).dot(slopes.row(k)) + stream.normal();
  }
  return data;
}

// 95 % intervals of the chosen weak slopes. Refitted to the rows that chose them they miss far more often than 5 %; on the
// other half they keep their level.
TEST(PenalisedInference, NaiveIntervalsUndercoverAndSplitOnesDoNot) {
  constexpr int kSets = 120;
  FitOptions options;
  options.experts = 2;
  options.starts = 4;
  options.threads = 1;
  PenaltyOptions penalty;
  penalty.kind = PenaltyKind::lasso;
  penalty.length = 10;
  int covered[2] = {0, 0}, intervals[2] = {0, 0};
  for (int set = 0; set < kSets; ++set) {
    Matrix slopes;
    const Data data = weak_slopes(2000 + static_cast<std::uint64_t>(set), 600, slopes);
    const RowHalves halves = random_halves(data.rows(), set);
    const Data first = data.subset(halves.selection), second = data.subset(halves.inference);
    ModelNames names;
    names.responses = {"y"};
    for (Index j = 0; j < slopes.cols(); ++j) names.expert_inputs.push_back(fmt::format("x{}", j + 1));
    const PenalisedPath path = penalised_path(first, options, penalty);
    for (const bool split : {false, true}) {
      const FitResult refitted = refit_selected(split ? second : first, options, path.points[path.chosen]);
      const Inference inference = infer(split ? second : first, refitted, names);
      for (int i = 0; i < inference.size(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        if (inference.parts[at] != ParameterPart::expert || inference.fixed[at] || !inference.valid(i)) continue;
        const int k =
            refitted.model.experts[static_cast<std::size_t>(inference.experts[at])].parameters()(0) > 0 ? 0 : 1;
        if (inference.labels[at].size() != 2 || inference.labels[at][0] != 'x') continue;
        const double truth = slopes(k, inference.labels[at][1] - '1');
        if (std::abs(truth) == 1) continue;  // chosen always: selection does nothing to it
        ++intervals[split];
        covered[split] += inference.lower(i) <= truth && truth <= inference.upper(i) ? 1 : 0;
      }
    }
  }
  // Chosen slopes of one data set are nearly independent (orthogonal inputs), so counts are nearly binomial: four standard
  // errors of a share of 0.95 (P < 1e-4). Wald intervals with 150 rows per expert lose another 0.005.
  ASSERT_GT(intervals[0], 60);
  ASSERT_GT(intervals[1], 60);
  const auto slack = [](int n) { return 4 * std::sqrt(0.95 * 0.05 / n); };
  EXPECT_LT(static_cast<double>(covered[0]) / intervals[0], 0.95 - slack(intervals[0]));
  EXPECT_GT(static_cast<double>(covered[1]) / intervals[1], 0.945 - slack(intervals[1]));
  RecordProperty("naive", fmt::format("{} of {}", covered[0], intervals[0]));
  RecordProperty("split", fmt::format("{} of {}", covered[1], intervals[1]));
}

// A slope left out stays out, and the chosen ones are those of least squares on them (one expert: a closed form).
TEST(PenalisedInference, RefitIsLeastSquaresOnTheChosenInputs) {
  Matrix slopes;
  Data data = weak_slopes(9, 80, slopes);
  FitOptions options;
  options.experts = 1;
  PenaltyOptions penalty;
  penalty.kind = PenaltyKind::lasso;
  const PenalisedPath path = penalised_path(data, options, penalty);
  PenalisedPoint point = path.points.front();
  for (const PenalisedPoint& other : path.points)
    if (other.expert_slopes > 0 && other.expert_slopes < 9) point = other;
  const auto slopes_left = static_cast<std::size_t>(point.expert_slopes);
  ASSERT_GT(slopes_left, 0U);
  ASSERT_LT(slopes_left, 9U);
  const FitResult refitted = refit_selected(data, options, point);
  EXPECT_EQ(refitted.degrees_of_freedom, point.expert_slopes + 2);
  std::vector<Index> chosen;
  Matrix design = Matrix::Ones(80, 1 + point.expert_slopes);
  for (Index j = 0; j < 9; ++j)
    if (point.expert_support[0][static_cast<std::size_t>(j)]) {
      chosen.push_back(j);
      design.col(static_cast<Index>(chosen.size())) = data.expert_inputs.col(j);
    } else {
      EXPECT_EQ(refitted.model.experts[0].parameters()(1 + j), 0);
    }
  const Vector b = (design.transpose() * design).ldlt().solve(design.transpose() * data.response);
  for (std::size_t i = 0; i < slopes_left; ++i)
    EXPECT_NEAR(refitted.model.experts[0].parameters()(1 + chosen[i]), b(static_cast<Index>(i) + 1), 1e-7);
  EXPECT_NEAR(refitted.model.experts[0].parameters()(0), b(0), 1e-7);
}

TEST(PenalisedInference, HalvesAreDisjointAndAll) {
  const RowHalves halves = random_halves(101, 3);
  EXPECT_EQ(halves.selection.size(), 50U);
  EXPECT_EQ(halves.inference.size(), 51U);
  std::vector<Index> all = halves.selection;
  all.insert(all.end(), halves.inference.begin(), halves.inference.end());
  std::sort(all.begin(), all.end());
  for (Index i = 0; i < 101; ++i) EXPECT_EQ(all[static_cast<std::size_t>(i)], i);
  EXPECT_NE(random_halves(101, 4).selection, halves.selection);
}

}  // namespace
}  // namespace clearway
