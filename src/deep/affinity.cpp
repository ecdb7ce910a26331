#include "clearway/deep/affinity.hpp"

#include <ATen/Context.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "clearway/base/errors.hpp"

namespace clearway::deep {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// The random state in which dropout drew, so that the backward pass draws the same.
torch::Tensor random_state(at::Generator generator) {
  const std::lock_guard<std::mutex> lock(generator.mutex());
  return generator.get_state();
}
void set_random_state(at::Generator generator, const torch::Tensor& state) {
  const std::lock_guard<std::mutex> lock(generator.mutex());
  generator.set_state(state);
}

struct ChunkedAffinities : torch::autograd::Function<ChunkedAffinities> {
  /// `inputs`: x, then the parameters of the experts.
  static torch::Tensor forward(AutogradContext* context, at::TensorList inputs, ExpertBank* experts, std::int64_t kind,
                               std::int64_t tokens) {
    const torch::Tensor& x = inputs[0];
    context->save_for_backward(inputs.vec());
    context->saved_data["experts"] = reinterpret_cast<std::int64_t>(experts);
    context->saved_data["kind"] = kind;
    context->saved_data["tokens"] = tokens;
    if (experts->is_training() && experts->options().dropout > 0)
      context->saved_data["random"] = random_state(at::globalContext().defaultGenerator(x.device()));
    std::vector<torch::Tensor> parts;
    for (const torch::Tensor& chunk : x.split(tokens))
      parts.push_back(affinities(experts->respond_all(chunk), static_cast<Affinity>(kind)));
    return at::cat(parts);
  }

  static variable_list backward(AutogradContext* context, const variable_list& output) {
    const auto saved = context->get_saved_variables();
    auto* experts = reinterpret_cast<ExpertBank*>(context->saved_data["experts"].toInt());
    const auto kind = static_cast<Affinity>(context->saved_data["kind"].toInt());
    const auto tokens = context->saved_data["tokens"].toInt();
    const torch::Tensor& x = saved[0];
    const bool replay = context->saved_data.count("random") > 0;
    const at::Generator generator = at::globalContext().defaultGenerator(x.device());
    torch::Tensor now;
    if (replay) {
      now = random_state(generator);
      set_random_state(generator, context->saved_data["random"].toTensor());
    }
    std::vector<std::size_t> wanted;  // positions in `saved` of what gets a gradient beside x
    for (std::size_t i = 1; i < saved.size(); ++i)
      if (saved[i].requires_grad()) wanted.push_back(i);
    variable_list total(saved.size() + 3);  // of the inputs, and nothing for the last three arguments
    std::vector<torch::Tensor> of_x;
    const at::AutoGradMode with_grad(true);
    const auto chunks = x.detach().split(tokens), gradients = output[0].split(tokens);
    for (std::size_t part = 0; part < chunks.size(); ++part) {
      const torch::Tensor leaf = chunks[part].detach().requires_grad_();
      variable_list inputs{leaf};
      for (const std::size_t i : wanted) inputs.push_back(saved[i]);
      const variable_list found =
          torch::autograd::grad({affinities(experts->respond_all(leaf), kind)}, inputs, {gradients[part]},
                                /*retain_graph=*/false, /*create_graph=*/false, /*allow_unused=*/true);
      of_x.push_back(found[0]);
      for (std::size_t j = 0; j < wanted.size(); ++j) {
        torch::Tensor& sum = total[wanted[j]];
        if (found[j + 1].defined()) sum = sum.defined() ? sum + found[j + 1] : found[j + 1];
      }
    }
    if (replay) set_random_state(generator, now);
    total[0] = at::cat(of_x);
    return total;
  }
};

}  // namespace

torch::Tensor affinities(const torch::Tensor& responses, Affinity kind) {
  switch (kind) {
    case Affinity::softplus:
      return at::softplus(responses).mean(2);
    case Affinity::relu:
      return at::relu(responses).mean(2);
    case Affinity::sigmoid:
      return at::sigmoid(responses).mean(2);
    case Affinity::silu:
      return at::silu(responses).mean(2);
    case Affinity::norm:
    case Affinity::combined:
      return responses.norm(2, 2);
    case Affinity::policy:
      break;
  }
  user_error("affinity: the router's own must be resolved before it is computed");
}

torch::Tensor chunked_affinities(const torch::Tensor& x, ExpertBank& experts, Affinity kind, std::int64_t tokens) {
  variable_list inputs{x};
  for (const torch::Tensor& parameter : experts.parameters()) inputs.push_back(parameter);
  return ChunkedAffinities::apply(at::TensorList(inputs), &experts, static_cast<std::int64_t>(kind),
                                  std::max<std::int64_t>(1, tokens));
}

torch::Tensor standardised(const torch::Tensor& affinities) {
  const torch::Tensor centred = affinities - affinities.mean(1, true);
  // The small number lets experts that all answer alike tie at 0 with a finite gradient.
  return centred * (centred.square().mean(1, true) + 1e-12).rsqrt();
}

}  // namespace clearway::deep
