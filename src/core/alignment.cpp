#include "clearway/core/alignment.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

void check_cost(const ConstMatrixRef& cost) {
  if (cost.rows() != cost.cols()) user_error("assignment: cost must be square, not {} x {}", cost.rows(), cost.cols());
  if (!cost.allFinite()) user_error("assignment: every cost must be finite");
}

void check_order(const std::vector<int>& order, Eigen::Index k) {
  std::vector<int> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  bool fits = static_cast<Eigen::Index>(sorted.size()) == k;
  for (std::size_t i = 0; fits && i < sorted.size(); ++i) fits = sorted[i] == static_cast<int>(i);
  if (!fits) user_error("matching must be a permutation of 0..{}", k - 1);
}

void check_same_shape(const ConstMatrixRef& fitted, const ConstMatrixRef& truth) {
  if (fitted.rows() != truth.rows() || fitted.cols() != truth.cols())
    user_error("alignment: fitted is {} x {} but truth {} x {}", fitted.rows(), fitted.cols(), truth.rows(),
               truth.cols());
}

double ratio_or_absolute(double error, double size) {
  return size > 0 ? error / size : error;
}

}  // namespace

// Rows enter one at a time. Each finds, by Dijkstra's method on the reduced costs cost - u - v >= 0, the cheapest
// augmenting path to a free column; the potentials u, v keep all reduced costs non-negative and those of matched pairs
// 0.
std::vector<int> optimal_assignment(const ConstMatrixRef& cost) {
  check_cost(cost);
  const int k = static_cast<int>(cost.rows());
  const auto at = [](int i) { return static_cast<std::size_t>(i); };
  std::vector<double> u(at(k), 0.0), v(at(k), 0.0);
  std::vector<int> row_of(at(k), -1);  // by column
  for (int start = 0; start < k; ++start) {
    std::vector<double> distance(at(k), std::numeric_limits<double>::infinity());
    std::vector<int> previous(at(k), -1);  // column before this one on the path; -1: straight from `start`
    std::vector<bool> done(at(k), false);
    int row = start, column = -1;
    double path = 0;
    while (row >= 0) {
      int next = -1;
      for (int j = 0; j < k; ++j) {
        if (done[at(j)]) continue;
        const double through = path + cost(row, j) - u[at(row)] - v[at(j)];
        if (through < distance[at(j)]) {
          distance[at(j)] = through;
          previous[at(j)] = column;
        }
        if (next < 0 || distance[at(j)] < distance[at(next)]) next = j;
      }
      column = next;
      done[at(column)] = true;
      path = distance[at(column)];
      row = row_of[at(column)];
    }
    u[at(start)] += path;
    for (int j = 0; j < k; ++j)
      if (done[at(j)] && j != column) {
        u[at(row_of[at(j)])] += path - distance[at(j)];
        v[at(j)] -= path - distance[at(j)];
      }
    while (column >= 0) {
      const int before = previous[at(column)];
      row_of[at(column)] = before >= 0 ? row_of[at(before)] : start;
      column = before;
    }
  }
  return row_of;
}

std::vector<int> bottleneck_assignment(const ConstMatrixRef& cost) {
  check_cost(cost);
  const Eigen::Index k = cost.rows();
  if (k == 0) return {};
  const auto all = cost.reshaped();  // one view: iterators of two views are not comparable
  std::vector<double> values(all.begin(), all.end());
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  // Pairs above the threshold get a cost that no matching of allowed pairs can reach; the least threshold that needs
  // none of them is the bottleneck. Costs are shifted and scaled to [0, 1] so that the penalty keeps its meaning.
  const double low = values.front(), range = std::max(values.back() - low, std::numeric_limits<double>::min());
  const double penalty = 2.0 * static_cast<double>(k) + 1.0;
  const auto matching_within = [&](double threshold) {
    const Matrix penalised = cost.unaryExpr([&](double c) { return c <= threshold ? (c - low) / range : penalty; });
    return optimal_assignment(penalised);
  };
  const auto largest = [&](const std::vector<int>& matching) {
    double worst = -std::numeric_limits<double>::infinity();
    for (Eigen::Index j = 0; j < k; ++j) worst = std::max(worst, cost(matching[static_cast<std::size_t>(j)], j));
    return worst;
  };
  std::size_t first = 0, last = values.size() - 1;  // the answer lies in [first, last]
  while (first < last) {
    const std::size_t middle = (first + last) / 2;
    if (largest(matching_within(values[middle])) <= values[middle])
      last = middle;
    else
      first = middle + 1;
  }
  return matching_within(values[first]);
}

Matrix relative_distances(const ConstMatrixRef& fitted, const ConstMatrixRef& truth) {
  if (fitted.cols() != truth.cols())
    user_error("alignment: fitted has {} columns but truth {}", fitted.cols(), truth.cols());
  Matrix out(fitted.rows(), truth.rows());
  for (Eigen::Index j = 0; j < truth.rows(); ++j)
    for (Eigen::Index i = 0; i < fitted.rows(); ++i)
      out(i, j) = ratio_or_absolute((fitted.row(i) - truth.row(j)).norm(), truth.row(j).norm());
  return out;
}

Alignment align_regressors(const ConstMatrixRef& fitted, const ConstMatrixRef& truth) {
  check_same_shape(fitted, truth);
  const Matrix cost = relative_distances(fitted, truth);
  Alignment out{.order = bottleneck_assignment(cost)};
  for (Eigen::Index j = 0; j < truth.rows(); ++j)
    out.error = std::max(out.error, cost(out.order[static_cast<std::size_t>(j)], j));
  return out;
}

Matrix reordered(const ConstMatrixRef& rows, const std::vector<int>& order) {
  check_order(order, rows.rows());
  return rows(order, Eigen::all);
}

double gate_error(const ConstMatrixRef& fitted, const ConstMatrixRef& truth, const std::vector<int>& order) {
  check_same_shape(fitted, truth);
  if (truth.rows() == 0) return 0.0;
  const Matrix matched = reordered(fitted, order);
  const Matrix fitted_rows = matched.rowwise() - matched.row(matched.rows() - 1);
  const Matrix true_rows = truth.rowwise() - truth.row(truth.rows() - 1);
  return ratio_or_absolute((fitted_rows - true_rows).norm(), true_rows.norm());
}

double noise_error(const ConstVectorRef& fitted, const ConstVectorRef& truth, const std::vector<int>& order) {
  check_same_shape(fitted, truth);
  check_order(order, truth.size());
  double worst = 0;
  for (Eigen::Index j = 0; j < truth.size(); ++j)
    worst =
        std::max(worst, ratio_or_absolute(std::abs(fitted(order[static_cast<std::size_t>(j)]) - truth(j)), truth(j)));
  return worst;
}

}  // namespace clearway
