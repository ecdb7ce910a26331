#include "clearway/train/routing_diagnostics.hpp"

#include <fmt/format.h>

#include <cmath>

#include "clearway/core/routing.hpp"

namespace clearway::train {
namespace {

constexpr double kTiny = 1e-30;

Vector to_vector(const torch::Tensor& tensor) {
  const torch::Tensor numbers = tensor.to(at::kCPU, at::kDouble).contiguous();
  return Eigen::Map<const Vector>(numbers.data_ptr<double>(), numbers.numel());
}

double mean_of(const torch::Tensor& tensor) {
  return tensor.to(at::kDouble).mean().item<double>();
}

/// Mutual information of two labellings of the same things, in nats.
double mutual_information(const torch::Tensor& a, const torch::Tensor& b, std::int64_t b_count) {
  const torch::Tensor ids = std::get<1>(at::_unique(a, false, true));
  const auto a_count = ids.max().item<std::int64_t>() + 1;
  const torch::Tensor joint =
      at::bincount(ids * b_count + b, {}, a_count * b_count).to(at::kDouble).reshape({a_count, b_count}) /
      static_cast<double>(a.numel());
  const torch::Tensor independent = joint.sum(1, true) * joint.sum(0, true);
  return (joint * ((joint + kTiny).log() - (independent + kTiny).log())).sum().item<double>();
}

/// Linear CKA of every pair of experts; responses: T x N x d.
Matrix cka_matrix(const torch::Tensor& responses) {
  const auto experts = responses.size(1);
  const torch::Tensor centred = (responses - responses.mean(0, true)).to(at::kDouble);
  std::vector<torch::Tensor> parts;
  for (std::int64_t i = 0; i < experts; ++i) parts.push_back(centred.select(1, i));
  std::vector<double> own;
  for (const torch::Tensor& part : parts) own.push_back(at::mm(part.t(), part).norm().item<double>());
  Matrix similar = Matrix::Identity(experts, experts);
  for (std::int64_t i = 0; i < experts; ++i)
    for (std::int64_t j = 0; j < i; ++j) {
      const auto a = static_cast<std::size_t>(i), b = static_cast<std::size_t>(j);
      const double cross = at::mm(parts[a].t(), parts[b]).norm().item<double>();
      similar(i, j) = similar(j, i) = cross * cross / std::max(kTiny, own[a] * own[b]);
    }
  return similar;
}

/// Mean over the pairs; 1 for a single expert.
double mean_of_pairs(const Matrix& similar) {
  const auto n = static_cast<double>(similar.rows());
  return n < 2 ? 1 : (similar.sum() - similar.trace()) / (n * (n - 1));
}

/// Mean cosine between the responses of different selected experts of a token; selected: T x K.
double mean_cosine(const torch::Tensor& responses, const torch::Tensor& selected) {
  const auto count = selected.size(1);
  if (count < 2) return 1;
  const torch::Tensor picked =
      responses.gather(1, selected.unsqueeze(2).expand({selected.size(0), count, responses.size(2)}));
  const torch::Tensor unit = picked / picked.norm(2, 2, true).clamp_min(1e-12);
  const torch::Tensor similar = at::bmm(unit, unit.transpose(1, 2)).sum({1, 2}) - static_cast<double>(count);
  return mean_of(similar) / static_cast<double>(count * (count - 1));
}

LayerDiagnostics diagnose_layer(deep::SparseMixture& layer, const deep::SparseMixtureResult& result,
                                const torch::Tensor& ids) {
  LayerDiagnostics out;
  const torch::Tensor& probabilities = result.routing.probabilities;
  const auto experts = layer.options().experts.experts;
  const std::int64_t selected_count = deep::experts_per_token(layer.options().router, experts);
  const Vector load = to_vector(result.load);
  out.load.assign(load.data(), load.data() + load.size());
  out.load_entropy = normalised_entropy(load);
  out.largest_share = load.maxCoeff() * static_cast<double>(experts);
  out.dead_experts = static_cast<int>(dead_experts(load).size());
  const torch::Tensor sorted = std::get<0>(probabilities.sort(1, true));
  if (experts > 1) {
    out.router_entropy =
        mean_of(-(probabilities * (probabilities + kTiny).log()).sum(1)) / std::log(static_cast<double>(experts));
    out.margin = mean_of(sorted.select(1, 0) - sorted.select(1, 1));
  }
  const torch::Tensor selected = std::get<1>(probabilities.topk(selected_count, 1));
  const torch::Tensor first = selected.select(1, 0);
  out.information = mutual_information(ids, first, experts);
  const torch::Tensor responses = layer.experts().respond_all(result.input);
  out.response_similarity = mean_cosine(responses, selected);
  out.similarities = cka_matrix(responses);
  out.similarity = mean_of_pairs(out.similarities);
  deep::RoutingRequest request;
  request.x = result.input;
  request.ids = ids;
  const torch::Tensor affinity = layer.router().route_by_response(request, layer.experts(), selected_count).affinities;
  const torch::Tensor winners = std::get<1>(affinity.topk(selected_count, 1));
  out.agreement = mean_of(winners.select(1, 0).eq(first));
  out.overlap = mean_of(winners.unsqueeze(2).eq(selected.unsqueeze(1)).any(2));
  const torch::Tensor log_share = affinity.log_softmax(1);
  out.affinity_contrast = mean_of((log_share.exp() * (log_share + std::log(static_cast<double>(experts)))).sum(1));
  return out;
}

}  // namespace

std::vector<LayerDiagnostics> diagnose_routing(deep::LanguageModel& model, const torch::Tensor& tokens) {
  const torch::NoGradGuard off;
  const bool training = model.is_training();
  model.eval();
  const deep::LanguageModelResult result = model.forward(tokens);
  const torch::Tensor ids = tokens.reshape({-1});
  std::vector<LayerDiagnostics> out;
  for (std::size_t i = 0; i < result.layers.size(); ++i)
    out.push_back(diagnose_layer(*model.mixtures()[i], result.layers[i], ids));
  model.train(training);
  return out;
}

torch::Tensor first_experts(deep::LanguageModel& model, const torch::Tensor& tokens) {
  const torch::NoGradGuard off;
  const bool training = model.is_training();
  model.eval();
  std::vector<torch::Tensor> out;
  for (const auto& layer : model.forward(tokens).layers) out.push_back(layer.routing.probabilities.argmax(1));
  model.train(training);
  return out.empty() ? torch::Tensor() : at::stack(out);
}

Scalars diagnostics_scalars(const std::vector<LayerDiagnostics>& layers) {
  Scalars out;
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const LayerDiagnostics& layer = layers[i];
    const auto add = [&](const char* name, double value) {
      out.emplace_back(fmt::format("layer{}/{}", i, name), value);
    };
    add("load_entropy", layer.load_entropy);
    add("largest_share", layer.largest_share);
    add("dead_experts", layer.dead_experts);
    add("router_entropy", layer.router_entropy);
    add("margin", layer.margin);
    add("information", layer.information);
    add("response_similarity", layer.response_similarity);
    add("similarity", layer.similarity);
    add("agreement", layer.agreement);
    add("overlap", layer.overlap);
    add("affinity_contrast", layer.affinity_contrast);
    for (std::size_t k = 0; k < layer.load.size(); ++k) add(fmt::format("load{}", k).c_str(), layer.load[k]);
  }
  return out;
}

}  // namespace clearway::train
