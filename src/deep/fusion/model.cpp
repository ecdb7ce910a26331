#include "clearway/deep/fusion_model.hpp"

#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/deep/fusion_encoders.hpp"
#include "layers.hpp"

namespace clearway::deep {
namespace {

using fusion::ModalityKind;

constexpr double kEmbeddingDeviation = 0.02;
constexpr std::int64_t kLargestTable = 10;  ///< modalities up to which every set of them has a vector of its own
constexpr std::int64_t kBankHidden = 32;    ///< of the network that stands for the table beyond
constexpr std::int64_t kTensorRank = 4;     ///< LMF's rank
constexpr double kRidge = 0.01;             ///< penalty per training sample

void check(const FusionOptions& o, const std::vector<fusion::ModalityShape>& modalities, std::int64_t outputs,
           std::int64_t bins) {
  if (modalities.empty()) user_error("fusion: there must be at least one modality");
  if (outputs < 1) user_error("fusion: a model must have at least 1 output, not {}", outputs);
  if (o.dimension < 1 || o.bins < 1)
    user_error("dimension and bins must be at least 1, not {} and {}", o.dimension, o.bins);
  bool series = false;
  for (const fusion::ModalityShape& m : modalities) {
    series = series || is_series(m.kind);
    if (m.features < 1) user_error("modality '{}' must have at least 1 feature, not {}", m.name, m.features);
    const bool summarised =
        o.encoder == SeriesEncoder::summary || o.encoder == SeriesEncoder::both || o.method == FusionMethod::linear;
    if (is_series(m.kind) && summarised && m.summaries < 1)
      user_error("modality '{}' has no summary, which encoder '{}' and method '{}' read", m.name, enum_name(o.encoder),
                 enum_name(o.method));
  }
  if (o.method == FusionMethod::linear) {
    if (o.missing != MissingPolicy::zero && o.missing != MissingPolicy::mask_route)
      user_error("method linear has no tokens, so that missing-policy must be zero, not '{}'", enum_name(o.missing));
    return;
  }
  const bool attends =
      o.encoder == SeriesEncoder::mtand || o.encoder == SeriesEncoder::utde || o.encoder == SeriesEncoder::both;
  if (series && attends && o.time_dimension % o.time_heads != 0)
    user_error("time-heads must divide the time-dimension: {} does not divide {}", o.time_heads, o.time_dimension);
  const bool layered = o.method == FusionMethod::moe || o.method == FusionMethod::dense;
  if (o.layers > 0 && ((layered && bins > 1) || o.method == FusionMethod::cross_attention) &&
      o.dimension % o.heads != 0)
    user_error("heads must divide the dimension: {} does not divide {}", o.heads, o.dimension);
  if (o.method != FusionMethod::moe || o.layers == 0) return;
  if (o.top_k > o.experts) user_error("top-k must be at most the number of experts, {}, not {}", o.experts, o.top_k);
  if (!(o.temperature > 0)) user_error("temperature must be above 0, not {}", o.temperature);
  if (o.load > 0 && !(o.noise > 0))
    user_error("load {} needs noise above 0: without it the load has no derivative", o.load);
  if (o.entropy > 0 && o.router == FusionRouter::disjoint)
    user_error(
        "entropy must be 0 with disjoint routers: no expert is shared, so that the information between modality and "
        "expert is always the logarithm of the number of modalities");
}

torch::Tensor embedding(at::IntArrayRef shape) {
  return at::randn(shape) * kEmbeddingDeviation;
}

/// What the head is told of absent modalities: nothing, or the token that stands for them.
bool speaks_for_absent(MissingPolicy policy) {
  return policy == MissingPolicy::learned || policy == MissingPolicy::bank || policy == MissingPolicy::impute;
}

}  // namespace

struct FusionModel::Parts {
  std::int64_t bins = 1;
  std::vector<std::shared_ptr<ModalityEncoder>> encoders;
  torch::Tensor modality_embedding, position_embedding;  // M x D, T x D
  torch::Tensor missing;                                 // learned: M x D; bank: 2^M x M x D
  Affine bank_hidden, bank_output;
  torch::Tensor imputation;  // impute: M x (M D + M + 1) x D, a buffer
  std::vector<std::shared_ptr<FusionLayer>> layers;
  std::vector<std::shared_ptr<CrossAttentionLayer>> cross_layers;
  StackedNorm norm;
  torch::Tensor pooling;  // M x D
  std::shared_ptr<FusionHead> head;
  StackedAffine late_linear, late_hidden, late_output;
  torch::Tensor late_weight, late_bias;
  StackedAffine factors;  // tensor: M x D x (rank D), bias: the factor of the 1
};

FusionModel::FusionModel(const FusionOptions& options, std::vector<fusion::ModalityShape> modalities,
                         std::int64_t outputs)
    : options_(options), modalities_(std::move(modalities)), parts_(std::make_unique<Parts>()) {
  Parts& p = *parts_;
  const auto count = static_cast<std::int64_t>(modalities_.size()), width = options.dimension;
  for (const fusion::ModalityShape& shape : modalities_)
    if (options.encoder != SeriesEncoder::summary && is_series(shape.kind)) p.bins = options.bins;
  check(options, modalities_, outputs, p.bins);
  const std::int64_t told = options.mask ? count : 0;
  if (options.method == FusionMethod::linear) {
    std::int64_t inputs = told;
    for (const fusion::ModalityShape& m : modalities_)
      inputs += is_series(m.kind) ? m.summaries : m.kind == ModalityKind::fixed ? 2 * m.features : m.features;
    FusionOptions flat = options;
    flat.head_hidden = 0;
    p.head = register_module("head", std::make_shared<FusionHead>(flat, inputs, outputs));
    return;
  }
  for (std::int64_t m = 0; m < count; ++m)
    p.encoders.push_back(
        register_module(fmt::format("encoder{}", m),
                        std::make_shared<ModalityEncoder>(options, modalities_[static_cast<std::size_t>(m)], p.bins)));
  p.modality_embedding = register_parameter("modality_embedding", embedding({count, width}));
  if (p.bins > 1) p.position_embedding = register_parameter("position_embedding", embedding({p.bins, width}));
  switch (options.missing) {
    case MissingPolicy::learned:
      p.missing = register_parameter("missing", embedding({count, width}));
      break;
    case MissingPolicy::bank:
      if (count <= kLargestTable) {
        p.missing = register_parameter("missing", embedding({std::int64_t{1} << count, count, width}));
      } else {
        p.bank_hidden = Affine(*this, "bank_hidden", count, kBankHidden);
        p.bank_output = Affine(*this, "bank_output", kBankHidden, count * width);
      }
      break;
    case MissingPolicy::impute:
      p.imputation = register_buffer("imputation", at::zeros({count, count * width + count + 1, width}));
      break;
    case MissingPolicy::zero:
    case MissingPolicy::mask_route:
      break;
  }
  const bool layered = options.method == FusionMethod::moe || options.method == FusionMethod::dense;
  for (std::int64_t i = 0; i < options.layers; ++i) {
    const std::string name = fmt::format("layer{}", i);
    if (layered) p.layers.push_back(register_module(name, std::make_shared<FusionLayer>(options, count, p.bins)));
    if (options.method == FusionMethod::cross_attention)
      p.cross_layers.push_back(register_module(name, std::make_shared<CrossAttentionLayer>(options, count, p.bins)));
  }
  if (layered || options.method == FusionMethod::cross_attention) p.norm = StackedNorm(*this, "norm", count, width);
  if (p.bins > 1) p.pooling = register_parameter("pooling", at::zeros({count, width}));
  if (options.method == FusionMethod::late) {
    p.late_linear = StackedAffine(*this, "late_linear", count, width, outputs);
    if (options.head_hidden > 0) {
      p.late_hidden = StackedAffine(*this, "late_hidden", count, width, options.head_hidden);
      p.late_output = StackedAffine(*this, "late_output", count, options.head_hidden, outputs, false);
    }
    p.late_weight = register_parameter("late_weight", at::zeros({count}));
    p.late_bias = register_parameter("late_bias", at::zeros({outputs}));
    return;
  }
  std::int64_t inputs = count * width;
  if (options.method == FusionMethod::tensor) {
    inputs = width;
    p.factors = StackedAffine(*this, "factor", count, width, kTensorRank * width);
    const torch::NoGradGuard off;
    // Products of many modalities neither vanish nor explode when factors begin near 1.
    p.factors.bias.fill_(1);
    p.factors.weight.mul_(1 / std::sqrt(static_cast<double>(count)));
  }
  p.head = register_module("head", std::make_shared<FusionHead>(options, inputs + told, outputs));
}

FusionModel::~FusionModel() = default;

std::int64_t FusionModel::parameter_count() const {
  std::int64_t count = 0;
  for (const torch::Tensor& parameter : parameters()) count += parameter.numel();
  return count;
}

namespace {

void check_batch(const FusionBatch& batch, std::size_t count) {
  if (batch.modalities.size() != count)
    user_error("the model was made for {} modalities, and the batch has {}", count, batch.modalities.size());
  if (!batch.present.defined() || batch.present.dim() != 2 || batch.present.size(1) != static_cast<std::int64_t>(count))
    user_error("which modalities are present must be a table of one row per sample and {} columns", count);
}

/// While training every modality but static ones goes with a chance, and never the last one of a sample.
torch::Tensor drop_modalities(const torch::Tensor& present, const std::vector<fusion::ModalityShape>& modalities,
                              double chance) {
  std::vector<std::int64_t> fixed;
  for (const fusion::ModalityShape& m : modalities) fixed.push_back(m.kind == ModalityKind::fixed ? 1 : 0);
  const torch::Tensor stays = at::tensor(fixed, at::kLong).to(present.device()).ne(0);
  // The largest draw among those present stays whatever the chance: the sample's last one.
  const torch::Tensor draw = at::rand_like(present).masked_fill(stays, 1).masked_fill(present.eq(0), -1);
  const torch::Tensor kept = draw.ge(chance).to(present.scalar_type());
  return kept.scatter(1, draw.argmax(1, true), 1) * present;
}

}  // namespace

torch::Tensor FusionModel::tokens(const FusionBatch& batch) {
  check_batch(batch, modalities_.size());
  if (options_.method == FusionMethod::linear) user_error("method linear has no tokens");
  const torch::Tensor present = batch.present.ne(0).to(parts_->modality_embedding.scalar_type());
  std::vector<torch::Tensor> out;
  for (std::size_t m = 0; m < modalities_.size(); ++m) {
    const torch::Tensor there = present.select(1, static_cast<std::int64_t>(m));
    out.push_back(parts_->encoders[m]
                      ->forward(without_absent(batch.modalities[m], modalities_[m], options_.encoder, there))
                      .mean(1) *
                  there.unsqueeze(1));
  }
  return at::stack(out, 1);
}

void FusionModel::fit_imputation(const torch::Tensor& tokens, const torch::Tensor& present) {
  if (options_.missing != MissingPolicy::impute || options_.method == FusionMethod::linear) return;
  const torch::NoGradGuard off;
  const auto count = static_cast<std::int64_t>(modalities_.size()), width = options_.dimension;
  if (tokens.dim() != 3 || tokens.size(1) != count || tokens.size(2) != width || present.dim() != 2 ||
      present.size(0) != tokens.size(0) || present.size(1) != count)
    user_error("imputation: wants n x {} x {} tokens and an n x {} table of presence", count, width, count);
  const torch::Tensor z = tokens.detach().to(at::kDouble), there = present.ne(0).to(at::kDouble);
  const torch::Tensor inputs =
      at::cat({(z * there.unsqueeze(2)).reshape({-1, count * width}), there, at::ones({z.size(0), 1}, z.options())}, 1);
  for (std::int64_t m = 0; m < count; ++m) {
    const torch::Tensor rows = there.select(1, m).nonzero().squeeze(1);
    torch::Tensor own = inputs.index_select(0, rows);
    // As if the modality were absent: what it says itself must not be used.
    own.narrow(1, m * width, width).zero_();
    own.narrow(1, count * width + m, 1).zero_();
    const double penalty = kRidge * static_cast<double>(rows.numel()) + kRidge;
    const torch::Tensor normal = at::mm(own.t(), own) + penalty * at::eye(own.size(1), own.options());
    const torch::Tensor solved =
        at::cholesky_solve(at::mm(own.t(), z.select(1, m).index_select(0, rows)), at::linalg_cholesky(normal));
    parts_->imputation.select(0, m).copy_(solved);
  }
}

FusionResult FusionModel::forward(const FusionBatch& batch) {
  check_batch(batch, modalities_.size());
  const Parts& p = *parts_;
  const auto count = static_cast<std::int64_t>(modalities_.size()), width = options_.dimension;
  const auto rows = batch.present.size(0);
  const torch::Tensor any = parameters().front();
  torch::Tensor present = batch.present.ne(0).to(any.scalar_type());
  if (is_training() && options_.modality_dropout > 0)
    present = drop_modalities(present, modalities_, options_.modality_dropout);
  const auto there = [&](std::size_t m) { return present.select(1, static_cast<std::int64_t>(m)); };
  FusionResult out;
  if (options_.method == FusionMethod::linear) {
    std::vector<torch::Tensor> columns;
    for (std::size_t m = 0; m < modalities_.size(); ++m) {
      const ModalityBatch one = without_absent(batch.modalities[m], modalities_[m], SeriesEncoder::summary, there(m));
      columns.push_back(is_series(modalities_[m].kind) ? one.summary : one.values);
      if (modalities_[m].kind == ModalityKind::fixed) columns.push_back(one.mask);
    }
    if (options_.mask) columns.push_back(present);
    out.output = p.head->forward(at::cat(columns, 1));
    return out;
  }

  // Tokens, M x B x T x D; nothing of absent modalities from here on.
  std::vector<torch::Tensor> encoded;
  for (std::size_t m = 0; m < modalities_.size(); ++m)
    encoded.push_back(
        p.encoders[m]->forward(without_absent(batch.modalities[m], modalities_[m], options_.encoder, there(m))));
  const torch::Tensor here = present.t().reshape({count, rows, 1, 1});
  torch::Tensor place = p.modality_embedding.view({count, 1, 1, width});
  if (p.position_embedding.defined()) place = place + p.position_embedding;  // M x 1 x T x D
  torch::Tensor x = at::stack(encoded) * here;
  torch::Tensor stand_in;  // M x B x D
  switch (options_.missing) {
    case MissingPolicy::learned:
      stand_in = p.missing.unsqueeze(1).expand({count, rows, width});
      break;
    case MissingPolicy::bank:
      if (p.missing.defined()) {
        const torch::Tensor power =
            at::tensor(1, at::kLong).to(x.device()).bitwise_left_shift(at::arange(count, x.options().dtype(at::kLong)));
        const torch::Tensor pattern = (present.to(at::kLong) * power).sum(1);
        stand_in = p.missing.index_select(0, pattern).transpose(0, 1);
      } else {
        stand_in = p.bank_output(at::relu(p.bank_hidden(present))).view({rows, count, width}).transpose(0, 1);
      }
      break;
    case MissingPolicy::impute: {
      const torch::Tensor means = x.mean(2).transpose(0, 1).reshape({rows, count * width});
      const torch::Tensor known = at::cat({means, present, at::ones({rows, 1}, x.options().requires_grad(false))}, 1);
      stand_in = at::matmul(known, p.imputation);
      break;
    }
    case MissingPolicy::zero:
    case MissingPolicy::mask_route:
      break;
  }
  const bool speaks = speaks_for_absent(options_.missing);
  x = speaks ? x + (1 - here) * stand_in.unsqueeze(2) + place : x + here * place;
  const torch::Tensor heard = speaks ? at::ones_like(present) : present;

  for (const auto& layer : p.layers) x = layer->forward(x, present, out);
  for (const auto& layer : p.cross_layers) x = layer->forward(x, heard);
  if (p.norm.weight.defined()) x = p.norm(x);
  // Attention over bins, the mean at first: M x B x D.
  torch::Tensor pooled = x.squeeze(2);
  if (p.pooling.defined()) {
    const torch::Tensor weights = at::matmul(x, p.pooling.view({count, 1, width, 1})).softmax(2);
    pooled = (x * weights).sum(2);
  }
  if (!speaks) pooled = pooled * present.t().unsqueeze(2);

  if (options_.method == FusionMethod::late) {
    torch::Tensor votes = p.late_linear(pooled);
    if (p.late_hidden.weight.defined())
      votes = votes + p.late_output(at::dropout(at::relu(p.late_hidden(pooled)), options_.dropout, is_training()));
    const torch::Tensor weight = p.late_weight.exp().unsqueeze(1) * heard.t();  // M x B
    const torch::Tensor share = weight / weight.sum(0, true).clamp_min(std::numeric_limits<float>::min());
    out.output = (votes * share.unsqueeze(2)).sum(0) + p.late_bias;
    return out;
  }
  torch::Tensor side_by_side;
  if (options_.method == FusionMethod::tensor) {
    // Sum over ranks of the product over modalities of [1; z_m] W_m (low-rank fusion).
    torch::Tensor product;
    for (const torch::Tensor& factor : p.factors(pooled).unbind())
      product = product.defined() ? product * factor : factor;
    side_by_side = product.view({rows, kTensorRank, width}).sum(1);
  } else {
    side_by_side = pooled.transpose(0, 1).reshape({rows, count * width});
  }
  if (options_.mask) side_by_side = at::cat({side_by_side, present}, 1);
  out.output = p.head->forward(side_by_side);
  return out;
}

}  // namespace clearway::deep
