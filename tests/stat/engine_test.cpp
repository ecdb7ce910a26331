// The EM engines and the optimiser: for every gate and every expert EM never lowers the likelihood, derivatives are those
// of the objective, and the fast engine agrees with the general one.
#include <gtest/gtest.h>

#include <cmath>

#include "../../src/stat/em_engine.hpp"
#include "../../src/stat/optimise.hpp"
#include "random_models.hpp"

namespace clearway::detail {
namespace {

using testing::all_experts;
using testing::all_gates;
using testing::random_data;
using testing::random_model;

EngineSettings settings_with(double ridge) {
  return {.sigma_floor = 1e-3, .gate_ridge = ridge, .threads = 1};
}

Scaling identity_scaling(const Data& data) {
  Scaling s;
  s.expert_centre = Vector::Zero(data.expert_inputs.cols());
  s.expert_scale = Vector::Ones(data.expert_inputs.cols());
  s.gate_centre = Vector::Zero(data.gate_inputs.cols());
  s.gate_scale = Vector::Ones(data.gate_inputs.cols());
  s.response_centre = Vector::Zero(data.response.cols());
  s.response_scale = s.response_deviation = Vector::Ones(data.response.cols());
  return s;
}

TEST(EmEngine, NeverLowersTheObjectiveForAnyGateAndExpert) {
  RandomStream stream(11);
  std::vector<GateSpec> gates = all_gates();
  for (const GateSpec& gate : testing::top_k_gates()) gates.push_back(gate);
  for (const GateSpec& gate : gates)
    for (const auto& expert : all_experts()) {
      const Data data = random_data(expert, 80, 2, 2, stream, true);
      MixtureModel model = random_model(gate, expert, data, 3, stream, expert.responses == 1);
      const auto engine = make_engine(data, identity_scaling(data), model, settings_with(1e-3));
      double previous = -1e300;
      for (int i = 0; i < 8; ++i) {
        const MixtureModel before = model;
        const double value = engine->step(model);
        ASSERT_TRUE(std::isfinite(value)) << enum_name(gate.kind) << " x " << enum_name(expert.spec.kind);
        // Rounding of a sum of 80 terms of size up to the value: 80 * 2.2e-16 relative, with room.
        EXPECT_GE(value, previous - 1e-9 * (1 + std::abs(previous)))
            << enum_name(gate.kind) << " x " << enum_name(expert.spec.kind) << " iteration " << i;
        previous = value;
      }
    }
}

TEST(EmEngine, ScoreAndInformationAreDerivativesOfTheObjective) {
  RandomStream stream(12);
  constexpr double h = 1e-5;
  for (const GateSpec& gate : all_gates())
    for (const auto& expert : all_experts()) {
      const Data data = random_data(expert, 40, 2, 2, stream, true);
      const int experts = gate.kind == GateKind::hierarchical ? 4 : 2;
      const MixtureModel model = random_model(gate, expert, data, experts, stream, expert.responses == 1);
      const auto engine = make_engine(data, identity_scaling(data), model, settings_with(1e-2));
      Vector score;
      Matrix information;
      const double value = engine->derivatives(model, score, &information);
      EXPECT_NEAR(value, engine->objective(model), 1e-9 * (1 + std::abs(value)));
      const Vector free = engine->map().pack(model);
      MixtureModel moved = model;
      const double size = 1 + score.cwiseAbs().maxCoeff(), curvature = 1 + information.cwiseAbs().maxCoeff();
      for (Eigen::Index i = 0; i < free.size(); ++i) {
        Vector point = free, up_score, down_score;
        point(i) = free(i) + h;
        engine->map().unpack(point, moved);
        const double up = engine->derivatives(moved, up_score, nullptr);
        point(i) = free(i) - h;
        engine->map().unpack(point, moved);
        const double down = engine->derivatives(moved, down_score, nullptr);
        // Central differences: h^2 f''' / 6 + eps |f| / h; f''' grows with the curvature (steep cubic means).
        EXPECT_NEAR(score(i), (up - down) / (2 * h), 1e-7 * size + 1e-9 * curvature + 1e-9 * std::abs(value))
            << enum_name(gate.kind) << " x " << enum_name(expert.spec.kind) << " parameter " << i;
        const Vector second = (down_score - up_score) / (2 * h);
        EXPECT_LT((information.col(i) - second).cwiseAbs().maxCoeff(), 1e-5 * curvature)
            << enum_name(gate.kind) << " x " << enum_name(expert.spec.kind) << " parameter " << i;
      }
    }
}

TEST(EmEngine, FastEngineAgreesWithTheGeneralOne) {
  RandomStream stream(13);
  for (const GateSpec& gate : all_gates())
    for (const auto& expert : all_experts()) {
      if (expert.responses > 1) continue;
      for (bool noise : {false, true}) {
        const Data data = random_data(expert, 100, 3, 2, stream, true);
        MixtureModel fast_model = random_model(gate, expert, data, 3, stream, noise);
        const auto scaling = identity_scaling(data);
        const auto fast = make_single_index_engine(data, scaling, fast_model, settings_with(1e-3));
        if (!fast) continue;
        const auto general = make_general_engine(data, scaling, fast_model, settings_with(1e-3));
        MixtureModel general_model = fast_model;
        const double a = fast->step(fast_model), b = general->step(general_model);
        EXPECT_NEAR(a, b, 1e-9 * (1 + std::abs(b)));
        const ExpertKind kind = expert.spec.kind;
        const bool closed = kind == ExpertKind::linear || kind == ExpertKind::constant;
        for (std::size_t k = 0; closed && k < 3; ++k)  // the update of these experts is closed form in both
          EXPECT_LT((fast_model.experts[k].parameters() - general_model.experts[k].parameters()).cwiseAbs().maxCoeff(),
                    1e-7);
        EXPECT_NEAR(fast_model.noise_weight, general_model.noise_weight, 1e-10);
        Vector s1, s2;
        Matrix i1, i2;
        fast->derivatives(general_model, s1, &i1);
        general->derivatives(general_model, s2, &i2);
        EXPECT_LT((s1 - s2).cwiseAbs().maxCoeff(), 1e-8 * (1 + s2.cwiseAbs().maxCoeff()));
        EXPECT_LT((i1 - i2).cwiseAbs().maxCoeff(), 1e-8 * (1 + i2.cwiseAbs().maxCoeff()));
      }
    }
}

TEST(Optimiser, ScoreVanishesAtTheEnd) {
  RandomStream stream(14);
  testing::ExpertCase linear{{.kind = ExpertKind::linear}};
  // Two crossing lines with a clear gate: a regular maximum.
  Data data = random_data(linear, 400, 1, 1, stream);
  data.gate_inputs = data.expert_inputs;
  for (Eigen::Index i = 0; i < 400; ++i) {
    const double x = data.expert_inputs(i, 0);
    const bool first = stream.uniform() < 1 / (1 + std::exp(-2 * x));
    data.response(i, 0) = (first ? 1 + 2 * x : -1 - x) + 0.5 * stream.normal();
  }
  for (Acceleration acceleration : {Acceleration::squarem, Acceleration::none})
    for (bool newton : {true, false}) {
      RandomStream again(15);
      MixtureModel model = random_model({.kind = GateKind::softmax}, linear, data, 2, again);
      const auto engine = make_engine(data, identity_scaling(data), model, settings_with(0));
      const OptimiseOutcome outcome =
          optimise(*engine, model, {.tolerance = 1e-8, .acceleration = acceleration, .newton = newton});
      EXPECT_TRUE(outcome.converged);
      Vector score;
      engine->derivatives(model, score, nullptr);
      EXPECT_LT(score.cwiseAbs().maxCoeff() / 400, newton ? 1e-8 : 1e-4);
      for (std::size_t i = 1; i < outcome.history.size(); ++i)  // the history never falls (an EM step or a Newton step)
        EXPECT_GE(outcome.history[i].log_likelihood, outcome.history[i - 1].log_likelihood - 1e-8);
    }
}

}  // namespace
}  // namespace clearway::detail
