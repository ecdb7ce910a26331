#include "border_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "clearway/base/random.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr int kPasses = 20;
constexpr int kRandomDirections = 4;  // per parameter of an expert
constexpr double kLeastGain = 1e-9;   // of the log-likelihood: more than rounding

struct Crossing {
  double t;
  double gain;  ///< of the sum of values when t rises past it
};

// The best step along a direction for one expert; 0 where none is better than staying.
double best_step(const Vector& lead, const Vector& slope, const Vector& gain) {
  std::vector<Crossing> crossings;
  crossings.reserve(static_cast<std::size_t>(lead.size()));
  // The sum of the gains of the rows that the expert holds: far to the left, those with a falling score.
  double held = 0, now = 0;
  for (Index i = 0; i < lead.size(); ++i) {
    if (lead(i) > 0) now += gain(i);
    if (slope(i) == 0) {
      if (lead(i) > 0) held += gain(i);
    } else {
      const double t = -lead(i) / slope(i);
      if (!std::isfinite(t)) continue;
      if (slope(i) < 0) held += gain(i);
      crossings.push_back({t, slope(i) > 0 ? gain(i) : -gain(i)});
    }
  }
  if (crossings.empty()) return 0;
  std::sort(crossings.begin(), crossings.end(), [](const Crossing& a, const Crossing& b) { return a.t < b.t; });
  const double width = std::max(1e-6, crossings.back().t - crossings.front().t);
  double best = now + kLeastGain, step = 0;
  const auto look = [&](double left, double right) {
    const double middle = 0.5 * (left + right);
    if (held <= best || !(left < middle && middle < right)) return;
    best = held;
    step = middle;
  };
  look(crossings.front().t - width, crossings.front().t);
  for (std::size_t i = 0; i < crossings.size(); ++i) {
    held += crossings[i].gain;
    look(crossings[i].t, i + 1 < crossings.size() ? crossings[i + 1].t : crossings[i].t + width);
  }
  return step;
}

}  // namespace

bool search_borders(const Matrix& features, const Matrix& values, const Matrix& free, Matrix& theta) {
  const Index n = features.rows(), p = features.cols(), k = theta.cols();
  RandomStream stream(0);
  bool moved = false;
  Matrix scores = features * theta;
  Vector lead(n), gain(n);
  const auto search = [&](Index j, const Vector& direction) {
    const Vector slope = features * direction;
    for (Index i = 0; i < n; ++i) {
      Index other = j == 0 ? 1 : 0;
      for (Index m = 0; m < k; ++m)
        if (m != j && scores(i, m) > scores(i, other)) other = m;
      lead(i) = scores(i, j) - scores(i, other);
      gain(i) = values(i, j) - values(i, other);
    }
    const double step = best_step(lead, slope, gain);
    if (step == 0) return false;
    theta.col(j) += step * direction;
    scores.col(j) = features * theta.col(j);
    return true;
  };
  for (int pass = 0; pass < kPasses; ++pass) {
    bool helped = false;
    for (Index j = 0; j < k; ++j) {
      const Vector mask = free.col(j);
      if (mask.isZero(0)) continue;
      for (Index c = 0; c < p; ++c)
        if (mask(c) != 0) helped = search(j, Vector::Unit(p, c)) || helped;
      for (Index r = 0; p > 1 && r < kRandomDirections * p; ++r)
        helped = search(j, mask.cwiseProduct(Vector::NullaryExpr(p, [&] { return stream.normal(); }))) || helped;
    }
    if (!helped) break;
    moved = true;
  }
  return moved;
}

}  // namespace clearway::detail
