// Standard errors on a problem of the shared background against R's flexmix.
#include "clearway/stat/inference.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "oracle_data.hpp"

namespace clearway::oracle {
namespace {

TEST(InferenceOracle, AgreesWithFlexmixRefit) {
  for (const Problem& problem : problems()) {
    if (problem.file != "gauss_k2_d1_n1000_s0.csv") continue;
    const Data data = read_problem(problem);
    const FitResult result = fit(data, default_options(problem));
    ModelNames names;
    names.responses = {"y"};
    names.expert_inputs = names.gate_inputs = {"x1"};
    const Inference inference = infer(data, result, names);
    // R 4.2.2, flexmix 2.3-18: the best of three
    //   flexmix(y ~ x1, k = 2, data = d, concomitant = FLXPmultinom(~x1),
    //           control = list(tolerance = 1e-14, iter.max = 5000, minprior = 0)),
    // log-likelihood -643.2610551, then sqrt(diag(refit(m, method = "optim")@vcov)).
    struct Row {
      const char* label;
      double estimate, error;
    };
    const std::vector<Row> steep = {{"(intercept)", -0.09874592494, 0.04079208163},
                                    {"x1", -1.14005621782, 0.03458746874}};
    const std::vector<Row> flat = {{"(intercept)", -1.39286862105, 0.02304917546},
                                   {"x1", 0.63205587875, 0.01917291650}};
    const int first = result.model.experts[0].parameters()(1) < 0 ? 1 : 2;
    // flexmix divides residual sums by n - p, which moves its estimates by about a hundredth of a standard error, and
    // optim() differences the likelihood with steps of 1e-3: three digits of an error.
    for (const auto& [rows, expert] : {std::pair{&steep, first}, std::pair{&flat, 3 - first}})
      for (const Row& row : *rows) {
        const int i = inference.index(fmt::format("expert {}: {}", expert, row.label));
        EXPECT_NEAR(inference.estimates(i), row.estimate, 1e-2 * row.error);
        EXPECT_NEAR(inference.standard_errors(i), row.error, 2e-3 * row.error);
      }
    // The gate of expert 1 relative to expert 2, there of the flat line relative to the steep one: slope 2.96304127760.
    EXPECT_NEAR(std::abs(inference.estimates(inference.index("gate 1: x1"))), 2.96304127760, 1e-2 * 0.24614403852);
    EXPECT_NEAR(inference.standard_errors(inference.index("gate 1: (intercept)")), 0.14062089356, 2e-3 * 0.14);
    EXPECT_NEAR(inference.standard_errors(inference.index("gate 1: x1")), 0.24614403852, 2e-3 * 0.25);
    // Errors of log sigma 0.03307542841 and 0.03573686976.
    for (const auto& [expert, error] : {std::pair{first, 0.03307542841}, std::pair{3 - first, 0.03573686976}}) {
      const int i = inference.index(fmt::format("expert {}: sigma", expert));
      EXPECT_NEAR(inference.standard_errors(i) / inference.estimates(i), error, 2e-3 * error);
    }
    return;
  }
  GTEST_SKIP() << "the shared problems are absent (set CLEARWAY_SHARED)";
}

}  // namespace
}  // namespace clearway::oracle
