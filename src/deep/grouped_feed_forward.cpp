#include "grouped_feed_forward.hpp"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <memory>
#include <span>

#include "clearway/base/errors.hpp"
#include "kernels/feed_forward.hpp"
#include "kernels/scratch.hpp"

namespace clearway::deep {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// An uninitialised tensor in memory that outlives it for the next one of its size: fresh pages for the gradients of a
/// large bank would cost as much as the arithmetic of a small batch.
torch::Tensor pooled_empty(at::IntArrayRef shape) {
  std::int64_t count = 1;
  for (const auto size : shape) count *= size;
  auto memory = std::make_shared<kernels::Scratch>(static_cast<std::size_t>(std::max<std::int64_t>(count, 1)));
  float* const data = memory->data();
  return at::from_blob(
      data, shape, [memory](void*) {}, at::TensorOptions(at::kFloat));
}

const float* data_or_null(const torch::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

std::span<const std::int64_t> numbers(const torch::Tensor& tensor) {
  return {tensor.data_ptr<std::int64_t>(), static_cast<std::size_t>(tensor.numel())};
}

kernels::Activation activation_of(ExpertActivation activation) {
  switch (activation) {
    case ExpertActivation::relu:
      return kernels::Activation::relu;
    case ExpertActivation::gelu:
      return kernels::Activation::gelu;
    case ExpertActivation::silu:
      return kernels::Activation::silu;
    case ExpertActivation::swiglu:
      break;
  }
  return kernels::Activation::swiglu;
}

/// What forward and backward hand to the kernels; the groups must outlive the call.
kernels::FeedForwardCall call_of(const torch::Tensor& x, const torch::Tensor& tokens, const ExpertParameters& p,
                                 const ExpertOptions& options, const kernels::Groups& by_expert,
                                 const torch::Tensor& mask) {
  kernels::FeedForwardCall call;
  call.shape = {static_cast<std::size_t>(options.experts), static_cast<std::size_t>(options.inputs),
                static_cast<std::size_t>(options.hidden), activation_of(options.activation),
                options.compute == ComputeType::bfloat16};
  call.weights = {data_or_null(p.w1), data_or_null(p.b1),     data_or_null(p.w2),
                  data_or_null(p.b2), data_or_null(p.w_gate), data_or_null(p.b_gate)};
  call.x = x.data_ptr<float>();
  call.tokens = static_cast<std::size_t>(x.size(0));
  call.token = tokens.data_ptr<std::int64_t>();
  call.by_expert = &by_expert;
  call.mask = data_or_null(mask);
  call.threads = at::get_num_threads();
  return call;
}

kernels::Groups experts_of(const torch::Tensor& experts, const ExpertOptions& options) {
  return kernels::group_by(numbers(experts), options.experts, "experts of assignments");
}
kernels::Groups tokens_of(const torch::Tensor& tokens, std::int64_t count) {
  return kernels::group_by(numbers(tokens), count, "tokens of assignments");
}

/// Answers; fills `saved` when it is defined.
torch::Tensor compute(const torch::Tensor& x, const torch::Tensor& weights, const ExpertParameters& p,
                      const torch::Tensor& tokens, const torch::Tensor& experts, const torch::Tensor& mask,
                      const ExpertOptions& options, bool mixed, const torch::Tensor& saved) {
  const kernels::Groups by_expert = experts_of(experts, options), by_token = tokens_of(tokens, x.size(0));
  const kernels::FeedForwardCall call = call_of(x, tokens, p, options, by_expert, mask);
  float* const keep = saved.defined() ? saved.data_ptr<float>() : nullptr;
  if (!mixed) {
    torch::Tensor y = at::empty({tokens.numel(), options.inputs}, x.options());
    kernels::forward(call, y.data_ptr<float>(), keep);
    return y;
  }
  const kernels::Scratch slots(static_cast<std::size_t>(tokens.numel() * options.inputs) + 1);
  kernels::forward(call, slots.data(), keep);
  torch::Tensor out = at::empty_like(x);
  kernels::combine(slots.data(), data_or_null(weights), by_token, call.shape.inputs, call.threads,
                   out.data_ptr<float>());
  return out;
}

struct GroupedFeedForward : torch::autograd::Function<GroupedFeedForward> {
  static constexpr std::size_t kArguments = 13;

  /// Optional, because torch 1.13 takes no undefined tensors here.
  using Maybe = c10::optional<torch::Tensor>;

  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, const Maybe& maybe_weights,
                               const torch::Tensor& w1, const Maybe& maybe_b1, const torch::Tensor& w2,
                               const Maybe& maybe_b2, const Maybe& maybe_w_gate, const Maybe& maybe_b_gate,
                               const torch::Tensor& tokens, const torch::Tensor& experts, const Maybe& maybe_mask,
                               const ExpertOptions& options, bool mixed) {
    const auto there = [](const Maybe& tensor) { return tensor ? *tensor : torch::Tensor(); };
    const torch::Tensor weights = there(maybe_weights), b1 = there(maybe_b1), b2 = there(maybe_b2),
                        w_gate = there(maybe_w_gate), b_gate = there(maybe_b_gate), mask = there(maybe_mask);
    const auto size =
        kernels::saved_size({0, 0, static_cast<std::size_t>(options.hidden), activation_of(options.activation), false},
                            static_cast<std::size_t>(tokens.numel()));
    const torch::Tensor saved = pooled_empty({static_cast<std::int64_t>(size)});
    torch::Tensor out =
        compute(x, weights, {w1, b1, w2, b2, w_gate, b_gate}, tokens, experts, mask, options, mixed, saved);
    context->save_for_backward({x, weights, w1, b1, w2, b2, w_gate, b_gate, tokens, experts, mask, saved});
    context->saved_data["mixed"] = mixed;
    context->saved_data["experts"] = options.experts;
    context->saved_data["inputs"] = options.inputs;
    context->saved_data["hidden"] = options.hidden;
    context->saved_data["activation"] = static_cast<std::int64_t>(options.activation);
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    if (at::GradMode::is_enabled())
      user_error(
          "experts: the grouped kernels have no second derivatives; for create_graph use parameters and inputs of type "
          "double, which take plain torch operations");
    const variable_list kept = context->get_saved_variables();
    const torch::Tensor x = kept[0], weights = kept[1], tokens = kept[8], experts = kept[9], mask = kept[10];
    const ExpertParameters p{kept[2], kept[3], kept[4], kept[5], kept[6], kept[7]};
    auto& data = context->saved_data;
    ExpertOptions options;
    options.experts = data["experts"].toInt();
    options.inputs = data["inputs"].toInt();
    options.hidden = data["hidden"].toInt();
    options.activation = static_cast<ExpertActivation>(data["activation"].toInt());
    const bool mixed = data["mixed"].toBool();

    const kernels::Groups by_expert = experts_of(experts, options);
    const kernels::FeedForwardCall call = call_of(x, tokens, p, options, by_expert, mask);
    const torch::Tensor y_gradient = gradients[0].contiguous();
    variable_list out(kArguments);
    const auto wants = [](const torch::Tensor& tensor) { return tensor.defined() && tensor.requires_grad(); };
    const auto gradient_of = [&](std::size_t argument) -> float* {
      if (!wants(kept[argument])) return nullptr;
      out[argument] = pooled_empty(kept[argument].sizes());
      return out[argument].data_ptr<float>();
    };
    kernels::FeedForwardBackward wanted;
    wanted.saved = kept[11].data_ptr<float>();
    wanted.y_gradient = y_gradient.data_ptr<float>();
    wanted.per_slot = !mixed;
    if (mixed) {
      wanted.weight = weights.data_ptr<float>();
      wanted.weight_gradient = gradient_of(1);
    }
    wanted.gradients.w1 = gradient_of(2);
    wanted.gradients.b1 = gradient_of(3);
    wanted.gradients.w2 = gradient_of(4);
    wanted.gradients.b2 = gradient_of(5);
    wanted.gradients.w_gate = gradient_of(6);
    wanted.gradients.b_gate = gradient_of(7);
    const bool wants_x = wants(x);
    const kernels::Scratch slots(wants_x ? static_cast<std::size_t>(tokens.numel() * options.inputs) + 1 : 1);
    if (wants_x) wanted.x_gradient = slots.data();
    kernels::backward(call, wanted);
    if (wants_x) {
      out[0] = at::empty_like(x);
      kernels::combine(slots.data(), nullptr, tokens_of(tokens, x.size(0)), call.shape.inputs, call.threads,
                       out[0].data_ptr<float>());
    }
    return out;
  }
};

}  // namespace

bool takes_grouped_kernels(const torch::Tensor& x, const Assignments& assignments, const ExpertParameters& parameters,
                           bool mixed) {
  const auto plain = [](const torch::Tensor& t) {
    return !t.defined() || (t.scalar_type() == at::kFloat && t.device().is_cpu() && t.layout() == at::kStrided);
  };
  return plain(x) && (!mixed || plain(assignments.weights)) && plain(parameters.w1) && plain(parameters.b1) &&
         plain(parameters.w2) && plain(parameters.b2) && plain(parameters.w_gate) && plain(parameters.b_gate);
}

torch::Tensor grouped_feed_forward(const torch::Tensor& x, const Assignments& assignments,
                                   const ExpertParameters& parameters, const ExpertOptions& options, double dropout,
                                   bool mixed) {
  if (x.dim() != 2 || x.size(1) != options.inputs)
    user_error("experts: inputs must be a table of {} columns", options.inputs);
  const auto count = assignments.count();
  if (assignments.experts.numel() != count || (mixed && assignments.weights.numel() != count))
    user_error("assignments: tokens, experts and weights must be lists of one length");
  const auto whole = [](const torch::Tensor& t) { return t.defined() ? t.contiguous() : t; };
  const torch::Tensor rows = x.contiguous(), tokens = assignments.tokens.to(at::kLong).contiguous(),
                      experts = assignments.experts.to(at::kLong).contiguous(),
                      weights = mixed ? assignments.weights.contiguous() : torch::Tensor();
  const ExpertParameters p{whole(parameters.w1), whole(parameters.b1),     whole(parameters.w2),
                           whole(parameters.b2), whole(parameters.w_gate), whole(parameters.b_gate)};
  torch::Tensor mask;
  if (dropout > 0) {
    const auto padded = (options.hidden + 31) / 32 * 32;
    mask = at::empty({count * padded}, x.options()).bernoulli_(1 - dropout).div_(1 - dropout);
  }
  bool differentiable = rows.requires_grad() || (mixed && weights.requires_grad());
  for (const torch::Tensor* t : {&p.w1, &p.b1, &p.w2, &p.b2, &p.w_gate, &p.b_gate})
    differentiable = differentiable || (t->defined() && t->requires_grad());
  if (!differentiable || !at::GradMode::is_enabled())
    return compute(rows, weights, p, tokens, experts, mask, options, mixed, {});
  const auto maybe = [](const torch::Tensor& t) {
    return t.defined() ? GroupedFeedForward::Maybe(t) : GroupedFeedForward::Maybe();
  };
  return GroupedFeedForward::apply(rows, maybe(weights), p.w1, maybe(p.b1), p.w2, maybe(p.b2), maybe(p.w_gate),
                                   maybe(p.b_gate), tokens, experts, maybe(mask), options, mixed);
}

}  // namespace clearway::deep
