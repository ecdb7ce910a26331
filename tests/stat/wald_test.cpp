// Wald tests against the closed form of least squares, and laws.
#include "clearway/stat/wald.hpp"

#include <gtest/gtest.h>

#include <Eigen/QR>

#include "inference_cases.hpp"

namespace clearway {
namespace {

using testing::names_for;
using testing::one_plane;
using testing::options_for;
using testing::two_lines;
using testing::with_ones;

double residual_sum(const Matrix& x, const Vector& y) {
  const Matrix design = with_ones(x);
  return (y - design * design.colPivHouseholderQr().solve(y)).squaredNorm();
}

TEST(Wald, OneLinearExpertIsTheFTestOfLeastSquares) {
  const Data data = one_plane(120, 1);
  const Inference inference = infer(data, fit(data, options_for(1)), names_for(data));
  // W = (RSS without the inputs - RSS) / (RSS / n): q F n / (n - p).
  const double with = residual_sum(data.expert_inputs, data.response.col(0));
  const double without = residual_sum(Matrix(120, 0), data.response.col(0));
  const WaldTest both =
      wald_zero(inference, {inference.index("expert 1: x1"), inference.index("expert 1: x2")}, "both");
  EXPECT_EQ(both.degrees, 2);
  EXPECT_NEAR(both.statistic, (without - with) / (with / 120), 1e-6 * both.statistic);  // fit: 1e-6 standard errors
  EXPECT_NEAR(both.p, std::exp(-both.statistic / 2), 1e-12);                            // chi-squared with 2 df
  const WaldTest one = wald_input(inference, "x2", ParameterPart::expert);
  EXPECT_NEAR(one.statistic, std::pow(inference.z(inference.index("expert 1: x2")), 2), 1e-9 * one.statistic);
  EXPECT_NEAR(one.p, inference.p(inference.index("expert 1: x2")), 1e-12);
}

TEST(Wald, StatisticDoesNotDependOnHowTheHypothesisIsWritten) {
  const Data data = two_lines(300, 2);
  const Inference inference = infer(data, fit(data, options_for(2)), names_for(data));
  RandomStream stream(3);
  Matrix contrasts(3, inference.size());
  for (Eigen::Index i = 0; i < contrasts.size(); ++i) contrasts.data()[i] = stream.normal();
  const Vector value = contrasts * inference.estimates + Vector::Constant(3, 0.1);
  Matrix mix(4, 3);  // invertible, and one contrast that follows from the others
  mix << 1, 2, 0, 0, 1, 0, 3, 0, 1, 1, 1, 1;
  const WaldTest plain = wald_test(inference, contrasts, value, "plain");
  const WaldTest mixed = wald_test(inference, mix * contrasts, mix * value, "mixed");
  EXPECT_EQ(plain.degrees, 3);
  EXPECT_EQ(mixed.degrees, 3);
  EXPECT_NEAR(mixed.statistic, plain.statistic, 1e-6 * plain.statistic);
}

TEST(Wald, TheTableKnowsEveryInput) {
  const Data data = two_lines(400, 4);
  ModelNames names = names_for(data);
  names.gate_inputs = names.expert_inputs;
  const Inference inference = infer(data, fit(data, options_for(2)), names);
  const std::vector<WaldTest> tests = wald_table(inference, names);
  ASSERT_EQ(tests.size(), 2U * 3U + 3U);  // two inputs; three coefficients
  EXPECT_EQ(tests[0].hypothesis, "x1 has no effect in the gate");
  EXPECT_EQ(tests[0].degrees, 1);
  EXPECT_EQ(tests[1].degrees, 2);
  EXPECT_EQ(tests[2].degrees, 3);
  for (const WaldTest& test : tests) EXPECT_LT(test.p, 1e-3) << test.hypothesis;  // all are false here
  EXPECT_NEAR(wald_equal_experts(inference, 0, 1).statistic, wald_equal_experts(inference, 1, 0).statistic, 1e-6);
}

TEST(Wald, TermsOfAnInputAreFound) {
  Inference inference;
  inference.labels = {"x", "x^2", "x*z", "log(x)", "x[b]", "xy", "class a: x", "centre x", "z^2", "sqrt(z)*x"};
  inference.names = inference.labels;
  inference.parts.assign(inference.labels.size(), ParameterPart::expert);
  EXPECT_EQ(parameters_of_input(inference, "x", ParameterPart::expert), (std::vector<int>{0, 1, 2, 3, 4, 6, 7, 9}));
  EXPECT_EQ(parameters_of_input(inference, "z", ParameterPart::expert), (std::vector<int>{2, 8, 9}));
  EXPECT_TRUE(parameters_of_input(inference, "x", ParameterPart::gate).empty());
}

TEST(Wald, WithheldParametersGiveNoTest) {
  const Data data = two_lines(300, 5);
  FitResult result = fit(data, options_for(2));
  result.model.experts[0].parameters()(0) += 1;  // no longer a maximum
  const Inference inference = infer(data, result, names_for(data));
  const WaldTest test = wald_input(inference, "x1", ParameterPart::expert);
  EXPECT_TRUE(std::isnan(test.statistic));
  EXPECT_FALSE(test.not_valid.empty());
}

}  // namespace
}  // namespace clearway
