#include "clearway/stat/joint_em.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "clearway/stat/scenario.hpp"

namespace clearway {
namespace {

struct Small {
  Matrix x;
  Vector y;
  JointEmOptions options;
  JointEmState start;
};

Small small_problem(ExpertKind kind) {
  ScenarioOptions scenario;
  scenario.experts = 2;
  scenario.dim = 4;
  scenario.rows = 600;
  scenario.noise = 0.3;
  scenario.expert.kind = kind;
  const Problem problem = make_problem(scenario);
  Small small;
  small.x = problem.data.expert_inputs;
  small.y = problem.data.response.col(0);
  small.options.expert = scenario.expert;
  RandomStream stream(5);
  small.start = random_joint_start(small.y, 2, 4, 0.0, stream);
  return small;
}

class JointEm : public testing::TestWithParam<ExpertKind> {};
class SmoothJointEm : public testing::TestWithParam<ExpertKind> {};  // no kinks, and noise far below the range of g

// EM never lowers the likelihood; the gate and expert steps are guarded, so neither does this one. Rounding: 1e-12.
TEST_P(JointEm, NeverLowersTheLikelihood) {
  const Small small = small_problem(GetParam());
  double last = -std::numeric_limits<double>::infinity();
  joint_em(small.x, small.y, small.start, small.options, [&](int iteration, const JointEmState&, double value) {
    EXPECT_GE(value, last - 1e-12) << "iteration " << iteration;
    last = value;
  });
}

// At the end the gradient is 0. EM stops when the mean log-likelihood rises by less than 1e-12; with a contraction of at most
// 0.99 per iteration and curvatures of order 1 to 100 the gradient is then below sqrt(1e-12 * 100 / 0.01) = 1e-4.
TEST_P(SmoothJointEm, EndsWhereTheGradientIsZero) {
  Small small = small_problem(GetParam());
  small.options.tolerance = 1e-12;
  small.options.max_iterations = 5000;
  const JointEmResult result = joint_em(small.x, small.y, small.start, small.options);
  ASSERT_TRUE(result.converged);
  const auto value = [&](const JointEmState& state) {
    return joint_mean_log_likelihood(small.x, small.y, state, small.options.expert);
  };
  constexpr double h = 1e-5;
  const auto slope = [&](const std::function<double&(JointEmState&)>& entry) {
    JointEmState up = result.state, down = result.state;
    entry(up) += h;
    entry(down) -= h;
    return (value(up) - value(down)) / (2 * h);
  };
  for (Eigen::Index i = 0; i < 2; ++i)
    for (Eigen::Index j = 0; j < 4; ++j) {
      EXPECT_NEAR(slope([&](JointEmState& s) -> double& { return s.regressors(i, j); }), 0.0, 1e-4);
      if (i == 0) {
        EXPECT_NEAR(slope([&](JointEmState& s) -> double& { return s.gate(i, j); }), 0.0, 1e-4);
      }
    }
  EXPECT_NEAR(slope([](JointEmState& s) -> double& { return s.variance; }), 0.0, 1e-4);
  EXPECT_EQ(result.state.gate.row(1).norm(), 0.0);
}

INSTANTIATE_TEST_SUITE_P(Links, JointEm,
                         testing::Values(ExpertKind::linear, ExpertKind::tanh, ExpertKind::sigmoid, ExpertKind::relu,
                                         ExpertKind::leaky_relu));

INSTANTIATE_TEST_SUITE_P(Links, SmoothJointEm, testing::Values(ExpertKind::linear, ExpertKind::tanh));

TEST(JointEmOptions, KeepWhatTheyAreToldToKeep) {
  Small small = small_problem(ExpertKind::linear);
  small.options.update_experts = false;
  small.options.estimate_noise = false;
  const JointEmResult result = joint_em(small.x, small.y, small.start, small.options);
  EXPECT_EQ(result.state.regressors, small.start.regressors);
  EXPECT_EQ(result.state.variance, small.start.variance);
  EXPECT_GT(result.state.gate.norm(), 0.0);
}

// One expert: the gate is empty and the M-step is least squares, whose normal equations hold to rounding.
TEST(JointEmOptions, OneExpertIsLeastSquares) {
  const Small small = small_problem(ExpertKind::linear);
  JointEmState start{Matrix::Zero(1, 4), Matrix::Zero(1, 4), 1.0};
  const JointEmResult result = joint_em(small.x, small.y, start, small.options);
  const Vector residual = small.y - small.x * result.state.regressors.row(0).transpose();
  EXPECT_LT((small.x.transpose() * residual).norm(), 1e-8 * (small.x.transpose() * small.y).norm());
  EXPECT_NEAR(result.state.variance, residual.squaredNorm() / 600.0, 1e-9);
}

TEST(JointEmErrors, NameTheShape) {
  const Small small = small_problem(ExpertKind::linear);
  JointEmState wrong = small.start;
  wrong.gate = Matrix::Zero(3, 4);
  EXPECT_THROW(joint_em(small.x, small.y, wrong, small.options), std::invalid_argument);
  EXPECT_THROW(joint_em(small.x, small.y.head(10), small.start, small.options), std::invalid_argument);
  EXPECT_THROW(apply_link(ExpertSpec{.kind = ExpertKind::poisson}, small.y), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
