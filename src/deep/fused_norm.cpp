#include "fused_norm.hpp"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "clearway/base/errors.hpp"
#include "kernels/layer_norm.hpp"

namespace clearway::deep {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

kernels::LayerNormRows call_of(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                               double epsilon, const torch::Tensor& y) {
  kernels::LayerNormRows call;
  call.width = static_cast<std::size_t>(weight.numel());
  call.rows = static_cast<std::size_t>(x.numel()) / call.width;
  call.x = x.data_ptr<float>();
  call.weight = weight.data_ptr<float>();
  call.bias = bias.data_ptr<float>();
  call.epsilon = static_cast<float>(epsilon);
  call.y = y.data_ptr<float>();
  return call;
}

class FusedNorm : public torch::autograd::Function<FusedNorm> {
 public:
  static torch::Tensor forward(AutogradContext* context, const torch::Tensor& x, const torch::Tensor& weight,
                               const torch::Tensor& bias, double epsilon) {
    torch::Tensor y = at::empty(x.sizes(), x.options());
    kernels::LayerNormRows call = call_of(x, weight, bias, epsilon, y);
    const torch::Tensor moments = at::empty({2, static_cast<std::int64_t>(call.rows)}, x.options());
    call.mean = moments.data_ptr<float>();
    call.slope = call.mean + call.rows;
    kernels::layer_norm(call, at::get_num_threads());
    context->save_for_backward({x, weight, moments});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    if (at::GradMode::is_enabled())
      user_error(
          "layer norm: the fused kernel has no second derivatives; for create_graph use tensors of type double, which "
          "take plain torch operations");
    const variable_list saved = context->get_saved_variables();
    const torch::Tensor &x = saved[0], &weight = saved[1], given = gradients[0].contiguous();
    const torch::Tensor dx = at::empty(x.sizes(), x.options()), dweight = at::empty(weight.sizes(), weight.options()),
                        dbias = at::empty(weight.sizes(), weight.options());
    kernels::LayerNormRowsBackward call;
    call.width = static_cast<std::size_t>(weight.numel());
    call.rows = static_cast<std::size_t>(x.numel()) / call.width;
    call.x = x.data_ptr<float>();
    call.weight = weight.data_ptr<float>();
    call.mean = saved[2].data_ptr<float>();
    call.slope = call.mean + call.rows;
    call.dy = given.data_ptr<float>();
    call.dx = dx.data_ptr<float>();
    call.dweight = dweight.data_ptr<float>();
    call.dbias = dbias.data_ptr<float>();
    kernels::layer_norm_backward(call, at::get_num_threads());
    return {dx, dweight, dbias, torch::Tensor()};
  }
};

bool is_plain(const torch::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat && tensor.device().is_cpu() && tensor.layout() == at::kStrided;
}

}  // namespace

torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                         double epsilon) {
  if (x.dim() < 1 || weight.dim() != 1 || weight.numel() < 1 || x.size(-1) != weight.numel() ||
      bias.sizes() != weight.sizes())
    user_error("layer norm: weight and bias must be as many as the inputs have columns");
  if (!is_plain(x) || !is_plain(weight) || !is_plain(bias))
    return at::layer_norm(x, weight.sizes(), weight, bias, epsilon);
  const torch::Tensor rows = x.contiguous(), w = weight.contiguous(), b = bias.contiguous();
  if (at::GradMode::is_enabled() && (x.requires_grad() || weight.requires_grad() || bias.requires_grad()))
    return FusedNorm::apply(rows, w, b, epsilon);
  torch::Tensor y = at::empty(x.sizes(), x.options());
  kernels::layer_norm(call_of(rows, w, b, epsilon, y), at::get_num_threads());
  return y;
}

}  // namespace clearway::deep
