// Repeated measures (rows of a group share their expert) and known labels: in the model, in EM and in fit().
#include <gtest/gtest.h>

#include <Eigen/QR>
#include <cmath>

#include "../../src/stat/em_engine.hpp"
#include "clearway/stat/fit.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using testing::all_gates;
using testing::ExpertCase;
using testing::random_data;
using testing::random_matrix;
using testing::random_model;

const std::vector<ExpertCase>& some_experts() {
  static const std::vector<ExpertCase> experts{
      {{.kind = ExpertKind::linear}},    {{.kind = ExpertKind::linear, .variance = VarianceKind::shared}},
      {{.kind = ExpertKind::binomial}},  {{.kind = ExpertKind::multinomial}},
      {{.kind = ExpertKind::student_t}}, {{.kind = ExpertKind::linear}, 2}};
  return experts;
}

/// Groups of 1 to 4 rows, scattered over the data; one group in three labelled.
Data grouped_data(const ExpertCase& expert, Eigen::Index rows, RandomStream& stream) {
  Data data = random_data(expert, rows, 2, 2, stream, true);
  const Eigen::Index groups = rows / 2;
  const Matrix gate_inputs = random_matrix(stream, groups, 2);
  Vector weights(groups);
  for (Eigen::Index g = 0; g < groups; ++g) weights(g) = 0.2 + stream.uniform();
  for (Eigen::Index i = 0; i < rows; ++i) {
    const auto g = static_cast<Eigen::Index>(stream.index(static_cast<std::size_t>(groups)));
    data.groups.push_back(static_cast<int>(g));
    data.labels.push_back(g % 3 == 0 ? static_cast<int>(g % 2) : -1);
    data.gate_inputs.row(i) = gate_inputs.row(g);
    data.weights(i) = weights(g);
  }
  return data;
}

detail::Scaling identity_scaling(const Data& data) {
  detail::Scaling s;
  s.expert_centre = Vector::Zero(data.expert_inputs.cols());
  s.expert_scale = Vector::Ones(data.expert_inputs.cols());
  s.gate_centre = Vector::Zero(data.gate_inputs.cols());
  s.gate_scale = Vector::Ones(data.gate_inputs.cols());
  s.response_centre = Vector::Zero(data.response.cols());
  s.response_scale = s.response_deviation = Vector::Ones(data.response.cols());
  return s;
}

FitOptions two_constant_experts() {
  FitOptions options;
  options.experts = 2;
  options.gate.kind = GateKind::constant;
  return options;
}

constexpr detail::EngineSettings kSettings{.sigma_floor = 1e-3, .gate_ridge = 1e-2, .threads = 1};

TEST(Groups, LikelihoodIsTheSumOverExpertsOfProductsOverRows) {
  RandomStream stream(31);
  const ExpertCase linear{{.kind = ExpertKind::linear}};
  Data data = random_data(linear, 5, 2, 2, stream);
  data.groups = {7, 3, 7, 3, 9};
  data.gate_inputs.row(2) = data.gate_inputs.row(0);
  data.gate_inputs.row(3) = data.gate_inputs.row(1);
  const MixtureModel model = random_model({.kind = GateKind::softmax}, linear, data, 2, stream);
  const Matrix gate = model.gate.log_weights(data.gate_inputs).array().exp();
  Matrix f(5, 2);
  for (int k = 0; k < 2; ++k) f.col(k) = model.experts[static_cast<std::size_t>(k)].log_density(data).array().exp();
  const auto unit = [&](const std::vector<Eigen::Index>& rows, int k) {
    double product = gate(rows[0], k);
    for (Eigen::Index i : rows) product *= f(i, k);
    return product;
  };
  double expected = 0;
  for (const std::vector<Eigen::Index>& rows : {std::vector<Eigen::Index>{0, 2}, {1, 3}, {4}})
    expected += std::log(unit(rows, 0) + unit(rows, 1));
  EXPECT_NEAR(model.log_likelihood(data), expected, 1e-12 * std::abs(expected) + 1e-12);
  const Matrix r = model.responsibilities(data);
  const double share = unit({1, 3}, 0) / (unit({1, 3}, 0) + unit({1, 3}, 1));
  EXPECT_NEAR(r(1, 0), share, 1e-12);
  EXPECT_NEAR(r(3, 0), share, 1e-12);

  // A label leaves one expert: log gate + log f.
  data.labels = {1, -1, 1, -1, 0};
  const double labelled =
      std::log(unit({0, 2}, 1)) + std::log(unit({1, 3}, 0) + unit({1, 3}, 1)) + std::log(unit({4}, 0));
  EXPECT_NEAR(model.log_likelihood(data), labelled, 1e-12 * std::abs(labelled) + 1e-12);
  EXPECT_EQ(model.responsibilities(data)(0, 1), 1.0);
}

TEST(Groups, EmNeverLowersTheObjectiveAndKnowsItsDerivatives) {
  RandomStream stream(32);
  constexpr double h = 1e-5;
  for (const GateSpec& gate : all_gates())
    for (const ExpertCase& expert : some_experts()) {
      const Data data = grouped_data(expert, 60, stream);
      MixtureModel model = random_model(gate, expert, data, 2, stream);
      const auto engine = detail::make_engine(data, identity_scaling(data), model, kSettings);
      const std::string what = std::string(enum_name(gate.kind)) + " x " + std::string(enum_name(expert.spec.kind));
      // The engine sorts rows; the model does not.
      EXPECT_NEAR(engine->objective(model), model.log_likelihood(data) + engine->penalty(model), 1e-9) << what;

      Vector score, up_score, down_score;
      Matrix information;
      const double value = engine->derivatives(model, score, &information);
      const Vector free = engine->map().pack(model);
      const double size = 1 + score.cwiseAbs().maxCoeff(), curvature = 1 + information.cwiseAbs().maxCoeff();
      MixtureModel moved = model;
      for (Eigen::Index i = 0; i < free.size(); ++i) {
        Vector point = free;
        point(i) = free(i) + h;
        engine->map().unpack(point, moved);
        const double up = engine->derivatives(moved, up_score, nullptr);
        point(i) = free(i) - h;
        engine->map().unpack(point, moved);
        const double down = engine->derivatives(moved, down_score, nullptr);
        // Central differences: h^2 f''' / 6 + eps |f| / h, f''' growing with the curvature.
        EXPECT_NEAR(score(i), (up - down) / (2 * h), 1e-7 * size + 1e-9 * curvature + 1e-9 * std::abs(value)) << what;
        EXPECT_LT((information.col(i) - (down_score - up_score) / (2 * h)).cwiseAbs().maxCoeff(), 1e-5 * curvature)
            << what << " parameter " << i;
      }

      double previous = value - 1e-9;
      for (int i = 0; i < 6; ++i) {
        const double next = engine->step(model);
        // Rounding of a sum of 60 terms, with room.
        EXPECT_GE(next, previous - 1e-9 * (1 + std::abs(previous))) << what << " iteration " << i;
        previous = next;
      }
    }
}

TEST(Groups, GroupsOfOneRowAreNoGroups) {
  RandomStream stream(33);
  const ExpertCase poisson{{.kind = ExpertKind::poisson}};
  Data data = random_data(poisson, 50, 2, 2, stream);
  const MixtureModel model = random_model({.kind = GateKind::softmax}, poisson, data, 3, stream);
  const double alone = model.log_likelihood(data);
  for (int i = 0; i < 50; ++i) data.groups.push_back(100 - i);
  EXPECT_NEAR(model.log_likelihood(data), alone, 1e-12 * std::abs(alone));
}

// With every expert known the estimates are those of separate regressions: closed form.
TEST(Labels, AllKnownGivesSeparateRegressions) {
  RandomStream stream(34);
  const Eigen::Index n = 90;
  Data data = random_data({{.kind = ExpertKind::linear}}, n, 2, 0, stream);
  for (Eigen::Index i = 0; i < n; ++i) data.labels.push_back(i % 3 == 0 ? 1 : 0);
  const FitResult result = fit(data, two_constant_experts());
  ASSERT_TRUE(result.converged);
  double log_likelihood = 0;
  for (int label = 0; label < 2; ++label) {
    std::vector<Eigen::Index> rows;
    for (Eigen::Index i = 0; i < n; ++i)
      if (data.labels[static_cast<std::size_t>(i)] == label) rows.push_back(i);
    const Data part = data.subset(rows);
    const auto count = static_cast<double>(rows.size());
    Matrix design(part.rows(), 3);
    design << Vector::Ones(part.rows()), part.expert_inputs;
    const Vector coefficients = design.householderQr().solve(part.response.col(0));
    const double variance = (part.response.col(0) - design * coefficients).squaredNorm() / count;
    const Expert& expert = result.model.experts[static_cast<std::size_t>(label)];
    // The score is below 1e-8 on the working scale, and the information about 1 per row.
    EXPECT_LT((expert.parameters().head(3) - coefficients).cwiseAbs().maxCoeff(), 1e-6);
    EXPECT_NEAR(expert.sigma(), std::sqrt(variance), 1e-6);
    log_likelihood += count * (std::log(count / static_cast<double>(n)) - 0.5 * std::log(2 * M_PI * variance) - 0.5);
  }
  EXPECT_NEAR(result.log_likelihood, log_likelihood, 1e-8 * std::abs(log_likelihood));
  EXPECT_EQ(result.shares(0), 2.0 / 3);
}

// A few labels number the experts, whichever is larger.
TEST(Labels, FewKnownRowsNumberTheExperts) {
  RandomStream stream(35);
  const Eigen::Index n = 300;
  Data data = random_data({{.kind = ExpertKind::linear}}, n, 1, 0, stream);
  data.labels.assign(static_cast<std::size_t>(n), -1);
  for (Eigen::Index i = 0; i < n; ++i) {
    const bool rare = i % 4 == 0;
    const double x = data.expert_inputs(i, 0);
    data.response(i, 0) = (rare ? 2 + 3 * x : -2 - 3 * x) + 0.3 * stream.normal();
    if (i < 12) data.labels[static_cast<std::size_t>(i)] = rare ? 0 : 1;
  }
  const FitResult result = fit(data, two_constant_experts());
  ASSERT_TRUE(result.converged);
  // Standard errors: 0.3 / sqrt(75) = 0.035 and 0.3 / sqrt(225) = 0.02; five of them.
  EXPECT_NEAR(result.model.experts[0].parameters()(1), 3, 0.18);
  EXPECT_NEAR(result.model.experts[1].parameters()(1), -3, 0.1);
  EXPECT_LT(result.shares(0), 0.5);
}

TEST(Groups, MistakesAreNamed) {
  RandomStream stream(36);
  const ExpertCase linear{{.kind = ExpertKind::linear}};
  const Data good = random_data(linear, 6, 1, 1, stream);
  const auto message = [&](const Data& data, const FitOptions& options = {}) -> std::string {
    try {
      fit(data, options);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  Data data = good;
  data.groups = {0, 0, 1, 1, 2};
  EXPECT_EQ(message(data), "there are 5 group numbers for 6 rows");
  data.groups = {0, 1, 0, 2, 2, 2};
  EXPECT_NE(message(data).find("rows 1 and 3 belong to the same group but gate input 1 is"), std::string::npos);
  data.gate_inputs.setZero();
  data.weights = Vector::LinSpaced(6, 1, 2);
  EXPECT_EQ(message(data), "rows 1 and 3 belong to the same group but have different weights");
  data.weights.resize(0);
  FitOptions with_noise;
  with_noise.noise = NoiseKind::uniform;
  EXPECT_EQ(message(data, with_noise), "a noise component does not go with repeated measures");
  data.labels = {0, -1, 1, -1, -1, -1};
  EXPECT_EQ(message(data), "rows 1 and 3 belong to the same group but have different labels");
  data.groups.clear();
  data.labels = {0, 1, 2, -1, -1, -1};
  EXPECT_EQ(message(data), "row 3: its label is expert 3 but there are 2 experts");
}

}  // namespace
}  // namespace clearway
