// Selection on real data, end to end from table and formula: the number of experts that the packages' best recorded BIC
// chooses, reached with a log-likelihood and BIC at least as good.
#include "clearway/stat/selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "clearway/stat/design.hpp"
#include "clearway/stat/formula.hpp"
#include "oracle_data.hpp"

namespace clearway::oracle {
namespace {

struct SelectionCase {
  std::string name;
  std::string file;
  std::string formula;
  std::string experts;
  ExpertKind expert = ExpertKind::linear;
  GateKind gate = GateKind::softmax;
  VarianceDivisor divisor = VarianceDivisor::likelihood;
  int chosen = 0;               ///< by the smallest BIC recorded
  double log_likelihood = 0;    ///< recorded there
  bool better_optimum = false;  ///< with another number of experts there is a better BIC than any recorded
  std::string log_of = {};      ///< column whose logarithm is the offset
  std::string trials = {};
  std::string id = {};
};

std::vector<SelectionCase> cases() {
  const auto poisson = ExpertKind::poisson;
  const auto constant = GateKind::constant;
  const auto flexmix = VarianceDivisor::unbiased;
  return {{.name = "mcycle",
           .file = "MASS_mcycle.csv",
           .formula = "accel ~ times",
           .experts = "1:5",
           .chosen = 4,
           .log_likelihood = -550.2581,
           .better_optimum = true},
          {.name = "tonedata",
           .file = "mixtools_tonedata.csv",
           .formula = "tuned ~ stretchratio",
           .experts = "1:3",
           .chosen = 2,
           .log_likelihood = 142.8480,
           .better_optimum = true},
          {.name = "NregFix",
           .file = "flexmix_NregFix.csv",
           .formula = "y ~ x1 + factor(x2) | factor(w)",
           .experts = "1:4",
           .divisor = flexmix,
           .chosen = 3,
           .log_likelihood = -399.4099},
          {.name = "NPreg",
           .file = "flexmix_NPreg.csv",
           .formula = "yn ~ x + x^2",
           .experts = "1:3",
           .gate = constant,
           .divisor = flexmix,
           .chosen = 2,
           .log_likelihood = -642.5453},
          {.name = "fabricfault",
           .file = "flexmix_fabricfault.csv",
           .formula = "Faults ~ offset(log_exposure)",
           .experts = "1:3",
           .expert = poisson,
           .gate = constant,
           .chosen = 2,
           .log_likelihood = -86.6783,
           .log_of = "Length"},
          {.name = "seizure",
           .file = "flexmix_seizure.csv",
           .formula = "Seizures ~ Treatment*log(Day) + offset(log_exposure)",
           .experts = "1:3",
           .expert = poisson,
           .gate = constant,
           .chosen = 2,
           .log_likelihood = -376.1762,
           .log_of = "Hours"},
          {.name = "dmft",
           .file = "flexmix_dmft.csv",
           .formula = "End ~ 1",
           .experts = "1:3",
           .expert = poisson,
           .gate = constant,
           .chosen = 2,
           .log_likelihood = -1420.9893},
          {.name = "trypanosome",
           .file = "flexmix_trypanosome.csv",
           .formula = "Dead ~ log(Dose)",
           .experts = "1:3",
           .expert = ExpertKind::bernoulli,
           .gate = constant,
           .chosen = 2,
           .log_likelihood = -176.2712},
          {.name = "betablocker",
           .file = "flexmix_betablocker.csv",
           .formula = "Deaths ~ Treatment",
           .experts = "1:3",
           .expert = ExpertKind::binomial,
           .gate = constant,
           .chosen = 3,
           .log_likelihood = -158.3095,
           .trials = "Total",
           .id = "Center"},
          {.name = "bioChemists",
           .file = "flexmix_bioChemists.csv",
           .formula = "art ~ .",
           .experts = "1:3",
           .expert = poisson,
           .gate = constant,
           .chosen = 2,
           .log_likelihood = -1561.0710}};
}

Column logarithm(const Column& from) {
  Column column;
  column.name = "log_exposure";
  for (const double value : from.numbers) column.numbers.push_back(std::log(value));
  return column;
}

Design design_of(const SelectionCase& one) {
  Table table = read_real(one.file);
  if (!one.log_of.empty()) table.columns.push_back(logarithm(table.column(one.log_of)));
  ColumnChoice choice;
  choice.trials = one.trials;
  choice.id = one.id;
  apply_formula(Formula::parse(one.formula), table, choice);
  return make_design(std::move(table), choice, one.expert, one.gate);
}

class SelectionOnRealData : public testing::TestWithParam<SelectionCase> {};

TEST_P(SelectionOnRealData, ChoosesWhatTheBestRecordedBicChooses) {
  if (!oracle_folder()) GTEST_SKIP() << "the shared background is absent: set CLEARWAY_SHARED";
  const SelectionCase& one = GetParam();
  const Design design = design_of(one);
  SelectionOptions options;
  options.experts = one.experts;
  options.folds = 0;
  options.fit.sigma_floor = 0.02;  // of sd(y): the floor under which the targets were found
  const CandidateFamily family{{.kind = one.gate}, {.kind = one.expert, .divisor = one.divisor}, &design.data};
  const SelectionResult result = select_model({family}, options);
  ASSERT_TRUE(result.recommended.has_value()) << selection_text(result);
  const Candidate& chosen = result.candidates[*result.recommended];
  RecordProperty("chosen", chosen.experts);
  RecordProperty("log_likelihood", fmt::format("{:.4f}", chosen.attained()));
  const auto theirs = std::find_if(result.candidates.begin(), result.candidates.end(),
                                   [&](const Candidate& other) { return other.experts == one.chosen; });
  EXPECT_GE(theirs->attained(), one.log_likelihood - 0.001);  // targets are known to 0.001
  // Another number of experts is right only where a better optimum than any recorded was found.
  const double recorded =
      -2 * one.log_likelihood + theirs->fit.degrees_of_freedom * std::log(static_cast<double>(result.rows));
  EXPECT_LE(chosen.criteria.bic, recorded + 0.002);
  if (!one.better_optimum) EXPECT_EQ(chosen.experts, one.chosen) << selection_text(result);
  for (std::size_t i = 1; i < result.candidates.size(); ++i)
    if (result.candidates[i].excluded.empty() && result.candidates[i - 1].excluded.empty() &&
        one.divisor == VarianceDivisor::likelihood)
      EXPECT_GE(result.candidates[i].attained(), result.candidates[i - 1].attained() - 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Data, SelectionOnRealData, testing::ValuesIn(cases()),
                         [](const testing::TestParamInfo<SelectionCase>& tested) { return tested.param.name; });

}  // namespace
}  // namespace clearway::oracle
