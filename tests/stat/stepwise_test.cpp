// Stepwise choice of terms: what the model was drawn with is found from either side, and parts of designs are what they say.
#include "clearway/stat/stepwise.hpp"

#include <gtest/gtest.h>

#include "clearway/base/random.hpp"
#include "clearway/stat/simulate.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using Eigen::Index;

Term column_term(const std::string& name) {
  return Term{{Factor{.column = name}}};
}

// Two experts with slopes on a alone, a gate on c alone; b and d matter to nobody.
Design sparse_design() {
  RandomStream stream(8);
  Design design;
  Data& data = design.data;
  data.expert_inputs = testing::random_matrix(stream, 500, 4);
  data.gate_inputs = data.expert_inputs;
  MixtureModel truth;
  truth.gate = Gate(GateSpec{}, 4, 2);
  truth.gate.block(0)(3) = 2.5;
  for (int k = 0; k < 2; ++k) {
    Expert expert(ExpertSpec{}, 4);
    expert.parameters()(0) = k == 0 ? 1.5 : -1.5;
    expert.parameters()(1) = k == 0 ? 1.0 : -0.7;
    expert.set_sigma(0.4);
    truth.experts.push_back(expert);
  }
  data.response = simulate(truth, data, stream).response;
  design.recipe.target = {"y"};
  for (const char* name : {"a", "b", "c", "d"}) design.recipe.expert_terms.push_back(column_term(name));
  design.recipe.gate_terms = design.recipe.expert_terms;
  design.expert_names = design.gate_names = design.recipe.expert_names();
  return design;
}

class StepwiseDirections : public ::testing::TestWithParam<Stepwise> {};

TEST_P(StepwiseDirections, FindsTheTermsThatMatter) {
  const Design design = sparse_design();
  FitOptions options;
  options.starts = 6;
  StepwiseOptions stepwise;
  stepwise.direction = GetParam();
  const StepwiseResult result = stepwise_fit(design, options, stepwise);
  EXPECT_EQ(result.design.expert_names, (std::vector<std::string>{"a"})) << stepwise_text(result);
  EXPECT_EQ(result.design.gate_names, (std::vector<std::string>{"c"})) << stepwise_text(result);
  for (std::size_t i = 1; i < result.steps.size(); ++i) EXPECT_LT(result.steps[i].bic, result.steps[i - 1].bic);
  EXPECT_NEAR(result.fit.log_likelihood, result.fit.model.log_likelihood(result.design.data), 1e-8);
}

// From nothing, too: the first step must find the way out of two experts without inputs.
INSTANTIATE_TEST_SUITE_P(All, StepwiseDirections, ::testing::Values(Stepwise::backward, Stepwise::forward));

TEST(WithTerms, KeepsTheColumnsOfTheTerms) {
  const Design design = sparse_design();
  const Design part = with_terms(design, {false, true, false, true}, {true, false, false, false});
  EXPECT_EQ(part.expert_names, (std::vector<std::string>{"b", "d"}));
  EXPECT_EQ(part.data.expert_inputs.col(1), design.data.expert_inputs.col(3));
  EXPECT_EQ(part.data.gate_inputs, design.data.gate_inputs.leftCols(1));
}

TEST(StepwiseMistakes, NothingToChoose) {
  Design design = with_terms(sparse_design(), {false, false, false, false}, {false, false, false, false});
  StepwiseOptions stepwise;
  stepwise.direction = Stepwise::both;
  EXPECT_THROW(stepwise_fit(design, FitOptions{}, stepwise), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
