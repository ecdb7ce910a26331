// Intervals where experts have parts of their covariances in common cover the truth as often as they say.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <optional>

#include "../stat/inference_cases.hpp"
#include "../stat/random_models.hpp"
#include "clearway/stat/inference.hpp"

namespace clearway {
namespace {

using Eigen::Index;
using testing::names_for;
using testing::options_for;

// Of 300 data sets of the form VEI nominal 95 % intervals cover a share whose standard deviation is at most
// sqrt(0.95 0.05 / 300) = 1.26 %, however parameters of one data set depend on each other; four of them are 5 %.
TEST(CovarianceCoverage, IntervalsCover) {
  constexpr int kReplications = 300;
  RandomStream stream(11);
  Data data;
  const Index n = 300;
  data.expert_inputs.resize(n, 1);
  data.response.resize(n, 2);
  std::map<ParameterPart, std::pair<int, int>> covered;
  std::optional<FitResult> first;
  for (int replication = 0; replication < kReplications; ++replication) {
    for (Index t = 0; t < n; ++t) {
      const double x = stream.normal();
      data.expert_inputs(t, 0) = x;
      const bool one = stream.uniform() < 1 / (1 + std::exp(-0.8 - x));
      const double size = one ? 1 : 0.5;
      data.response(t, 0) = (one ? 2 + x : -2 - x) + size * stream.normal();
      data.response(t, 1) = (one ? -1.0 : 2 + x) + 0.5 * size * stream.normal();
    }
    data.gate_inputs = data.expert_inputs;
    FitOptions options = options_for(2, {}, {.covariance = CovarianceKind::vei});
    options.starts = 1;
    const FitResult result = fit(data, options, first ? &first->model : nullptr);
    if (!first) first = result;
    const Inference inference = infer(data, result, names_for(data));
    const Expert& larger = result.model.experts[0].covariance()(0, 0) > result.model.experts[1].covariance()(0, 0)
                               ? result.model.experts[0]
                               : result.model.experts[1];
    const bool swapped = &larger == &result.model.experts[1];
    for (int i = 0; i < inference.size(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const ParameterPart part = inference.parts[at];
      const bool one = (inference.experts[at] == 0) != swapped;
      double truth = 0;
      if (part == ParameterPart::expert || part == ParameterPart::spread) {
        const std::map<std::string, std::pair<double, double>> truths{
            {"y1: (intercept)", {2, -2}}, {"y1: x1", {1, -1}}, {"y2: (intercept)", {-1, 2}},
            {"y2: x1", {0, 1}},           {"sd y1", {1, 0.5}}, {"sd y2", {0.5, 0.25}}};
        const auto& pair = truths.at(inference.labels[at]);
        truth = one ? pair.first : pair.second;
      } else if (part == ParameterPart::gate) {
        const double sign = one ? 1 : -1;
        truth = sign * (inference.labels[at] == "(intercept)" ? 0.8 : 1.0);
      } else {
        continue;
      }
      ASSERT_TRUE(inference.valid(i)) << inference.names[at];
      auto& [inside, all] = covered[part];
      inside += inference.lower(i) <= truth && truth <= inference.upper(i);
      ++all;
    }
  }
  EXPECT_EQ(covered.size(), 3u);
  for (const auto& [part, count] : covered)
    EXPECT_NEAR(static_cast<double>(count.first) / count.second, 0.95, 0.05) << enum_name(part);
}

}  // namespace
}  // namespace clearway
