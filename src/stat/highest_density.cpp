// Highest-density regions of a mixture (Hyndman 1996): the density on a grid that follows every expert, probabilities from
// the exact distribution function, the level of the density by bisection.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/stat/prediction_interval.hpp"

namespace clearway {
namespace {

using Eigen::Index;
constexpr Index kBlockRows = 256;
constexpr int kPointsPerExpert = 200;
constexpr double kReach = 6;            // spreads of an expert that its own grid covers
constexpr double kMostCounts = 100000;  // whole numbers looked at per row

// A distribution that does not grow between whole numbers is one of counts: looked at just above and below the mean.
bool is_count(const MixtureModel& model, const Data& inputs) {
  const Data row = inputs.subset({0});
  return std::all_of(model.experts.begin(), model.experts.end(), [&](const Expert& expert) {
    const Vector low = expert.mean(row.expert_inputs, row.trials, row.offset).array().floor();
    const Vector high = low.array() + 0.999;
    return expert.distribution(low, row.expert_inputs, row.trials, row.offset) ==
           expert.distribution(high, row.expert_inputs, row.trials, row.offset);
  });
}

// Density and distribution function of the mixture at one response per row.
class Curves {
 public:
  Curves(const MixtureModel& model, const Data& inputs)
      : model_(model), data_(inputs), weights_(model.gate.log_weights(inputs.gate_inputs).array().exp()) {
    data_.groups.clear();
    data_.labels.clear();
  }

  Vector density(const Vector& y) {
    data_.response = y;
    Vector sum = Vector::Zero(y.size());
    for (std::size_t k = 0; k < model_.experts.size(); ++k)
      sum.array() += weights_.col(static_cast<Index>(k)).array() * model_.experts[k].log_density(data_).array().exp();
    return sum;
  }
  Vector distribution(const Vector& y) const {
    Vector sum = Vector::Zero(y.size());
    for (std::size_t k = 0; k < model_.experts.size(); ++k)
      sum += weights_.col(static_cast<Index>(k))
                 .cwiseProduct(model_.experts[k].distribution(y, data_.expert_inputs, data_.trials, data_.offset));
    return sum;
  }

 private:
  const MixtureModel& model_;
  Data data_;
  Matrix weights_;
};

// Rows x points, each row increasing: equally spaced over the bulk of the mixture, and around every expert.
Matrix grid_of(const MixtureModel& model, const Data& inputs, double level) {
  const Index n = inputs.rows();
  const double tail = (1 - level) / 200;
  const Vector low = model.quantile(inputs, tail), high = model.quantile(inputs, 1 - tail);
  const auto k = static_cast<Index>(model.experts.size());
  Matrix grid(n, (k + 1) * kPointsPerExpert);
  for (Index j = 0; j <= k; ++j) {
    Vector from = low, to = high;
    if (j < k) {
      const Expert& expert = model.experts[static_cast<std::size_t>(j)];
      const Vector mean = expert.mean(inputs.expert_inputs, inputs.trials, inputs.offset);
      Vector spread = expert.variance(inputs.expert_inputs, inputs.trials, inputs.offset).cwiseSqrt();
      if (!spread.allFinite() && expert.has_sigma()) spread.setConstant(expert.sigma());
      from = (mean - kReach * spread).cwiseMax(low).cwiseMin(high);
      to = (mean + kReach * spread).cwiseMin(high).cwiseMax(low);
    }
    for (int p = 0; p < kPointsPerExpert; ++p) {
      const double share = static_cast<double>(p) / (kPointsPerExpert - 1);
      grid.col(j * kPointsPerExpert + p) = (1 - share) * from + share * to;
    }
  }
  std::vector<double> row(static_cast<std::size_t>(grid.cols()));
  for (Index t = 0; t < n; ++t) {
    for (Index p = 0; p < grid.cols(); ++p) row[static_cast<std::size_t>(p)] = grid(t, p);
    std::sort(row.begin(), row.end());
    for (Index p = 0; p < grid.cols(); ++p) grid(t, p) = row[static_cast<std::size_t>(p)];
  }
  return grid;
}

// The part of a cell in which a line from `left` to `right` lies above the level, as shares of its width.
std::pair<double, double> above(double left, double right, double level) {
  if (left >= level && right >= level) return {0, 1};
  if (left < level && right < level) return {0, 0};
  const double cross = (level - left) / (right - left);
  return left >= level ? std::pair{0.0, cross} : std::pair{cross, 1.0};
}

double probability_above(const Vector& density, const Vector& cells, double level) {
  double sum = 0;
  for (Index p = 0; p < cells.size(); ++p) {
    const auto [from, to] = above(density(p), density(p + 1), level);
    sum += (to - from) * cells(p);
  }
  return sum;
}

Region region_above(const Vector& y, const Vector& density, double level) {
  Region region;
  for (Index p = 0; p + 1 < y.size(); ++p) {
    const auto [from, to] = above(density(p), density(p + 1), level);
    if (!(to > from)) continue;
    const double width = y(p + 1) - y(p);
    const double low = y(p) + from * width, high = y(p) + to * width;
    if (!region.empty() && from == 0 && region.back().second >= y(p))
      region.back().second = high;
    else
      region.emplace_back(low, high);
  }
  return region;
}

void continuous(const MixtureModel& model, const Data& block, double level, Region* regions) {
  Curves curves(model, block);
  const Matrix grid = grid_of(model, block, level);
  Matrix density(grid.rows(), grid.cols()), distribution(grid.rows(), grid.cols());
  for (Index p = 0; p < grid.cols(); ++p) {
    const Vector y = grid.col(p);
    density.col(p) = curves.density(y).cwiseMin(1e300);
    distribution.col(p) = curves.distribution(y);
  }
  for (Index t = 0; t < grid.rows(); ++t) {
    const Vector own = density.row(t).transpose();
    const Vector cells = (distribution.row(t).tail(grid.cols() - 1) - distribution.row(t).head(grid.cols() - 1));
    double low = 0, high = own.maxCoeff();
    for (int round = 0; round < 60; ++round) {
      const double middle = 0.5 * (low + high);
      (probability_above(own, cells, middle) >= level ? low : high) = middle;
    }
    regions[t] = region_above(grid.row(t).transpose(), own, low);
  }
}

void counts(const MixtureModel& model, const Data& block, double level, Region* regions) {
  const double tail = (1 - level) / 1000;
  const Vector last = model.quantile(block, 1 - tail);
  const double most = last.maxCoeff();
  if (most > kMostCounts)
    user_error("highest-density regions of counts go up to {}, and {:.0f} is needed", kMostCounts, most);
  Curves curves(model, block);
  Matrix mass(block.rows(), static_cast<Index>(most) + 1);
  Vector before = Vector::Zero(block.rows());
  for (Index y = 0; y < mass.cols(); ++y) {
    const Vector up_to = curves.distribution(Vector::Constant(block.rows(), static_cast<double>(y)));
    mass.col(y) = up_to - before;
    before = up_to;
  }
  for (Index t = 0; t < block.rows(); ++t) {
    std::vector<Index> order(static_cast<std::size_t>(mass.cols()));
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return mass(t, a) > mass(t, b); });
    double sum = 0;
    std::size_t used = 0;
    while (used < order.size() && sum < level) sum += mass(t, order[used++]);
    order.resize(used);
    std::sort(order.begin(), order.end());
    for (const Index y : order) {
      const auto value = static_cast<double>(y);
      if (!regions[t].empty() && regions[t].back().second == value - 1)
        regions[t].back().second = value;
      else
        regions[t].emplace_back(value, value);
    }
  }
}

}  // namespace

std::vector<Region> highest_density_regions(const MixtureModel& model, const Data& inputs, double level, int threads) {
  if (!(level > 0 && level < 1)) user_error("the level of a region must lie between 0 and 1, not {}", level);
  const Expert& first = model.experts.front();
  if (first.responses() > 1 || has_classes(first.spec().kind))
    user_error("highest-density regions need one real or count response");
  const Index n = inputs.rows();
  std::vector<Region> regions(static_cast<std::size_t>(n));
  if (n == 0) return regions;
  const bool whole_numbers = is_count(model, inputs);
  parallel_for(static_cast<std::size_t>((n + kBlockRows - 1) / kBlockRows), threads, [&](std::size_t b) {
    const Index begin = static_cast<Index>(b) * kBlockRows, count = std::min(kBlockRows, n - begin);
    std::vector<Index> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), begin);
    Region* out = regions.data() + begin;
    if (whole_numbers)
      counts(model, inputs.subset(rows), level, out);
    else
      continuous(model, inputs.subset(rows), level, out);
  });
  return regions;
}

}  // namespace clearway
