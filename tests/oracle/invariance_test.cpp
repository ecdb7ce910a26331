// What must not change a fit: the order of the rows, writing a row twice or weighting it 2, the units of the columns, the
// number of threads. Tolerance 1e-9 relative: a polished run ends with a mean score below 1e-8, and at a maximum the
// log-likelihood is off by n s^2 / (2 x information), far below that.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "clearway/base/random.hpp"
#include "oracle_data.hpp"

namespace clearway::oracle {
namespace {

constexpr double kRelative = 1e-9;

struct Case {
  std::string name;
  Data data;
  FitOptions options;
};

Case problem_case(const std::string& name) {
  for (const Problem& problem : problems())
    if (problem.name() == name) return {name, read_problem(problem), default_options(problem)};
  throw std::invalid_argument(name);
}

Case mcycle_case() {
  const Table table = read_real("MASS_mcycle.csv");
  Case one{"mcycle", {}, {}};
  one.data.response = column(table, "accel");
  one.data.expert_inputs = column(table, "times");
  one.data.gate_inputs = one.data.expert_inputs;
  one.options.experts = 2;
  return one;
}

class Invariance : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!oracle_folder()) GTEST_SKIP() << "the shared background is absent: set CLEARWAY_SHARED";
    case_ = GetParam() == "mcycle" ? mcycle_case() : problem_case(GetParam());
    reference_ = fit(case_.data, case_.options);
  }
  void expect_same(const FitResult& other, double shift = 0.0) const {
    EXPECT_NEAR(other.log_likelihood + shift, reference_.log_likelihood,
                kRelative * std::abs(reference_.log_likelihood));
  }
  Case case_;
  FitResult reference_;
};

TEST_P(Invariance, OrderOfTheRows) {
  RandomStream stream(7);
  std::vector<Eigen::Index> rows;
  for (const std::size_t row : stream.permutation(static_cast<std::size_t>(case_.data.rows())))
    rows.push_back(static_cast<Eigen::Index>(row));
  const FitResult other = fit(case_.data.subset(rows), case_.options);
  expect_same(other);
  // Experts are reported by decreasing share, so that their labels do not depend on the rows either. Shares are first
  // derivatives of nothing: they move with the parameters, which are exact to 1e-8 / information, here 1e-6.
  for (Eigen::Index i = 0; i < other.shares.size(); ++i) EXPECT_NEAR(other.shares(i), reference_.shares(i), 1e-6);
}

TEST_P(Invariance, RowsTwiceOrWeightTwo) {
  std::vector<Eigen::Index> rows;
  for (Eigen::Index row = 0; row < case_.data.rows(); ++row) rows.insert(rows.end(), 2, row);
  const FitResult twice = fit(case_.data.subset(rows), case_.options);
  Data weighted = case_.data;
  weighted.weights = Vector::Constant(case_.data.rows(), 2.0);
  const FitResult heavy = fit(weighted, case_.options);
  EXPECT_NEAR(twice.log_likelihood, 2 * reference_.log_likelihood, 2 * kRelative * std::abs(reference_.log_likelihood));
  EXPECT_NEAR(heavy.log_likelihood, 2 * reference_.log_likelihood, 2 * kRelative * std::abs(reference_.log_likelihood));
}

// y -> 3 y - 5 moves the density by 1/3: the log-likelihood falls by n log 3. Inputs have no density.
TEST_P(Invariance, UnitsOfTheColumns) {
  Data moved = case_.data;
  moved.expert_inputs = 1000.0 * case_.data.expert_inputs.array() + 1900.0;
  moved.gate_inputs = 0.01 * case_.data.gate_inputs.array() - 4.0;
  const bool continuous = case_.options.expert.kind == ExpertKind::linear;
  if (continuous) moved.response = 3.0 * case_.data.response.array() - 5.0;
  const FitResult other = fit(moved, case_.options);
  expect_same(other, continuous ? static_cast<double>(moved.rows()) * std::log(3.0) : 0.0);
}

TEST_P(Invariance, NumberOfThreads) {
  FitOptions options = case_.options;
  options.threads = 1;
  const FitResult one = fit(case_.data, options);
  options.threads = 16;
  const FitResult many = fit(case_.data, options);
  EXPECT_EQ(one.log_likelihood, many.log_likelihood);
  EXPECT_EQ(one.model.gate.parameters(), many.model.gate.parameters());
  for (std::size_t i = 0; i < one.model.experts.size(); ++i)
    EXPECT_EQ(one.model.experts[i].parameters(), many.model.experts[i].parameters());
}

INSTANTIATE_TEST_SUITE_P(Data, Invariance,
                         testing::Values("gauss_k3_d2_n1000_s0", "gauss_k4_d10_n1000_s1", "const_k3_d1_n1000_s0",
                                         "pois_k2_d1_n1000_s0", "mcycle"));

}  // namespace
}  // namespace clearway::oracle
