#include "layers.hpp"

#include <cmath>
#include <vector>

namespace clearway::deep {
namespace {

/// Attention of several heads. q: n x T x D, k, v: n x S x D -> n x T x D. The heads of a sample share one product, each with
/// the queries' other columns at 0: many tiny products cost more than the zeros.
torch::Tensor attend(const torch::Tensor& q, const torch::Tensor& k, const torch::Tensor& v, std::int64_t heads) {
  const auto count = q.size(0), places = q.size(1), width = q.size(2), each = width / heads;
  const torch::Tensor own =
      at::eye(heads, q.options().requires_grad(false)).repeat_interleave(each, 1).view({heads, 1, width});
  const double scale = 1 / std::sqrt(static_cast<double>(each));
  const torch::Tensor asked = (q.unsqueeze(1) * (own * scale)).view({count, heads * places, width});
  // Softmax runs over an outer axis, which is faster for few keys.
  const torch::Tensor weights = at::bmm(k, asked.transpose(1, 2)).softmax(1);  // n x S x (heads T)
  const torch::Tensor answered = at::bmm(weights.transpose(1, 2), v);
  return (answered.view({count, heads, places, width}) * own).sum(1);
}

}  // namespace

FusionLayer::FusionLayer(const FusionOptions& options, std::int64_t modalities, std::int64_t bins)
    : options_(options),
      mixture_norm_(*this, "mixture_norm", modalities, options.dimension),
      feed_norm_(*this, "feed_norm", modalities, options.dimension) {
  const auto width = options.dimension;
  if (bins > 1) {
    attention_norm_ = StackedNorm(*this, "attention_norm", modalities, width);
    qkv_ = StackedAffine(*this, "attention_qkv", modalities, width, 3 * width, false);
    attended_ = StackedAffine(*this, "attention_output", modalities, width, width);
  }
  mixture_ = register_module("mixture", std::make_shared<ModalityMixture>(options, modalities, bins));
  up_ = StackedAffine(*this, "up", modalities, width, 4 * width);
  down_ = StackedAffine(*this, "down", modalities, 4 * width, width);
}

torch::Tensor FusionLayer::forward(const torch::Tensor& input, const torch::Tensor& present,
                                   FusionResult& account) const {
  const auto count = input.size(0), batch = input.size(1), bins = input.size(2), width = input.size(3);
  const bool training = is_training();
  const auto drop = [&](const torch::Tensor& a) { return drop_shared(a, options_.dropout, training); };
  const auto rows = [&](const torch::Tensor& a) { return a.reshape({count, batch * bins, width}); };
  torch::Tensor x = input;
  if (qkv_.weight.defined()) {
    const auto parts = qkv_(rows(attention_norm_(x))).view({count * batch, bins, 3, width}).unbind(2);
    const torch::Tensor mixed = attend(parts[0], parts[1], parts[2], options_.heads);
    x = x + drop(attended_(rows(mixed)).view(x.sizes()));
  }
  ModalityMixture::Result met = mixture_->forward(mixture_norm_(x), present);
  x = x + drop(met.output);
  if (met.routing.weights.defined()) account.layers.push_back(met.routing);
  if (met.auxiliary_loss.defined())
    account.auxiliary_loss =
        account.auxiliary_loss.defined() ? account.auxiliary_loss + met.auxiliary_loss : met.auxiliary_loss;
  const torch::Tensor hidden = drop(at::relu(up_(rows(feed_norm_(x)))).view({count, batch, bins, 4 * width}));
  return x + drop(down_(hidden.view({count, batch * bins, 4 * width})).view(x.sizes()));
}

CrossAttentionLayer::CrossAttentionLayer(const FusionOptions& options, std::int64_t modalities, std::int64_t bins)
    : options_(options),
      modalities_(modalities),
      bins_(bins),
      norm_(*this, "norm", modalities, options.dimension),
      feed_norm_(*this, "feed_norm", modalities, options.dimension) {
  const auto width = options.dimension;
  const auto blocks = bins > 1 ? modalities * (modalities - 1) : modalities;
  if (modalities > 1) {
    query_ = StackedAffine(*this, "query", blocks, width, width, false);
    key_value_ = StackedAffine(*this, "key_value", blocks, width, 2 * width, false);
    attended_ = StackedAffine(*this, "attention_output", blocks, width, width, false);
  }
  up_ = StackedAffine(*this, "up", modalities, width, 4 * width);
  down_ = StackedAffine(*this, "down", modalities, 4 * width, width);
}

/// x: M x B x T x D -> the same. Blocks are in the order (asking, asked).
torch::Tensor CrossAttentionLayer::over_bins(const torch::Tensor& x, const torch::Tensor& heard) const {
  const auto batch = x.size(1), width = x.size(3), others = modalities_ - 1;
  std::vector<std::int64_t> asking, asked;
  for (std::int64_t m = 0; m < modalities_; ++m)
    for (std::int64_t n = 0; n < modalities_; ++n)
      if (m != n) {
        asking.push_back(m);
        asked.push_back(n);
      }
  const torch::Tensor from = at::tensor(asking, at::kLong).to(x.device());
  const torch::Tensor to = at::tensor(asked, at::kLong).to(x.device());
  const torch::Tensor flat = x.reshape({modalities_, batch * bins_, width});
  const auto blocks = modalities_ * others;
  const torch::Tensor q = query_(flat.index_select(0, from)).view({blocks * batch, bins_, width});
  const auto kv = key_value_(flat.index_select(0, to)).view({blocks * batch, bins_, 2, width}).unbind(2);
  const torch::Tensor answers = attend(q, kv[0], kv[1], options_.heads);
  const torch::Tensor out =
      attended_(answers.reshape({blocks, batch * bins_, width})).view({modalities_, others, batch, bins_, width});
  const torch::Tensor weight = heard.t().index_select(0, to).view({modalities_, others, batch, 1, 1});
  return (out * weight).sum(1) / weight.sum(1).clamp_min(1);
}

/// x: M x B x 1 x D -> the same.
torch::Tensor CrossAttentionLayer::over_modalities(const torch::Tensor& x, const torch::Tensor& heard) const {
  const auto batch = x.size(1), width = x.size(3), heads = options_.heads, each = width / heads;
  const torch::Tensor flat = x.squeeze(2);
  const auto by_head = [&](const torch::Tensor& a) {  // M x B x D -> B x h x M x d
    return a.reshape({modalities_, batch, heads, each}).permute({1, 2, 0, 3});
  };
  const auto kv = key_value_(flat).split(width, 2);
  const double scale = 1 / std::sqrt(static_cast<double>(each));
  const torch::Tensor scores = at::matmul(by_head(query_(flat)) * scale, by_head(kv[0]).transpose(2, 3));
  const torch::Tensor itself = at::eye(modalities_, heard.options());
  const torch::Tensor open = (heard.unsqueeze(1) * (1 - itself)).unsqueeze(1);  // B x 1 x M x M
  // Where nobody can be heard the answer is 0.
  const torch::Tensor weights = scores.masked_fill(open.eq(0), -1e9).softmax(-1) * open;
  const torch::Tensor answers = at::matmul(weights, by_head(kv[1]));
  return attended_(answers.permute({2, 0, 1, 3}).reshape({modalities_, batch, width})).unsqueeze(2);
}

torch::Tensor CrossAttentionLayer::forward(const torch::Tensor& input, const torch::Tensor& heard) const {
  const auto batch = input.size(1), width = input.size(3);
  const auto drop = [&](const torch::Tensor& a) { return drop_shared(a, options_.dropout, is_training()); };
  torch::Tensor x = input;
  if (modalities_ > 1) {
    const torch::Tensor normal = norm_(x);
    x = x + drop(bins_ > 1 ? over_bins(normal, heard) : over_modalities(normal, heard));
  }
  const torch::Tensor rows = feed_norm_(x).reshape({modalities_, batch * bins_, width});
  const torch::Tensor hidden = drop(at::relu(up_(rows)).view({modalities_, batch, bins_, 4 * width}));
  return x + drop(down_(hidden.view({modalities_, batch * bins_, 4 * width})).view(x.sizes()));
}

FusionHead::FusionHead(const FusionOptions& options, std::int64_t inputs, std::int64_t outputs)
    : dropout_(options.dropout), linear_(*this, "linear", inputs, outputs) {
  if (options.head_hidden == 0) return;
  hidden_ = Affine(*this, "hidden", inputs, options.head_hidden);
  output_ = Affine(*this, "output", options.head_hidden, outputs, false);
}

torch::Tensor FusionHead::forward(const torch::Tensor& x) const {
  const torch::Tensor straight = linear_(x);
  if (!hidden_.weight.defined()) return straight;
  return straight + output_(at::dropout(at::relu(hidden_(x)), dropout_, is_training()));
}

}  // namespace clearway::deep
