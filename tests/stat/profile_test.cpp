// Profile-likelihood intervals against the closed forms of least squares, and their invariance.
#include "clearway/stat/profile.hpp"

#include <gtest/gtest.h>

#include "inference_cases.hpp"

namespace clearway {
namespace {

using testing::names_for;
using testing::one_plane;
using testing::options_for;
using testing::two_lines;

constexpr double kQuantile = 3.841458820694124;  // of chi-squared with 1 df at 0.95 (R: qchisq(0.95, 1))

TEST(Profile, OneLinearExpertHasClosedForms) {
  Data data = one_plane(40, 1);
  data.expert_inputs.conservativeResize(40, 1);
  data.gate_inputs = data.expert_inputs;
  const FitResult result = fit(data, options_for(1));
  const ModelNames names = names_for(data);
  const Inference inference = infer(data, result, names);
  const Vector x = data.expert_inputs.col(0).array() - data.expert_inputs.col(0).mean();
  const double slope = x.dot(data.response.col(0)) / x.squaredNorm();
  const double sum = (data.response.col(0).array() - data.response.mean() - slope * x.array()).matrix().squaredNorm();
  // 2 (max l - profile) = n log(RSS(b) / RSS), RSS(b) = RSS + Sxx (b - slope)^2.
  const double reach = std::sqrt(sum * std::expm1(kQuantile / 40) / x.squaredNorm());
  const ProfileInterval beta = profile_interval(data, result, names, inference, "expert 1: x1");
  EXPECT_NEAR(beta.estimate, slope, 1e-8);
  EXPECT_NEAR(beta.lower, slope - reach, 1e-5 * reach);  // roots are sought to 1e-6 of the quantile
  EXPECT_NEAR(beta.upper, slope + reach, 1e-5 * reach);
  // For sigma the deviance is n (2 log(s / sigma) + sigma^2 / s^2 - 1).
  const ProfileInterval sigma = profile_interval(data, result, names, inference, "expert 1: sigma");
  for (const double s : {sigma.lower, sigma.upper}) {
    const double ratio = s / std::sqrt(sum / 40);
    EXPECT_NEAR(40 * (2 * std::log(ratio) + 1 / (ratio * ratio) - 1), kQuantile, 1e-4);
  }
  EXPECT_GT(sigma.upper - sigma.estimate, sigma.estimate - sigma.lower);
}

TEST(Profile, UnitsChangeTheIntervalAsTheyChangeTheParameter) {
  const Data data = two_lines(200, 2);
  Data other = data;
  other.expert_inputs.col(0) = 100 * data.expert_inputs.col(0).array() + 7;
  other.gate_inputs = other.expert_inputs;
  other.response *= 10;
  const ModelNames names = names_for(data);
  const FitResult a = fit(data, options_for(2)), b = fit(other, options_for(2));
  const Inference ia = infer(data, a, names), ib = infer(other, b, names);
  for (const auto& [name, factor] :
       {std::pair{"expert 1: x1", 0.1}, std::pair{"gate 1: z1", 0.01}, std::pair{"expert 2: sigma", 10.0}}) {
    const ProfileInterval p = profile_interval(data, a, names, ia, name);
    const ProfileInterval q = profile_interval(other, b, names, ib, name);
    const double width = p.upper - p.lower;
    EXPECT_NEAR(q.lower, factor * p.lower, 1e-4 * factor * width) << name;
    EXPECT_NEAR(q.upper, factor * p.upper, 1e-4 * factor * width) << name;
    // Two hundred rows: the likelihood is nearly quadratic, and the Wald interval near.
    const int i = ia.index(name);
    EXPECT_NEAR(p.lower, ia.lower(i), 0.3 * width) << name;
    EXPECT_NEAR(p.upper, ia.upper(i), 0.3 * width) << name;
  }
}

TEST(Profile, EndsLieOnTheContourOfTheLikelihood) {
  // At an end the best model with the parameter fixed is lower by half the quantile; no model with that value that we
  // know of may be better. The profile must lie above the value at the other parameters' estimates.
  const Data data = two_lines(200, 3);
  const FitResult result = fit(data, options_for(2));
  const ModelNames names = names_for(data);
  const ProfileInterval p = profile_interval(data, result, names, infer(data, result, names), "gate 1: z2");
  MixtureModel moved = result.model;
  moved.gate.parameters()(2) = p.upper;
  EXPECT_GT(2 * (result.log_likelihood - moved.log_likelihood(data)), kQuantile);
  for (const auto& [value, deviance] : p.profile) {
    moved.gate.parameters()(2) = value;
    EXPECT_LE(deviance, 2 * (result.log_likelihood - moved.log_likelihood(data)) + 1e-8);
    EXPECT_GE(deviance, 0);
  }
}

TEST(Profile, RefusesWhatItDoesNotKnow) {
  const Data data = two_lines(100, 4);
  const FitResult result = fit(data, options_for(2));
  const ModelNames names = names_for(data);
  const Inference inference = infer(data, result, names);
  EXPECT_THROW(profile_interval(data, result, names, inference, "share 1"), std::invalid_argument);
  EXPECT_THROW(profile_interval(data, result, names, inference, "expert 1: x9"), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
