// Every newer gate in fit(): recovery from data drawn from it, equivalences between gates, units, and what is refused.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "clearway/stat/fit.hpp"
#include "clearway/stat/simulate.hpp"

namespace clearway {
namespace {

FitOptions options_for(const GateSpec& gate, int experts, int starts) {
  FitOptions options;
  options.experts = experts;
  options.gate = gate;
  options.starts = starts;
  options.threads = 1;
  return options;
}

// Linear experts with intercepts far apart (5 noise levels): who answered is nearly seen, so the gate is well determined.
MixtureModel truth_with(Gate gate) {
  MixtureModel truth;
  truth.gate = std::move(gate);
  truth.gate.pin();
  for (int k = 0; k < truth.gate.experts(); ++k) {
    Expert expert(ExpertSpec{}, 1);
    expert.parameters()(0) = 2.5 * k;
    expert.parameters()(1) = k % 2 == 0 ? 0.5 : -0.5;
    expert.set_sigma(0.5);
    truth.experts.push_back(expert);
  }
  return truth;
}

Data draw(const MixtureModel& truth, Eigen::Index rows, std::uint64_t seed) {
  RandomStream stream(seed);
  Data data;
  data.gate_inputs = Matrix::NullaryExpr(rows, truth.gate.inputs(), [&] { return stream.normal(); });
  data.expert_inputs = Matrix::NullaryExpr(rows, 1, [&] { return stream.normal(); });
  data.response = simulate(truth, data, stream).response;
  return data;
}

Gate hierarchical_truth(LevelKind outer, LevelKind inner) {
  Gate gate({.kind = GateKind::hierarchical, .outer = outer, .inner = inner, .units = GateUnits::raw}, 2, 4);
  gate.group_block(0) << 0.3, 1.5, -0.5;
  gate.group_block(1) << 0.0, -0.5, 1.0;
  gate.block(0) << 0.2, -1.0, 1.0;
  gate.block(1) << 0.0, 0.5, -0.5;
  gate.block(2) << -0.3, 1.0, 0.5;
  gate.block(3) << 0.0, -0.5, -1.0;
  return gate;
}

Gate flat_truth(GateSpec spec) {
  spec.units = GateUnits::raw;
  Gate gate(spec, 2, 3);
  gate.block(0) << 0.3, 1.5, -0.5;
  gate.block(1) << -0.2, -0.5, 1.2;
  gate.block(2) << 0.0, -1.0, -0.8;
  return gate;
}

std::vector<Gate> truths() {
  return {hierarchical_truth(LevelKind::softmax, LevelKind::softmax),
          hierarchical_truth(LevelKind::softmax, LevelKind::laplace),
          hierarchical_truth(LevelKind::laplace, LevelKind::softmax),
          hierarchical_truth(LevelKind::laplace, LevelKind::laplace),
          flat_truth({.kind = GateKind::activated, .temperature = 0.4}),
          flat_truth({.kind = GateKind::cosine, .temperature = 0.4}),
          flat_truth({.kind = GateKind::cosine, .temperature = 0.2, .perturbation = 0.1}),
          flat_truth({.kind = GateKind::softmax, .transform = GateTransform::tanh})};
}

TEST(GateFit, FindsTheGateThatDrewTheData) {
  constexpr Eigen::Index kRows = 600;
  std::uint64_t seed = 20;
  for (const Gate& gate : truths()) {
    const MixtureModel truth = truth_with(gate);
    const Data data = draw(truth, kRows, ++seed);
    const FitResult result = fit(data, options_for(gate.spec(), gate.experts(), 2), &truth);
    EXPECT_TRUE(result.converged) << enum_name(gate.spec().kind);
    // Twice the gain over the truth is chi-square with df degrees of freedom where the model is regular (Wilks): mean
    // df, standard deviation sqrt(2 df); above df + 6 sqrt(2 df) once in some 1e5 times. It is never negative.
    const double gain = 2 * (result.log_likelihood - truth.log_likelihood(data)), df = result.degrees_of_freedom;
    EXPECT_GE(gain, 0) << enum_name(gate.spec().kind);
    EXPECT_LE(gain, df + 6 * std::sqrt(2 * df)) << enum_name(gate.spec().kind);
    // The weights of a row err by about sqrt(w (1 - w) df / n) <= sqrt(df / n) / 2; experts in the order of their level.
    std::vector<int> order(static_cast<std::size_t>(gate.experts()));
    for (std::size_t k = 0; k < order.size(); ++k) {
      const double level = result.model.experts[k].parameters()(0) / 2.5;
      order[static_cast<std::size_t>(std::clamp(static_cast<int>(std::lround(level)), 0, gate.experts() - 1))] =
          static_cast<int>(k);
    }
    const Matrix fitted = result.model.permuted(order).gate.log_weights(data.gate_inputs).array().exp();
    const Matrix true_weights = truth.gate.log_weights(data.gate_inputs).array().exp();
    EXPECT_LT((fitted - true_weights).cwiseAbs().mean(),
              std::sqrt(gate.degrees_of_freedom() / static_cast<double>(kRows)) / 2)
        << enum_name(gate.spec().kind);
  }
}

TEST(GateFit, TopOneFindsTheBorder) {
  // Expert 1 left of 0.3, expert 2 right of it.
  Gate gate({.kind = GateKind::softmax, .top_k = 1}, 1, 2);
  gate.block(0) << 0.3, -1.0;
  const MixtureModel truth = truth_with(gate);
  const Data data = draw(truth, 300, 40);
  const FitResult result = fit(data, options_for(gate.spec(), 2, 6));
  EXPECT_GE(result.log_likelihood, truth.log_likelihood(data));
  EXPECT_FALSE(result.model.gate.is_smooth());
  EXPECT_EQ(result.degrees_of_freedom, 6 + 1);  // two lines and noise levels; of the gate the border
  // Which rows lie left of the border is all that the likelihood sees; experts are 5 noise levels apart, so few rows
  // near it are doubtful: their number is the number of rows between the true border and the fitted one.
  const std::vector<int> fitted = result.model.most_likely_expert(data), right = truth.most_likely_expert(data);
  const bool turned = result.model.experts[0].parameters()(0) > 1.25;
  int wrong = 0;
  for (std::size_t t = 0; t < fitted.size(); ++t) wrong += (turned ? 1 - fitted[t] : fitted[t]) != right[t] ? 1 : 0;
  EXPECT_LE(wrong, 3);
  bool warned = false;
  for (const std::string& warning : result.warnings) warned = warned || warning.find("top-1") != std::string::npos;
  EXPECT_TRUE(warned);
}

TEST(GateFit, TopTwoIsNoWorseThanTheTruthThatStartsIt) {
  for (const TopKRule rule : {TopKRule::score, TopKRule::slopes}) {
    const MixtureModel truth = truth_with(flat_truth({.kind = GateKind::softmax, .top_k = 2, .top_k_rule = rule}));
    const Data data = draw(truth, 400, 41);
    const FitResult result = fit(data, options_for(truth.gate.spec(), 3, 2), &truth);
    EXPECT_GE(result.log_likelihood, truth.log_likelihood(data));
    const Matrix weights = result.model.gate.log_weights(data.gate_inputs).array().exp();
    for (Eigen::Index t = 0; t < weights.rows(); ++t) EXPECT_LE((weights.row(t).array() > 1e-300).count(), 2);
  }
}

TEST(GateFit, HierarchicalOfOneExpertPerGroupIsTheFlatGate) {
  const MixtureModel truth = truth_with(flat_truth({.kind = GateKind::softmax}));
  const Data data = draw(truth, 300, 42);
  const FitResult flat = fit(data, options_for({.kind = GateKind::softmax}, 3, 4));
  const FitResult tree = fit(data, options_for({.kind = GateKind::hierarchical, .groups = 3}, 3, 4));
  EXPECT_NEAR(tree.log_likelihood, flat.log_likelihood, 1e-7 * std::abs(flat.log_likelihood));
  EXPECT_EQ(tree.degrees_of_freedom, flat.degrees_of_freedom);
}

TEST(GateFit, HierarchicalContainsTheConstantGate) {
  Gate constant({.kind = GateKind::constant}, 2, 3);
  constant.block(0) << 0.5;
  const Data data = draw(truth_with(constant), 200, 43);
  const double smaller = fit(data, options_for({.kind = GateKind::constant}, 3, 4)).log_likelihood;
  for (const LevelKind level : {LevelKind::softmax, LevelKind::laplace})
    EXPECT_GE(
        fit(data, options_for({.kind = GateKind::hierarchical, .outer = level, .inner = level}, 3, 2)).log_likelihood,
        smaller - 1e-6);
}

TEST(GateFit, FixedWeightsAreKeptAndEqualOnesAreTheEqualGate) {
  const MixtureModel truth = truth_with(Gate({.kind = GateKind::fixed, .weights = {0.2, 0.8}}, 0, 2));
  const Data data = draw(truth, 200, 44);
  const FitResult fixed = fit(data, options_for({.kind = GateKind::fixed, .weights = {1, 4}}, 2, 4));
  const Matrix weights = fixed.model.gate.log_weights(data.gate_inputs).array().exp();
  EXPECT_NEAR(weights(0, 0), 0.8, 1e-15);  // experts by share: the larger weight first
  EXPECT_NEAR(weights(0, 1), 0.2, 1e-15);
  EXPECT_EQ(fixed.degrees_of_freedom, 6);
  const double same = fit(data, options_for({.kind = GateKind::fixed, .weights = {2, 2}}, 2, 4)).log_likelihood;
  EXPECT_NEAR(same, fit(data, options_for({.kind = GateKind::equal}, 2, 4)).log_likelihood, 1e-8 * std::abs(same));
}

TEST(GateFit, StandardisedGatesDoNotDependOnTheUnitsOfTheTable) {
  for (const GateSpec& spec : {GateSpec{.kind = GateKind::activated, .temperature = 0.4},
                               GateSpec{.kind = GateKind::cosine, .temperature = 0.4},
                               GateSpec{.kind = GateKind::softmax, .transform = GateTransform::sigmoid}}) {
    const Data data = draw(truth_with(flat_truth(spec)), 200, 45);
    Data moved = data;
    moved.gate_inputs = (data.gate_inputs.array() * 100 + 2000).matrix();
    const FitResult here = fit(data, options_for(spec, 3, 2)), there = fit(moved, options_for(spec, 3, 2));
    EXPECT_NEAR(here.log_likelihood, there.log_likelihood, 1e-8 * std::abs(here.log_likelihood))
        << enum_name(spec.kind);
    EXPECT_LT((here.model.gate.log_weights(data.gate_inputs) - there.model.gate.log_weights(moved.gate_inputs))
                  .array()
                  .exp()
                  .maxCoeff(),
              1 + 1e-4)
        << enum_name(spec.kind);
  }
}

TEST(GateFit, WhatHasNoLikelihoodOrMakesNoSenseIsRefused) {
  const Data data = draw(truth_with(flat_truth({.kind = GateKind::softmax})), 50, 46);
  const auto message = [&](const GateSpec& gate) {
    try {
      fit(data, options_for(gate, 3, 1));
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("no exception");
  };
  EXPECT_EQ(message({.kind = GateKind::unnormalised_sigmoid}),
            "gate 'unnormalised-sigmoid' has weights that do not sum to 1, so there is no likelihood; it is for least "
            "squares");
  EXPECT_EQ(message({.kind = GateKind::softmax, .top_k = 4}),
            "top-k must be between 0 and the number of experts (3), not 4");
  EXPECT_EQ(message({.kind = GateKind::equal, .top_k = 1}),
            "top-k needs a gate that reads inputs, not 'equal': it would select the same experts everywhere");
  EXPECT_EQ(message({.kind = GateKind::hierarchical, .groups = 4}),
            "groups must be at most the number of experts (3), not 4");
  EXPECT_EQ(message({.kind = GateKind::fixed}), "gate-weights must hold one number per expert: 0 for 3 experts");
}

}  // namespace
}  // namespace clearway
