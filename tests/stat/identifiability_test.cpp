// The expression parser, exact second derivatives, and the verdicts that theory fixes.
#include "clearway/stat/study_identifiability.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "../../src/stat/dependence.hpp"
#include "../../src/stat/expression.hpp"
#include "../../src/stat/hyper_dual.hpp"
#include "clearway/core/activations.hpp"

namespace clearway {
namespace {

using detail::Expression;
using Dual = detail::HyperDual<double>;

Dual seeded(double value, double u, double v) {
  return {value, u, v, 0.0};
}

double value(const std::string& text, std::vector<double> x, std::vector<double> parameters) {
  std::vector<Dual> inputs, theta;
  for (const double v : x) inputs.emplace_back(v);
  for (const double v : parameters) theta.emplace_back(v);
  return Expression(text).evaluate<Dual>(inputs, theta).value;
}

TEST(Expression, FollowsThePrecedenceOfMathematics) {
  EXPECT_EQ(value("1 + 2*3", {}, {}), 7);
  EXPECT_EQ(value("-2^2", {}, {}), -4);
  EXPECT_NEAR(value("2^3^2", {}, {}), 512, 1e-11);
  EXPECT_EQ(value("8/4/2", {}, {}), 1);
  EXPECT_EQ(value("5 - 3 - 1", {}, {}), 1);
  EXPECT_EQ(value("2*-3", {}, {}), -6);
  EXPECT_EQ(value("(a*x1 + b)*x2", {3, 10}, {2, 1}), 70);
  EXPECT_NEAR(value("a^x", {0.5}, {2}), std::sqrt(2.0), 1e-14);
  EXPECT_NEAR(value("cos(pi) + 1e-3", {}, {}), -0.999, 1e-15);
  EXPECT_EQ(Expression("b*x3 + a*b").inputs(), 3);
  EXPECT_EQ(Expression("b*x3 + a*b").parameters(), (std::vector<std::string>{"b", "a"}));
}

TEST(Expression, SaysWhereItIsWrong) {
  const auto message = [](const std::string& text) {
    try {
      (void)Expression(text);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_NE(message("tanh(a*x").find("expected ')' at the end"), std::string::npos);
  EXPECT_NE(message("a*(x + )").find("at character 8, not ')'"), std::string::npos);
  EXPECT_NE(message("a x").find("expected an operator or the end at character 3"), std::string::npos);
  EXPECT_NE(message("tan(x)").find("no function 'tan'"), std::string::npos);
  EXPECT_NE(message("x99").find("x1 to x20"), std::string::npos);
  EXPECT_NE(message(std::string(1000, '(')).find("nested too deeply"), std::string::npos);
  EXPECT_NE(message(""), "");
}

// Against the derivatives that core writes by hand; both are exact, rounding is 1e-15.
TEST(HyperDual, DerivativesAreThoseOfTheActivations) {
  const std::vector<std::pair<std::string, Activation>> pairs = {
      {"tanh(a)", {.kind = ActivationKind::tanh}},
      {"sigmoid(a)", {.kind = ActivationKind::sigmoid}},
      {"gelu(a)", {.kind = ActivationKind::gelu}},
      {"relu(a)", {.kind = ActivationKind::relu}},
      {"a^5", {.kind = ActivationKind::polynomial, .degree = 5}}};
  for (const auto& [text, g] : pairs)
    for (const double z : {-1.3, 0.2, 2.0}) {
      const std::vector<Dual> theta{seeded(z, 1, 1)};
      const Dual y = Expression(text).evaluate<Dual>({}, theta);
      EXPECT_NEAR(y.value, g.value(z), 1e-14 * (1 + std::abs(y.value))) << text;
      EXPECT_NEAR(y.u, g.derivative(z), 1e-14 * (1 + std::abs(y.u))) << text;
      EXPECT_NEAR(y.uv, g.second_derivative(z), 1e-13 * (1 + std::abs(y.uv))) << text;
    }
  // d2/(da db) of log(a) sqrt(b) / cos(a b) + softplus(a) exp(b) sin(b), by hand-free central differences of the exact
  // first derivative: step 1e-6 leaves 1e-9.
  const Expression h("log(a)*sqrt(b)/cos(a*b) + softplus(a)*exp(b)*sin(b) + b^a");
  const auto first = [&](double a, double b) {
    return h.evaluate<Dual>({}, std::vector<Dual>{seeded(a, 1, 0), seeded(b, 0, 0)}).u;
  };
  const double mixed = h.evaluate<Dual>({}, std::vector<Dual>{seeded(0.7, 1, 0), seeded(0.9, 0, 1)}).uv;
  EXPECT_NEAR(mixed, (first(0.7, 0.9 + 1e-6) - first(0.7, 0.9 - 1e-6)) / 2e-6, 1e-8 * (1 + std::abs(mixed)));
}

// Two columns at a known angle, and a column that is a combination of two others.
TEST(Dependence, FindsTheCombinationAndTheSmallestSingularValue) {
  using detail::Long;
  // Two unit columns at an angle: singular values sqrt(1 +- cos).
  const detail::LongColumns pair{{Long(1), Long(0)}, {Long(3), Long(4)}};
  EXPECT_NEAR(detail::smallest_singular_ratio(pair), std::sqrt((1 - 0.6) / (1 + 0.6)), 1e-14);
  const detail::LongColumns dependent{
      {Long(1), Long(0), Long(2)}, {Long(0), Long(1), Long(1)}, {Long(2), Long(-3), Long(1)}};
  EXPECT_LT(detail::smallest_singular_ratio(dependent), 1e-45);
  const auto found = detail::dependences(dependent, Long("1e-40"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].column, 2u);
  EXPECT_EQ(found[0].earlier, (std::vector<std::size_t>{0, 1}));
  EXPECT_NEAR(static_cast<double>(found[0].coefficients[0]), 2, 1e-15);
  EXPECT_NEAR(static_cast<double>(found[0].coefficients[1]), -3, 1e-15);
}

IdentifiabilityRow check(const std::string& expert, IdentifiabilityForm form, int inputs = 1) {
  IdentifiabilityOptions options;
  options.expert = {expert};
  options.form = {std::string(enum_name(form))};
  options.inputs = inputs;
  options.sets = 2;
  options.threads = 1;
  return run_identifiability_study(options).rows.front();
}

bool holds(const std::vector<std::string>& texts, const std::string& text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

// Nguyen, Ho and Rinaldo 2024 (abstract): sigmoid and tanh networks are, linear and polynomial experts are not; On
// DeepSeekMoE, Definition 1: GELU is; a constant is not.
TEST(Identifiability, AgreesWithThePapers) {
  for (const IdentifiabilityForm form : {IdentifiabilityForm::lse, IdentifiabilityForm::mle}) {
    for (const char* expert : {"sigmoid", "tanh", "gelu"}) {
      const IdentifiabilityRow row = check(expert, form);
      EXPECT_EQ(row.verdict, IdentifiabilityVerdict::independent) << expert << " " << row.smallest;
      // Every unit g(a x + b) has this twin, which is why coinciding functions count once.
      EXPECT_TRUE(holds(row.coinciding, "dh/da = x * dh/db")) << expert;
    }
    for (const char* expert : {"linear", "polynomial", "constant"})
      EXPECT_EQ(check(expert, form).verdict, IdentifiabilityVerdict::dependent) << expert;
  }
}

TEST(Identifiability, TellsTheOffendingCombination) {
  const IdentifiabilityRow linear = check("linear", IdentifiabilityForm::lse);
  EXPECT_TRUE(holds(linear.combinations, "h = a * dh/da + b * dh/db")) << linear.combinations.front();
  EXPECT_TRUE(holds(linear.combinations, "d2h/da^2 = 0"));
  // (a x + b)^2: h is quadratic in (a, b) together, Euler's relation.
  const IdentifiabilityRow polynomial = check("polynomial", IdentifiabilityForm::lse);
  EXPECT_TRUE(holds(polynomial.combinations, "h = a/2 * dh/da + b/2 * dh/db")) << polynomial.combinations.front();
}

TEST(Identifiability, WeakFormFailsForExpertsThatIgnoreTheirInputOnly) {
  for (const char* expert : {"linear", "polynomial", "relu", "gelu", "tanh"})
    EXPECT_EQ(check(expert, IdentifiabilityForm::weak).verdict, IdentifiabilityVerdict::independent) << expert;
  EXPECT_EQ(check("constant", IdentifiabilityForm::weak).verdict, IdentifiabilityVerdict::dependent);
}

TEST(Identifiability, ReluIsDependentByItsDerivativesWithANote) {
  const IdentifiabilityRow row = check("relu", IdentifiabilityForm::lse);
  EXPECT_EQ(row.verdict, IdentifiabilityVerdict::dependent);
  EXPECT_EQ(row.papers, "yes");
  EXPECT_NE(row.note.find("kink"), std::string::npos);
}

TEST(Identifiability, TakesExpressionsOfSeveralInputs) {
  IdentifiabilityOptions options;
  options.form = {"lse"};
  options.sets = 1;
  options.atoms = 1;
  options.expression = "a*tanh(x1)*exp(b*x2)";  // linear in a: h = a dh/da
  const IdentifiabilityRow row = run_identifiability_study(options).rows.front();
  EXPECT_EQ(row.verdict, IdentifiabilityVerdict::dependent);
  EXPECT_TRUE(holds(row.combinations, "h = a * dh/da")) << row.combinations.front();
  options.expression = "2*x";
  EXPECT_THROW((void)run_identifiability_study(options), std::invalid_argument);
  options.expression = "log(a*x)";
  EXPECT_THROW((void)run_identifiability_study(options), std::invalid_argument);
}

}  // namespace
}  // namespace clearway
