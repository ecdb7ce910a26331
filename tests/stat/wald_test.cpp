// Wald tests against the closed form of least squares, and laws.
#include "clearway/stat/hypothesis.hpp"

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

// A hypothesis by name is the F test of least squares with the same restriction: W = (RSS restricted - RSS) / (RSS / n).
TEST(Wald, HypothesesByNameAreRestrictedRegressions) {
  const Data data = one_plane(150, 6);
  const Vector y = data.response.col(0), x1 = data.expert_inputs.col(0), x2 = data.expert_inputs.col(1);
  const Inference inference = infer(data, fit(data, options_for(1)), names_for(data));
  const double with = residual_sum(data.expert_inputs, y);
  const auto expect = [&](const std::string& text, double restricted, int degrees) {
    const WaldTest test = wald_by_name(inference, {text}).back();
    EXPECT_EQ(test.degrees, degrees) << text;
    EXPECT_NEAR(test.statistic, (restricted - with) / (with / 150), 1e-6 * (1 + test.statistic)) << text;
  };
  expect("expert 1: x1 = 1.9", residual_sum(x2, y - 1.9 * x1), 1);
  expect("expert1:x1=1.9", residual_sum(x2, y - 1.9 * x1), 1);
  expect("expert 1: x1 = expert 1: x2", residual_sum(x1 + x2, y), 1);
  expect("expert 1: x1 + 2*expert 1: x2 = 0.1", residual_sum(x2 - 2 * x1, y - 0.1 * x1), 1);
  expect("- 0.1 + expert 1: x1 = -2*expert 1: x2", residual_sum(x2 - 2 * x1, y - 0.1 * x1), 1);
  expect("x2", residual_sum(x1, y), 1);
  const std::vector<WaldTest> joint = wald_by_name(inference, {"experts: x1 = 1.9", "expert 1: x2 = -1.1"});
  ASSERT_EQ(joint.size(), 3U);
  EXPECT_EQ(joint[2].degrees, 2);
  EXPECT_NEAR(joint[2].statistic, (residual_sum(Matrix(150, 0), y - 1.9 * x1 + 1.1 * x2) - with) / (with / 150),
              1e-6 * (1 + joint[2].statistic));
}

TEST(Wald, AnInputIsAllItsCoefficients) {
  const Data data = two_lines(300, 7);
  const Inference inference = infer(data, fit(data, options_for(2)), [&] {
    ModelNames names = names_for(data);
    names.gate_inputs = names.expert_inputs;
    return names;
  }());
  EXPECT_NEAR(wald_by_name(inference, {"x1"})[0].statistic, wald_input(inference, "x1").statistic, 1e-9);
  EXPECT_NEAR(wald_by_name(inference, {"gate: x2"})[0].statistic,
              wald_input(inference, "x2", ParameterPart::gate).statistic, 1e-9);
  const WaldTest experts = wald_by_name(inference, {"experts: x2"})[0];
  EXPECT_EQ(experts.degrees, 2);
  EXPECT_EQ(wald_by_name(inference, {"expert 1: x2", "expert 2: x2"})[2].statistic, experts.statistic);
}

TEST(Wald, MistakesInHypothesesAreNamed) {
  const Data data = one_plane(60, 8);
  const Inference inference = infer(data, fit(data, options_for(1)), names_for(data));
  const auto message = [&](const std::string& text) -> std::string {
    try {
      parse_hypothesis(inference, text);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  const std::string names =
      "; the names are those of the table of the fit: expert 1: (intercept), expert 1: x1, "
      "expert 1: x2, expert 1: sigma";
  EXPECT_EQ(message("expert 1: x3 = 0"),
            "wald: there is no parameter 'expert 1: x3' (did you mean 'expert 1: x1'?)" + names);
  EXPECT_EQ(message("expert 1: x1 ="), "wald: 'expert 1: x1 =' ends where a parameter or a number was expected");
  EXPECT_EQ(message("expert 1: x1 = 1 = 2"), "wald: 'expert 1: x1 = 1 = 2' has more than one '='");
  EXPECT_EQ(message("1 = 2"), "wald: '1 = 2' speaks of no parameter");
  EXPECT_EQ(message("expert 1: sigma"),
            "wald: 'expert 1: sigma' needs '= VALUE': that expert 1: sigma is 0 is no hypothesis");
  EXPECT_EQ(message(" "), "wald: a hypothesis is empty");
  EXPECT_EQ(message("expert 1: sigma = 1"), "");
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
  inference.labels = {"x",          "x^2",      "x*z", "log(x)",    "x[b]",    "xy",
                      "class a: x", "centre x", "z^2", "sqrt(z)*x", "ns(x,3)2"};
  inference.names = inference.labels;
  inference.parts.assign(inference.labels.size(), ParameterPart::expert);
  EXPECT_EQ(parameters_of_input(inference, "x", ParameterPart::expert), (std::vector<int>{0, 1, 2, 3, 4, 6, 7, 9, 10}));
  EXPECT_EQ(parameters_of_input(inference, "z", ParameterPart::expert), (std::vector<int>{2, 8, 9}));
  EXPECT_EQ(parameters_of_input(inference, "ns(x,3)", ParameterPart::expert), (std::vector<int>{10}));
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
