// Standard errors against closed forms, R and differences of the likelihood on the scale of the data; laws; findings.
#include "clearway/stat/inference.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>
#include <cmath>
#include <numeric>

#include "inference_cases.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using testing::names_for;
using testing::options_for;
using testing::random_data;
using testing::random_matrix;
using testing::two_lines;

// One expert over one input that is also the gate's.
Data simple_data(const std::vector<double>& x, const std::vector<double>& y) {
  Data data;
  const auto n = static_cast<Index>(x.size());
  data.expert_inputs = Eigen::Map<const Matrix>(x.data(), n, 1);
  data.gate_inputs = data.expert_inputs;
  data.response = Eigen::Map<const Matrix>(y.data(), n, 1);
  return data;
}

// R's cars: lm(dist ~ speed, cars).
const std::vector<double> kSpeed = {4,  4,  7,  7,  8,  9,  10, 10, 10, 11, 11, 12, 12, 12, 12, 13, 13,
                                    13, 13, 14, 14, 14, 14, 15, 15, 15, 16, 16, 17, 17, 17, 18, 18, 18,
                                    18, 19, 19, 19, 20, 20, 20, 20, 20, 22, 23, 24, 24, 24, 24, 25};
const std::vector<double> kDistance = {2,  10, 4,  22, 16, 10, 18, 26, 34, 17, 28, 14, 20, 24, 28,  26, 34,
                                       34, 46, 26, 36, 60, 80, 20, 26, 54, 32, 40, 32, 40, 50, 42,  56, 76,
                                       84, 36, 46, 68, 32, 48, 52, 56, 64, 66, 54, 70, 92, 93, 120, 85};

TEST(Inference, OneLinearExpertIsOrdinaryLeastSquares) {
  const Data data = simple_data(kSpeed, kDistance);
  const FitResult result = fit(data, options_for(1));
  // R: sqrt(diag(vcov(lm(dist ~ speed, cars)))) = 6.758440169379 0.415512776657, with divisor n - 2 where maximum
  // likelihood has n; coefficients -17.57909489051 3.93240875912; HC0: sqrt(diag(B crossprod(X * e) B)), B =
  // solve(crossprod(X)) = 5.541872177293 0.398680875607; sigma = sqrt(mean(e^2)) = 15.0688559958.
  const Inference observed = infer(data, result, names_for(data));
  const double to_likelihood = std::sqrt(48.0 / 50.0);
  ASSERT_EQ(observed.names, (std::vector<std::string>{"expert 1: (intercept)", "expert 1: x1", "expert 1: sigma"}));
  // R prints 12 digits.
  EXPECT_NEAR(observed.standard_errors(0), 6.758440169379 * to_likelihood, 1e-9);
  EXPECT_NEAR(observed.standard_errors(1), 0.415512776657 * to_likelihood, 1e-10);
  EXPECT_NEAR(observed.standard_errors(2), 15.0688559958 / std::sqrt(100.0), 1e-8);  // sigma / sqrt(2 n)
  EXPECT_NEAR(observed.z(1), 3.93240875912 / observed.standard_errors(1), 1e-8);
  EXPECT_NEAR(observed.p(0), std::erfc(17.57909489051 / observed.standard_errors(0) / std::sqrt(2.0)), 1e-9);
  // The interval of sigma: symmetric on the log scale, reach 1.959963984540054 / sqrt(2 n).
  EXPECT_NEAR(observed.upper(2), 15.0688559958 * std::exp(1.959963984540054 / 10), 1e-8);
  EXPECT_TRUE(std::isnan(observed.z(2)));
  EXPECT_TRUE(observed.findings.empty());
  const Inference robust = infer(data, result, names_for(data), {.standard_errors = StandardErrorKind::sandwich});
  EXPECT_NEAR(robust.standard_errors(0), 5.541872177293, 1e-9);
  EXPECT_NEAR(robust.standard_errors(1), 0.398680875607, 1e-10);
}

TEST(Inference, OnePoissonExpertIsTheGeneralisedLinearModel) {
  // Dobson's counts of R's help(glm); R: sqrt(diag(vcov(glm(counts ~ outcome + treatment, family = poisson())))) =
  // 0.170898651504 0.202170756683 0.192742343532 0.2 0.2.
  Data data;
  data.response.resize(9, 1);
  data.response << 18, 17, 15, 20, 10, 20, 25, 13, 12;
  data.expert_inputs = Matrix::Zero(9, 4);
  for (Index t = 0; t < 9; ++t) {
    if (t % 3 > 0) data.expert_inputs(t, t % 3 - 1) = 1;
    if (t / 3 > 0) data.expert_inputs(t, 1 + t / 3) = 1;
  }
  data.gate_inputs = Matrix(9, 0);
  const FitResult result = fit(data, options_for(1, {.kind = GateKind::constant}, {.kind = ExpertKind::poisson}));
  const Inference inference = infer(data, result, names_for(data));
  ASSERT_EQ(inference.size(), 5);
  const std::vector<double> r = {0.170898651504, 0.202170756683, 0.192742343532, 0.2, 0.2};
  for (int i = 0; i < 5; ++i)  // R stops its scoring at a relative change of 1e-8
    EXPECT_NEAR(inference.standard_errors(i), r[static_cast<std::size_t>(i)], 1e-7) << i;
}

// Second differences of the log-likelihood in the raw parameters, with one Richardson step.
Matrix raw_information(const MixtureModel& model, const Data& data, const std::vector<std::vector<Index>>& free,
                       const Vector& steps) {
  const Vector centre = model_parameters(model);
  MixtureModel moved = model;
  const auto value = [&](std::size_t i, double a, std::size_t j, double b) {
    Vector point = centre;
    for (const Index c : free[i]) point(c) += a;
    for (const Index c : free[j]) point(c) += b;
    set_model_parameters(point, moved);
    return moved.log_likelihood(data);
  };
  const std::size_t m = free.size();
  Matrix information(m, m);
  const auto second = [&](std::size_t i, std::size_t j, double scale) {
    const double a = scale * steps(free[i].front()), b = scale * steps(free[j].front());
    return -(value(i, a, j, b) - value(i, a, j, -b) - value(i, -a, j, b) + value(i, -a, j, -b)) / (4 * a * b);
  };
  for (std::size_t i = 0; i < m; ++i)
    for (std::size_t j = 0; j <= i; ++j)
      information(static_cast<Index>(i), static_cast<Index>(j)) =
          information(static_cast<Index>(j), static_cast<Index>(i)) = (4 * second(i, j, 0.5) - second(i, j, 1)) / 3;
  return information;
}

struct HessianCase {
  const char* name;
  GateSpec gate;
  ExpertSpec expert;
  int responses = 1;
  NoiseKind noise = NoiseKind::none;
};

class AgainstDifferences : public ::testing::TestWithParam<HessianCase> {};

TEST_P(AgainstDifferences, StandardErrorsOnTheScaleOfTheData) {
  const HessianCase& c = GetParam();
  RandomStream stream(5);
  Data data = two_lines(300, 7);
  const Matrix both = data.expert_inputs;
  data.expert_inputs.conservativeResize(300, 1);
  data.gate_inputs = data.expert_inputs;
  if (c.responses > 1) {
    data.response.conservativeResize(300, 2);
    for (Index t = 0; t < 300; ++t) data.response(t, 1) = 0.4 * data.response(t, 0) + 30 * stream.normal();
  }
  if (c.gate.kind == GateKind::laplace) {  // two centres among inputs of the plane
    data.gate_inputs = both;
    for (Index t = 0; t < 300; ++t) {
      const double a = (both(t, 0) - 5) / 2, b = (both(t, 1) + 1) * 2;
      const bool first = stream.uniform() < 1 / (1 + std::exp(-2 * (std::hypot(a - 1, b) - std::hypot(a + 1, b))));
      data.response(t, 0) = (first ? 5 + a : -5 - a) + 0.5 * stream.normal();
    }
  }
  if (c.expert.kind == ExpertKind::student_t)
    for (Index t = 0; t < 300; ++t)
      data.response(t, 0) = (t % 2 ? 8 + data.expert_inputs(t, 0) : -8.0) + stream.student_t(3);
  if (c.expert.kind == ExpertKind::poisson)
    for (Index t = 0; t < 300; ++t) {
      const double x = data.expert_inputs(t, 0);
      data.response(t, 0) = static_cast<double>(stream.poisson(t % 2 ? std::exp(2.5 + 0.2 * (x - 5)) : 2.0));
    }
  if (c.expert.kind == ExpertKind::gamma)
    for (Index t = 0; t < 300; ++t) data.response(t, 0) = (t % 2 ? 0.5 : 9) * stream.gamma(4);
  data.weights = Vector::LinSpaced(300, 0.5, 1.5);
  FitOptions options = options_for(2, c.gate, c.expert);
  options.noise = c.noise;
  const FitResult result = fit(data, options);
  ASSERT_TRUE(result.converged);
  const Inference inference = infer(data, result, names_for(data));
  ASSERT_TRUE(inference.available());

  std::vector<std::vector<Index>> free;
  std::vector<Index> shared;
  const MixtureModel& model = result.model;
  for (Index i = 0; i < model.gate.parameters().size(); ++i)
    if (!model.gate.pinned(i)) free.push_back({i});
  Index at = model.gate.parameters().size();
  for (const Expert& expert : model.experts) {
    for (Index i = 0; i < expert.parameters().size(); ++i, ++at) {
      if (c.expert.variance == VarianceKind::shared && i + 1 == expert.parameters().size())
        shared.push_back(at);
      else
        free.push_back({at});
    }
  }
  if (!shared.empty()) free.push_back(shared);
  if (model.has_noise) free.push_back({at});
  const Vector raw_errors = inference.model_covariance.diagonal().cwiseSqrt();
  const Matrix covariance =
      raw_information(model, data, free, 0.05 * raw_errors)
          .ldlt()
          .solve(Matrix::Identity(static_cast<Index>(free.size()), static_cast<Index>(free.size())));
  for (std::size_t i = 0; i < free.size(); ++i) {
    // Steps of a twentieth of a standard error: the value moves by 1e-3 and is rounded at 500 * 1e-16 * 300^(1/2), which
    // leaves 1e-9 of the curvature, and inverting correlations up to 0.999 multiplies that by less than 1e4.
    const auto ii = static_cast<Index>(i);
    EXPECT_NEAR(raw_errors(free[i].front()) / std::sqrt(covariance(ii, ii)), 1.0, 1e-5) << c.name << " " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(
    GatesAndExperts, AgainstDifferences,
    ::testing::Values(HessianCase{"softmax linear", {}, {}},
                      HessianCase{"constant shared", {.kind = GateKind::constant}, {.variance = VarianceKind::shared}},
                      HessianCase{"quadratic linear", {.kind = GateKind::quadratic}, {}},
                      HessianCase{"laplace linear", {.kind = GateKind::laplace, .temperature = 0.5}, {}},
                      HessianCase{"softmax student", {.temperature = 2}, {.kind = ExpertKind::student_t}},
                      HessianCase{"softmax poisson", {}, {.kind = ExpertKind::poisson}},
                      HessianCase{"constant gamma", {.kind = GateKind::constant}, {.kind = ExpertKind::gamma}},
                      HessianCase{"softmax vector", {}, {}, 2},
                      HessianCase{"softmax noise", {}, {}, 1, NoiseKind::uniform}));

TEST(Inference, EveryRowItsOwnClusterIsTheSandwich) {
  const Data data = two_lines(400, 3);
  const FitResult result = fit(data, options_for(2));
  std::vector<int> own(400);
  std::iota(own.begin(), own.end(), -7);
  const ModelNames names = names_for(data);
  const Inference sandwich = infer(data, result, names, {.standard_errors = StandardErrorKind::sandwich});
  const Inference cluster = infer(data, result, names, {.standard_errors = StandardErrorKind::cluster}, own);
  // The same sums in another order: 400 additions, inverted twice with a condition number below 1e3.
  EXPECT_LT((sandwich.standard_errors - cluster.standard_errors)
                .cwiseQuotient(sandwich.standard_errors)
                .cwiseAbs()
                .maxCoeff(),
            1e-10);
}

TEST(Inference, RowsRepeatedInClustersGiveTheErrorsOfTheRowsOnce) {
  const Data once = two_lines(300, 4);
  std::vector<Index> rows;
  std::vector<int> clusters;
  for (Index t = 0; t < 300; ++t)
    for (int copy = 0; copy < 3; ++copy) {
      rows.push_back(t);
      clusters.push_back(static_cast<int>(t));
    }
  const Data thrice = once.subset(rows);
  const FitResult fit_once = fit(once, options_for(2));
  const FitResult fit_thrice = fit(thrice, options_for(2));
  const ModelNames names = names_for(once);
  const Vector a = infer(once, fit_once, names, {.standard_errors = StandardErrorKind::sandwich}).standard_errors;
  const Vector b =
      infer(thrice, fit_thrice, names, {.standard_errors = StandardErrorKind::cluster}, clusters).standard_errors;
  // Both fits end within 1e-6 standard errors of the maximum.
  EXPECT_LT((a - b).cwiseQuotient(a).cwiseAbs().maxCoeff(), 1e-5);
  // And the observed information counts a repeated row as a row of weight three.
  Data weighted = once;
  weighted.weights = Vector::Constant(300, 3.0);
  const Vector c = infer(weighted, fit(weighted, options_for(2)), names).standard_errors;
  const Vector d = infer(thrice, fit_thrice, names).standard_errors;
  EXPECT_LT((c - d).cwiseQuotient(c).cwiseAbs().maxCoeff(), 1e-5);
}

TEST(Inference, UnitsDoNotChangeZValues) {
  const Data data = two_lines(300, 8);
  Data other = data;
  other.expert_inputs.col(0) = 1e4 * data.expert_inputs.col(0);  // no shift: the intercepts stay the same hypotheses
  other.expert_inputs.col(1) = 1e-3 * data.expert_inputs.col(1);
  other.gate_inputs = other.expert_inputs;
  other.response *= 1e5;
  const ModelNames names = names_for(data);
  for (const StandardErrorKind kind : {StandardErrorKind::observed, StandardErrorKind::sandwich}) {
    const Inference a = infer(data, fit(data, options_for(2)), names, {.standard_errors = kind});
    const Inference b = infer(other, fit(other, options_for(2)), names, {.standard_errors = kind});
    for (int i = 0; i < a.size(); ++i)
      if (!std::isnan(a.z(i))) {
        EXPECT_NEAR(a.z(i), b.z(i), 1e-5 * (1 + std::abs(a.z(i)))) << a.names[static_cast<std::size_t>(i)];
      }
  }
}

TEST(Inference, NumbersAreNotANumberExactlyWhereTheyAreWithheld) {
  RandomStream stream(21);
  for (const GateSpec& gate : testing::all_gates())
    for (const testing::ExpertCase& expert :
         {testing::ExpertCase{{.kind = ExpertKind::linear}}, testing::ExpertCase{{.kind = ExpertKind::bernoulli}},
          testing::ExpertCase{{.kind = ExpertKind::multinomial}},
          testing::ExpertCase{{.kind = ExpertKind::network, .hidden = 2}}}) {
      const Data data = random_data(expert, 60, 2, 2, stream);
      FitOptions options = options_for(2, gate, expert.spec);
      options.method = FitMethod::em;
      options.starts = 1;
      options.max_iterations = 12;
      options.newton = false;  // also away from a maximum, where most is withheld
      const FitResult result = fit(data, options);
      const Inference inference =
          infer(data, result, names_for(data), {.standard_errors = StandardErrorKind::sandwich});
      for (int i = 0; i < inference.size(); ++i) {
        EXPECT_EQ(std::isfinite(inference.standard_errors(i)), inference.valid(i))
            << enum_name(gate.kind) << " x " << enum_name(expert.spec.kind) << ": "
            << inference.names[static_cast<std::size_t>(i)];
        EXPECT_EQ(std::isfinite(inference.lower(i)) && std::isfinite(inference.upper(i)), inference.valid(i));
      }
      EXPECT_TRUE(inference.model_covariance.allFinite());
    }
}

bool has(const Inference& inference, ValidityProblem problem) {
  for (const ValidityFinding& d : inference.findings)
    if (d.problem == problem) return true;
  return false;
}

TEST(InferenceValidity, MoreExpertsThanThereAre) {
  RandomStream stream(31);
  Data data;
  data.expert_inputs = random_matrix(stream, 500, 1);
  data.gate_inputs = data.expert_inputs;
  data.response = 1 + 2 * data.expert_inputs.array() + 0.5 * random_matrix(stream, 500, 1).array();
  const Inference inference = infer(data, fit(data, options_for(2)), names_for(data));
  // One line has one expert; the second sits on a few rows that happen to lie well, and merging it loses little.
  EXPECT_TRUE(has(inference, ValidityProblem::same_experts));
  EXPECT_FALSE(inference.valid(inference.index("gate 1: z1")));
}

TEST(InferenceValidity, SeparatedGate) {
  Data data = two_lines(200, 9, 0.1);
  RandomStream stream(10);
  data.expert_inputs.conservativeResize(200, 1);
  for (Index t = 0; t < 200; ++t) {  // a jump at 5 without overlap
    const double x = data.expert_inputs(t, 0);
    data.response(t, 0) = (x > 5 ? 10 + x : -x) + 0.3 * stream.normal();
  }
  data.gate_inputs = data.expert_inputs;
  const FitResult result = fit(data, options_for(2));
  ASSERT_TRUE(result.gate_separated);
  const Inference inference = infer(data, result, names_for(data));
  EXPECT_TRUE(has(inference, ValidityProblem::gate_separated));
  EXPECT_FALSE(inference.valid(inference.index("gate 1: z1")));
  EXPECT_TRUE(inference.valid(inference.index("expert 1: x1")));
}

// Large tables are summed in parts: every row twice gives errors smaller by sqrt(2), whether in one part or in several.
TEST(Inference, LargeTablesInParts) {
  const Data once = two_lines(140000, 13);
  std::vector<Index> rows;
  for (int copy = 0; copy < 2; ++copy)
    for (Index t = 0; t < once.rows(); ++t) rows.push_back(t);
  const Data twice = once.subset(rows);
  FitResult result = fit(once, options_for(2));
  for (const StandardErrorKind kind : {StandardErrorKind::observed, StandardErrorKind::sandwich}) {
    InferenceOptions options;
    options.standard_errors = kind;
    const Inference small = infer(once, result, names_for(once), options);
    const Inference large = infer(twice, result, names_for(twice), options);
    ASSERT_TRUE(small.available() && large.available());
    EXPECT_LT((large.standard_errors * std::sqrt(2.0) - small.standard_errors)
                  .cwiseQuotient(small.standard_errors)
                  .cwiseAbs()
                  .maxCoeff(),
              1e-8);
  }
}

// Classes that one input parts without error: estimates run to infinity, and one finding says so for all of them.
TEST(InferenceValidity, SeparatedClasses) {
  Data data = two_lines(100, 12, 0.1);
  data.expert_inputs.conservativeResize(100, 1);
  data.gate_inputs.resize(100, 0);
  for (Index t = 0; t < 100; ++t) data.response(t, 0) = data.expert_inputs(t, 0) > 5 ? 1 : 0;
  FitOptions options = options_for(1);
  options.expert.kind = ExpertKind::bernoulli;
  const Inference inference = infer(data, fit(data, options), names_for(data));
  const auto flat = [](const ValidityFinding& finding) {
    return finding.sentence.find("separation") != std::string::npos;
  };
  EXPECT_EQ(std::count_if(inference.findings.begin(), inference.findings.end(), flat), 1);
  EXPECT_FALSE(inference.valid(inference.index("expert 1: x1")));
}

TEST(InferenceValidity, RidgeIsACondition) {
  const Data data = two_lines(300, 11);
  FitOptions options = options_for(2);
  options.gate_ridge = 1e-3;
  const FitResult result = fit(data, options);
  const Inference inference = infer(data, result, names_for(data));
  EXPECT_TRUE(has(inference, ValidityProblem::gate_penalised));
  // At the penalised maximum the penalised score vanishes, also when the experts were reordered.
  EXPECT_LT(inference.newton_decrement, 1e-8);
  EXPECT_TRUE(inference.valid(inference.index("gate 1: z1")));
}

TEST(InferenceValidity, NotAtAMaximum) {
  const Data data = two_lines(300, 12);
  FitResult result = fit(data, options_for(2));
  result.model.experts[0].parameters()(1) += 1;
  const Inference inference = infer(data, result, names_for(data));
  EXPECT_TRUE(has(inference, ValidityProblem::not_at_maximum));
  EXPECT_FALSE(inference.available());
  EXPECT_TRUE(std::isnan(inference.standard_errors(0)));
}

TEST(InferenceValidity, DirectionsThatASymmetryLeavesFreeAreNamed) {
  const Data data = two_lines(200, 14);
  FitOptions options = options_for(2, {.kind = GateKind::gaussian});
  options.starts = 2;
  const FitResult result = fit(data, options);
  const Inference inference = infer(data, result, names_for(data));
  // The weights of two Gaussians depend on the difference of their quadratic forms only.
  ASSERT_TRUE(has(inference, ValidityProblem::not_identified));
  EXPECT_FALSE(inference.valid(inference.index("gate 1: centre z1")));
  EXPECT_TRUE(inference.valid(inference.index("expert 1: x1")));
  EXPECT_TRUE(inference.valid(inference.index("share 1")));
}

TEST(Fixed, CoefficientsHaveNoErrorAndNoTest) {
  const Data data = two_lines(400, 41);
  FitOptions options = options_for(2);
  options.constraints.fixed = {{false, 0, 1, 0.5}};
  const FitResult result = fit(data, options);
  const Inference inference = infer(data, result, names_for(data));
  const int at = inference.index("expert 1: x1");
  EXPECT_TRUE(inference.fixed[static_cast<std::size_t>(at)]);
  EXPECT_EQ(std::count(inference.fixed.begin(), inference.fixed.end(), true), 1);
  EXPECT_EQ(inference.estimates(at), 0.5);
  for (const Vector* column :
       {&inference.standard_errors, &inference.z, &inference.p, &inference.lower, &inference.upper})
    EXPECT_TRUE(std::isnan((*column)(at)));
  EXPECT_GT(inference.standard_errors(inference.index("expert 2: x1")), 0);
  EXPECT_NE(inference_tables(result, inference, 6, 92).find("fixed"), std::string::npos);
}

}  // namespace
}  // namespace clearway
