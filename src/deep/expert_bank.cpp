#include "clearway/deep/expert_bank.hpp"

#include <torch/nn/functional/activation.h>

#include <cmath>
#include <vector>

#include "clearway/base/errors.hpp"
#include "grouped_feed_forward.hpp"

namespace clearway::deep {
namespace {

/// Assignments in the order of their experts, and where each expert's begin and end.
struct ByExpert {
  torch::Tensor order;         // A
  torch::Tensor rows;          // A, tokens in that order
  std::vector<int64_t> count;  // N
};

ByExpert by_expert(const Assignments& assignments, std::int64_t experts) {
  ByExpert out;
  out.order = std::get<1>(assignments.experts.sort(true, 0, false));
  out.rows = assignments.tokens.index_select(0, out.order);
  const torch::Tensor counts = assignment_counts(assignments, experts).to(at::kCPU);
  out.count.assign(counts.data_ptr<int64_t>(), counts.data_ptr<int64_t>() + experts);
  return out;
}

}  // namespace

ExpertBank::ExpertBank(const ExpertOptions& options) : options_(options) {
  if (options.experts < 1 || options.inputs < 1 || options.hidden < 1)
    user_error("experts: number, inputs and hidden width must be at least 1, not {}, {} and {}", options.experts,
               options.inputs, options.hidden);
  if (!(options.dropout >= 0 && options.dropout < 1))
    user_error("experts: dropout must be in [0, 1), not {}", options.dropout);
  const auto n = options.experts, d = options.inputs, h = options.hidden;
  const auto uniform = [](at::IntArrayRef shape, std::int64_t fan_in) {
    const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
    return at::empty(shape, at::kFloat).uniform_(-bound, bound);
  };
  w1 = register_parameter("w1", uniform({n, d, h}, d));
  if (options.activation == ExpertActivation::swiglu) w_gate = register_parameter("w_gate", uniform({n, d, h}, d));
  w2 = register_parameter("w2", uniform({n, h, d}, h));
  if (!options.bias) return;
  b1 = register_parameter("b1", at::zeros({n, h}));
  if (options.activation == ExpertActivation::swiglu) b_gate = register_parameter("b_gate", at::zeros({n, h}));
  b2 = register_parameter("b2", at::zeros({n, d}));
}

torch::Tensor ExpertBank::activate(const torch::Tensor& hidden, const torch::Tensor& gate) const {
  torch::Tensor out;
  switch (options_.activation) {
    case ExpertActivation::relu:
      out = at::relu(hidden);
      break;
    case ExpertActivation::gelu:
      out = at::gelu(hidden);
      // Torch 1.13 misreads a float gradient of gelu that is not contiguous, such as that of a transposed response.
      if (out.requires_grad()) out.register_hook([](const torch::Tensor& gradient) { return gradient.contiguous(); });
      break;
    case ExpertActivation::silu:
      out = at::silu(hidden);
      break;
    case ExpertActivation::swiglu:
      out = at::silu(gate) * hidden;
      break;
  }
  return at::dropout(out, options_.dropout, is_training());
}

torch::Tensor ExpertBank::respond(const torch::Tensor& x, const Assignments& assignments) {
  evaluations_ += assignments.count();
  const ExpertParameters parameters{w1, b1, w2, b2, w_gate, b_gate};
  if (takes_grouped_kernels(x, assignments, parameters, false))
    return grouped_feed_forward(x, assignments, parameters, options_, is_training() ? options_.dropout : 0, false);
  const auto n = options_.experts;
  const ByExpert sorted = by_expert(assignments, n);
  const auto rows = x.index_select(0, sorted.rows).split_with_sizes(sorted.count);
  // unbind's gradient is one stack over experts, unlike that of indexing, which fills all experts' gradients for each.
  const auto value = w1.unbind(), output = w2.unbind();
  const auto gate = w_gate.defined() ? w_gate.unbind() : std::vector<torch::Tensor>{};
  const auto value_bias = b1.defined() ? b1.unbind() : std::vector<torch::Tensor>{};
  const auto gate_bias = b_gate.defined() ? b_gate.unbind() : std::vector<torch::Tensor>{};
  const auto output_bias = b2.defined() ? b2.unbind() : std::vector<torch::Tensor>{};
  const auto linear = [](const torch::Tensor& in, const std::vector<torch::Tensor>& weight,
                         const std::vector<torch::Tensor>& bias, std::size_t i) {
    return bias.empty() ? at::mm(in, weight[i]) : at::addmm(bias[i], in, weight[i]);
  };
  std::vector<torch::Tensor> responses;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const torch::Tensor hidden = activate(linear(rows[i], value, value_bias, i),
                                          gate.empty() ? torch::Tensor() : linear(rows[i], gate, gate_bias, i));
    responses.push_back(linear(hidden, output, output_bias, i));
  }
  const torch::Tensor back =
      at::empty_like(sorted.order).scatter_(0, sorted.order, at::arange(sorted.order.numel(), sorted.order.options()));
  return at::cat(responses).index_select(0, back);
}

void ExpertBank::replace(const std::function<torch::Tensor(const torch::Tensor&)>& replacement) {
  for (torch::Tensor& parameter : parameters()) {
    parameter.mutable_grad().reset();
    parameter.set_data(replacement(parameter.detach()));
  }
  options_.experts = w1.size(0);
}

torch::Tensor ExpertBank::mix(const torch::Tensor& x, const Assignments& assignments) {
  const ExpertParameters parameters{w1, b1, w2, b2, w_gate, b_gate};
  if (takes_grouped_kernels(x, assignments, parameters, true)) {
    evaluations_ += assignments.count();
    return grouped_feed_forward(x, assignments, parameters, options_, is_training() ? options_.dropout : 0, true);
  }
  const torch::Tensor weighted = respond(x, assignments) * assignments.weights.unsqueeze(1);
  return at::zeros_like(x).index_add(0, assignments.tokens, weighted);
}

torch::Tensor ExpertBank::respond_all(const torch::Tensor& x) {
  const Assignments everything{
      at::arange(x.size(0)).repeat_interleave(options_.experts), at::arange(options_.experts).repeat(x.size(0)), {}};
  if (takes_grouped_kernels(x, everything, {w1, b1, w2, b2, w_gate, b_gate}, false))
    return respond(x, everything).view({x.size(0), options_.experts, options_.inputs});
  evaluations_ += x.size(0) * options_.experts;
  const torch::Tensor rows = x.unsqueeze(0).expand({options_.experts, x.size(0), x.size(1)});
  const auto linear = [](const torch::Tensor& in, const torch::Tensor& weight, const torch::Tensor& bias) {
    return bias.defined() ? at::baddbmm(bias.unsqueeze(1), in, weight) : at::bmm(in, weight);
  };
  const torch::Tensor hidden =
      activate(linear(rows, w1, b1), w_gate.defined() ? linear(rows, w_gate, b_gate) : torch::Tensor());
  return linear(hidden, w2, b2).transpose(0, 1);
}

}  // namespace clearway::deep
