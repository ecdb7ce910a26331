#include "clearway/train/adamw.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "kernels/instruction_sets.hpp"

namespace clearway::train {
namespace {

constexpr std::size_t kPiece = std::size_t{1} << 18;  // numbers per task: about as long as starting a thread takes

bool is_plain(const torch::Tensor& tensor) {
  return tensor.scalar_type() == at::kFloat && tensor.device().is_cpu() && tensor.layout() == at::kStrided &&
         tensor.is_contiguous();
}

/// Calls body(begin, end, piece) for the pieces of [0, count).
template <class Body>
void for_pieces(std::size_t count, const Body& body) {
  const std::size_t pieces = (count + kPiece - 1) / kPiece;
  const int threads = pieces < 4 ? 1 : at::get_num_threads();
  parallel_for(pieces, threads, [&](std::size_t i) { body(i * kPiece, std::min(count, (i + 1) * kPiece), i); });
}

double sum_of_squares(const torch::Tensor& gradient) {
  if (!is_plain(gradient)) {
    const double norm = gradient.detach().to(at::kDouble).norm().item<double>();
    return norm * norm;
  }
  const auto count = static_cast<std::size_t>(gradient.numel());
  const float* data = gradient.data_ptr<float>();
  std::vector<double> parts((count + kPiece - 1) / kPiece);
  for_pieces(count, [&](std::size_t begin, std::size_t end, std::size_t piece) {
    parts[piece] = kernels::kernels().sum_of_squares(data + begin, end - begin);
  });
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

}  // namespace

AdamW::AdamW(std::vector<NamedTensor> parameters, const AdamWOptions& options) : options_(options) {
  for (const auto& [name, beta] : {std::pair{"beta1", options.beta1}, std::pair{"beta2", options.beta2}})
    if (!(beta >= 0 && beta < 1)) user_error("adamw: {} must be in [0, 1), not {}", name, beta);
  if (!(options.epsilon > 0)) user_error("adamw: epsilon must be above 0, not {}", options.epsilon);
  if (!(options.weight_decay >= 0)) user_error("adamw: weight decay must be at least 0, not {}", options.weight_decay);
  std::set<std::string> names;
  for (NamedTensor& parameter : parameters) {
    if (!parameter.tensor.defined()) user_error("adamw: parameter {} is undefined", parameter.name);
    if (!names.insert(parameter.name).second) user_error("adamw: two parameters are named {}", parameter.name);
    const torch::Tensor like = parameter.tensor.detach();
    entries_.push_back({std::move(parameter.name), parameter.tensor, at::zeros_like(like), at::zeros_like(like),
                        at::zeros({}, at::kLong), options.weight_decay});
  }
}

void AdamW::set_weight_decay(const std::string& name, double weight_decay) {
  if (!(weight_decay >= 0)) user_error("adamw: weight decay must be at least 0, not {}", weight_decay);
  for (Entry& entry : entries_)
    if (entry.name == name) {
      entry.weight_decay = weight_decay;
      return;
    }
  user_error("adamw: no parameter is named {}", name);
}

void AdamW::step(double rate) {
  const at::NoGradGuard no_grad;
  for (Entry& entry : entries_)
    if (entry.parameter.grad().defined()) step_of(entry, rate);
}

void AdamW::step_of(Entry& entry, double rate) const {
  const torch::Tensor gradient = entry.parameter.grad();
  if (gradient.layout() != at::kStrided) user_error("adamw: the gradient of {} must be dense", entry.name);
  const auto t = static_cast<double>(++*entry.step.data_ptr<std::int64_t>());
  const double first = 1 - std::pow(options_.beta1, t), second = 1 - std::pow(options_.beta2, t);
  if (!is_plain(entry.parameter) || !is_plain(gradient) || !is_plain(entry.mean) || !is_plain(entry.square)) {
    entry.parameter.mul_(1 - rate * entry.weight_decay);
    entry.mean.mul_(options_.beta1).add_(gradient, 1 - options_.beta1);
    entry.square.mul_(options_.beta2).addcmul_(gradient, gradient, 1 - options_.beta2);
    const torch::Tensor root = entry.square.sqrt().div_(std::sqrt(second)).add_(options_.epsilon);
    entry.parameter.addcdiv_(entry.mean, root, -rate / first);
    return;
  }
  kernels::AdamWStep step;
  step.keep = static_cast<float>(1 - rate * entry.weight_decay);
  step.beta1 = static_cast<float>(options_.beta1);
  step.beta2 = static_cast<float>(options_.beta2);
  step.rest1 = static_cast<float>(1 - options_.beta1);
  step.rest2 = static_cast<float>(1 - options_.beta2);
  step.rate = static_cast<float>(rate / first);
  step.root_correction = static_cast<float>(1 / std::sqrt(second));
  step.epsilon = static_cast<float>(options_.epsilon);
  for_pieces(static_cast<std::size_t>(entry.parameter.numel()), [&](std::size_t begin, std::size_t end, std::size_t) {
    kernels::AdamWStep piece = step;
    piece.parameter = entry.parameter.data_ptr<float>() + begin;
    piece.gradient = gradient.data_ptr<float>() + begin;
    piece.mean = entry.mean.data_ptr<float>() + begin;
    piece.square = entry.square.data_ptr<float>() + begin;
    piece.count = end - begin;
    kernels::kernels().adamw(piece);
  });
  // What changed outside of torch's operations: autograd must still notice who saved the old value.
  entry.parameter.unsafeGetTensorImpl()->bump_version();
}

void AdamW::zero_grad() {
  for (Entry& entry : entries_) entry.parameter.mutable_grad().reset();
}

std::vector<NamedTensor> AdamW::state() const {
  std::vector<NamedTensor> out;
  for (const Entry& entry : entries_) {
    out.push_back({entry.name + ".exp_avg", entry.mean});
    out.push_back({entry.name + ".exp_avg_sq", entry.square});
    out.push_back({entry.name + ".step", entry.step});
  }
  return out;
}

void AdamW::load_state(const std::vector<NamedTensor>& state) {
  const at::NoGradGuard no_grad;
  const std::vector<NamedTensor> own = this->state();
  if (state.size() != own.size())
    user_error("adamw: a state of {} tensors does not fit {} parameters, which need {}", state.size(), entries_.size(),
               own.size());
  const auto saved_as = [&](const NamedTensor& wanted) -> const torch::Tensor& {
    for (const NamedTensor& saved : state)
      if (saved.name == wanted.name) return saved.tensor;
    user_error("adamw: the state has no tensor {}", wanted.name);
  };
  for (const NamedTensor& wanted : own)  // all is checked before anything is changed
    if (const torch::Tensor& saved = saved_as(wanted); !saved.defined() || saved.sizes() != wanted.tensor.sizes())
      user_error("adamw: the state's tensor {} has another shape than its parameter", wanted.name);
  for (const NamedTensor& wanted : own) torch::Tensor(wanted.tensor).copy_(saved_as(wanted));
}

double gradient_norm(const std::vector<NamedTensor>& parameters) {
  double sum = 0;
  for (const NamedTensor& parameter : parameters)
    if (parameter.tensor.grad().defined()) sum += sum_of_squares(parameter.tensor.grad());
  return std::sqrt(sum);
}

void scale_gradients(const std::vector<NamedTensor>& parameters, double factor) {
  const at::NoGradGuard no_grad;
  for (const NamedTensor& parameter : parameters)
    if (parameter.tensor.grad().defined()) parameter.tensor.grad().mul_(factor);
}

double clip_gradient_norm(const std::vector<NamedTensor>& parameters, double maximum) {
  if (!(maximum > 0)) user_error("the largest gradient norm must be above 0, not {}", maximum);
  const double norm = gradient_norm(parameters);
  if (norm > maximum && std::isfinite(norm)) scale_gradients(parameters, maximum / norm);
  return norm;
}

}  // namespace clearway::train
