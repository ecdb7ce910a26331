#include "clearway/deep/attention.hpp"

#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "clearway/base/errors.hpp"
#include "fused_attention.hpp"

namespace clearway::deep {
namespace {

constexpr std::int64_t kQueryBlock = 128;

/// Queries first .. first + count - 1 of T see keys begin .. end - 1 of S.
struct Window {
  std::int64_t first, count, begin, end;
};

Window window(std::int64_t first, std::int64_t count, std::int64_t queries, std::int64_t keys, std::int64_t span) {
  const std::int64_t offset = keys - queries;  // key of query 0
  return {first, count, span > 0 ? std::max<std::int64_t>(0, offset + first - span + 1) : 0, offset + first + count};
}

/// Distance of every key of the window behind every query: count x keys; negative: a later key.
torch::Tensor distances(const Window& w, std::int64_t offset, const at::TensorOptions& options) {
  const auto integers = options.dtype(at::kLong);
  return (at::arange(w.first + offset, w.first + offset + w.count, integers).unsqueeze(1) -
          at::arange(w.begin, w.end, integers).unsqueeze(0));
}

/// The keys of those distances that a window of so many keys can have: of 2048 relative keys, a context of 512 reaches 512.
torch::Tensor reachable(const torch::Tensor& relative, std::int64_t keys) {
  return relative.narrow(1, 0, std::min(relative.size(1), keys));
}

/// Scores of one window, -inf where a key must not be seen: B x H x count x keys.
torch::Tensor scores(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& relative,
                     const torch::Tensor& distance, std::int64_t span) {
  const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
  torch::Tensor out = at::matmul(q, k.transpose(2, 3));
  if (relative.defined()) {
    const torch::Tensor near = reachable(relative, k.size(2));
    const torch::Tensor index = distance.clamp(0, near.size(1) - 1).expand(out.sizes());
    out = out + at::matmul(q, near).gather(3, index);
  }
  const torch::Tensor hidden = span > 0 ? distance.lt(0).logical_or(distance.ge(span)) : distance.lt(0);
  return (out * scale).masked_fill(hidden, -std::numeric_limits<double>::infinity());
}

void check(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v, const torch::Tensor& relative,
           std::int64_t span) {
  if (q.dim() != 4 || k.sizes() != v.sizes() || k.dim() != 4 || k.size(2) < q.size(2) || k.size(3) != q.size(3))
    user_error("attention: queries must be B x H x T x D, keys and values B x H x S x D with S at least T");
  if (relative.defined() &&
      (relative.dim() != 2 || relative.size(0) != q.size(3) || span < 1 || relative.size(1) < span))
    user_error("attention: relative keys must be D x L with L at least the span, and the span at least 1");
}

void check_rotary(std::int64_t width) {
  if (width % 2 != 0) user_error("rotary positions need an even width per head");
}

/// Cosines and sines of positions first .. first + count - 1 for `half` pairs: count x half each, in double.
std::pair<torch::Tensor, torch::Tensor> rotary_angles(std::int64_t first, std::int64_t count, std::int64_t half,
                                                      const torch::Device& device) {
  const auto real = at::TensorOptions().dtype(at::kDouble).device(device);
  const torch::Tensor frequency = at::pow(10000.0, at::arange(half, real) * (-1.0 / static_cast<double>(half)));
  const torch::Tensor angle = at::outer(at::arange(first, first + count, real), frequency);
  return {angle.cos(), angle.sin()};
}

class CausalAttention : public torch::autograd::Function<CausalAttention> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& q,
                               const torch::Tensor& k, const torch::Tensor& v, const torch::Tensor& keys_by_distance,
                               std::int64_t span) {
    const torch::Tensor relative = keys_by_distance.numel() > 0 ? keys_by_distance : torch::Tensor();
    const auto queries = q.size(2), keys = k.size(2);
    torch::Tensor out = at::empty_like(q);
    torch::Tensor total = at::empty({q.size(0), q.size(1), queries, 1}, q.options());
    for (std::int64_t first = 0; first < queries; first += kQueryBlock) {
      const Window w = window(first, std::min(kQueryBlock, queries - first), queries, keys, span);
      const torch::Tensor distance = distances(w, keys - queries, q.options());
      const torch::Tensor s =
          scores(q.narrow(2, w.first, w.count), k.narrow(2, w.begin, w.end - w.begin), relative, distance, span);
      const torch::Tensor log_total = s.logsumexp(3, true);
      total.narrow(2, w.first, w.count).copy_(log_total);
      out.narrow(2, w.first, w.count).copy_(at::matmul((s - log_total).exp_(), v.narrow(2, w.begin, w.end - w.begin)));
    }
    context->save_for_backward({q, k, v, keys_by_distance, out, total});
    context->saved_data["span"] = span;
    return out;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const torch::Tensor &q = saved[0], &k = saved[1], &v = saved[2], &out = saved[4], &total = saved[5];
    const torch::Tensor relative = saved[3].numel() > 0 ? saved[3] : torch::Tensor();
    const torch::Tensor& given = gradients[0];
    const std::int64_t span = context->saved_data["span"].toInt();
    const auto queries = q.size(2), keys = k.size(2);
    const double scale = 1 / std::sqrt(static_cast<double>(q.size(3)));
    torch::Tensor dq = at::empty_like(q), dk = at::zeros_like(k), dv = at::zeros_like(v), dr;
    if (relative.defined()) dr = at::zeros_like(relative);
    for (std::int64_t first = 0; first < queries; first += kQueryBlock) {
      const Window w = window(first, std::min(kQueryBlock, queries - first), queries, keys, span);
      const auto size = w.end - w.begin;
      const torch::Tensor qw = q.narrow(2, w.first, w.count), kw = k.narrow(2, w.begin, size);
      const torch::Tensor gw = given.narrow(2, w.first, w.count);
      const torch::Tensor distance = distances(w, keys - queries, q.options());
      const torch::Tensor p = (scores(qw, kw, relative, distance, span) - total.narrow(2, w.first, w.count)).exp_();
      dv.narrow(2, w.begin, size).add_(at::matmul(p.transpose(2, 3), gw));
      const torch::Tensor own = (gw * out.narrow(2, w.first, w.count)).sum(3, true);
      const torch::Tensor ds = p * (at::matmul(gw, v.narrow(2, w.begin, size).transpose(2, 3)) - own) * scale;
      torch::Tensor dqw = at::matmul(ds, kw);
      dk.narrow(2, w.begin, size).add_(at::matmul(ds.transpose(2, 3), qw));
      if (relative.defined()) {
        const torch::Tensor near = reachable(relative, size);
        const torch::Tensor index = distance.clamp(0, near.size(1) - 1).expand(ds.sizes());
        const torch::Tensor by_distance =
            at::zeros({q.size(0), q.size(1), w.count, near.size(1)}, q.options()).scatter_add_(3, index, ds);
        dqw = dqw + at::matmul(by_distance, near.t());
        reachable(dr, size).add_(at::einsum("bhtd,bhtl->dl", {qw, by_distance}));
      }
      dq.narrow(2, w.first, w.count).copy_(dqw);
    }
    return {dq, dk, dv, dr, torch::Tensor()};
  }
};

}  // namespace

torch::Tensor causal_attention(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                               const torch::Tensor& relative, std::int64_t span) {
  check(q, k, v, relative, span);
  if (!relative.defined() && span == 0 && takes_fused_attention(q) && takes_fused_attention(k) &&
      takes_fused_attention(v))
    return fused_attention(q, k, v);
  // Torch 1.13 takes no undefined tensor as an argument of a function: an empty one stands for it.
  return CausalAttention::apply(q, k, v, relative.defined() ? relative : at::empty({0}, q.options()), span);
}

torch::Tensor causal_attention_dense(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v,
                                     const torch::Tensor& relative, std::int64_t span, double dropout) {
  check(q, k, v, relative, span);
  const Window all{0, q.size(2), 0, k.size(2)};
  const torch::Tensor distance = distances(all, k.size(2) - q.size(2), q.options());
  return at::matmul(at::dropout(scores(q, k, relative, distance, span).softmax(3), dropout, dropout > 0), v);
}

torch::Tensor causal_self_attention(const torch::Tensor& qkv, std::int64_t heads, bool rotary) {
  if (qkv.dim() != 3 || heads < 1 || qkv.size(2) % (3 * heads) != 0)
    user_error("attention: queries, keys and values must be a B x T x 3C table and heads divide C");
  const auto batch = qkv.size(0), count = qkv.size(1), width = qkv.size(2) / 3;
  if (takes_fused_attention(qkv)) {
    if (!rotary) return fused_self_attention(qkv, heads, {}, {});
    check_rotary(width / heads);
    const auto [cosine, sine] = rotary_angles(0, count, width / heads / 2, qkv.device());
    return fused_self_attention(qkv, heads, cosine.to(at::kFloat), sine.to(at::kFloat));
  }
  std::vector<torch::Tensor> parts = qkv.split(width, 2);
  for (torch::Tensor& part : parts) part = part.reshape({batch, count, heads, width / heads}).transpose(1, 2);
  if (rotary)
    for (const std::size_t part : {0u, 1u}) parts[part] = rotate_positions(parts[part], 0);
  return causal_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape({batch, count, width});
}

torch::Tensor rotate_positions(const torch::Tensor& x, std::int64_t first) {
  if (x.dim() != 4) user_error("rotary positions: wants B x H x T x D");
  check_rotary(x.size(3));
  const auto half = x.size(3) / 2;
  const auto [cosine_of, sine_of] = rotary_angles(first, x.size(2), half, x.device());
  const torch::Tensor cosine = cosine_of.to(x.scalar_type()), sine = sine_of.to(x.scalar_type());
  const torch::Tensor a = x.narrow(3, 0, half), b = x.narrow(3, half, half);
  return at::cat({a * cosine - b * sine, a * sine + b * cosine}, 3);
}

}  // namespace clearway::deep
