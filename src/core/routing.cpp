#include "clearway/core/routing.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "clearway/base/errors.hpp"

namespace clearway {
namespace {

/// -sum p log p, where 0 log 0 = 0.
double entropy(const ConstVectorRef& p) {
  double sum = 0;
  for (Eigen::Index i = 0; i < p.size(); ++i)
    if (p(i) > 0) sum -= p(i) * std::log(p(i));
  return sum;
}

void check(const Routing& routing) {
  if (routing.expert_count < 1) user_error("routing: experts must be at least 1, not {}", routing.expert_count);
  if (routing.experts.rows() != routing.weights.rows() || routing.experts.cols() != routing.weights.cols())
    user_error("routing: experts are {} x {} but weights {} x {}", routing.experts.rows(), routing.experts.cols(),
               routing.weights.rows(), routing.weights.cols());
  for (Eigen::Index i = 0; i < routing.experts.size(); ++i)
    if (const int e = routing.experts.data()[i]; e < 0 || e >= routing.expert_count)
      user_error("routing: expert numbers must lie in 0..{}, not {}", routing.expert_count - 1, e);
}

RoutingStatistics summarise(Vector load, Vector importance) {
  RoutingStatistics out;
  out.load_entropy = normalised_entropy(load);
  out.importance_entropy = normalised_entropy(importance);
  out.load_variation = coefficient_of_variation(load);
  out.importance_variation = coefficient_of_variation(importance);
  out.effective_experts = effective_experts(load);
  out.largest_load = load.maxCoeff() * static_cast<double>(load.size());
  out.dead = dead_experts(load);
  out.load = std::move(load);
  out.importance = std::move(importance);
  return out;
}

/// Mean normalised entropy and mean margin of rows of weights that are sorted, best first.
void add_sharpness(const ConstMatrixRef& sorted_weights, RoutingStatistics& out) {
  const Eigen::Index n = sorted_weights.rows(), count = sorted_weights.cols();
  for (Eigen::Index i = 0; i < n; ++i) {
    const Vector row = sorted_weights.row(i);
    out.row_entropy += count > 1 ? normalised_entropy(row) : 0.0;
    out.margin += count > 1 ? row(0) - row(1) : 1.0;
  }
  out.row_entropy /= static_cast<double>(n);
  out.margin /= static_cast<double>(n);
}

}  // namespace

Routing route_top_k(const ConstMatrixRef& scores, int count) {
  const Eigen::Index n = scores.rows(), k = scores.cols();
  if (count < 1 || count > k) user_error("top-k must lie between 1 and the {} experts, not {}", k, count);
  Routing out;
  out.expert_count = static_cast<int>(k);
  out.experts.resize(n, count);
  out.weights.resize(n, count);
  std::vector<int> order(static_cast<std::size_t>(k));
  for (Eigen::Index i = 0; i < n; ++i) {
    std::iota(order.begin(), order.end(), 0);
    std::partial_sort(order.begin(), order.begin() + count, order.end(), [&](int p, int q) {
      return scores(i, p) > scores(i, q) || (scores(i, p) == scores(i, q) && p < q);
    });
    double total = 0;
    for (int j = 0; j < count; ++j) {
      const int expert = order[static_cast<std::size_t>(j)];
      out.experts(i, j) = expert;
      out.weights(i, j) = std::exp(scores(i, expert) - scores(i, order.front()));
      total += out.weights(i, j);
    }
    out.weights.row(i) /= total;
  }
  return out;
}

Vector routing_load(const Routing& routing) {
  check(routing);
  Vector load = Vector::Zero(routing.expert_count);
  for (Eigen::Index i = 0; i < routing.experts.size(); ++i) load(routing.experts.data()[i]) += 1.0;
  return routing.experts.size() > 0 ? Vector(load / static_cast<double>(routing.experts.size())) : load;
}

Vector routing_importance(const Routing& routing) {
  check(routing);
  Vector importance = Vector::Zero(routing.expert_count);
  for (Eigen::Index i = 0; i < routing.experts.size(); ++i)
    importance(routing.experts.data()[i]) += routing.weights.data()[i];
  return routing.weights.rows() > 0 ? Vector(importance / static_cast<double>(routing.weights.rows())) : importance;
}

double normalised_entropy(const ConstVectorRef& distribution) {
  if (distribution.size() < 2) return 1.0;
  return entropy(distribution) / std::log(static_cast<double>(distribution.size()));
}

double effective_experts(const ConstVectorRef& distribution) {
  return std::exp(entropy(distribution));
}

double coefficient_of_variation(const ConstVectorRef& values) {
  if (values.size() == 0) return 0.0;
  const double mean = values.mean();
  if (mean == 0) return 0.0;
  return std::sqrt((values.array() - mean).square().mean()) / std::abs(mean);
}

std::vector<int> dead_experts(const ConstVectorRef& shares, double threshold) {
  std::vector<int> dead;
  for (Eigen::Index i = 0; i < shares.size(); ++i)
    if (shares(i) < threshold / static_cast<double>(shares.size())) dead.push_back(static_cast<int>(i));
  return dead;
}

RoutingStatistics routing_statistics(const Routing& routing) {
  check(routing);
  if (routing.experts.size() == 0) user_error("routing statistics need at least one row");
  RoutingStatistics out = summarise(routing_load(routing), routing_importance(routing));
  add_sharpness(routing.weights, out);
  return out;
}

RoutingStatistics dense_routing_statistics(const ConstMatrixRef& log_weights) {
  const Eigen::Index n = log_weights.rows(), k = log_weights.cols();
  if (n == 0 || k == 0) user_error("routing statistics need at least one row and one expert");
  Matrix weights = log_weights.array().exp();
  const Vector importance = weights.colwise().mean();
  Vector load = Vector::Zero(k);
  for (Eigen::Index i = 0; i < n; ++i) {
    Eigen::Index best = 0;
    weights.row(i).maxCoeff(&best);
    load(best) += 1.0 / static_cast<double>(n);
    Vector row = weights.row(i);
    std::sort(row.begin(), row.end(), std::greater<>());
    weights.row(i) = row;
  }
  RoutingStatistics out = summarise(std::move(load), importance);
  add_sharpness(weights, out);
  return out;
}

std::string RoutingStatistics::brief() const {
  const std::string dead_text = dead.empty() ? "none" : fmt::format("{}", fmt::join(dead, ", "));
  return fmt::format("load entropy {:.3f}, effective experts {:.2f} of {}, largest load {:.2f} x fair, dead {}",
                     load_entropy, effective_experts, load.size(), largest_load, dead_text);
}

}  // namespace clearway
