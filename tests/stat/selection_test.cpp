// Selection: criteria against R and against their formulas, scores against quadrature and closed forms, folds, the
// dendrogram of a model, and the choice itself.
#include "clearway/stat/selection.hpp"

#include <gtest/gtest.h>

#include <Eigen/LU>

#include <boost/math/quadrature/tanh_sinh.hpp>
#include <boost/math/special_functions/beta.hpp>
#include <cmath>
#include <map>
#include <numeric>

#include "clearway/core/dendrogram.hpp"
#include "clearway/stat/predictive_scores.hpp"
#include "clearway/stat/scenario.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using Eigen::Index;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// ---- criteria ----------------------------------------------------------------------------------------------------------

Data eight_rows(bool counts) {
  Data data;
  data.expert_inputs = Vector{{0.1, 0.4, 0.9, 1.3, 1.8, 2.2, 2.9, 3.1}};
  data.gate_inputs = data.expert_inputs;
  data.response = counts ? Vector{{1, 0, 2, 3, 2, 5, 7, 9}} : Vector{{1.2, 0.7, 2.1, 2.9, 2.4, 3.9, 4.1, 5.2}};
  return data;
}

SelectionResult one_expert(const Data& data, ExpertKind kind) {
  SelectionOptions options;
  options.experts = "1";
  options.folds = 0;
  return select_model({{GateSpec{}, ExpertSpec{.kind = kind}, &data}}, options);
}

// R 4.2: m <- lm(y ~ x); c(logLik(m), AIC(m), BIC(m)); the same of glm(k ~ x, family = poisson). Digits as printed.
TEST(Criteria, OneExpertIsLmOfR) {
  const SelectionResult result = one_expert(eight_rows(false), ExpertKind::linear);
  const Candidate& one = result.candidates.front();
  EXPECT_NEAR(one.fit.log_likelihood, -4.87322965675956, 1e-9);
  EXPECT_NEAR(one.criteria.aic, 15.74645931351911, 1e-9);
  EXPECT_NEAR(one.criteria.bic, 15.98478393855862, 1e-9);
}

TEST(Criteria, OneExpertIsGlmOfR) {
  const SelectionResult result = one_expert(eight_rows(true), ExpertKind::poisson);
  const Candidate& one = result.candidates.front();
  EXPECT_NEAR(one.fit.log_likelihood, -12.3680371937108, 1e-8);
  EXPECT_NEAR(one.criteria.aic, 28.7360743874215, 1e-8);
  EXPECT_NEAR(one.criteria.bic, 28.8949574707812, 1e-8);
}

// The spectral method finds no second direction in an input and its double; the candidates are those without the double.
TEST(Criteria, CollinearInputsChangeNothing) {
  Data data;
  data.expert_inputs = Vector::LinSpaced(120, -2, 2);
  data.gate_inputs.resize(120, 0);
  data.response.resize(120, 1);
  for (Index t = 0; t < 120; ++t) {
    const double x = data.expert_inputs(t, 0);
    data.response(t, 0) = (t % 2 == 0 ? 3 + 2 * x : -3 - x) + 0.4 * std::sin(29.0 * static_cast<double>(t));
  }
  Data twice = data;
  twice.expert_inputs.conservativeResize(Eigen::NoChange, 2);
  twice.expert_inputs.col(1) = 2 * data.expert_inputs.col(0);
  SelectionOptions options;
  options.experts = "1:2";
  options.folds = 0;
  const SelectionResult one = select_model({{GateSpec{}, ExpertSpec{}, &data}}, options);
  const SelectionResult two = select_model({{GateSpec{}, ExpertSpec{}, &twice}}, options);
  ASSERT_EQ(two.candidates.size(), 2U);
  for (std::size_t c = 0; c < 2; ++c) EXPECT_NEAR(two.candidates[c].criteria.bic, one.candidates[c].criteria.bic, 1e-5);
}

// ll = -10, df = 3, n = 22, entropy 2, by hand: log 22 = 3.0910424533583160, log((22 + 2) / 24) = 0.
TEST(Criteria, ByHand) {
  const InformationCriteria c = information_criteria(-10, 3, 22, 2);
  EXPECT_DOUBLE_EQ(c.aic, 26);
  EXPECT_DOUBLE_EQ(c.aicc, 26 + 24.0 / 18);
  EXPECT_NEAR(c.bic, 20 + 9.273127360074948, 1e-12);
  EXPECT_DOUBLE_EQ(c.sabic, 20);
  EXPECT_NEAR(c.icl, 24 + 9.273127360074948, 1e-12);
  EXPECT_EQ(information_criteria(-10, 21, 22, 0).aicc, kInfinity);
}

// A log-likelihood that grows by 0.7 per parameter once the model is large enough.
TEST(Criteria, SlopeOfTheLargeModels) {
  std::vector<double> ll, df;
  for (int k = 1; k <= 8; ++k) {
    df.push_back(3.0 * k);
    ll.push_back((k < 4 ? -300.0 * (4 - k) : 0) + 0.7 * 3 * k);
  }
  EXPECT_NEAR(likelihood_slope(ll, df), 0.7, 1e-12);
  ll.resize(5);
  df.resize(5);
  EXPECT_TRUE(std::isnan(likelihood_slope(ll, df)));
}

// ---- scores ------------------------------------------------------------------------------------------------------------

double normal_distribution(double z) {
  return 0.5 * std::erfc(-z / std::sqrt(2.0));
}

// The definition: integral of (F - 1)^2 above y and of F^2 below. Quadrature to 1e-12 on each half line.
TEST(Crps, GaussianMixtureIsItsIntegral) {
  RandomStream stream(3);
  for (int round = 0; round < 20; ++round) {
    Vector weights(3), means(3), deviations(3);
    for (Index i = 0; i < 3; ++i) {
      weights(i) = stream.uniform(0.1, 1);
      means(i) = stream.normal() * 2;
      deviations(i) = stream.uniform(0.2, 2);
    }
    weights /= weights.sum();
    const double y = 3 * stream.normal();
    const auto distribution = [&](double z) {
      double p = 0;
      for (Index i = 0; i < 3; ++i) p += weights(i) * normal_distribution((z - means(i)) / deviations(i));
      return p;
    };
    boost::math::quadrature::tanh_sinh<double> rule;
    double expected = 0;  // beyond 40 deviations nothing is left; unit panels because F bends
    for (double begin = 0; begin < 90; begin += 1) {
      expected += rule.integrate([&](double t) { return std::pow(distribution(y - t), 2); }, begin, begin + 1);
      expected += rule.integrate([&](double t) { return std::pow(1 - distribution(y + t), 2); }, begin, begin + 1);
    }
    EXPECT_NEAR(gaussian_mixture_crps(y, weights, means, deviations), expected, 1e-9);
  }
}

Data one_row(double y) {
  Data data;
  data.expert_inputs = Matrix::Constant(1, 1, 0.5);
  data.gate_inputs = data.expert_inputs;
  data.response = Matrix::Constant(1, 1, y);
  return data;
}

MixtureModel single(ExpertKind kind, const Vector& parameters) {
  MixtureModel model;
  model.gate = Gate(GateSpec{}, 1, 1);
  model.experts.emplace_back(ExpertSpec{.kind = kind}, 1);
  model.experts.front().parameters() = parameters;
  return model;
}

// Student t, standard: z (2 F(z) - 1) + 2 f(z) (nu + z^2) / (nu - 1) - 2 sqrt(nu) / (nu - 1) B(1/2, nu - 1/2) /
// B(1/2, nu/2)^2 (Jordan, Krueger and Lerch 2019). The quadrature's error is below 1e-6 of the scale.
TEST(Crps, StudentByQuadrature) {
  for (const double nu : {2.5, 4.0, 30.0})
    for (const double y : {-3.0, 0.4, 12.0}) {
      const double sigma = 0.7, mu = 0.3 + 0.5 * 1.1;
      const MixtureModel model = single(ExpertKind::student_t, Vector{{0.3, 1.1, std::log(sigma), std::log(nu)}});
      const double z = (y - mu) / sigma;
      using boost::math::beta;
      const double density = std::pow(1 + z * z / nu, -(nu + 1) / 2) / (std::sqrt(nu) * beta(0.5, nu / 2));
      const double below =
          model.experts.front().distribution(Vector::Constant(1, y), one_row(y).expert_inputs, Vector(), Vector())(0);
      const double expected =
          sigma * (z * (2 * below - 1) + 2 * density * (nu + z * z) / (nu - 1) -
                   2 * std::sqrt(nu) / (nu - 1) * beta(0.5, nu - 0.5) / std::pow(beta(0.5, nu / 2), 2));
      EXPECT_NEAR(predictive_scores(model, one_row(y)).crps(0), expected, 1e-6) << nu << " " << y;
    }
}

// Poisson: (y - l)(2 F(y) - 1) + 2 l f(y) - l exp(-2 l) (I0(2 l) + I1(2 l)) (Wei and Held 2014), exact up to rounding.
TEST(Crps, PoissonByItsSum) {
  for (const double y : {0.0, 3.0, 11.0}) {
    const MixtureModel model = single(ExpertKind::poisson, Vector{{0.8, 0.6}});
    const double l = std::exp(0.8 + 0.3);
    double below = 0, density = 0;
    for (int k = 0; k <= static_cast<int>(y); ++k)
      below += density = std::exp(k * std::log(l) - l - std::lgamma(k + 1));
    const double expected = (y - l) * (2 * below - 1) + 2 * l * density -
                            l * std::exp(-2 * l) * (std::cyl_bessel_i(0, 2 * l) + std::cyl_bessel_i(1, 2 * l));
    EXPECT_NEAR(predictive_scores(model, one_row(y)).crps(0), expected, 1e-10);
  }
}

// In one dimension the energy score is the CRPS; two independent coordinates with the same law keep this testable: the
// score of a degenerate second coordinate is that of the first. 4000 draws: standard error about 0.01.
TEST(Crps, EnergyScoreOfAVectorIsTheCrpsOfItsFirstPart) {
  MixtureModel model;
  model.gate = Gate(GateSpec{}, 0, 1);
  model.experts.emplace_back(ExpertSpec{.covariance = CovarianceKind::diagonal}, 0, 2);
  model.experts.front().parameters() = Vector{{0.2, 0.0, std::log(0.8), std::log(1e-6)}};
  Data data;
  data.expert_inputs = data.gate_inputs = Matrix(1, 0);
  data.response = Matrix{{1.1, 0.0}};
  const double expected = gaussian_mixture_crps(1.1, Vector{{1.0}}, Vector{{0.2}}, Vector{{0.8}});
  EXPECT_NEAR(predictive_scores(model, data, 5, 4000).crps(0), expected, 0.04);
}

TEST(Scores, LogScoreAndSquaredErrorAreTheModels) {
  RandomStream stream(11);
  const testing::ExpertCase linear{};
  const Data data = testing::random_data(linear, 30, 2, 2, stream);
  const MixtureModel model = testing::random_model(GateSpec{}, linear, data, 3, stream);
  const PredictiveScores scores = predictive_scores(model, data);
  EXPECT_NEAR(scores.log_score.sum(), model.log_likelihood(data), 1e-10);
  EXPECT_NEAR(scores.squared_error.sum(), (data.response - model.mean(data)).squaredNorm(), 1e-10);
}

// ---- folds -------------------------------------------------------------------------------------------------------------

TEST(Folds, EveryRowOnceAndSizesEven) {
  for (const Index rows : {7, 100, 101})
    for (const int folds : {2, 5, 7}) {
      const std::vector<int> fold = cross_validation_folds(rows, folds, 4);
      std::vector<int> sizes(static_cast<std::size_t>(folds));
      for (const int f : fold) ++sizes.at(static_cast<std::size_t>(f));
      EXPECT_EQ(std::accumulate(sizes.begin(), sizes.end(), 0), rows);
      const auto [low, high] = std::minmax_element(sizes.begin(), sizes.end());
      EXPECT_LE(*high - *low, 1);
    }
  EXPECT_NE(cross_validation_folds(50, 5, 1), cross_validation_folds(50, 5, 2));
  EXPECT_THROW(cross_validation_folds(5, 6, 1), std::invalid_argument);
}

// Rows of one group are never on both sides of a cut, however the rows of groups lie in the table.
TEST(Folds, KeepGroupsTogether) {
  RandomStream stream(21);
  for (int round = 0; round < 40; ++round) {
    const auto rows = static_cast<Index>(20 + stream.index(200));
    const auto groups = static_cast<std::uint64_t>(5 + stream.index(12));
    std::vector<int> group;
    for (Index i = 0; i < rows; ++i) group.push_back(1000 - 7 * static_cast<int>(stream.index(groups)));
    std::map<int, int> fold_of, rows_of;
    for (const int g : group) ++rows_of[g];
    const int folds = 2 + static_cast<int>(stream.index(3));
    const std::vector<int> fold = cross_validation_folds(rows, folds, round, group);
    std::vector<int> groups_in(static_cast<std::size_t>(folds));
    for (Index i = 0; i < rows; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const auto [known, fresh] = fold_of.try_emplace(group[at], fold[at]);
      ASSERT_EQ(known->second, fold[at]) << "row " << i << " of round " << round;
      if (fresh) ++groups_in.at(static_cast<std::size_t>(fold[at]));
    }
    const auto [low, high] = std::minmax_element(groups_in.begin(), groups_in.end());
    EXPECT_LE(*high - *low, 1);
    EXPECT_THROW(cross_validation_folds(rows, static_cast<int>(rows_of.size()) + 1, 1, group), std::invalid_argument);
  }
}

// With groups the held-out rows are scored by a fit that has seen no row of theirs: the score of a selection equals the
// one made by hand, group by group, and differs from that of folds that cut groups.
TEST(Folds, HeldOutGroupsAreUnseen) {
  RandomStream stream(22);
  Data data;
  constexpr Index kEach = 6, kGroups = 10;
  data.expert_inputs = testing::random_matrix(stream, kEach * kGroups, 1);
  data.gate_inputs = Matrix::Zero(kEach * kGroups, 0);
  data.response.resize(kEach * kGroups, 1);
  for (Index i = 0; i < data.rows(); ++i) {
    const Index g = i % kGroups;
    data.groups.push_back(static_cast<int>(g));
    data.response(i, 0) = data.expert_inputs(i, 0) + static_cast<double>(g % 3) + 0.3 * stream.normal();
  }
  SelectionOptions options;
  options.experts = "1";
  options.folds = 10;
  options.gates = {"constant"};
  const SelectionResult found = select_model({{GateSpec{.kind = GateKind::constant}, ExpertSpec{}, &data}}, options);
  const Vector& scores = found.candidates[0].validation.log_scores;
  double by_hand = 0;
  for (Index g = 0; g < kGroups; ++g) {  // ten folds of ten groups: each group alone
    std::vector<Index> kept, held;
    for (Index i = 0; i < data.rows(); ++i) (i % kGroups == g ? held : kept).push_back(i);
    Matrix design(static_cast<Index>(kept.size()), 2);
    design << Vector::Ones(design.rows()), data.expert_inputs(kept, 0);
    const Vector y = data.response(kept, 0);
    const Vector solution = (design.transpose() * design).inverse() * (design.transpose() * y);
    const double variance = (y - design * solution).squaredNorm() / static_cast<double>(y.size());
    for (const Index i : held) {
      const double e = data.response(i, 0) - solution(0) - solution(1) * data.expert_inputs(i, 0);
      by_hand += -0.5 * (std::log(2 * 3.14159265358979323846 * variance) + e * e / variance);
    }
  }
  EXPECT_NEAR(scores.sum(), by_hand, 1e-6 * std::abs(by_hand));
}

// ---- several kinds in one model -------------------------------------------------------------------------------------

TEST(MixedKinds, AreReadAndDealtInTurn) {
  EXPECT_EQ(expert_kinds("linear+student-t"), (std::vector{ExpertKind::linear, ExpertKind::student_t}));
  EXPECT_EQ(expert_kinds("poisson"), std::vector{ExpertKind::poisson});
  EXPECT_THROW((void)expert_kinds("linear+linear"), std::invalid_argument);
  EXPECT_THROW((void)expert_kinds("linear+"), std::invalid_argument);
  const CandidateFamily family{{}, {}, nullptr, expert_kinds("linear+laplace")};
  EXPECT_EQ(family.kinds_of(3), (std::vector{ExpertKind::linear, ExpertKind::laplace, ExpertKind::linear}));
  EXPECT_EQ(kinds_name(family), "linear+laplace");
}

// Half of the rows have Gaussian noise, half Laplace noise: the mixed model is the one that made them.
TEST(MixedKinds, SelectionFindsTheModelThatMadeTheData) {
  RandomStream stream(23);
  constexpr Index kMany = 3000;
  Data data;
  data.expert_inputs = testing::random_matrix(stream, kMany, 1);
  data.gate_inputs = data.expert_inputs;
  data.response.resize(kMany, 1);
  for (Index i = 0; i < kMany; ++i) {
    const double x = data.expert_inputs(i, 0), exponential = stream.gamma(1.0);
    data.response(i, 0) =
        i % 2 == 0 ? 6 + x + stream.normal() : -6 - x + (stream.uniform() < 0.5 ? exponential : -exponential);
  }
  SelectionOptions options;
  options.experts = "1:2";
  options.folds = 0;
  const SelectionResult found =
      select_model({{GateSpec{}, {.kind = ExpertKind::linear}, &data},
                    {GateSpec{}, {.kind = ExpertKind::laplace}, &data},
                    {GateSpec{}, {.kind = ExpertKind::linear}, &data, expert_kinds("linear+laplace")}},
                   options);
  ASSERT_EQ(found.candidates.size(), 5U);  // of the mixed family the one with an expert of each kind
  ASSERT_TRUE(found.recommended);
  EXPECT_EQ(found.candidates[*found.recommended].family, 2U);
  EXPECT_EQ(candidate_name(found, *found.recommended), "2 linear+laplace experts behind a softmax gate");
  // Two of one kind have as many parameters, so that BIC compares likelihoods: far apart with 3000 rows.
  EXPECT_GT(found.candidates[1].criteria.bic - found.candidates[*found.recommended].criteria.bic, 50);
}

// One expert, as many folds as rows: the held-out residual of least squares is e / (1 - leverage) (Allen's PRESS).
TEST(Folds, LeavingOneOutIsPress) {
  const Data data = eight_rows(false);
  FitOptions options;
  options.experts = 1;
  const FitResult full = fit(data, options);
  const CrossValidation found = cross_validate(data, options, full.model, cross_validation_folds(8, 8, 1));
  Matrix design(8, 2);
  design << Vector::Ones(8), data.expert_inputs;
  const Matrix hat = design * (design.transpose() * design).inverse() * design.transpose();
  const Vector residual = data.response - hat * data.response;
  for (Index i = 0; i < 8; ++i) EXPECT_NEAR(found.squared_errors(i), std::pow(residual(i) / (1 - hat(i, i)), 2), 1e-9);
  EXPECT_NEAR(found.rmse.value, std::sqrt(found.squared_errors.mean()), 1e-12);
  const double deviation = std::sqrt((found.log_scores.array() - found.log_scores.mean()).square().sum() / 7);
  EXPECT_NEAR(found.log_score.error, deviation / std::sqrt(8.0), 1e-12);
}

// ---- dendrogram --------------------------------------------------------------------------------------------------------

Problem lambda_problem(std::int64_t rows, std::int64_t seed) {
  ScenarioOptions options;
  options.scenario = ScenarioKind::lambda;
  options.rows = rows;
  options.seed = seed;
  return make_problem(options);
}

// The published dissimilarity at the published truth: (20^2 + sqrt(40^2 + (0.16 - 0.09)^2)) / (e^8 + 1).
TEST(ModelDendrogram, HeightOfTheLambdaModelAsPublished) {
  const Problem problem = lambda_problem(200, 1);
  const ModelDendrogram tree = model_dendrogram(problem.truth, problem.data, DendrogramWeights::intercepts);
  const double expected = (400 + std::sqrt(1600 + 0.07 * 0.07)) / (std::exp(8.0) + 1);
  ASSERT_EQ(tree.heights.size(), 1U);
  EXPECT_NEAR(tree.heights[0], expected, 1e-12 * expected);
  EXPECT_NEAR(tree.criterion[0], -(expected + std::log(200.0) * problem.truth.log_likelihood(problem.data) / 200),
              1e-9);
  EXPECT_EQ(tree.chosen, 2);
  EXPECT_EQ(tree.levels.back().expert_count(), 1);
}

// An expert written twice at half its weight is the same density: merged at height 0, back to where it came from.
TEST(ModelDendrogram, AnExpertWrittenTwiceMergesAtHeightZero) {
  const Problem problem = lambda_problem(300, 2);
  MixtureModel twice = problem.truth;
  twice.gate = Gate(GateSpec{}, 1, 3);
  twice.gate.block(0) << -8 - std::log(2.0), 25;
  twice.gate.block(1) << -8 - std::log(2.0), 25;
  twice.experts = {problem.truth.experts[0], problem.truth.experts[0], problem.truth.experts[1]};
  for (const DendrogramWeights weights : {DendrogramWeights::shares, DendrogramWeights::intercepts}) {
    const ModelDendrogram tree = model_dendrogram(twice, problem.data, weights);
    EXPECT_EQ(tree.pairs[0], (std::pair<int, int>{0, 1}));
    EXPECT_NEAR(tree.heights[0], 0, 1e-20);
    EXPECT_NEAR(tree.mean_log_likelihoods[1], problem.truth.log_likelihood(problem.data) / 300, 1e-10);
    EXPECT_EQ(tree.chosen, 2);
  }
}

// Shares do not depend on units: y -> 3 y - 5 and x -> 10 x + 2 leave heights as they are.
TEST(ModelDendrogram, SharesDoNotDependOnUnits) {
  const Problem problem = lambda_problem(300, 3);
  Data moved = problem.data;
  moved.expert_inputs = 10 * problem.data.expert_inputs.array() + 2;
  moved.gate_inputs = moved.expert_inputs;
  moved.response = 3 * problem.data.response.array() - 5;
  MixtureModel model = problem.truth;
  const Vector x0 = Vector::Constant(1, 2), x1 = Vector::Constant(1, 10), y0 = Vector::Constant(1, -5),
               y1 = Vector::Constant(1, 3);
  model.gate = model.gate.on_raw_scale(x0, x1);
  for (Expert& expert : model.experts) expert = expert.on_raw_scale(x0, x1, y0, y1);
  const ModelDendrogram one = model_dendrogram(problem.truth, problem.data);
  const ModelDendrogram other = model_dendrogram(model, moved);
  EXPECT_NEAR(one.heights[0], other.heights[0], 1e-9 * one.heights[0]);
}

// ---- the choice --------------------------------------------------------------------------------------------------------

SelectionOptions quick(const std::string& experts) {
  SelectionOptions options;
  options.experts = experts;
  options.folds = 3;
  options.fit.starts = 6;
  return options;
}

TEST(Selection, FindsTheTwoExpertsOfTheLambdaModel) {
  const Problem problem = lambda_problem(300, 4);
  const std::vector<CandidateFamily> families{{GateSpec{}, ExpertSpec{}, &problem.data}};
  SelectionOptions options = quick("1:3");
  options.fit.threads = 1;
  const SelectionResult one = select_model(families, options);
  ASSERT_TRUE(one.recommended.has_value());
  EXPECT_EQ(one.candidates[*one.recommended].experts, 2);
  EXPECT_EQ(one.dendrogram->chosen, 2);
  for (std::size_t i = 1; i < 3; ++i)  // a larger model contains the smaller
    EXPECT_GE(one.candidates[i].attained(), one.candidates[i - 1].attained() - 1e-6);
  options.fit.threads = 3;
  const SelectionResult many = select_model(families, options);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(one.candidates[i].fit.log_likelihood, many.candidates[i].fit.log_likelihood);
    EXPECT_EQ(one.candidates[i].validation.log_scores, many.candidates[i].validation.log_scores);
  }
  EXPECT_EQ(selection_text(one), selection_text(many));
}

TEST(Selection, SetsAsideWhatDidNotConverge) {
  const Problem problem = lambda_problem(300, 5);
  SelectionOptions options = quick("1:2");
  options.folds = 0;
  options.warm_starts = false;
  options.fit.max_iterations = 1;
  const SelectionResult result = select_model({{GateSpec{}, ExpertSpec{}, &problem.data}}, options);
  EXPECT_FALSE(result.candidates[1].excluded.empty());
  for (const CriterionChoice& choice : result.choices) EXPECT_NE(choice.candidate, 1U);
}

// Made-up figures: what BIC says is recommended, what others say is told with the distance.
TEST(Selection, SaysWhoDisagreesAndByHowMuch) {
  const Data data = eight_rows(false);
  SelectionResult result;
  result.families = {{GateSpec{}, ExpertSpec{}, &data}};
  for (int k = 1; k <= 3; ++k) {
    Candidate candidate;
    candidate.experts = k;
    candidate.fit.degrees_of_freedom = 5 * k - 2;
    candidate.criteria = {k == 3 ? 10.0 : 20.0, 30.0 + k, k == 2 ? 50.0 : 51.5 + k, 60.0, 70.0 + k};
    result.candidates.push_back(candidate);
  }
  result.candidates[0].excluded = "too small a model";
  detail::recommend(result, SelectionCriterion::bic);
  EXPECT_EQ(result.recommended, 1U);
  std::string all;
  for (const std::string& reason : result.reasons) all += reason + "\n";
  EXPECT_NE(all.find("AIC chooses 3 linear experts behind a softmax gate, whose BIC is 4.50 larger."),
            std::string::npos)
      << all;
  EXPECT_NE(all.find("4.50 below 3 linear experts behind a softmax gate (positive evidence)"), std::string::npos)
      << all;
  EXPECT_NE(all.find("Set aside: 1 linear expert (too small a model)."), std::string::npos) << all;
}

TEST(Selection, RefusesWhatCannotBeCompared) {
  const Data data = eight_rows(true);
  const Data fewer = data.subset({0, 1, 2, 3, 4});
  const SelectionOptions options = quick("1");
  EXPECT_THROW(
      select_model({{GateSpec{}, ExpertSpec{}, &data}, {GateSpec{}, {.kind = ExpertKind::poisson}, &data}}, options),
      std::invalid_argument);
  EXPECT_THROW(
      select_model({{GateSpec{}, ExpertSpec{}, &data}, {{.kind = GateKind::constant}, ExpertSpec{}, &fewer}}, options),
      std::invalid_argument);
}

TEST(ExpertNumbers, RangesAndLists) {
  EXPECT_EQ(expert_numbers("1:4"), (std::vector<int>{1, 2, 3, 4}));
  EXPECT_EQ(expert_numbers("3"), (std::vector<int>{3}));
  EXPECT_EQ(expert_numbers("4,1,4"), (std::vector<int>{1, 4}));
  for (const char* wrong : {"", "0:3", "3:1", "a", "1:", "1,,2", "1:2000"})
    EXPECT_THROW(expert_numbers(wrong), std::invalid_argument) << wrong;
}

}  // namespace
}  // namespace clearway
