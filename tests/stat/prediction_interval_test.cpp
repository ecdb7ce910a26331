// Uncertainty of predictions against closed forms.
#include "clearway/stat/prediction_interval.hpp"

#include <gtest/gtest.h>

#include <Eigen/Cholesky>

#include "inference_cases.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using testing::names_for;
using testing::one_plane;
using testing::options_for;
using testing::two_lines;
using testing::with_ones;

TEST(PredictionInterval, OneLinearExpertIsTheRegressionLine) {
  Data data = one_plane(150, 1);
  data.expert_inputs.col(0).array() += 2000;  // years: the intercept lies far from the data
  data.gate_inputs = data.expert_inputs;
  const FitResult result = fit(data, options_for(1));
  const Inference inference = infer(data, result, names_for(data));
  const PredictionUncertainty u = prediction_uncertainty(result.model, inference.model_covariance, data, {});
  const double sigma = result.model.experts[0].sigma();
  Data centred = data;
  centred.expert_inputs.col(0).array() -= 2005;
  const Matrix x = with_ones(centred.expert_inputs);
  const Matrix inverse = (x.transpose() * x).ldlt().solve(Matrix::Identity(3, 3));
  for (Index t = 0; t < 150; ++t) {
    const double error = sigma * std::sqrt(x.row(t) * inverse * x.row(t).transpose());
    // Variances of intercept and slope cancel to 1e-6 of themselves: 1e-16 becomes 1e-10; differences add 1e-7.
    EXPECT_NEAR(u.mean.errors(t, 0), error, 1e-5 * error);
    EXPECT_NEAR(u.mean.upper(t, 0) - u.mean.values(t, 0), 1.959963984540054 * error, 2e-5 * error);
  }
  EXPECT_TRUE((u.gate.errors.array() == 0).all());
  EXPECT_TRUE((u.gate.lower.array() == 1).all());
}

TEST(PredictionInterval, OneLogisticExpertHasItsIntervalOnTheLogitScale) {
  Data data = two_lines(200, 2);
  for (Index t = 0; t < 200; ++t) data.response(t, 0) = data.response(t, 0) > 0.5 ? 1 : 0;
  const FitResult result = fit(data, options_for(1, {}, {.kind = ExpertKind::bernoulli}));
  const Inference inference = infer(data, result, names_for(data));
  const PredictionUncertainty u = prediction_uncertainty(result.model, inference.model_covariance, data, {});
  const Matrix x = with_ones(data.expert_inputs);
  const Vector eta = x * result.model.experts[0].parameters();
  const Matrix v = inference.covariance.topLeftCorner(3, 3);
  for (Index t = 0; t < 200; ++t) {
    const double error = std::sqrt(x.row(t) * v * x.row(t).transpose());
    const double p = 1 / (1 + std::exp(-eta(t)));
    EXPECT_NEAR(u.mean.errors(t, 0), p * (1 - p) * error, 1e-6 * error);
    EXPECT_NEAR(u.mean.upper(t, 0), 1 / (1 + std::exp(-eta(t) - 1.959963984540054 * error)), 1e-6);
    EXPECT_NEAR(u.mean.lower(t, 0), 1 / (1 + std::exp(-eta(t) + 1.959963984540054 * error)), 1e-6);
  }
}

TEST(PredictionInterval, GateOfTwoExpertsIsALogisticCurve) {
  const Data data = two_lines(300, 3);
  const FitResult result = fit(data, options_for(2));
  const Inference inference = infer(data, result, names_for(data));
  const PredictionUncertainty u = prediction_uncertainty(result.model, inference.model_covariance, data, {});
  const std::vector<int> gate = {inference.index("gate 1: (intercept)"), inference.index("gate 1: z1"),
                                 inference.index("gate 1: z2")};
  const Matrix z = with_ones(data.gate_inputs);
  for (Index t = 0; t < 300; ++t) {
    const double error = std::sqrt(z.row(t) * inference.covariance(gate, gate) * z.row(t).transpose());
    const double p = u.gate.values(t, 0);
    EXPECT_NEAR(u.gate.errors(t, 0), p * (1 - p) * error, 1e-5 * error);
    EXPECT_NEAR(u.gate.errors(t, 1), u.gate.errors(t, 0), 1e-6 * error);
  }
}

TEST(PredictionInterval, MarginalEffectOfOneLinearExpertIsItsSlope) {
  const Data data = one_plane(150, 4);
  const FitResult result = fit(data, options_for(1));
  const Inference inference = infer(data, result, names_for(data));
  Data up = data, down = data;
  up.expert_inputs.col(1).array() += 1e-3;
  down.expert_inputs.col(1).array() -= 1e-3;
  const UncertainValues effect = marginal_effect(result.model, inference.model_covariance, up, down, 1e-3, {});
  const int slope = inference.index("expert 1: x2");
  for (Index t = 0; t < 150; ++t) {
    EXPECT_NEAR(effect.values(t, 0), inference.estimates(slope), 1e-9);
    EXPECT_NEAR(effect.errors(t, 0), inference.standard_errors(slope), 1e-5 * inference.standard_errors(slope));
  }
}

TEST(PredictionInterval, BandOverALineIsThatOfWorkingAndHotelling) {
  Data data = one_plane(200, 5);
  data.expert_inputs.conservativeResize(200, 1);
  data.gate_inputs = data.expert_inputs;
  const FitResult result = fit(data, options_for(1));
  const Inference inference = infer(data, result, names_for(data));
  // sup over the whole line of |d Z| / |d| with d in the plane is |Z|: the constant is the root of the chi-squared
  // quantile with 2 degrees of freedom, 2.447746830680816 (R: sqrt(qchisq(0.95, 2))). Directions d turn by less than
  // 0.02 between neighbours here, which lowers the maximum by less than 1 - cos(0.01). 10000 draws place the quantile
  // within sqrt(0.95 * 0.05 / 10000) / (2.45 * 0.05) = 0.018 (one standard deviation).
  Data line;
  line.expert_inputs.resize(400, 1);
  for (Index t = 0; t < 400; ++t)
    line.expert_inputs(t, 0) = 5 + 2 * std::tan((static_cast<double>(t) + 0.5) / 400 * M_PI - M_PI / 2);
  line.gate_inputs = line.expert_inputs;
  line.response = Matrix::Zero(400, 1);
  UncertaintyOptions options;
  options.simultaneous = true;
  const Matrix& v = inference.model_covariance;
  const double band = prediction_uncertainty(result.model, v, line, options).mean.critical(0);
  EXPECT_NEAR(band, 2.447746830680816, 4 * 0.018);
  const Data one = line.subset({200});
  EXPECT_NEAR(prediction_uncertainty(result.model, v, one, options).mean.critical(0), 1.959963984540054, 4 * 0.019);
  options.threads = 3;
  EXPECT_EQ(prediction_uncertainty(result.model, v, line, options).mean.critical(0), band);
}

MixtureModel two_normals(double distance) {
  MixtureModel model;
  model.gate = Gate({.kind = GateKind::constant}, 0, 2);
  for (const double at : {0.0, distance}) {
    Expert expert({.kind = ExpertKind::constant}, 0);
    expert.parameters()(0) = at;
    expert.set_sigma(1);
    model.experts.push_back(expert);
  }
  return model;
}

Data empty_rows(Index n) {
  Data data;
  data.expert_inputs = data.gate_inputs = Matrix(n, 0);
  data.response = Matrix::Zero(n, 1);
  return data;
}

TEST(HighestDensityRegion, PeaksFarApartHaveAPieceEach) {
  const std::vector<Region> regions = highest_density_regions(two_normals(40), empty_rows(3), 0.95);
  ASSERT_EQ(regions.size(), 3U);
  for (const Region& region : regions) {
    ASSERT_EQ(region.size(), 2U);
    // 1e-3 of probability moves an end by 1e-3 / (4 * 0.5 * phi(1.96)) = 0.0086.
    EXPECT_NEAR(region[0].first, -1.959963984540054, 0.009);
    EXPECT_NEAR(region[0].second, 1.959963984540054, 0.009);
    EXPECT_NEAR(region[1].first, 40 - 1.959963984540054, 0.009);
    EXPECT_NEAR(region[1].second, 40 + 1.959963984540054, 0.009);
  }
}

TEST(HighestDensityRegion, OnePeakHasOnePiece) {
  const std::vector<Region> regions = highest_density_regions(two_normals(0), empty_rows(1), 0.5);
  ASSERT_EQ(regions[0].size(), 1U);
  EXPECT_NEAR(regions[0][0].first, -0.6744897501960817, 0.005);
  EXPECT_NEAR(regions[0][0].second, 0.6744897501960817, 0.005);
}

TEST(HighestDensityRegion, CountsAreTheMostProbableOnes) {
  MixtureModel model;
  model.gate = Gate({.kind = GateKind::constant}, 0, 2);
  for (const double mean : {2.0, 30.0}) {
    Expert expert({.kind = ExpertKind::poisson}, 0);
    expert.parameters()(0) = std::log(mean);
    model.experts.push_back(expert);
  }
  const Region region = highest_density_regions(model, empty_rows(1), 0.9)[0];
  const auto mass = [](int y) {
    return 0.5 * std::exp(y * std::log(2.0) - 2 - std::lgamma(y + 1.0)) +
           0.5 * std::exp(y * std::log(30.0) - 30 - std::lgamma(y + 1.0));
  };
  double inside = 0, least = 1, most_outside = 0;
  for (int y = 0; y < 100; ++y) {
    bool in = false;
    for (const auto& [low, high] : region) in = in || (y >= low && y <= high);
    inside += in ? mass(y) : 0;
    if (in)
      least = std::min(least, mass(y));
    else
      most_outside = std::max(most_outside, mass(y));
  }
  EXPECT_EQ(region.size(), 2U);
  EXPECT_GE(inside, 0.9);
  EXPECT_LT(inside - least, 0.9);
  EXPECT_GE(least, most_outside - 1e-12);
}

}  // namespace
}  // namespace clearway
