#include "fused_attention.hpp"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>

#include "clearway/base/errors.hpp"
#include "kernels/attention.hpp"

namespace clearway::deep {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

/// Optional, because torch 1.13 takes no undefined tensors as arguments of a function.
using Maybe = c10::optional<torch::Tensor>;

std::size_t step(const torch::Tensor& tensor, std::int64_t dimension) {
  return static_cast<std::size_t>(tensor.stride(dimension));
}

/// B x H x T x D.
template <class Number>
kernels::HeadTable<Number> heads_of(const torch::Tensor& tensor) {
  return {tensor.data_ptr<float>(), step(tensor, 0), step(tensor, 1), step(tensor, 2)};
}

/// Part `part` of `parts` of the columns of B x T x (parts H D).
template <class Number>
kernels::HeadTable<Number> part_of(const torch::Tensor& tensor, std::int64_t part, std::int64_t parts,
                                   std::int64_t heads) {
  const std::int64_t width = tensor.size(2) / parts;
  return {tensor.data_ptr<float>() + part * width, step(tensor, 0), static_cast<std::size_t>(width / heads),
          step(tensor, 1)};
}

torch::Tensor with_neighbours(const torch::Tensor& tensor) {
  return tensor.stride(-1) == 1 ? tensor : tensor.contiguous();
}

/// B x H x T x D whose heads of one token lie side by side, as the next product wants them.
torch::Tensor token_by_token(const torch::Tensor& like) {
  const auto heads = like.size(1), rows = like.size(2), width = like.size(3);
  return at::empty_strided(like.sizes(), {rows * heads * width, width, heads * width, 1}, like.options());
}

kernels::AttentionCall call_of(std::int64_t batch, std::int64_t heads, std::int64_t queries, std::int64_t keys,
                               std::int64_t width) {
  kernels::AttentionCall call;
  call.batch = static_cast<std::size_t>(batch);
  call.heads = static_cast<std::size_t>(heads);
  call.queries = static_cast<std::size_t>(queries);
  call.keys = static_cast<std::size_t>(keys);
  call.width = static_cast<std::size_t>(width);
  call.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(width)));
  call.threads = at::get_num_threads();
  return call;
}

kernels::AttentionCall call_of(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v) {
  kernels::AttentionCall call = call_of(q.size(0), q.size(1), q.size(2), k.size(2), q.size(3));
  call.q = heads_of<const float>(q);
  call.k = heads_of<const float>(k);
  call.v = heads_of<const float>(v);
  return call;
}

kernels::AttentionCall call_of(const torch::Tensor& qkv, std::int64_t heads, const torch::Tensor& cosine,
                               const torch::Tensor& sine) {
  const auto rows = qkv.size(1);
  kernels::AttentionCall call = call_of(qkv.size(0), heads, rows, rows, qkv.size(2) / (3 * heads));
  call.q = part_of<const float>(qkv, 0, 3, heads);
  call.k = part_of<const float>(qkv, 1, 3, heads);
  call.v = part_of<const float>(qkv, 2, 3, heads);
  if (cosine.defined()) {
    call.cosine = cosine.data_ptr<float>();
    call.sine = sine.data_ptr<float>();
  }
  return call;
}

torch::Tensor log_totals(const kernels::AttentionCall& call, const torch::Tensor& like) {
  return at::empty({static_cast<std::int64_t>(call.batch * call.heads * call.queries)}, like.options());
}

void refuse_second_derivatives() {
  if (at::GradMode::is_enabled())
    user_error(
        "attention: the fused kernel has no second derivatives; for create_graph use tensors of type double, which "
        "take "
        "plain torch operations");
}

class FusedAttention : public torch::autograd::Function<FusedAttention> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& q, const torch::Tensor& k,
                               const torch::Tensor& v) {
    const kernels::AttentionCall call = call_of(q, k, v);
    torch::Tensor out = token_by_token(q), log_total = log_totals(call, q);
    kernels::attention(call, heads_of<float>(out), log_total.data_ptr<float>());
    context->save_for_backward({q, k, v, out, log_total});
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &q = saved[0], &k = saved[1], &v = saved[2], given = with_neighbours(gradients[0]);
    const torch::Tensor dq = token_by_token(q), dk = token_by_token(k), dv = token_by_token(v);
    kernels::AttentionBackward backward;
    backward.out = heads_of<const float>(saved[3]);
    backward.out_gradient = heads_of<const float>(given);
    backward.log_total = saved[4].data_ptr<float>();
    backward.dq = heads_of<float>(dq);
    backward.dk = heads_of<float>(dk);
    backward.dv = heads_of<float>(dv);
    kernels::attention_backward(call_of(q, k, v), backward);
    return {dq, dk, dv};
  }
};

class FusedSelfAttention : public torch::autograd::Function<FusedSelfAttention> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& qkv, std::int64_t heads,
                               const Maybe& cosine, const Maybe& sine) {
    const torch::Tensor no_angle, &c = cosine ? *cosine : no_angle, &s = sine ? *sine : no_angle;
    const kernels::AttentionCall call = call_of(qkv, heads, c, s);
    torch::Tensor out = at::empty({qkv.size(0), qkv.size(1), qkv.size(2) / 3}, qkv.options());
    const torch::Tensor log_total = log_totals(call, qkv);
    kernels::attention(call, part_of<float>(out, 0, 1, heads), log_total.data_ptr<float>());
    context->save_for_backward({qkv, out, log_total, c, s});
    context->saved_data["heads"] = heads;
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    refuse_second_derivatives();
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &qkv = saved[0], &out = saved[1], given = with_neighbours(gradients[0]);
    const std::int64_t heads = context->saved_data["heads"].toInt();
    const torch::Tensor gradient = at::empty(qkv.sizes(), qkv.options());
    kernels::AttentionBackward backward;
    backward.out = part_of<const float>(out, 0, 1, heads);
    backward.out_gradient = part_of<const float>(given, 0, 1, heads);
    backward.log_total = saved[2].data_ptr<float>();
    backward.dq = part_of<float>(gradient, 0, 3, heads);
    backward.dk = part_of<float>(gradient, 1, 3, heads);
    backward.dv = part_of<float>(gradient, 2, 3, heads);
    kernels::attention_backward(call_of(qkv, heads, saved[3], saved[4]), backward);
    return {gradient, torch::Tensor(), torch::Tensor(), torch::Tensor()};
  }
};

}  // namespace

bool takes_fused_attention(const torch::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat && tensor.device().is_cpu() && tensor.layout() == at::kStrided;
}

torch::Tensor fused_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v) {
  const torch::Tensor qn = with_neighbours(q), kn = with_neighbours(k), vn = with_neighbours(v);
  if (at::GradMode::is_enabled() && (q.requires_grad() || k.requires_grad() || v.requires_grad()))
    return FusedAttention::apply(qn, kn, vn);
  torch::Tensor out = token_by_token(q);
  kernels::attention(call_of(qn, kn, vn), heads_of<float>(out), nullptr);
  return out;
}

torch::Tensor fused_self_attention(const torch::Tensor& qkv, std::int64_t heads, const torch::Tensor& cosine,
                                   const torch::Tensor& sine) {
  const torch::Tensor rows = with_neighbours(qkv);
  if (at::GradMode::is_enabled() && qkv.requires_grad()) {
    const auto maybe = [](const torch::Tensor& t) { return t.defined() ? Maybe(t) : Maybe(); };
    return FusedSelfAttention::apply(rows, heads, maybe(cosine), maybe(sine));
  }
  torch::Tensor out = at::empty({qkv.size(0), qkv.size(1), qkv.size(2) / 3}, qkv.options());
  kernels::attention(call_of(rows, heads, cosine, sine), part_of<float>(out, 0, 1, heads), nullptr);
  return out;
}

}  // namespace clearway::deep
