// The summary of a fit that was made by hand: every number it must show is known beforehand.
#include "clearway/stat/summary.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <sstream>

namespace clearway {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

ModelNames names_of(int inputs) {
  ModelNames names;
  names.responses = {"price"};
  for (int j = 1; j <= inputs; ++j) names.expert_inputs.push_back("x" + std::to_string(j));
  names.gate_inputs = names.expert_inputs;
  return names;
}

/// k linear experts over d inputs: coefficient j of expert i is 100 (i + 1) + j, sigma of expert i is i + 0.25.
FitResult made_by_hand(int experts, int inputs) {
  FitResult result;
  result.model.gate = Gate(GateSpec{}, inputs, experts);
  for (int i = 0; i + 1 < experts; ++i)
    for (int j = 0; j <= inputs; ++j) result.model.gate.block(i)[j] = 10 * (i + 1) + j + 0.5;
  for (int i = 0; i < experts; ++i) {
    Expert expert(ExpertSpec{}, inputs);
    for (int j = 0; j <= inputs; ++j) expert.parameters()[j] = 100.0 * (i + 1) + j + 0.125;
    expert.set_sigma(i + 0.25);
    result.model.experts.push_back(expert);
  }
  result.shares = Vector::Constant(experts, 1.0 / experts);
  result.reason = StopReason::converged;
  result.converged = true;
  result.log_likelihood = -1234.56789;
  result.degrees_of_freedom = 17;
  result.aic = 2503.13578;
  result.bic = 2586.5;
  result.icl = 2600.75;
  result.entropy = 7.125;
  result.rows = 1000;
  result.effective_rows = 1000;
  result.iterations = 34;
  result.start = StartKind::spectral;
  result.starts = 12;
  result.starts_polished = 2;
  result.starts_agreed = 2;
  return result;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The words of the first line that begins with `label`, without the label.
std::vector<std::string> cells_of(const std::string& text, const std::string& label) {
  for (const std::string& line : lines_of(text)) {
    if (!line.starts_with(label + " ")) continue;
    std::istringstream stream(line.substr(label.size()));
    std::vector<std::string> cells;
    for (std::string cell; stream >> cell;) cells.push_back(cell);
    return cells;
  }
  return {};
}

using Cells = std::vector<std::string>;

TEST(Summary, SaysNotFittedYet) {
  EXPECT_EQ(full_summary(FitResult{}, ModelNames{}), "not fitted yet\n");
}

TEST(Summary, ShowsEveryCoefficientUnderItsExpert) {
  const std::string text = full_summary(made_by_hand(3, 2), names_of(2));
  EXPECT_EQ(lines_of(text).front(), "price ~ 3 experts: linear(x1, x2); gate: softmax(x1, x2)");
  EXPECT_EQ(cells_of(text, "(intercept)"), (Cells{"100.125", "200.125", "300.125"}));
  EXPECT_EQ(cells_of(text, "x2"), (Cells{"102.125", "202.125", "302.125"}));
  EXPECT_EQ(cells_of(text, "sigma"), (Cells{"0.250000", "1.25000", "2.25000"}));
  EXPECT_EQ(cells_of(text, "share"), (Cells{"0.333333", "0.333333", "0.333333"}));
}

TEST(Summary, GateIsReadAgainstTheReference) {
  const std::string text = full_summary(made_by_hand(3, 2), names_of(2));
  const std::size_t at = text.find("Gate, relative to expert 3\n");
  ASSERT_NE(at, std::string::npos);
  const std::string gate = text.substr(at);
  EXPECT_EQ(cells_of(gate, "(intercept)"), (Cells{"10.5000", "20.5000"}));
  EXPECT_EQ(cells_of(gate, "x2"), (Cells{"12.5000", "22.5000"}));
  EXPECT_EQ(gate.substr(0, gate.find("(intercept)")).find("Expert 3"), std::string::npos);
}

TEST(Summary, CriteriaKeepTwoMoreDigitsAndStateTheirSign) {
  const std::string text = full_summary(made_by_hand(2, 1), names_of(1));
  EXPECT_EQ(cells_of(text, "log-likelihood"), Cells{"-1234.5679"});
  EXPECT_EQ(cells_of(text, "AIC"), Cells{"2503.1358"});
  EXPECT_EQ(cells_of(text, "BIC"), Cells{"2586.5000"});
  EXPECT_EQ(cells_of(text, "ICL"), Cells{"2600.7500"});
  EXPECT_NE(text.find("smaller is better"), std::string::npos);
  EXPECT_NE(text.find("Start: spectral won out of 12 starts; 2 of 2 polished starts"), std::string::npos);
  EXPECT_NE(text.find("Stopped after 34 iterations: the score is zero to the tolerance."), std::string::npos);
}

TEST(Summary, NotConvergingAndWarningsAreSaid) {
  FitResult result = made_by_hand(2, 1);
  result.converged = false;
  result.reason = StopReason::iteration_limit;
  result.warnings = {"Expert 2 sits at the noise floor."};
  const std::string text = full_summary(result, names_of(1));
  EXPECT_NE(text.find("the iteration limit was reached first (NOT CONVERGED)."), std::string::npos);
  EXPECT_NE(text.find("Warning: Expert 2 sits at the noise floor.\n"), std::string::npos);
}

TEST(Summary, ManyExpertsAreWrappedIntoBlocksThatFit) {
  for (const int experts : {1, 2, 7, 8, 20})
    for (const int inputs : {0, 1, 40}) {
      const FitResult result = made_by_hand(experts, inputs);
      for (const std::size_t width : {80U, 92U, 100U}) {
        const std::string text = full_summary(result, names_of(inputs), {.width = width});
        for (const std::string& line : lines_of(text)) EXPECT_LE(line.size(), width) << line;
        for (int i = 0; i < experts; ++i)
          EXPECT_NE(text.find("Expert " + std::to_string(i + 1)), std::string::npos) << i;
        EXPECT_TRUE(std::all_of(text.begin(), text.end(), [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
      }
    }
}

TEST(Summary, StandardErrorsGetAColumnBesideTheEstimates) {
  const FitResult result = made_by_hand(3, 1);
  StandardErrors errors;
  for (int i = 0; i < 3; ++i) errors.experts.push_back(Vector::LinSpaced(3, 0.5, 1.5));
  errors.gate = Vector::Constant(6, 0.75);
  errors.gate[1] = kUnknown;
  const std::string text = full_summary(result, names_of(1), {.errors = &errors});
  EXPECT_EQ(cells_of(text, "x1"), (Cells{"101.125", "1", "201.125", "1", "301.125", "1"}));
  // Delta method: the error of sigma is sigma times the error of log sigma, 1.5.
  EXPECT_EQ(cells_of(text, "sigma"), (Cells{"0.250000", "0.375000", "1.25000", "1.87500", "2.25000", "3.37500"}));
  const std::string gate = text.substr(text.find("Gate"));
  EXPECT_EQ(cells_of(gate, "x1"), (Cells{"11.5000", "21.5000", "0.750000"}));
}

// A term log(x) has the name of a logarithm; it is a coefficient all the same.
TEST(Summary, CoefficientsOfLogarithmsAreCoefficients) {
  ModelNames names = names_of(1);
  names.expert_inputs = {"log(gnp)"};
  for (const ExpertKind kind : {ExpertKind::linear, ExpertKind::student_t, ExpertKind::poisson, ExpertKind::gamma}) {
    Expert expert(ExpertSpec{.kind = kind}, 1);
    expert.parameters()[1] = 1.25;
    const ExpertReport report = expert_report(expert, names);
    ASSERT_EQ(report.coefficients.size(), 2U) << enum_name(kind);
    EXPECT_EQ(report.coefficients[1].name, "log(gnp)");
    EXPECT_EQ(report.coefficients[1].value, 1.25);
    EXPECT_EQ(static_cast<Eigen::Index>(report.noise.size()), expert.parameters().size() - 2);
    for (const NamedValue& value : report.noise) EXPECT_NE(value.name, "gnp");
  }
}

TEST(Summary, VectorResponseShowsDeviationsAndCorrelations) {
  FitResult result = made_by_hand(2, 1);
  Expert expert(ExpertSpec{}, 1, 2);
  // Lower factor L = [[2, 0], [3, 4]]: covariance [[4, 6], [6, 25]], deviations 2 and 5, correlation 0.6.
  expert.parameters() << 1.0, 2.0, 3.0, 4.0, std::log(2.0), 3.0, std::log(4.0);
  result.model.experts.assign(2, expert);
  ModelNames names = names_of(1);
  names.responses = {"y", "z"};
  const std::string text = full_summary(result, names);
  EXPECT_EQ(cells_of(text, "y: x1"), (Cells{"2", "2"}));
  EXPECT_EQ(cells_of(text, "z: (intercept)"), (Cells{"3", "3"}));
  EXPECT_EQ(cells_of(text, "sd z").front().substr(0, 1), "5");
  const auto correlation = expert_report(expert, names).noise.back();
  EXPECT_EQ(correlation.name, "cor(y, z)");
  EXPECT_NEAR(correlation.value, 0.6, 1e-14);  // a handful of roundings of numbers near 1
}

TEST(Summary, TableNumbers) {
  EXPECT_EQ(table_number(0.4123456789, 6), "0.412346");
  EXPECT_EQ(table_number(-12.5, 6), "-12.5000");
  EXPECT_EQ(table_number(1.2e9, 6), "1.20000e+09");
  EXPECT_EQ(table_number(123456.7, 6), "123457");
  EXPECT_EQ(table_number(-123456.7, 6), "-123457");
  EXPECT_EQ(table_number(1234567.8, 6), "1.23457e+06");
  EXPECT_EQ(table_number(1.04, 2), "1.0");
  EXPECT_EQ(table_number(0.0, 6), "0");
  EXPECT_EQ(table_number(334.0, 6), "334");
  EXPECT_EQ(table_number(kUnknown, 6), "-");
  EXPECT_EQ(table_number(-std::numeric_limits<double>::infinity(), 6), "-Inf");
}

TEST(Summary, AllocationCountsRowsByTheirMostResponsibleExpert) {
  // Two constant experts at -5 and 5 with sigma 1, gate weights equal: rows at -5 and 5 belong to one expert each with
  // responsibility 1 - e^-50, a row at 0 is shared half and half (ties go to the first).
  MixtureModel model;
  model.gate = Gate(GateSpec{.kind = GateKind::equal}, 0, 2);
  for (const double level : {-5.0, 5.0}) {
    Expert expert(ExpertSpec{.kind = ExpertKind::constant}, 0);
    expert.parameters() << level, 0.0;
    model.experts.push_back(expert);
  }
  Data data;
  data.expert_inputs.resize(4, 0);
  data.gate_inputs.resize(4, 0);
  data.response.resize(4, 1);
  data.response << -5.0, 5.0, 5.0, 0.0;
  const Allocation counted = allocation(model, data);
  EXPECT_EQ(counted.size[0], 2.0);
  EXPECT_EQ(counted.size[1], 2.0);
  EXPECT_EQ(counted.ratio[0], 1.0);
  EXPECT_NEAR(counted.ratio[1], 2.0 / 3.0, 1e-15);
  EXPECT_NEAR(counted.prior[0], 0.5, 1e-15);
}

}  // namespace
}  // namespace clearway
