#include "clearway/train/fusion_usage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/core/routing.hpp"
#include "clearway/train/tensor_rows.hpp"

namespace clearway::train {
namespace {

double entropy(const Vector& p) {
  double out = 0;
  for (const double v : p)
    if (v > 0) out -= v * std::log(v);
  return out;
}

/// Sums over samples, of one layer.
struct Sums {
  torch::Tensor mass, chosen, probabilities;  // R x N
  torch::Tensor asked, top;                   // R
  torch::Tensor presence;                     // N x M
  torch::Tensor event;                        // N
};

void add(Sums& sums, const deep::FusionRouting& routing, const torch::Tensor& present, const torch::Tensor& event,
         bool disjoint) {
  const torch::Tensor weights = of_all_experts(routing.weights, disjoint).to(at::kDouble);
  const torch::Tensor probabilities = of_all_experts(routing.probabilities, disjoint).to(at::kDouble);
  const std::int64_t routers = weights.size(1);
  // A joint router is asked about every sample, that of a modality only about samples that have it.
  const torch::Tensor there =
      (routers == 1 && present.size(1) != 1 ? at::ones({present.size(0), 1}, at::kDouble) : present.to(at::kDouble))
          .unsqueeze(2)
          .unsqueeze(3);
  const torch::Tensor counted = weights * there;
  const torch::Tensor per_sample = counted.mean(2);  // B x R x N
  const auto sum_into = [](torch::Tensor& into, const torch::Tensor& more) {
    into = into.defined() ? into + more : more;
  };
  sum_into(sums.mass, per_sample.sum(0));
  sum_into(sums.chosen, (counted > 0).to(at::kDouble).mean(2).sum(0));
  sum_into(sums.probabilities, (probabilities * there).mean(2).sum(0));
  sum_into(sums.asked, (counted.sum(3) > 0).to(at::kDouble).mean(2).sum(0));
  sum_into(sums.top, std::get<0>(counted.max(3)).mean(2).sum(0));
  const torch::Tensor of_expert = per_sample.sum(1);  // B x N
  sum_into(sums.presence, of_expert.t().matmul(present.to(at::kDouble)));
  if (event.defined()) sum_into(sums.event, of_expert.t().matmul(event));
}

FusionLayerUsage finished(const Sums& sums, const std::vector<fusion::ModalityShape>& modalities) {
  FusionLayerUsage out;
  const Matrix mass = to_matrix(sums.mass);
  const Vector asked = to_matrix(sums.asked).col(0);
  const Vector safe = asked.cwiseMax(1e-300);
  const Eigen::Index routers = mass.rows(), experts = mass.cols();
  for (Eigen::Index r = 0; r < routers; ++r)
    out.routers.push_back(routers == 1 && modalities.size() != 1 ? "joint"
                                                                 : modalities[static_cast<std::size_t>(r)].name);
  const Vector inverse = safe.cwiseInverse();
  out.mass = inverse.asDiagonal() * mass;
  out.chosen = inverse.asDiagonal() * to_matrix(sums.chosen);
  out.top_weight = to_matrix(sums.top).col(0).cwiseProduct(inverse);
  out.samples = mass.colwise().sum().transpose();
  const double total = std::max(out.samples.sum(), 1e-300);
  out.load_entropy = normalised_entropy(out.samples / total);
  out.dead = dead_experts(out.samples / total);
  out.presence = to_matrix(sums.presence);
  for (Eigen::Index e = 0; e < experts; ++e)
    out.presence.row(e) /= out.samples(e) > 0 ? out.samples(e) : std::numeric_limits<double>::quiet_NaN();
  out.event_rate = Vector::Constant(experts, std::numeric_limits<double>::quiet_NaN());
  if (sums.event.defined()) {
    const Vector events = to_matrix(sums.event).col(0);
    for (Eigen::Index e = 0; e < experts; ++e)
      if (out.samples(e) > 0) out.event_rate(e) = events(e) / out.samples(e);
  }
  if (routers > 1) {
    const Matrix probabilities = to_matrix(sums.probabilities);
    Vector common = Vector::Zero(experts);
    double own = 0;
    int used = 0;
    for (Eigen::Index r = 0; r < routers; ++r) {
      if (!(asked(r) > 0)) continue;
      const Vector p = probabilities.row(r).transpose() / std::max(probabilities.row(r).sum(), 1e-300);
      common += p;
      own += entropy(p);
      ++used;
    }
    const double most = std::log(static_cast<double>(std::min<Eigen::Index>(used, experts)));
    if (used > 1 && most > 0) out.information = (entropy(common / used) - own / used) / most;
  }
  return out;
}

Json matrix_json(const Matrix& matrix) {
  Json out = Json::array();
  for (Eigen::Index i = 0; i < matrix.rows(); ++i) {
    Json line = Json::array();
    for (Eigen::Index j = 0; j < matrix.cols(); ++j) line.push_back(json_number_or_null(matrix(i, j)));
    out.push_back(std::move(line));
  }
  return out;
}
Json vector_json(const Vector& vector) {
  Json out = Json::array();
  for (const double v : vector) out.push_back(json_number_or_null(v));
  return out;
}

}  // namespace

torch::Tensor of_all_experts(const torch::Tensor& routing, bool disjoint) {
  const std::int64_t routers = routing.size(1), experts = routing.size(3);
  if (!disjoint || routers == 1) return routing;
  const torch::Tensor out =
      at::zeros({routing.size(0), routers, routing.size(2), routers * experts}, routing.options());
  for (std::int64_t r = 0; r < routers; ++r)
    out.select(1, r).narrow(2, r * experts, experts).copy_(routing.select(1, r));
  return out;
}

FusionUsage fusion_usage(deep::FusionModel& model, const FusionTensors& samples, const std::vector<std::int64_t>& rows,
                         const Vector& event) {
  const torch::NoGradGuard off;
  const torch::Tensor wanted = row_tensor(rows);
  const bool disjoint = model.options().router == deep::FusionRouter::disjoint;
  std::vector<Sums> sums;
  std::int64_t done = 0;
  fusion_outputs(model, samples, wanted, {}, 512, [&](const torch::Tensor& some, const deep::FusionResult& result) {
    const torch::Tensor present = samples.present().index_select(0, some);
    torch::Tensor true_events;
    if (event.size() > 0)
      true_events = at::from_blob(const_cast<double*>(event.data() + done), {some.size(0)}, at::kDouble).clone();
    done += some.size(0);
    sums.resize(result.layers.size());
    for (std::size_t i = 0; i < result.layers.size(); ++i)
      if (result.layers[i].weights.defined()) add(sums[i], result.layers[i], present, true_events, disjoint);
  });
  FusionUsage out;
  for (const Sums& layer : sums)
    if (layer.mass.defined()) out.layers.push_back(finished(layer, samples.shapes()));
  return out;
}

Json fusion_usage_json(const FusionUsage& usage, const std::vector<fusion::ModalityShape>& modalities) {
  Json names = Json::array();
  for (const fusion::ModalityShape& modality : modalities) names.push_back(modality.name);
  Json layers = Json::array();
  for (const FusionLayerUsage& layer : usage.layers)
    layers.push_back({{"routers", layer.routers},
                      {"mass", matrix_json(layer.mass)},
                      {"chosen", matrix_json(layer.chosen)},
                      {"top_weight", vector_json(layer.top_weight)},
                      {"information", layer.information},
                      {"load_entropy", layer.load_entropy},
                      {"dead_experts", layer.dead},
                      {"samples", vector_json(layer.samples)},
                      {"event_rate", vector_json(layer.event_rate)},
                      {"presence", matrix_json(layer.presence)}});
  return {{"modalities", names}, {"layers", layers}};
}

std::string fusion_usage_text(const FusionUsage& usage) {
  std::string out;
  for (std::size_t i = 0; i < usage.layers.size(); ++i) {
    const FusionLayerUsage& layer = usage.layers[i];
    out += fmt::format(
        "layer {}: load entropy {:.3f}, information between modality and expert {:.3f}, {} of {} experts dead\n", i + 1,
        layer.load_entropy, layer.information, layer.dead.size(), layer.mass.cols());
    std::size_t width = 10;
    for (const std::string& name : layer.routers) width = std::max(width, name.size());
    out += fmt::format("  {:<{}}", "mean weight", width);
    for (Eigen::Index e = 0; e < layer.mass.cols(); ++e) out += fmt::format("  {:>5}", fmt::format("E{}", e + 1));
    out += "\n";
    for (std::size_t r = 0; r < layer.routers.size(); ++r) {
      out += fmt::format("  {:<{}}", layer.routers[r], width);
      for (Eigen::Index e = 0; e < layer.mass.cols(); ++e)
        out += fmt::format("  {:>5.2f}", layer.mass(static_cast<Eigen::Index>(r), e));
      out += "\n";
    }
    if (layer.event_rate.allFinite()) {
      out += fmt::format("  {:<{}}", "event rate", width);
      for (const double rate : layer.event_rate) out += fmt::format("  {:>5.2f}", rate);
      out += "\n";
    }
  }
  return out;
}

}  // namespace clearway::train
