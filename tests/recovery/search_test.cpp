// The default search against searches that make several times the effort.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "clearway/base/random.hpp"
#include "clearway/stat/fit.hpp"

namespace clearway {
namespace {

// One expert more than there are, in data as flexmix's NregFix: lines in a number and an indicator, weights by another
// indicator. Most starts end together at a poor optimum, whose experts are large; the best has a small one. The reference
// polishes several times as many starts. Before repeated and alike starts were told apart 23 of these 30 reached it.
TEST(Search, FindsTheBestOptimumOfSmallOverfittedSamples) {
  constexpr int kSets = 30;
  int reached = 0;
  for (std::uint64_t seed = 0; seed < kSets; ++seed) {
    RandomStream stream(900 + seed);
    double line[3][3], weight[2][3], sigma[3];
    for (int k = 0; k < 3; ++k) {
      line[k][0] = stream.uniform(-5, 5);
      line[k][1] = 3 * stream.normal();
      line[k][2] = 3 * stream.normal();
      sigma[k] = stream.uniform(0.5, 1.5);
      weight[0][k] = 0.2 + stream.uniform();
      weight[1][k] = 0.2 + stream.uniform();
    }
    const Eigen::Index n = 200;
    Data data{Matrix(n, 2), Matrix(n, 1), Matrix(n, 1), {}, {}, {}, {}, 0, {}, {}};
    for (Eigen::Index i = 0; i < n; ++i) {
      const double x = stream.normal();
      const int g = stream.uniform() < 0.5 ? 1 : 0, h = stream.uniform() < 0.5 ? 1 : 0;
      double rest = stream.uniform() * (weight[h][0] + weight[h][1] + weight[h][2]);
      int k = 0;
      while (k < 2 && rest > weight[h][k]) rest -= weight[h][k++];
      data.expert_inputs.row(i) << x, g;
      data.gate_inputs(i, 0) = h;
      data.response(i, 0) = line[k][0] + line[k][1] * x + line[k][2] * g + sigma[k] * stream.normal();
    }
    FitOptions options;
    options.experts = 4;
    options.threads = 1;
    options.sigma_floor = 0.05;
    const auto value = [&] {
      const FitResult result = fit(data, options);
      return std::isnan(result.supremum_log_likelihood)
                 ? result.log_likelihood
                 : std::max(result.log_likelihood, result.supremum_log_likelihood);
    };
    const double found = value();
    options.starts = 300;
    options.polished = 60;
    reached += found > value() - 0.02 ? 1 : 0;
  }
  EXPECT_GE(reached, 26);
}

}  // namespace
}  // namespace clearway
