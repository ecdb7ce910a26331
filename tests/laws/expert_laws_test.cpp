// Laws of every expert: the density integrates to 1 and to the mean, stacked experts are single experts side by side,
// and 0/1 weights select rows. Derivatives and containers are in expert_derivative_laws_test.cpp.

#include <limits>
#include <numeric>

#include "clearway/core/gates/constant.hpp"
#include "clearway/core/mixture.hpp"
#include "generated.hpp"
#include "integration.hpp"
#include "responses.hpp"

namespace clearway::laws {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

template <class Expert>
class ExpertLaws : public ::testing::Test {};
TYPED_TEST_SUITE(ExpertLaws, Experts);

/// Integrals of the density and of y (or of the indicators of the classes) times the density, for every expert.
struct Integrals {
  DoubleArray total;  ///< 1 x k
  DoubleArray mean;   ///< like the expert's mean at one row
};

template <class Expert, class Parameters>
Integrals integrate(const Expert& expert, const DoubleArray& x, const Parameters& parameters) {
  const DoubleArray means = expert.mean(x, parameters);
  Integrals out{{}, DoubleArray::Zero(1, means.cols())};
  const Eigen::Index experts = kStacked<Expert> ? stacked_experts(expert, means) : 1;
  const Eigen::Index width = means.cols() / experts;  // numbers in one expert's mean
  out.total = DoubleArray::Zero(1, experts);
  for (Eigen::Index j = 0; j < experts; ++j) {
    const ResponseGrid grid = response_grid(expert, parameters, means.middleCols(j * width, width));
    const DoubleArray inputs = x.replicate(grid.y.rows(), 1);
    const DoubleArray density = expert.log_density(grid.y, inputs, parameters).col(j).exp() * grid.weights;
    out.total(0, j) = density.sum();
    for (Eigen::Index s = 0; s < width; ++s) {
      const DoubleArray value = Expert::kSupport == Support::classes
                                    ? DoubleArray((grid.y == static_cast<double>(s)).template cast<double>())
                                    : DoubleArray(grid.y.col(std::min(s, grid.y.cols() - 1)));
      out.mean(0, j * width + s) = (density * value).sum();
    }
  }
  return out;
}

TYPED_TEST(ExpertLaws, DensityIntegratesToOneAndToTheMean) {
  EXPECT_TRUE(holds("integral of f = 1, integral of y f = mean", [](Problem& problem) {
    const TypeParam expert;
    const DoubleArray x = normal_array(problem.random, 1, problem.d);
    auto parameters = expert.zero_parameters(x, problem.d, problem.k);
    fill_normal(problem.random, 0.5, parameters);
    const Integrals integrals = integrate(expert, x, parameters);
    const DoubleArray mean = expert.mean(x, parameters);
    // The rules are exact to 1e-10 (integration.hpp); a mean is a sum of terms up to its own size and width.
    require_at_most((integrals.total - 1.0).abs().maxCoeff(), 1e-9);
    require_at_most(((integrals.mean - mean).abs() / (1 + mean.abs())).maxCoeff(), 1e-9 * (1 + mean.abs().maxCoeff()));
  }));
}

TYPED_TEST(ExpertLaws, StackedExpertsAreSingleExpertsSideBySide) {
  if (!kStacked<TypeParam>) GTEST_SKIP() << "one expert at a time";
  EXPECT_TRUE(holds("column j of k experts = the expert j alone", [](Problem& problem) {
    const TypeParam expert;
    const DoubleArray x = normal_array(problem.random, problem.n, problem.d);
    auto parameters = expert.zero_parameters(x, problem.d, problem.k);
    fill_normal(problem.random, 0.5, parameters);
    const DoubleArray y = any_response(problem.random, expert, parameters, problem.n);
    const DoubleArray all = expert.log_density(y, x, parameters);
    require(all.rows() == problem.n && all.cols() == problem.k);
    for (Eigen::Index j = 0; j < problem.k; ++j) {
      auto single = parameters;
      decltype(single)::visit(single, [&](std::string_view name, DoubleArray& a) {
        const DoubleArray stack = a;
        const bool by_rows = name.ends_with("slopes");
        const Eigen::Index share = (by_rows ? stack.rows() : stack.cols()) / problem.k;
        a = by_rows ? DoubleArray(stack.middleRows(j * share, share)) : DoubleArray(stack.middleCols(j * share, share));
      });
      const DoubleArray alone = expert.log_density(y, x, single);
      // The same sums; only the blocking of the matrix product may differ.
      require_at_most(largest_difference(alone, all.col(j)), 1000 * kEps * (1 + alone.abs().maxCoeff()));
    }
  }));
}

TYPED_TEST(ExpertLaws, ZeroOneWeightsSelectRows) {
  EXPECT_TRUE(holds("log-likelihood with 0/1 weights = log-likelihood of the subset", [](Problem& problem) {
    const TypeParam expert;
    const DoubleArray x = normal_array(problem.random, problem.n, problem.d);
    auto parameters = expert.zero_parameters(x, problem.d, problem.k);
    fill_normal(problem.random, 0.5, parameters);
    const DoubleArray y = any_response(problem.random, expert, parameters, problem.n);
    DoubleArray weights(problem.n, 1);
    std::vector<Eigen::Index> chosen;
    for (Eigen::Index i = 0; i < problem.n; ++i) {
      weights(i, 0) = problem.random.uniform() < 0.5 ? 1.0 : 0.0;
      if (weights(i, 0) == 1) chosen.push_back(i);
    }
    const auto log_likelihood = [&](const DoubleArray& responses, const DoubleArray& inputs, const DoubleArray& w) {
      const DoubleArray densities = expert.log_density(responses, inputs, parameters);
      ConstantParameters<DoubleArray> gate{DoubleArray(1, densities.cols())};
      for (Eigen::Index j = 0; j < densities.cols(); ++j) gate.intercepts(0, j) = 0.3 * static_cast<double>(j);
      return mixture_log_likelihood(ConstantGate().log_weights(inputs, gate), densities, w)(0, 0);
    };
    const double weighted = log_likelihood(y, x, weights);
    const double subset =
        chosen.empty() ? 0.0 : log_likelihood(y(chosen, Eigen::all), x(chosen, Eigen::all), DoubleArray());
    require_at_most(std::abs(weighted - subset), 1000 * kEps * (1 + std::abs(subset)));
  }));
}

}  // namespace
}  // namespace clearway::laws
