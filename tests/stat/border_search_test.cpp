// Borders of top-1 gates: the best of all thresholds, and never worse than before.
#include "border_search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include <rapidcheck/gtest.h>

#include "clearway/base/random.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

double worth(const Matrix& features, const Matrix& values, const Matrix& theta) {
  const Matrix scores = features * theta;
  double sum = 0;
  for (Index i = 0; i < scores.rows(); ++i) {
    Index winner = 0;
    scores.row(i).maxCoeff(&winner);
    sum += values(i, winner);
  }
  return sum;
}

Matrix with_intercept(const Matrix& x) {
  Matrix features(x.rows(), 1 + x.cols());
  features << Vector::Ones(x.rows()), x;
  return features;
}

// One input and two experts: a gate is a threshold and a direction, so all of them can be tried. Starting from either
// direction, a line search over intercept and slope must find the best of that direction or better.
RC_GTEST_PROP(BorderSearch, FindsTheBestThreshold, ()) {
  RandomStream stream(*rc::gen::arbitrary<std::uint64_t>());
  const Index n = *rc::gen::inRange(2, 40);
  const Matrix x = Matrix::NullaryExpr(n, 1, [&] { return stream.normal(); });
  const Matrix values = Matrix::NullaryExpr(n, 2, [&] { return 3 * stream.normal(); });
  Matrix free = Matrix::Ones(2, 2), theta = Matrix::Zero(2, 2);
  free.col(1).setZero();  // the reference
  const double direction = stream.uniform() < 0.5 ? -1 : 1;
  theta.col(0) << stream.normal(), direction;
  const Matrix features = with_intercept(x);
  std::vector<double> thresholds(x.data(), x.data() + n);
  std::sort(thresholds.begin(), thresholds.end());
  thresholds.push_back(thresholds.back() + 1);
  double best = worth(features, values, theta);
  double below = thresholds.front() - 2;
  for (const double above : thresholds) {
    Matrix tried = theta;
    tried(0, 0) = -direction * 0.5 * (below + above);
    best = std::max(best, worth(features, values, tried));
    below = above;
  }
  search_borders(features, values, free, theta);
  RC_ASSERT(worth(features, values, theta) >= best - 1e-9);
  RC_ASSERT(theta.col(1).isZero(0));
}

// Any number of experts and inputs: never worse, and what is fixed stays.
RC_GTEST_PROP(BorderSearch, NeverLosesAndKeepsWhatIsFixed, ()) {
  RandomStream stream(*rc::gen::arbitrary<std::uint64_t>());
  const Index n = *rc::gen::inRange(1, 60), q = *rc::gen::inRange(0, 4), k = *rc::gen::inRange(2, 5);
  const Matrix features = with_intercept(Matrix::NullaryExpr(n, q, [&] { return stream.normal(); }));
  const Matrix values = Matrix::NullaryExpr(n, k, [&] { return stream.normal(); });
  const Matrix free = Matrix::NullaryExpr(1 + q, k, [&] { return stream.uniform() < 0.7 ? 1.0 : 0.0; });
  Matrix theta = Matrix::NullaryExpr(1 + q, k, [&] { return stream.normal(); });
  const Matrix before = theta;
  const bool moved = search_borders(features, values, free, theta);
  RC_ASSERT(worth(features, values, theta) >= worth(features, values, before) - 1e-9);
  RC_ASSERT(moved == (worth(features, values, theta) > worth(features, values, before) + 1e-12));
  RC_ASSERT(((theta - before).array() * (1 - free.array())).isZero(0));
}

}  // namespace
}  // namespace clearway::detail
