// Fixed and shared parameters: in EM, in fit() against regressions with the same restriction, and by name.
#include "clearway/stat/constraints.hpp"

#include <gtest/gtest.h>

#include <Eigen/QR>
#include <cmath>

#include "../../src/stat/em_engine.hpp"
#include "clearway/stat/fit.hpp"
#include "random_models.hpp"

namespace clearway {
namespace {

using testing::ExpertCase;
using testing::random_data;
using testing::random_model;

FitOptions one_expert(ExpertKind kind = ExpertKind::linear) {
  FitOptions options;
  options.experts = 1;
  options.expert.kind = kind;
  return options;
}

// With a fixed slope least squares regresses y - value * x on the rest: closed form.
TEST(Constraints, AFixedCoefficientIsAnOffset) {
  RandomStream stream(51);
  Data data = random_data({{.kind = ExpertKind::linear}}, 60, 2, 0, stream);
  data.expert_inputs.col(0).array() += 100;  // away from the origin
  data.response.array() = 40 + 3 * data.response.array() + 2 * data.expert_inputs.col(1).array();
  for (int place = 0; place < 3; ++place) {
    FitOptions options = one_expert();
    const double value = 0.7;
    options.constraints.fixed = {{false, 0, place, value}};
    const FitResult result = fit(data, options);
    ASSERT_TRUE(result.converged) << place;
    Matrix design(60, 3);
    design << Vector::Ones(60), data.expert_inputs;
    Matrix rest(60, 2);
    for (int j = 0, to = 0; j < 3; ++j)
      if (j != place) rest.col(to++) = design.col(j);
    const Vector target = data.response.col(0) - value * design.col(place);
    const Vector solution = rest.householderQr().solve(target);
    const Vector& theta = result.model.experts[0].parameters();
    EXPECT_EQ(theta(place), value);
    for (int j = 0, from = 0; j < 3; ++j)
      // The score is below 1e-8 per row; columns near 100 lose four digits against that.
      if (j != place) {
        EXPECT_NEAR(theta(j), solution(from++), 1e-4 * (1 + std::abs(theta(j)))) << place << " " << j;
      }
    EXPECT_NEAR(std::exp(theta(3)), std::sqrt((target - rest * solution).squaredNorm() / 60), 1e-5);
    EXPECT_EQ(result.degrees_of_freedom, 3);
  }
}

// Known experts, one common slope and one common noise level: analysis of covariance, a single regression.
TEST(Constraints, ASharedSlopeIsAnalysisOfCovariance) {
  RandomStream stream(52);
  const Eigen::Index n = 80;
  Data data = random_data({{.kind = ExpertKind::linear}}, n, 1, 0, stream);
  Matrix design = Matrix::Zero(n, 3);
  for (Eigen::Index i = 0; i < n; ++i) {
    const int group = i % 4 == 0 ? 1 : 0;
    data.labels.push_back(group);
    design(i, group) = 1;
    design(i, 2) = data.expert_inputs(i, 0);
    data.response(i, 0) += group == 1 ? 2.0 : 0.0;
  }
  FitOptions options;
  options.experts = 2;
  options.gate.kind = GateKind::constant;
  options.expert.variance = VarianceKind::shared;
  options.constraints.shared = {1};
  const FitResult result = fit(data, options);
  ASSERT_TRUE(result.converged);
  const Vector solution = design.householderQr().solve(data.response.col(0));
  const Vector &first = result.model.experts[0].parameters(), &second = result.model.experts[1].parameters();
  EXPECT_NEAR(first(0), solution(0), 1e-6);  // score below 1e-8 per row, information about 1 per row
  EXPECT_NEAR(second(0), solution(1), 1e-6);
  EXPECT_NEAR(first(1), solution(2), 1e-6);
  EXPECT_EQ(first(1), second(1));
  EXPECT_EQ(result.degrees_of_freedom, 5);  // one share, two intercepts, slope, sigma
}

TEST(Constraints, EmNeverLowersTheObjectiveAndKnowsItsDerivatives) {
  RandomStream stream(53);
  constexpr double h = 1e-5;
  for (const GateKind gate : {GateKind::softmax, GateKind::laplace})
    for (const ExpertCase& expert : testing::all_experts()) {
      if (expert.responses > 1) continue;
      const Data data = random_data(expert, 60, 2, 2, stream, true);
      MixtureModel model = random_model({.kind = gate}, expert, data, 3, stream);
      model.constraints.fixed = {{false, 1, 0, model.experts[1].parameters()(0)}, {true, 0, 1, model.gate.block(0)(1)}};
      const auto last = static_cast<int>(model.experts[0].parameters().size()) - 1;
      if (last > 1 && expert.spec.variance == VarianceKind::separate) model.constraints.shared = {last};
      for (Expert& e : model.experts) e.parameters()(last) = model.experts[0].parameters()(last);
      const detail::Scaling scaling = [&] {
        detail::Scaling s;
        s.expert_centre = s.gate_centre = Vector::Zero(2);
        s.expert_scale = s.gate_scale = Vector::Ones(2);
        s.response_centre = Vector::Zero(1);
        s.response_scale = s.response_deviation = Vector::Ones(1);
        return s;
      }();
      const detail::EngineSettings settings{.sigma_floor = 1e-3, .gate_ridge = 1e-2, .threads = 1};
      const auto engine = detail::make_engine(data, scaling, model, settings);
      const std::string what = std::string(enum_name(gate)) + " x " + std::string(enum_name(expert.spec.kind));
      Vector score, up_score, down_score;
      Matrix information;
      const double value = engine->derivatives(model, score, &information);
      const Vector free = engine->map().pack(model);
      EXPECT_EQ(free.size(), model.degrees_of_freedom()) << what;
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
      const double kept = model.experts[1].parameters()(0), kept_gate = model.gate.block(0)(1);
      double previous = value - 1e-9;
      for (int i = 0; i < 6; ++i) {
        const double next = engine->step(model);
        EXPECT_GE(next, previous - 1e-9 * (1 + std::abs(previous))) << what << " iteration " << i;
        previous = next;
      }
      EXPECT_EQ(model.experts[1].parameters()(0), kept) << what;
      EXPECT_EQ(model.gate.block(0)(1), kept_gate) << what;
    }
}

TEST(Constraints, NamesAreFoundAndMistakesNamed) {
  const Gate gate({.kind = GateKind::softmax}, 2, 3);
  const Expert expert({.kind = ExpertKind::linear}, 2);
  const std::vector<std::string> inputs{"x1", "x2"};
  const auto find = [&](std::vector<std::string> fix, std::vector<std::string> share = {}) {
    return find_constraints({std::move(fix), std::move(share)}, gate, expert, inputs, inputs, {"y"});
  };
  const Constraints all = find({"x2=0"});
  ASSERT_EQ(all.fixed.size(), 3u);
  EXPECT_TRUE(all.symmetric(3));
  EXPECT_EQ(all.fixed[2].expert, 2);
  EXPECT_EQ(all.fixed[2].parameter, 2);
  const Constraints one = find({"expert2: x1 = -1.5", "sigma=2"}, {"(intercept)"});
  EXPECT_FALSE(one.symmetric(3));
  EXPECT_EQ(one.fixed[0].expert, 1);
  EXPECT_EQ(one.fixed[0].value, -1.5);
  EXPECT_EQ(one.fixed[1].value, std::log(2.0));
  EXPECT_EQ(one.shared, std::vector<int>{0});
  EXPECT_EQ(find({"expert 2: x1=0"}).fixed.front().expert, 1);  // as the tables write it
  const Constraints log_term = find_constraints({{"log(x2)=-2"}, {}}, gate, expert, inputs, {"x1", "log(x2)"}, {"y"});
  EXPECT_EQ(log_term.fixed.front().value, -2) << "a coefficient, not the logarithm of a positive parameter";
  EXPECT_THROW(find_constraints({{"x2=0.5"}, {}}, gate, expert, inputs, {"x1", "log(x2)"}, {"y"}),
               std::invalid_argument);
  // A category, a product with one and a basis stand for their columns; a single one can still be named.
  const std::vector<std::string> columns{"x", "g[b]", "g[c]", "g[b]*x", "g[c]*x", "ns(x,2)1", "ns(x,2)2"};
  const Gate by_columns({.kind = GateKind::softmax}, 7, 2);
  const Expert with_columns({.kind = ExpertKind::linear}, 7);
  const auto places = [&](const std::string& share) {
    return find_constraints({{}, {share}}, by_columns, with_columns, columns, columns, {"y"}).shared;
  };
  EXPECT_EQ(places("g"), (std::vector<int>{2, 3}));
  EXPECT_EQ(places("g*x"), (std::vector<int>{4, 5}));
  EXPECT_EQ(places("ns(x,2)"), (std::vector<int>{6, 7}));
  EXPECT_EQ(places("g[c]"), std::vector<int>{3});
  const auto category = find_constraints({{"g=0.5"}, {}}, by_columns, with_columns, columns, columns, {"y"}).fixed;
  ASSERT_EQ(category.size(), 4u);  // two levels in two experts
  EXPECT_EQ(find_constraints({{"gate1:g=0"}, {}}, by_columns, with_columns, columns, columns, {"y"}).fixed.size(), 2u);
  const auto computed = [&](const std::string& share) {
    return find_constraints({{}, {share}}, gate, expert, inputs, {"log(x+1)", "(a/b)"}, {"y"}).shared;
  };
  EXPECT_EQ(computed("log(x + 1)"), std::vector<int>{1});
  EXPECT_EQ(computed("I(a / b)"), std::vector<int>{2});
  EXPECT_EQ(computed("a/b"), std::vector<int>{2});
  const Constraints in_gate = find({"gate:x1=0"});
  EXPECT_EQ(in_gate.fixed.size(), 2u);  // the last expert is the reference
  EXPECT_TRUE(in_gate.symmetric(3));

  const auto message = [&](std::vector<std::string> fix, std::vector<std::string> share = {}) -> std::string {
    try {
      find(std::move(fix), std::move(share));
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({"x3=0"}),
            "fix: 'x3' is no parameter of the experts (did you mean 'x1'?); there are (intercept), x1, x2, log(sigma)");
  EXPECT_EQ(message({"gate:z=0"}), "fix: 'z' is no parameter of the gate; there are (intercept), x1, x2");
  EXPECT_EQ(message({"x1"}), "fix: 'x1' must have the form NAME=VALUE");
  EXPECT_EQ(message({"x1=a"}), "fix: 'x1=a' must end in '=' and a number");
  EXPECT_EQ(message({"sigma=-1"}), "fix: sigma must be above 0, not -1");
  EXPECT_EQ(message({"expert4:x1=0"}), "fix: 'expert4:x1' speaks of number 4, but there are 3 experts");
  EXPECT_EQ(message({"gate3:x1=0"}),
            "fix: 'gate3:x1=0': the gate of expert 3 is the reference, all its parameters are 0");
  EXPECT_EQ(message({"x1=0", "expert2:x1=1"}), "fix: 'expert2:x1=1' fixes x1 of expert 2 a second time");
  EXPECT_EQ(message({"x1=0"}, {"x1"}), "share: 'x1' is fixed already");
  EXPECT_EQ(message({}, {"x1", "x1"}), "share: 'x1' is listed twice");
}

}  // namespace
}  // namespace clearway
