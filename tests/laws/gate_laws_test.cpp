// Laws of every gate: normalisation, symmetries, selection, extreme scores, shapes. Derivatives and containers are in
// gate_derivative_laws_test.cpp.
//
// Tolerances: a log-weight is a score minus a logsumexp. Both sides of a law compute it from the same numbers in
// another order, so they differ by the rounding of sums of a few dozen terms: at most some 100 eps times the largest
// score.

#include <limits>

#include "clearway/core/parameters.hpp"
#include "gate_cases.hpp"
#include "generated.hpp"

namespace clearway::laws {
namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();

template <class Gate>
class GateLaws : public ::testing::Test {};
TYPED_TEST_SUITE(GateLaws, Gates);

template <class Gate>
struct Drawn {
  DoubleArray x;
  typename Gate::template Parameters<DoubleArray> parameters;
  double tolerance;
};

template <class Gate>
Drawn<Gate> draw(Problem& problem, double x_scale = 1.0, double parameter_scale = 1.0) {
  const Gate gate;
  Drawn<Gate> out{normal_array(problem.random, problem.n, problem.d, x_scale), {}, 0};
  out.parameters = gate.zero_parameters(out.x, problem.d, problem.k);
  fill_normal(problem.random, parameter_scale, out.parameters);
  out.tolerance = 100 * kEps * (1 + gate.scores(out.x, out.parameters).abs().maxCoeff());
  return out;
}

/// Experts taken in another order, or several times: intercepts by columns, everything else by rows.
template <class Parameters>
Parameters picked(const Parameters& parameters, const std::vector<Eigen::Index>& order) {
  Parameters out = parameters;
  Parameters::visit(out, [&](std::string_view name, DoubleArray& a) {
    const DoubleArray old = a;
    a = name == "intercepts" ? DoubleArray(old(Eigen::all, order)) : DoubleArray(old(order, Eigen::all));
  });
  return out;
}

TYPED_TEST(GateLaws, RowsSumToOne) {
  EXPECT_TRUE(holds("rows of exp(log_weights) sum to 1", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    const DoubleArray weights = TypeParam().log_weights(drawn.x, drawn.parameters).exp();
    require(weights.rows() == problem.n && weights.cols() == problem.k);
    require_at_most((weights.rowwise().sum() - 1.0).abs().maxCoeff(), drawn.tolerance);
  }));
}

TYPED_TEST(GateLaws, PermutedExpertsPermuteColumns) {
  EXPECT_TRUE(holds("permuting experts permutes columns", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    const auto shuffled = problem.random.permutation(static_cast<std::size_t>(problem.k));
    const std::vector<Eigen::Index> order(shuffled.begin(), shuffled.end());
    const DoubleArray before = TypeParam().log_weights(drawn.x, drawn.parameters);
    const DoubleArray after = TypeParam().log_weights(drawn.x, picked(drawn.parameters, order));
    require_at_most(largest_difference(after, before(Eigen::all, order)), drawn.tolerance);
  }));
}

TYPED_TEST(GateLaws, ConstantAddedToAllScoresChangesNothing) {
  EXPECT_TRUE(holds("log_normalise(scores + c) = log_normalise(scores)", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    const double shift = 10 * problem.random.normal();
    const DoubleArray scores = TypeParam().scores(drawn.x, drawn.parameters);
    const DoubleArray shifted = scores + shift;
    require_at_most(largest_difference(log_normalise(shifted), log_normalise(scores)),
                    drawn.tolerance * (1 + std::abs(shift)));
  }));
}

TYPED_TEST(GateLaws, InterceptShiftMovesWeightsExactlyWhenTheGateSaysSo) {
  EXPECT_TRUE(holds("a common intercept shift changes weights unless kShiftInvariant", [](Problem& problem) {
    problem.k = std::max<std::ptrdiff_t>(problem.k, 2);
    const auto drawn = draw<TypeParam>(problem);
    auto shifted = drawn.parameters;
    shifted.intercepts += 1.0;
    const double change = largest_difference(TypeParam().log_weights(drawn.x, shifted),
                                             TypeParam().log_weights(drawn.x, drawn.parameters));
    if (TypeParam::kShiftInvariant)
      require_at_most(change, 2 * drawn.tolerance);
    else
      require(change > 100 * drawn.tolerance);
  }));
}

TYPED_TEST(GateLaws, DuplicatedExpertDoublesItsWeight) {
  EXPECT_TRUE(holds("a pair of copies weighs twice the one, against every other expert", [](Problem& problem) {
    problem.k = std::max<std::ptrdiff_t>(problem.k, 2);
    const auto drawn = draw<TypeParam>(problem);
    std::vector<Eigen::Index> with_copy(static_cast<std::size_t>(problem.k));
    std::iota(with_copy.begin(), with_copy.end(), Eigen::Index{0});
    const auto copied = static_cast<Eigen::Index>(problem.random.index(static_cast<std::uint64_t>(problem.k)));
    with_copy.push_back(copied);
    const DoubleArray one = TypeParam().log_weights(drawn.x, drawn.parameters);
    const DoubleArray two = TypeParam().log_weights(drawn.x, picked(drawn.parameters, with_copy));
    const DoubleArray pair = two.col(copied).exp() + two.col(problem.k).exp();
    for (Eigen::Index other = 0; other < problem.k; ++other) {
      if (other == copied) continue;
      const DoubleArray log_odds = pair.log() - two.col(other);
      const DoubleArray expected = std::log(2.0) + one.col(copied) - one.col(other);
      require_at_most(largest_difference(log_odds, expected), 4 * drawn.tolerance);
    }
  }));
}

TYPED_TEST(GateLaws, TopKOfAllExpertsIsTheDenseGate) {
  EXPECT_TRUE(holds("top-k with k = K equals dense", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    const DoubleArray scores = TypeParam().scores(drawn.x, drawn.parameters);
    const DoubleArray dense = TypeParam().log_weights(drawn.x, drawn.parameters);
    require(largest_difference(top_k_log_weights(scores, problem.k), dense) == 0.0);
  }));
}

TYPED_TEST(GateLaws, TopKKeepsTheBestAndTheirOdds) {
  EXPECT_TRUE(holds("top-k keeps exactly k experts, the best ones, with their odds unchanged", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    const auto count = problem.between(1, problem.k);
    const DoubleArray dense = TypeParam().log_weights(drawn.x, drawn.parameters);
    const DoubleArray sparse = top_k_log_weights(TypeParam().scores(drawn.x, drawn.parameters), count);
    for (Eigen::Index i = 0; i < problem.n; ++i) {
      double total = 0, weakest_kept = std::numeric_limits<double>::infinity(), strongest_dropped = -weakest_kept;
      std::ptrdiff_t kept = 0;
      for (Eigen::Index j = 0; j < problem.k; ++j)
        if (std::isinf(sparse(i, j))) {
          strongest_dropped = std::max(strongest_dropped, dense(i, j));
        } else {
          ++kept;
          total += std::exp(sparse(i, j));
          weakest_kept = std::min(weakest_kept, dense(i, j));
        }
      require(kept == count);
      require_at_most(std::abs(total - 1), drawn.tolerance);
      require(weakest_kept >= strongest_dropped);
      Eigen::Index best = 0;
      dense.row(i).maxCoeff(&best);
      for (Eigen::Index j = 0; j < problem.k; ++j)
        if (!std::isinf(sparse(i, j)))
          require_at_most(std::abs((sparse(i, j) - sparse(i, best)) - (dense(i, j) - dense(i, best))),
                          4 * drawn.tolerance);
    }
  }));
}

TYPED_TEST(GateLaws, TopKBySomethingElseKeepsItsBestWithTheOddsOfTheScores) {
  EXPECT_TRUE(holds("selection by other numbers decides who stays, scores decide the odds", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem);
    const auto count = problem.between(1, problem.k);
    const DoubleArray scores = TypeParam().scores(drawn.x, drawn.parameters);
    const DoubleArray selection = normal_array(problem.random, problem.n, problem.k);
    const DoubleArray kept = top_k_log_weights(scores, selection, count);
    const DoubleArray by_scores = top_k_log_weights(scores, scores, count).exp();
    require(largest_difference(by_scores, top_k_log_weights(scores, count).exp()) == 0.0);
    for (Eigen::Index i = 0; i < problem.n; ++i) {
      std::ptrdiff_t number = 0;
      for (Eigen::Index j = 0; j < problem.k; ++j) {
        if (std::isinf(kept(i, j))) continue;
        ++number;
        for (Eigen::Index l = 0; l < problem.k; ++l) {
          if (std::isinf(kept(i, l)))
            require(selection(i, j) >= selection(i, l));
          else
            require_at_most(std::abs((kept(i, j) - kept(i, l)) - (scores(i, j) - scores(i, l))), 4 * drawn.tolerance);
        }
      }
      require(number == count);
    }
  }));
}

TYPED_TEST(GateLaws, ExtremeScoresGiveNoNaN) {
  // Inputs and parameters of size 100: scores of 1e4 for linear gates, 1e6 for quadratic ones.
  EXPECT_TRUE(holds("log-weights are finite and at most 0 for scores of 1e4 and more", [](Problem& problem) {
    const auto drawn = draw<TypeParam>(problem, 100, 100);
    const DoubleArray log_weights = TypeParam().log_weights(drawn.x, drawn.parameters);
    require(log_weights.allFinite());
    require_at_most(log_weights.maxCoeff(), drawn.tolerance);
    const DoubleArray weights = log_weights.exp();
    require_at_most((weights.rowwise().sum() - 1.0).abs().maxCoeff(), 10 * drawn.tolerance);
  }));
}

TYPED_TEST(GateLaws, ZeroParametersWeighAllExpertsEqually) {
  EXPECT_TRUE(holds("zero_parameters() fit the gate and give weights 1/k", [](Problem& problem) {
    const DoubleArray x = normal_array(problem.random, problem.n, problem.d);
    const DoubleArray log_weights = TypeParam().log_weights(x, TypeParam().zero_parameters(x, problem.d, problem.k));
    require_at_most((log_weights + std::log(static_cast<double>(problem.k))).abs().maxCoeff(),
                    100 * kEps * (1 + x.square().maxCoeff()));
  }));
}

}  // namespace
}  // namespace clearway::laws
