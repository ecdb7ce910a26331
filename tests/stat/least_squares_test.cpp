// Least squares: the regression function and its Jacobian, the solver against scipy and R, reports, wrong use.
#include "clearway/stat/least_squares.hpp"

#include <gtest/gtest.h>

#include <Eigen/LU>
#include <cmath>
#include <numeric>

#include "clearway/base/random.hpp"
#include "clearway/core/experts/feed_forward.hpp"
#include "clearway/core/experts/gaussian.hpp"
#include "clearway/core/gates/sigmoid.hpp"
#include "clearway/core/gates/softmax.hpp"
#include "clearway/core/jet.hpp"
#include "clearway/core/mixture.hpp"

namespace clearway {
namespace {

using Eigen::Index;

FitOptions quick(int experts, ExpertKind kind = ExpertKind::linear, GateKind gate = GateKind::softmax) {
  FitOptions options;
  options.method = FitMethod::least_squares;
  options.experts = experts;
  options.expert.kind = kind;
  options.gate.kind = gate;
  options.starts = 4;
  options.threads = 1;
  return options;
}

// 40 points of two lines behind a logistic gate with a deterministic disturbance.
Data two_lines() {
  Data data;
  data.expert_inputs.resize(40, 1);
  data.response.resize(40, 1);
  for (Index i = 0; i < 40; ++i) {
    const double x = (static_cast<double>(i) - 19.5) / 10;
    const double w = 1 / (1 + std::exp(-(0.3 + 2 * x)));
    data.expert_inputs(i, 0) = x;
    data.response(i, 0) = w * (1 - x) + (1 - w) * (0.5 + 1.5 * x) + 0.1 * std::sin(7.0 * static_cast<double>(i));
  }
  data.gate_inputs = data.expert_inputs;
  return data;
}

Data random_inputs(RandomStream& stream, Index n, int d, int q, int m = 1) {
  Data data;
  data.expert_inputs = Matrix::NullaryExpr(n, d, [&] { return stream.uniform(-2, 2); });
  data.gate_inputs = Matrix::NullaryExpr(n, q, [&] { return stream.uniform(-2, 2); });
  data.response = Matrix::Zero(n, m);
  return data;
}

MixtureModel random_model(RandomStream& stream, const GateSpec& gate, const ExpertSpec& expert, int d, int q, int k,
                          int m = 1) {
  MixtureModel model;
  model.form = ModelForm::regression;
  model.gate = Gate(gate, q, k);
  for (double& v : model.gate.parameters()) v = stream.normal();
  model.gate.pin();
  for (int j = 0; j < k; ++j) {
    Expert e(expert, d, m);
    for (double& v : e.parameters()) v = stream.normal();
    model.experts.push_back(e);
  }
  return model;
}

struct Case {
  GateSpec gate;
  ExpertSpec expert;
  int responses = 1;
};

std::vector<Case> cases() {
  std::vector<Case> all;
  const std::vector<GateSpec> gates = {{.kind = GateKind::softmax, .temperature = 1.5},
                                       {.kind = GateKind::constant},
                                       {.kind = GateKind::equal},
                                       {.kind = GateKind::sigmoid},
                                       {.kind = GateKind::unnormalised_sigmoid},
                                       {.kind = GateKind::activated},
                                       {.kind = GateKind::laplace},
                                       {.kind = GateKind::gaussian},
                                       {.kind = GateKind::quadratic},
                                       {.kind = GateKind::quadratic, .shape = QuadraticShape::low_rank}};
  for (const ExpertKind kind :
       {ExpertKind::linear, ExpertKind::sigmoid, ExpertKind::tanh, ExpertKind::gelu, ExpertKind::relu,
        ExpertKind::leaky_relu, ExpertKind::polynomial, ExpertKind::constant, ExpertKind::network})
    all.push_back({gates.front(), {.kind = kind, .degree = 3, .leak = 0.2, .hidden = 2}});
  for (const GateSpec& gate : gates) all.push_back({gate, {.kind = ExpertKind::tanh}});
  all.push_back({gates.front(), {.kind = ExpertKind::linear}, 2});
  all.push_back({gates.front(), {.kind = ExpertKind::constant}, 3});
  return all;
}

double& parameter(MixtureModel& model, const RegressionParameter& p) {
  return p.gate ? model.gate.parameters()(p.index)
                : model.experts[static_cast<std::size_t>(p.expert)].parameters()(p.index);
}

// Central differences with step 1e-5 err by 1e-10 times third derivatives (below 1e3 here) and by 1e-16 / 1e-5 times
// values (below 1e2): 1e-6 relative to 1 + |derivative| is safe, and a wrong formula is off by far more. Rows at a kink
// are left out: there the two one-sided differences disagree.
TEST(RegressionJacobian, IsTheNumericalDerivativeForEveryGateAndExpert) {
  RandomStream stream(1);
  for (const Case& c : cases()) {
    Data data = random_inputs(stream, 20, 2, 2, c.responses);
    const MixtureModel model = random_model(stream, c.gate, c.expert, 2, 2, 3, c.responses);
    const RegressionJacobian found = regression_jacobian(model, data);
    ASSERT_EQ(found.jacobian.rows(), 20 * c.responses);
    for (std::size_t i = 0; i < found.parameters.size(); ++i) {
      constexpr double kStep = 1e-5;
      MixtureModel low = model, high = model;
      parameter(low, found.parameters[i]) -= kStep;
      parameter(high, found.parameters[i]) += kStep;
      const Matrix at = model.mean(data);
      const Matrix left = (at - low.mean(data)) / kStep, right = (high.mean(data) - at) / kStep;
      for (Index j = 0; j < c.responses; ++j)
        for (Index t = 0; t < 20; ++t) {
          if (std::abs(left(t, j) - right(t, j)) > 1e-2) continue;
          const double exact = found.jacobian(t + 20 * j, static_cast<Index>(i));
          EXPECT_NEAR(exact, 0.5 * (left(t, j) + right(t, j)), 1e-6 * (1 + std::abs(exact)))
              << enum_name(c.gate.kind) << " " << enum_name(c.expert.kind) << " parameter " << i;
        }
    }
  }
}

// The core formulas on ceres::Jet give the derivatives without any formula of this floor; both are exact, so only
// rounding (1e-16 times some ten operations on numbers up to 1e2) separates them.
template <class GateFormula, template <class> class GateParameters, class Mean>
void expect_jets_agree(const MixtureModel& model, const Data& data, const Mean& mean) {
  using J = ceres::Jet<double, 1>;
  using Jets = JetArray<1>;
  const RegressionJacobian found = regression_jacobian(model, data);
  const int k = model.expert_count(), q = model.gate.inputs();
  for (std::size_t i = 0; i < found.parameters.size(); ++i) {
    const RegressionParameter& p = found.parameters[i];
    const auto lifted = [&](double value, bool moved) {
      J jet(value);
      jet.v[0] = moved ? 1 : 0;
      return jet;
    };
    GateParameters<Jets> gate{.slopes = Jets(k, q), .intercepts = Jets(1, k)};
    for (int j = 0; j < k; ++j) {
      const Index at = static_cast<Index>(j) * model.gate.block_size();
      gate.intercepts(0, j) = lifted(model.gate.parameters()(at), p.gate && p.index == at);
      for (int c = 0; c < q; ++c)
        gate.slopes(j, c) = lifted(model.gate.parameters()(at + 1 + c), p.gate && p.index == at + 1 + c);
    }
    const Jets gate_inputs = data.gate_inputs.array().cast<J>();
    const Jets inputs = data.expert_inputs.array().cast<J>();
    Jets means(data.rows(), k);
    for (int j = 0; j < k; ++j) {
      const Expert& expert = model.experts[static_cast<std::size_t>(j)];
      std::vector<J> theta;
      for (Index t = 0; t < expert.parameters().size(); ++t)
        theta.push_back(lifted(expert.parameters()(t), !p.gate && p.expert == j && p.index == t));
      means.col(j) = mean(inputs, theta);
    }
    const Jets f = mixture_mean(GateFormula{}.log_weights(gate_inputs, gate), means);
    for (Index t = 0; t < data.rows(); ++t)
      EXPECT_NEAR(found.jacobian(t, static_cast<Index>(i)), f(t, 0).v[0], 1e-12 * (1 + std::abs(f(t, 0).v[0])));
  }
}

TEST(RegressionJacobian, AgreesWithAutomaticDifferentiationOfTheCoreFormulas) {
  RandomStream stream(2);
  using Jets = JetArray<1>;
  const auto single = [](ActivationKind kind) {
    return [kind](const Jets& x, const auto& theta) {
      GaussianParameters<Jets> p{.slopes = Jets(1, x.cols()), .intercepts = Jets(1, 1), .log_sigmas = Jets(1, 1)};
      p.intercepts(0, 0) = theta[0];
      for (Index c = 0; c < x.cols(); ++c) p.slopes(0, c) = theta[static_cast<std::size_t>(1 + c)];
      return GaussianExpert{.activation = {.kind = kind, .degree = 3}}.mean(x, p);
    };
  };
  const auto network = [](const Jets& x, const auto& theta) {
    constexpr Index kHidden = 2;
    const Index d = x.cols();
    FeedForwardParameters<Jets> p{Jets(kHidden, d), Jets(1, kHidden), Jets(1, kHidden), Jets(1, 1), Jets(1, 1)};
    std::size_t at = 0;
    for (Index u = 0; u < kHidden; ++u) {
      p.hidden_biases(0, u) = theta[at++];
      for (Index c = 0; c < d; ++c) p.hidden_weights(u, c) = theta[at++];
    }
    p.output_bias(0, 0) = theta[at++];
    for (Index u = 0; u < kHidden; ++u) p.output_weights(0, u) = theta[at++];
    return FeedForwardExpert{}.mean(x, p);
  };
  const Data data = random_inputs(stream, 15, 2, 2);
  const auto model = [&](GateKind gate, ExpertKind kind) {
    return random_model(stream, {.kind = gate}, {.kind = kind, .degree = 3, .hidden = 2}, 2, 2, 3);
  };
  expect_jets_agree<SoftmaxGate, SoftmaxParameters>(model(GateKind::softmax, ExpertKind::linear), data,
                                                    single(ActivationKind::identity));
  expect_jets_agree<SoftmaxGate, SoftmaxParameters>(model(GateKind::softmax, ExpertKind::gelu), data,
                                                    single(ActivationKind::gelu));
  expect_jets_agree<SigmoidGate, SigmoidParameters>(model(GateKind::sigmoid, ExpertKind::sigmoid), data,
                                                    single(ActivationKind::sigmoid));
  expect_jets_agree<SigmoidGate, SigmoidParameters>(model(GateKind::sigmoid, ExpertKind::polynomial), data,
                                                    single(ActivationKind::polynomial));
  expect_jets_agree<SoftmaxGate, SoftmaxParameters>(model(GateKind::softmax, ExpertKind::network), data, network);
}

TEST(LeastSquares, OneLinearExpertIsOrdinaryRegression) {
  RandomStream stream(3);
  Data data = random_inputs(stream, 100, 2, 2);
  data.weights = Vector::NullaryExpr(100, [&] { return stream.uniform(0.2, 2); });
  for (Index i = 0; i < 100; ++i) data.response(i, 0) = 3 + data.expert_inputs(i, 0) + stream.normal();
  const FitResult result = fit(data, quick(1));
  Matrix x(100, 3);
  x << Vector::Ones(100), data.expert_inputs;
  const Matrix inverse = Matrix(x.transpose() * data.weights.asDiagonal() * x).inverse();
  const Vector b = inverse * (x.transpose() * data.weights.asDiagonal() * data.response.col(0));
  const Vector e = data.response.col(0) - x * b;
  const double squares = data.weights.dot(e.cwiseAbs2()), n = data.weights.sum();
  EXPECT_TRUE(result.converged);
  EXPECT_LT((result.model.experts[0].parameters().head(3) - b).cwiseAbs().maxCoeff(), 1e-11);
  ASSERT_TRUE(result.least_squares.has_value());
  EXPECT_NEAR(result.least_squares->sum_of_squares(0), squares, 1e-11 * squares);
  EXPECT_NEAR(result.least_squares->residual_deviation(0), std::sqrt(squares / (n - 3)), 1e-11);
  EXPECT_NEAR(result.log_likelihood, -0.5 * n * (std::log(2 * M_PI * squares / n) + 1), 1e-9);
  EXPECT_EQ(result.degrees_of_freedom, 4);

  // Standard errors: s^2 (X'WX)^-1, and HC1 in White's form.
  const RegressionCovariance classical =
      least_squares_covariance(result.model, data, RegressionCovarianceKind::classical);
  EXPECT_TRUE(classical.trustworthy) << classical.reason;
  EXPECT_LT((classical.covariance - squares / (n - 3) * inverse).cwiseAbs().maxCoeff(), 1e-12);
  const Matrix score = data.weights.cwiseProduct(e).asDiagonal() * x;
  const Matrix white = n / (n - 3) * inverse * score.transpose() * score * inverse;
  EXPECT_LT((least_squares_covariance(result.model, data).covariance - white).cwiseAbs().maxCoeff(), 1e-12);
  // f is linear, so the second derivatives vanish up to the differences that stand for them.
  EXPECT_LT((least_squares_covariance(result.model, data, RegressionCovarianceKind::misspecified).covariance - white)
                .cwiseAbs()
                .maxCoeff(),
            1e-7 * white.cwiseAbs().maxCoeff());
}

// scipy 1.8 least_squares(method="lm"), best of 200 random starts: sum of squares 0.183641370909731 (the next local
// minimum has 23.289); standard errors from its Jacobian (numpy) and, the classical ones, from R 4.2 nls().
TEST(LeastSquares, TwoLinesReachTheMinimumAndErrorsOfScipyAndR) {
  const Data data = two_lines();
  FitOptions options = quick(2);
  options.starts = 0;
  const FitResult result = fit(data, options);
  EXPECT_TRUE(result.converged);
  EXPECT_EQ(result.model.form, ModelForm::regression);
  EXPECT_NEAR(result.least_squares->sum_of_squares(0), 0.183641370909731, 1e-13);
  EXPECT_NEAR(result.log_likelihood, 50.9154576426265, 1e-10);
  EXPECT_EQ(result.degrees_of_freedom, 7);
  EXPECT_GE(result.starts_agreed, 2);

  // The expert with slope -0.93 first, whatever its share.
  const bool swapped = result.model.experts[0].parameters()(1) > 0;
  const MixtureModel model = swapped ? result.model.permuted({1, 0}) : result.model;
  Vector expected(6);
  expected << 0.2553344263733372, 2.188059741641131, 0.935374328833487, -0.9327214366659046, 0.6170339436898021,
      1.5118706364321333;
  Vector found(6);
  found << model.gate.parameters().head(2), model.experts[0].parameters().head(2),
      model.experts[1].parameters().head(2);
  // Both stop at a gradient of 1e-8 or less; the least determined parameter moves by 1e-6 of its error then.
  EXPECT_LT((found - expected).cwiseAbs().maxCoeff(), 1e-6);
  const auto expect_errors = [&](RegressionCovarianceKind kind, std::initializer_list<double> wanted) {
    const RegressionCovariance covariance = least_squares_covariance(model, data, kind);
    EXPECT_TRUE(covariance.trustworthy) << covariance.reason;
    Index i = 0;
    for (const double error : wanted) EXPECT_NEAR(covariance.errors(i++), error, 2e-6 * error) << enum_name(kind);
  };
  expect_errors(RegressionCovarianceKind::classical,
                {0.44440726, 0.19905305, 0.2807973, 0.14498093, 0.45027582, 0.21690352});
  expect_errors(RegressionCovarianceKind::sandwich,
                {0.43014111, 0.19699675, 0.26290691, 0.13036936, 0.42317408, 0.19914962});
  expect_errors(RegressionCovarianceKind::misspecified,
                {0.56421208, 0.1877134, 0.34489773, 0.17036098, 0.55609281, 0.26240196});
}

// Sigmoid experts have no linear parameters: plain Levenberg-Marquardt. scipy, best of 200 random starts:
// 0.03988953967922237, the next local minimum 3.888.
TEST(LeastSquares, SigmoidExpertsReachTheMinimumOfScipy) {
  Data data;
  data.expert_inputs.resize(200, 1);
  data.response.resize(200, 1);
  const auto s = [](double z) { return 1 / (1 + std::exp(-z)); };
  for (Index i = 0; i < 200; ++i) {
    const double x = (static_cast<double>(i) - 99.5) / 50, w = s(0.3 + 4 * x);
    data.expert_inputs(i, 0) = x;
    data.response(i, 0) = w * s(3 - 3 * x) + (1 - w) * s(-2.5 - 2 * x) + 0.02 * std::sin(7.0 * static_cast<double>(i));
  }
  data.gate_inputs = data.expert_inputs;
  FitOptions options = quick(2, ExpertKind::sigmoid);
  options.starts = 0;
  const FitResult result = fit(data, options);
  EXPECT_TRUE(result.converged);
  EXPECT_NEAR(result.least_squares->sum_of_squares(0), 0.03988953967922237, 1e-12);
}

// Without noise, from a start near the truth, every gate and expert goes through the data: the sum of squares falls to
// rounding, which no wrong derivative would allow.
TEST(LeastSquares, EveryGateAndExpertReturnsToTheTruthFromNearby) {
  RandomStream stream(4);
  for (const Case& c : cases()) {
    Data data = random_inputs(stream, 150, 2, 2, c.responses);
    const MixtureModel truth = random_model(stream, c.gate, c.expert, 2, 2, 2, c.responses);
    data.response = truth.mean(data);
    MixtureModel near = truth;
    for (const RegressionParameter& p : regression_parameters(truth)) parameter(near, p) += 0.02 * stream.normal();
    FitOptions options = quick(2);
    options.gate = c.gate;
    // The truth sees the inputs as they are; a gate that is not closed under a change of units must do so too.
    options.gate.units = GateUnits::raw;
    options.expert = c.expert;
    options.starts = 1;
    options.short_iterations = 1;
    options.separation_ridge = 0;  // gates near a step keep their coefficients
    const FitResult result = fit(data, options, &near);
    // A kink leaves a finite number of places to stand, and Laplace gates have one at every centre.
    const bool kinked = c.expert.kind == ExpertKind::relu || c.expert.kind == ExpertKind::leaky_relu;
    EXPECT_LT(1 - result.least_squares->r_squared.minCoeff(), kinked ? 1e-3 : 1e-12)
        << enum_name(c.gate.kind) << " " << enum_name(c.expert.kind) << ": " << result.brief();
  }
}

TEST(LeastSquares, InvariantUnderRowsWeightsUnitsAndThreads) {
  const Data data = two_lines();
  const FitResult base = fit(data, quick(2));
  const double squares = base.least_squares->sum_of_squares(0);
  std::vector<Index> reversed(40), twice;
  std::iota(reversed.rbegin(), reversed.rend(), Index{0});
  for (Index i = 0; i < 40; ++i) twice.insert(twice.end(), {i, i});
  EXPECT_NEAR(fit(data.subset(reversed), quick(2)).least_squares->sum_of_squares(0), squares, 1e-9 * squares);
  EXPECT_NEAR(fit(data.subset(twice), quick(2)).least_squares->sum_of_squares(0), 2 * squares, 2e-9 * squares);
  Data weighted = data;
  weighted.weights = Vector::Constant(40, 2.0);
  EXPECT_NEAR(fit(weighted, quick(2)).least_squares->sum_of_squares(0), 2 * squares, 2e-9 * squares);
  Data moved = data;
  moved.expert_inputs = (data.expert_inputs.array() * 10 + 2000).matrix();
  moved.gate_inputs = moved.expert_inputs;
  moved.response = (data.response.array() * 1e6 - 3e7).matrix();
  EXPECT_NEAR(fit(moved, quick(2)).least_squares->sum_of_squares(0), 1e12 * squares, 1e-8 * 1e12 * squares);
  FitOptions parallel = quick(2);
  parallel.threads = 4;
  const FitResult threaded = fit(data, parallel);
  EXPECT_EQ(threaded.model.gate.parameters(), base.model.gate.parameters());
  EXPECT_EQ(threaded.log_likelihood, base.log_likelihood);
}

TEST(LeastSquares, OffsetIsAddedToThePredictor) {
  Data data = two_lines();
  data.offset = (3 * data.expert_inputs.col(0)).array().cos().matrix();
  Data plain = data;
  plain.offset.resize(0);
  data.response.col(0) += data.offset;  // linear experts behind weights that sum to 1: f moves by the offset
  EXPECT_NEAR(fit(data, quick(2)).least_squares->sum_of_squares(0),
              fit(plain, quick(2)).least_squares->sum_of_squares(0), 1e-9);
}

TEST(LeastSquares, MoreExpertsNeverFitWorse) {
  RandomStream stream(5);
  Data data = random_inputs(stream, 120, 1, 1);
  data.gate_inputs = data.expert_inputs;
  for (Index i = 0; i < 120; ++i) data.response(i, 0) = std::sin(3 * data.expert_inputs(i, 0)) + 0.2 * stream.normal();
  double before = std::numeric_limits<double>::infinity();
  for (int k = 1; k <= 4; ++k) {
    FitOptions options = quick(k);
    options.starts = 2;
    options.separation_ridge = 0;  // a penalised solution may well be above a smaller one that needs no penalty
    const double squares = fit(data, options).least_squares->sum_of_squares(0);
    EXPECT_LE(squares, before * (1 + 1e-9)) << k;
    before = squares;
  }
}

TEST(LeastSquares, SeveralResponsesShareTheGate) {
  RandomStream stream(6);
  Data data = random_inputs(stream, 300, 1, 1, 2);
  data.gate_inputs = data.expert_inputs;
  MixtureModel truth = random_model(stream, {}, {}, 1, 1, 2, 2);
  truth.gate.parameters() << 0.5, 4, 0, 0;
  data.response = truth.mean(data);
  const FitResult exact = fit(data, quick(2));
  EXPECT_GT(exact.least_squares->r_squared.minCoeff(), 1 - 1e-12);
  for (double& y : data.response.reshaped()) y += 0.1 * stream.normal();
  const FitResult result = fit(data, quick(2));
  EXPECT_EQ(result.degrees_of_freedom, 2 + 8 + 3);
  // 600 residuals of deviation 0.1: the estimate has a relative standard error of 3 %.
  EXPECT_NEAR(result.least_squares->residual_deviation(0), 0.1, 0.015);
  // The log-likelihood is that of a normal with the residual covariance: -n/2 (2 log(2 pi) + log|S| + 2).
  const Matrix e = data.response - result.model.mean(data);
  const Matrix s = e.transpose() * e / 300;
  EXPECT_NEAR(result.log_likelihood, -150 * (2 * std::log(2 * M_PI) + std::log(s.determinant()) + 2), 1e-7);
  EXPECT_LT((result.model.experts[1].covariance() - s).cwiseAbs().maxCoeff(), 1e-12);
  EXPECT_TRUE(least_squares_covariance(result.model, data, RegressionCovarianceKind::classical).trustworthy);
}

// A constant gate in front of linear experts: f = (sum w a)'x + sum w b, of whose parameters only two are determined.
TEST(LeastSquares, FlatDirectionsAreReported) {
  const Data data = two_lines();
  const FitResult result = fit(data, quick(2, ExpertKind::linear, GateKind::constant));
  EXPECT_EQ(result.least_squares->rank, 2);
  EXPECT_EQ(result.least_squares->parameters, 5);
  EXPECT_EQ(result.least_squares->flat_directions.size(), 3u);
  EXPECT_FALSE(result.warnings.empty());
  const RegressionCovariance covariance = least_squares_covariance(result.model, data);
  EXPECT_EQ(covariance.rank, 2);
  EXPECT_FALSE(covariance.trustworthy);
  EXPECT_NE(covariance.reason.find("2 of 5"), std::string::npos) << covariance.reason;
  EXPECT_TRUE(std::isnan(covariance.errors(1)));
}

// Behind weights that do not sum to 1, experts moved by a constant do not move f by it: the response keeps its origin.
TEST(LeastSquares, SumOfSquaresIsThatOfTheModelOnTheScaleOfTheData) {
  Data data = two_lines();
  data.response.array() += 5;
  for (const GateKind gate : {GateKind::softmax, GateKind::unnormalised_sigmoid, GateKind::laplace}) {
    const FitResult result = fit(data, quick(2, ExpertKind::linear, gate));
    const double squares = (data.response - result.model.mean(data)).squaredNorm();
    EXPECT_NEAR(result.least_squares->sum_of_squares(0), squares, 1e-9 * squares) << enum_name(gate);
  }
}

// Two experts too many for one line: whatever runs away, numbers stay finite and the fit is that of a line or better.
TEST(LeastSquares, NumbersStayFiniteWithTooManyExperts) {
  RandomStream stream(8);
  Data data = random_inputs(stream, 60, 1, 1);
  data.gate_inputs = data.expert_inputs;
  for (Index i = 0; i < 60; ++i) data.response(i, 0) = 1 + 2 * data.expert_inputs(i, 0) + 0.1 * stream.normal();
  const double line = fit(data, quick(1)).least_squares->sum_of_squares(0);
  for (const ExpertKind kind : {ExpertKind::linear, ExpertKind::sigmoid}) {
    const FitResult result = fit(data, quick(3, kind));
    EXPECT_TRUE(result.model.gate.parameters().allFinite());
    for (const Expert& expert : result.model.experts) EXPECT_TRUE(expert.parameters().allFinite());
    EXPECT_TRUE(std::isfinite(result.log_likelihood));
    if (kind == ExpertKind::linear) EXPECT_LE(result.least_squares->sum_of_squares(0), line * (1 + 1e-3));
  }
}

TEST(LeastSquares, ExpertsOfSeveralKinds) {
  const Data data = two_lines();
  FitOptions options = quick(2);
  options.expert_kinds = {ExpertKind::linear, ExpertKind::tanh};
  const FitResult result = fit(data, options);
  const ExpertKind first = result.model.experts[0].spec().kind, second = result.model.experts[1].spec().kind;
  EXPECT_TRUE((first == ExpertKind::linear && second == ExpertKind::tanh) ||
              (first == ExpertKind::tanh && second == ExpertKind::linear));
  const double squares = (data.response - result.model.mean(data)).squaredNorm();
  EXPECT_NEAR(result.least_squares->sum_of_squares(0), squares, 1e-9 * squares);
}

TEST(LeastSquares, TheResultIsARegressionFunction) {
  const Data data = two_lines();
  const FitResult result = fit(data, quick(2));
  const MixtureModel& model = result.model;
  EXPECT_NEAR(model.log_likelihood(data), result.log_likelihood, 1e-10);
  EXPECT_EQ(model.responsibilities(data), Matrix(model.gate.log_weights(data.gate_inputs).array().exp()));
  // The 97.5 % quantile of the normal distribution: 1.959963984540054.
  const Vector width = (model.quantile(data, 0.975) - model.mean(data).col(0)) / model.experts[0].sigma();
  EXPECT_LT((width.array() - 1.959963984540054).abs().maxCoeff(), 1e-12);
  EXPECT_THROW((void)model.joint_log_density(data), std::invalid_argument);
}

TEST(LeastSquares, WrongUseIsRefused) {
  Data data = two_lines();
  data.response = data.response.cwiseAbs().array().floor().matrix();
  EXPECT_THROW((void)fit(data, quick(2, ExpertKind::poisson)), std::invalid_argument);
  EXPECT_THROW((void)fit(data, quick(2, ExpertKind::student_t)), std::invalid_argument);
  FitOptions noisy = quick(2);
  noisy.noise = NoiseKind::uniform;
  EXPECT_THROW((void)fit(data, noisy), std::invalid_argument);
  Data grouped = data;
  grouped.groups.assign(40, 0);
  EXPECT_THROW((void)fit(grouped, quick(2)), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
