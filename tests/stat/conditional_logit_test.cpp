// Conditional logit experts: against R and numpy, against the multinomial and the Bernoulli expert that they contain or
// are, under permuted classes and other units, and as a mixture whose truth is known.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "../../src/stat/expert_updates.hpp"
#include "clearway/core/experts/conditional_logit.hpp"
#include "clearway/stat/fit.hpp"
#include "clearway/stat/inference.hpp"
#include "clearway/stat/likelihood_ratio.hpp"
#include "clearway/stat/simulate.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using testing::random_matrix;

constexpr ExpertSpec kConditional{.kind = ExpertKind::conditional_logit};
constexpr int kClasses = 3;

FitOptions one_expert(ExpertKind kind) {
  FitOptions options;
  options.experts = 1;
  options.expert.kind = kind;
  options.gate.kind = GateKind::constant;
  return options;
}

FitResult fit_one(const Data& data, ExpertKind kind = ExpertKind::conditional_logit) {
  const FitResult result = fit(data, one_expert(kind));
  EXPECT_TRUE(result.converged) << result.brief();
  return result;
}

ModelNames names_of(const Data& data) {
  ModelNames names;
  names.responses = {"y"};
  for (int s = 0; s < data.classes; ++s) names.classes.push_back(fmt::format("c{}", s));
  const Index plain = data.expert_inputs.cols() - Index{data.attributes} * data.classes;
  for (Index j = 0; j < plain; ++j) names.expert_inputs.push_back(fmt::format("z{}", j + 1));
  for (int v = 0; v < data.attributes; ++v) names.expert_inputs.push_back(fmt::format("v{}", v + 1));
  for (Index j = 0; j < data.gate_inputs.cols(); ++j) names.gate_inputs.push_back(fmt::format("x{}", j + 1));
  return names;
}

/// 90 choices that anybody can make again; in R:
///   n <- 90; i <- 1:n; j <- 0:2
///   price <- outer(i, j, function(i, j) ((i * (7 + 4 * j)) %% 23) / 10)
///   time <- outer(i, j, function(i, j) ((i * (5 + 2 * j * j) + 3 * j) %% 17) / 8)
///   income <- ((i * 37) %% 60) / 30 - 1
///   u <- outer(i, j, function(i, j) ((i * i * (3 + 2 * j) + i * (11 + 6 * j)) %% 61 + 0.5) / 61.5)
///   y <- max.col(outer(rep(1, n), c(0.5, 0, 0)) - 0.8 * price - 0.5 * time + outer(income, c(1, -0.5, 0)) -
///                log(-log(u)), "first") - 1        # table(y): 40 29 21
Data choices() {
  constexpr int kRows = 90;
  Data data;
  data.classes = kClasses;
  data.attributes = 2;
  data.expert_inputs.resize(kRows, 1 + 2 * kClasses);
  data.gate_inputs = Matrix::Zero(kRows, 0);
  data.response.resize(kRows, 1);
  for (int t = 0; t < kRows; ++t) {
    const int i = t + 1;
    const double income = static_cast<double>((i * 37) % 60) / 30 - 1;
    data.expert_inputs(t, 0) = income;
    Vector utility(kClasses);
    for (int j = 0; j < kClasses; ++j) {
      const double price = static_cast<double>((i * (7 + 4 * j)) % 23) / 10;
      const double time = static_cast<double>((i * (5 + 2 * j * j) + 3 * j) % 17) / 8;
      const double u = (static_cast<double>((i * i * (3 + 2 * j) + i * (11 + 6 * j)) % 61) + 0.5) / 61.5;
      data.expert_inputs(t, 1 + j) = price;
      data.expert_inputs(t, 1 + kClasses + j) = time;
      constexpr std::array<double, kClasses> kConstant{0.5, 0, 0}, kIncome{1, -0.5, 0};
      const auto at = static_cast<std::size_t>(j);
      utility(j) = kConstant[at] - 0.8 * price - 0.5 * time + kIncome[at] * income - std::log(-std::log(u));
    }
    Index best = 0;
    utility.maxCoeff(&best);
    data.response(t, 0) = static_cast<double>(best);
  }
  return data;
}

// survival::clogit(chosen ~ c0 + I(c0 * income) + c1 + I(c1 * income) + price + time + strata(id)) on the long form, and
// Newton's method in numpy with the closed derivatives: coefficients, standard errors and log-likelihood agree to the
// 12 digits printed. The fit stops when a step gains less than 1e-9 of a squared standard error.
TEST(ConditionalLogit, EqualsClogitOfSurvival) {
  const Data data = choices();
  ASSERT_EQ((data.response.array() == 0).count(), 40);
  ASSERT_EQ((data.response.array() == 1).count(), 29);
  const FitResult result = fit_one(data);
  EXPECT_NEAR(result.log_likelihood, -76.5705920621, 1e-9);
  const Inference inference = infer(data, result, names_of(data));
  const std::vector<std::string> names{"expert 1: c0: (intercept)", "expert 1: c0: z1", "expert 1: c1: (intercept)",
                                       "expert 1: c1: z1",          "expert 1: v1",     "expert 1: v2"};
  ASSERT_EQ(inference.names, names);
  const std::array<double, 6> coefficients{0.669534466613,  1.573880675423,  0.247397209062,
                                           -0.238592650167, -1.037765562842, -0.700035686034};
  const std::array<double, 6> errors{0.310253547026, 0.568785889820, 0.335723727367,
                                     0.580860809438, 0.286089452162, 0.265038451828};
  for (int i = 0; i < 6; ++i) {
    EXPECT_NEAR(inference.estimates(i), coefficients[static_cast<std::size_t>(i)], 1e-6)
        << names[static_cast<std::size_t>(i)];
    EXPECT_NEAR(inference.standard_errors(i), errors[static_cast<std::size_t>(i)], 1e-6)
        << names[static_cast<std::size_t>(i)];
  }
}

// Constants alone reproduce the frequencies 40, 29 and 21 of 90.
TEST(ConditionalLogit, ConstantsAloneAreTheFrequencies) {
  Data data = choices();
  data.expert_inputs = Matrix::Zero(data.rows(), 0);
  data.attributes = 0;
  const FitResult result = fit_one(data);
  double expected = 0;
  for (const double count : {40.0, 29.0, 21.0}) expected += count * std::log(count / 90);
  EXPECT_NEAR(result.log_likelihood, expected, 1e-9);
  EXPECT_NEAR(result.model.experts.front().parameters()(0), std::log(40.0 / 21), 1e-6);
  EXPECT_NEAR(result.model.experts.front().parameters()(1), std::log(29.0 / 21), 1e-6);
}

/// An attribute for every coefficient of a multinomial expert on z: z in the column of its class, 0 in the others.
Data crossed_with_classes(const Data& multinomial) {
  Data data = multinomial;
  const Index w = multinomial.expert_inputs.cols(), c = multinomial.classes;
  data.attributes = static_cast<int>(w * (c - 1));
  data.expert_inputs = Matrix::Zero(multinomial.rows(), w * (c - 1) * c);
  for (Index s = 0; s + 1 < c; ++s)
    for (Index j = 0; j < w; ++j) data.expert_inputs.col((s * w + j) * c + s) = multinomial.expert_inputs.col(j);
  return data;
}

TEST(ConditionalLogit, AttributesCrossedWithClassesAreTheMultinomialExpert) {
  RandomStream stream(5);
  const testing::ExpertCase which{{.kind = ExpertKind::multinomial}};
  const Data data = testing::random_data(which, 150, 2, 1, stream, true);
  const Data crossed = crossed_with_classes(data);
  const FitResult here = fit_one(crossed), there = fit_one(data, ExpertKind::multinomial);
  EXPECT_NEAR(here.log_likelihood, there.log_likelihood, 1e-8);
  EXPECT_EQ(here.degrees_of_freedom, there.degrees_of_freedom);
  // As a mixture: the same numbers in both layouts are the same model.
  const MixtureModel model = testing::random_model({}, which, data, 2, stream);
  MixtureModel other = model;
  for (Expert& expert : other.experts) {
    const Vector from = expert.parameters();  // two blocks [intercept, slope, slope]
    expert = Expert(kConditional, static_cast<int>(crossed.expert_inputs.cols()), 1, 3, 4);
    expert.parameters() << from(0), from(3), from(1), from(2), from(4), from(5);
  }
  EXPECT_NEAR(other.log_likelihood(crossed), model.log_likelihood(data), 1e-10 * std::abs(model.log_likelihood(data)));
}

// P(class 1) = sigmoid(-a - beta (x_0 - x_1)): the Bernoulli expert on x_1 - x_0, standard errors included.
TEST(ConditionalLogit, TwoAlternativesAreTheBernoulliExpertOnDifferences) {
  RandomStream stream(6);
  Data data;
  data.classes = 2;
  data.attributes = 2;
  data.expert_inputs = random_matrix(stream, 200, 4);
  data.gate_inputs = random_matrix(stream, 200, 1);
  data.response = Matrix::NullaryExpr(200, 1, [&] { return static_cast<double>(stream.index(2)); });
  Data bernoulli = data;
  bernoulli.classes = bernoulli.attributes = 0;
  bernoulli.expert_inputs.resize(200, 2);
  for (Index v = 0; v < 2; ++v)
    bernoulli.expert_inputs.col(v) = data.expert_inputs.col(2 * v + 1) - data.expert_inputs.col(2 * v);
  const FitResult here = fit_one(data), there = fit_one(bernoulli, ExpertKind::bernoulli);
  EXPECT_NEAR(here.log_likelihood, there.log_likelihood, 1e-8);
  const Vector a = here.model.experts.front().parameters(), b = there.model.experts.front().parameters();
  EXPECT_NEAR(a(0), -b(0), 1e-6);
  EXPECT_NEAR(a(1), b(1), 1e-6);
  EXPECT_NEAR(a(2), b(2), 1e-6);
  const Inference errors = infer(data, here, names_of(data)), expected = infer(bernoulli, there, names_of(bernoulli));
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(errors.standard_errors(i), expected.standard_errors(i), 1e-6);
}

/// A wide problem: 3 classes, 2 attributes, one input of the chooser.
Data random_choices(Index rows, RandomStream& stream) {
  Data data;
  data.classes = kClasses;
  data.attributes = 2;
  data.expert_inputs = random_matrix(stream, rows, 1 + 2 * kClasses);
  data.gate_inputs = random_matrix(stream, rows, 1);
  data.response = Matrix::NullaryExpr(rows, 1, [&] { return static_cast<double>(stream.index(kClasses)); });
  return data;
}

Expert random_choice_expert(RandomStream& stream) {
  Expert expert(kConditional, 1 + 2 * kClasses, 1, kClasses, 2);
  for (double& p : expert.parameters()) p = 0.7 * stream.normal();
  return expert;
}

TEST(ConditionalLogit, DensityIsThatOfCoreAndDerivativesAreDifferences) {
  RandomStream stream(7);
  const Data data = random_choices(20, stream);
  const Expert expert = random_choice_expert(stream);
  const Vector& p = expert.parameters();
  ConditionalLogitParameters<DoubleArray> parameters{DoubleArray(1, 2), DoubleArray(2, 1), DoubleArray(1, 2)};
  parameters.attribute_slopes << p(4), p(5);
  parameters.slopes << p(1), p(3);
  parameters.intercepts << p(0), p(2);
  const DoubleArray x = data.expert_inputs.array(), y = data.response.array();
  const DoubleArray core = ConditionalLogitExpert{.classes = kClasses}.log_density(y, x, parameters);
  EXPECT_LT((expert.log_density(data) - core.matrix().col(0)).cwiseAbs().maxCoeff(), 1e-13);

  constexpr double h = 1e-5;
  const Matrix rows = detail::expert_score_rows(expert, data);
  const Vector weight = Vector::LinSpaced(20, 0.1, 1.0);
  const Matrix hessian = detail::expert_hessian(expert, data, weight);
  for (Index i = 0; i < p.size(); ++i) {
    Expert up = expert, down = expert;
    up.parameters()(i) += h;
    down.parameters()(i) -= h;
    // h^2 / 6 times a third derivative of order ten, and rounding 1e-16 / h, over 20 rows: below 1e-8.
    EXPECT_LT((rows.col(i) - (up.log_density(data) - down.log_density(data)) / (2 * h)).cwiseAbs().maxCoeff(), 1e-8);
    const Vector second =
        (detail::expert_score_rows(up, data) - detail::expert_score_rows(down, data)).transpose() * weight / (2 * h);
    EXPECT_LT((hessian.col(i) - second).cwiseAbs().maxCoeff(), 1e-7) << "parameter " << i;
  }
}

// Which class is the reference says nothing about the choices; attributes keep their coefficients.
TEST(ConditionalLogit, PermutedClassesLeaveTheLikelihood) {
  const Data data = choices();
  const FitResult before = fit_one(data);
  const std::array<Index, kClasses> place{2, 0, 1};  // class s becomes class place[s]
  Data permuted = data;
  for (Index t = 0; t < data.rows(); ++t)
    permuted.response(t, 0) = static_cast<double>(place[static_cast<std::size_t>(data.response(t, 0))]);
  for (Index v = 0; v < 2; ++v)
    for (std::size_t s = 0; s < kClasses; ++s)
      permuted.expert_inputs.col(1 + v * kClasses + place[s]) =
          data.expert_inputs.col(1 + v * kClasses + static_cast<Index>(s));
  const FitResult after = fit_one(permuted);
  EXPECT_NEAR(after.log_likelihood, before.log_likelihood, 1e-9);
  EXPECT_LT((after.model.experts[0].parameters().tail(2) - before.model.experts[0].parameters().tail(2)).norm(), 1e-6);
}

// Other units of an attribute, another origin in every class, and an alternative whose price never changes.
TEST(ConditionalLogit, UnitsAndOriginsOfAttributesAreFree) {
  Data data = choices();
  data.expert_inputs.col(3).setConstant(0.4);
  const FitResult before = fit_one(data);
  Data moved = data;
  for (Index s = 0; s < kClasses; ++s)
    moved.expert_inputs.col(1 + s) = 1e4 * (data.expert_inputs.col(1 + s).array() + static_cast<double>(s));
  const FitResult after = fit_one(moved);
  EXPECT_NEAR(after.log_likelihood, before.log_likelihood, 1e-9);
  const Vector& a = before.model.experts[0].parameters();
  const Vector& b = after.model.experts[0].parameters();
  EXPECT_NEAR(1e4 * b(4), a(4), 1e-6);
  EXPECT_NEAR(b(0) + a(4) * (0 - 2), a(0), 1e-6);  // the shift of class 0 against that of the last
}

TEST(ConditionalLogit, DrawsFollowTheProbabilities) {
  RandomStream stream(8);
  const Data one = random_choices(1, stream);
  MixtureModel model;
  model.gate = Gate({.kind = GateKind::constant}, 1, 1);
  model.experts = {random_choice_expert(stream)};
  constexpr Index kDraws = 4000;
  const Draw draw = simulate(model, one.subset(std::vector<Index>(kDraws, 0)), stream);
  const Matrix probability = model.mean(one);
  EXPECT_NEAR(probability.sum(), 1.0, 1e-12);
  for (Index s = 0; s < kClasses; ++s) {
    const double p = probability(0, s), share = (draw.response.array() == static_cast<double>(s)).cast<double>().mean();
    EXPECT_NEAR(share, p, 4.5 * std::sqrt(p * (1 - p) / kDraws));  // 4.5 standard deviations: 7e-6 beyond
  }
}

// Two kinds of choosers: one minds the price, the other the time. Estimates are normal around the truth, so all lie within
// 4.5 of their standard errors (some 20 numbers, 7e-6 of them beyond).
TEST(ConditionalLogit, MixtureOfTwoRecoversItsTruth) {
  RandomStream stream(9);
  Data data = random_choices(4000, stream);
  MixtureModel truth;
  truth.gate = Gate({}, 1, 2);
  truth.gate.parameters() << 0.3, 1.5, 0, 0;
  truth.experts.assign(2, Expert(kConditional, 1 + 2 * kClasses, 1, kClasses, 2));
  truth.experts[0].parameters() << 0.5, 1.0, -0.3, 0.4, -2.0, 0.1;
  truth.experts[1].parameters() << -0.4, 0.0, 0.6, -0.8, -0.2, -1.8;
  data.response = simulate(truth, data, stream).response;
  FitOptions options;
  options.experts = 2;
  options.expert = kConditional;
  const FitResult result = fit(data, options);
  ASSERT_TRUE(result.converged) << result.brief();
  EXPECT_GE(result.log_likelihood, truth.log_likelihood(data));
  const Inference inference = infer(data, result, names_of(data));
  const bool swapped = result.model.experts[0].parameters()(4) > result.model.experts[1].parameters()(4);
  for (std::size_t k = 0; k < 2; ++k) {
    const Vector& expected = truth.experts[swapped ? 1 - k : k].parameters();
    const auto names = result.model.experts[k].parameter_names(names_of(data).expert_inputs, {"c0", "c1", "c2"});
    for (std::size_t i = 0; i < names.size(); ++i) {
      const int at = inference.index(fmt::format("expert {}: {}", k + 1, names[i]));
      ASSERT_TRUE(inference.valid(at));
      EXPECT_NEAR(inference.estimates(at), expected(static_cast<Index>(i)), 4.5 * inference.standard_errors(at))
          << inference.names[static_cast<std::size_t>(at)];
    }
  }
  const int slope = inference.index("gate 1: x1");
  EXPECT_NEAR(inference.estimates(slope), swapped ? -1.5 : 1.5, 4.5 * inference.standard_errors(slope));
}

// A coefficient that is fixed keeps its value in the units of the data; one that is shared is one.
TEST(ConditionalLogit, AttributesCanBeFixedAndShared) {
  RandomStream stream(10);
  Data data = random_choices(300, stream);
  data.expert_inputs.rightCols(6) *= 5;
  FitOptions options;
  options.experts = 2;
  options.expert = kConditional;
  options.starts = 2;
  options.constraints.fixed = {{false, 0, 4, -0.05}, {false, 1, 4, -0.05}};
  options.constraints.shared = {5};
  const FitResult result = fit(data, options);
  for (const Expert& expert : result.model.experts) {
    EXPECT_NEAR(expert.parameters()(4), -0.05, 1e-12);
    EXPECT_EQ(expert.parameters()(5), result.model.experts[0].parameters()(5));
  }
}

// Generic coefficients are a hypothesis about the multinomial expert on all columns; no attribute at all is one about
// generic coefficients; a coefficient for every class is none about a generic one.
TEST(ConditionalLogit, NestsWithTheMultinomialExpert) {
  const auto tested = [](const Data& data, ExpertKind kind) {
    TestedModel model;
    model.data = &data;
    model.options = one_expert(kind);
    return model;
  };
  const Data data = choices();
  Data by_class = data;
  by_class.attributes = 0;
  const TestedModel generic = tested(data, ExpertKind::conditional_logit);
  const TestedModel free = tested(by_class, ExpertKind::multinomial);
  LikelihoodRatioOptions no_replications;
  no_replications.replications = 0;
  const LikelihoodRatioTest test = likelihood_ratio_test(generic, free, no_replications);
  EXPECT_TRUE(test.nesting.regular);
  EXPECT_EQ(test.degrees_of_freedom, 16 - 6);
  EXPECT_GT(test.statistic, 0);
  Data income = by_class;
  income.expert_inputs = data.expert_inputs.leftCols(1);
  EXPECT_TRUE(nesting_of(tested(income, ExpertKind::multinomial), generic).regular);
  EXPECT_FALSE(nesting_of(free, generic).nested);
  EXPECT_FALSE(nesting_of(generic, tested(income, ExpertKind::multinomial)).nested);
}

TEST(ConditionalLogit, RefusesWhatDoesNotFit) {
  EXPECT_THROW(Expert(kConditional, 5, 1, 3, 2), std::invalid_argument);
  EXPECT_THROW(Expert({.kind = ExpertKind::multinomial}, 6, 1, 3, 2), std::invalid_argument);
  EXPECT_THROW(Expert(kConditional, 6, 1, 1, 2), std::invalid_argument);
  Data data = choices();
  data.attributes = 3;
  EXPECT_THROW((void)fit(data, one_expert(ExpertKind::conditional_logit)), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
