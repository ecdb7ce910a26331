#include "clearway/stat/scenario.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "clearway/stat/truth.hpp"

namespace clearway {
namespace {

Matrix slopes_of(const Problem& problem) {
  Matrix rows(problem.truth.expert_count(), problem.options.dim);
  for (int i = 0; i < problem.truth.expert_count(); ++i)
    rows.row(i) =
        problem.truth.experts[static_cast<std::size_t>(i)].parameters().segment(1, problem.options.dim).transpose();
  return rows;
}

Matrix gate_slopes_of(const Problem& problem) {
  Matrix rows(problem.truth.expert_count(), problem.options.dim);
  for (int i = 0; i < problem.truth.expert_count(); ++i) rows.row(i) = problem.truth.gate.block(i).tail(rows.cols());
  return rows;
}

TEST(Gridlock, IsTheDesignItClaims) {
  ScenarioOptions options;
  options.experts = 4;
  options.rows = 100;
  options.noise = 0.2;
  const Problem problem = make_problem(options);
  const Matrix a = slopes_of(problem);
  const Matrix w = gate_slopes_of(problem);
  for (int i = 0; i < 4; ++i) {
    EXPECT_NEAR(a.row(i).norm(), 1.0, 1e-14);
    EXPECT_NEAR(w.row(i).norm(), i < 3 ? 4.0 : 0.0, 1e-13);
    EXPECT_NEAR(problem.truth.experts[static_cast<std::size_t>(i)].sigma(), 0.2, 1e-15);
    EXPECT_EQ(problem.truth.experts[static_cast<std::size_t>(i)].parameters()(0), 0.0);
  }
  EXPECT_LT((w * a.transpose()).cwiseAbs().maxCoeff(), 1e-13);
  options.orthogonal = false;
  const Problem random = make_problem(options);
  EXPECT_GT((gate_slopes_of(random) * slopes_of(random).transpose()).cwiseAbs().maxCoeff(), 0.1);
}

TEST(Gridlock, TruthDoesNotDependOnTheRows) {
  ScenarioOptions options;
  options.rows = 50;
  const Problem few = make_problem(options);
  options.rows = 500;
  const Problem many = make_problem(options);
  EXPECT_EQ(slopes_of(few), slopes_of(many));
  EXPECT_EQ(few.data.expert_inputs, Matrix(many.data.expert_inputs.topRows(50)));
  EXPECT_EQ(few.data.response, make_problem(few.options).data.response);
  options.seed = 2;
  EXPECT_NE(slopes_of(make_problem(options)), slopes_of(many));
}

// Mean and covariance of the inputs: of n = 20000 draws each entry has a standard error of at most sqrt(3 / n) = 0.012
// (t5: fourth moment 9, so 0.02); five of them.
TEST(Gridlock, InputsAreStandardised) {
  for (const InputKind kind : {InputKind::gaussian, InputKind::logistic, InputKind::uniform, InputKind::student}) {
    ScenarioOptions options;
    options.inputs = kind;
    options.rows = 20000;
    options.dim = 5;
    const Matrix x = make_problem(options).data.expert_inputs;
    EXPECT_LT(x.colwise().mean().cwiseAbs().maxCoeff(), 0.1) << enum_name(kind);
    const Matrix covariance = x.transpose() * x / 20000.0;
    EXPECT_LT((covariance - Matrix::Identity(5, 5)).cwiseAbs().maxCoeff(), 0.1) << enum_name(kind);
  }
}

class EveryScenario : public testing::TestWithParam<ScenarioKind> {};

TEST_P(EveryScenario, LabelsFollowTheGateAndTheTruthFileComesBack) {
  ScenarioOptions options;
  options.scenario = GetParam();
  options.rows = 4000;
  const Problem problem = make_problem(options);
  ASSERT_EQ(problem.data.rows(), 4000);
  EXPECT_TRUE(problem.data.response.allFinite());

  // Shares of the labels: binomial around the expected shares, five standard errors.
  const double clean = 1.0 - problem.truth.noise_weight;
  std::vector<int> counts(static_cast<std::size_t>(problem.truth.expert_count()) + 1, 0);
  for (const int label : problem.labels) ++counts.at(static_cast<std::size_t>(label));
  for (int i = 0; i < problem.truth.expert_count(); ++i) {
    const double share = clean * problem.shares(i);
    EXPECT_NEAR(counts[static_cast<std::size_t>(i)] / 4000.0, share, 5 * std::sqrt(share * (1 - share) / 4000));
  }
  EXPECT_NEAR(counts.back() / 4000.0, problem.truth.noise_weight, 5 * std::sqrt(0.05 * 0.95 / 4000));

  const Truth truth = parse_truth(truth_json(problem), "truth.json");
  EXPECT_EQ(truth.model.gate.parameters(), problem.truth.gate.parameters());
  ASSERT_EQ(truth.model.experts.size(), problem.truth.experts.size());
  for (std::size_t i = 0; i < truth.model.experts.size(); ++i)
    EXPECT_EQ(truth.model.experts[i].parameters(), problem.truth.experts[i].parameters());
  EXPECT_EQ(truth.model.noise_weight, problem.truth.noise_weight);
  EXPECT_EQ(truth.shares, problem.shares);
}

// The truth fits the data: by the law of large numbers the mean of -log p(y | x) is the entropy of the model, which is also
// its mean over a second draw; both within five standard errors of their difference.
TEST_P(EveryScenario, ResponsesComeFromTheDensity) {
  ScenarioOptions options;
  options.scenario = GetParam();
  options.rows = 4000;
  Problem problem = make_problem(options);
  const auto log_density = [&] {
    const Matrix joint = problem.truth.joint_log_density(problem.data);
    const Vector top = joint.rowwise().maxCoeff();
    return Vector(top.array() + (joint.colwise() - top).array().exp().rowwise().sum().log());
  };
  const Vector first = log_density();
  RandomStream stream(99);
  problem.data.response = simulate(problem.truth, problem.data, stream, problem.noise_box).response;
  const Vector second = log_density();
  const double error = std::sqrt(
      ((first.array() - first.mean()).square().mean() + (second.array() - second.mean()).square().mean()) / 4000.0);
  EXPECT_NEAR(first.mean(), second.mean(), 5 * error);
}

INSTANTIATE_TEST_SUITE_P(All, EveryScenario,
                         testing::Values(ScenarioKind::gridlock, ScenarioKind::lambda, ScenarioKind::laplace,
                                         ScenarioKind::gauss, ScenarioKind::constant, ScenarioKind::poisson,
                                         ScenarioKind::binomial, ScenarioKind::gamma, ScenarioKind::outliers,
                                         ScenarioKind::hard, ScenarioKind::noisy, ScenarioKind::rare,
                                         ScenarioKind::vector),
                         [](const testing::TestParamInfo<ScenarioKind>& tested) {
                           return std::string(enum_name(tested.param));
                         });

// Shares on the data differ from those on the check points by sampling: 0.5 / sqrt(2000) = 0.011 at most, three of them.
TEST(Shares, RespectTheirBounds) {
  for (std::int64_t seed = 1; seed <= 5; ++seed) {
    const auto shares = [&](ScenarioKind kind, int experts, int dim) {
      ScenarioOptions options;
      options.scenario = kind;
      options.experts = experts;
      options.dim = dim;
      options.seed = seed;
      options.rows = 4000;
      return make_problem(options).shares;
    };
    EXPECT_GE(shares(ScenarioKind::gauss, 4, 2).minCoeff(), 0.12 - 0.033);
    EXPECT_GE(shares(ScenarioKind::hard, 6, 2).minCoeff(), 0.05 - 0.033);
    EXPECT_NEAR(shares(ScenarioKind::rare, 3, 2)(0), 0.03, 0.015);
  }
}

// Moments of the families that simulate() draws, against their formulas: n = 40000, five standard errors.
TEST(Simulate, StudentTAndVectorResponse) {
  constexpr Eigen::Index n = 40000;
  Expert student(ExpertSpec{.kind = ExpertKind::student_t}, 0);
  student.parameters() << 1.0, std::log(2.0), std::log(10.0);  // variance 4 * 10 / 8 = 5, fourth moment finite
  MixtureModel model;
  model.gate = Gate(GateSpec{.kind = GateKind::equal}, 0, 1);
  model.experts = {student};
  Data inputs;
  inputs.expert_inputs = Matrix(n, 0);
  inputs.gate_inputs = Matrix(n, 0);
  RandomStream stream(3);
  const Vector y = simulate(model, inputs, stream).response.col(0);
  EXPECT_NEAR(y.mean(), 1.0, 5 * std::sqrt(5.0 / n));
  // kurtosis 3 + 6 / (10 - 4) = 4: the variance of (y - mu)^2 is 3 * 25
  EXPECT_NEAR((y.array() - 1.0).square().mean(), 5.0, 5 * std::sqrt(75.0 / n));

  ScenarioOptions options;
  options.scenario = ScenarioKind::vector;
  options.experts = 1;
  options.rows = n;
  options.dim = 3;
  const Problem problem = make_problem(options);
  const Matrix residual =
      problem.data.response -
      problem.truth.experts.front().mean(problem.data.expert_inputs, problem.data.trials, problem.data.offset);
  const Matrix covariance = residual.transpose() * residual / static_cast<double>(n);
  EXPECT_LT((covariance - problem.truth.experts.front().covariance()).cwiseAbs().maxCoeff(),
            5 * 0.01 * std::sqrt(2.0 / n));
}

TEST(Errors, NameTheOption) {
  ScenarioOptions options;
  options.experts = 10;
  options.dim = 10;
  EXPECT_THROW(make_problem(options), std::invalid_argument);
  options = {};
  options.norms = {1.0, 2.0};
  EXPECT_THROW(make_problem(options), std::invalid_argument);
  options = {};
  options.scenario = ScenarioKind::lambda;
  options.experts = 3;
  EXPECT_THROW(make_problem(options), std::invalid_argument);
  options = {};
  options.expert.kind = ExpertKind::poisson;
  EXPECT_THROW(make_problem(options), std::invalid_argument);
}

TEST(TruthFile, ReadsThePlainFormAndNamesWhatIsWrong) {
  const Truth truth = parse_truth(
      R"({"kind": "gauss", "K": 2, "D": 1, "gate": [[0.5, -2], [0, 0]], "expert": [[1, 2], [3, 4]],
          "sigma": [0.3, 0.4], "shape": 5, "weights": [0.6, 0.4], "N": 10, "seed": 0})",
      "t.json");
  EXPECT_EQ(truth.model.experts[1].parameters()(1), 4.0);
  EXPECT_DOUBLE_EQ(truth.model.experts[1].sigma(), 0.4);
  EXPECT_EQ(truth.model.gate.block(0)(1), -2.0);
  for (const char* text : {"{", "[1]", "{}", R"({"format": "other"})", R"({"kind": "gauss", "K": 2})",
                           R"({"format": "clearway-truth", "version": 2})"})
    EXPECT_THROW(parse_truth(text, "t.json"), std::invalid_argument) << text;
}

}  // namespace
}  // namespace clearway
