#include <cmath>
#include <limits>
#include <numbers>

#include "clearway/base/errors.hpp"
#include "clearway/deep/fusion_encoders.hpp"
#include "stacked.hpp"

namespace clearway::deep {

TimeAttention multi_time_attention(const torch::Tensor& values, const torch::Tensor& mask,
                                   const torch::Tensor& scores) {
  const auto batch = values.size(0), places = values.size(1), features = values.size(2);
  const auto heads = scores.size(-3), bins = scores.size(-2);
  const torch::Tensor shift = std::get<0>(scores.detach().max(-1, true));
  const torch::Tensor e = (scores - shift).exp();
  const torch::Tensor by_place =
      (scores.dim() == 3 ? e.view({heads * bins, places}) : e.view({batch, heads * bins, places})).transpose(-2, -1);
  const torch::Tensor both = at::cat({(values * mask).transpose(1, 2), mask.transpose(1, 2)}, 1);
  const torch::Tensor sums = at::matmul(both, by_place).view({batch, 2 * features, heads, bins});
  const torch::Tensor weighted = sums.narrow(1, 0, features), total = sums.narrow(1, features, features);
  // A feature seen only where the scores are 69 below the largest counts as not seen.
  constexpr double kLeast = 1e-30;
  const torch::Tensor nothing = total.le(kLeast);
  const torch::Tensor divisor = total.masked_fill(nothing, 1);
  const torch::Tensor lift = shift.squeeze(-1).view({scores.dim() == 3 ? 1 : batch, 1, heads, bins});
  constexpr double kBeyondLinear = 40;  // log(1 + e^x) = x to the last bit of double
  return {(weighted / divisor).masked_fill(nothing, 0),
          at::softplus(divisor.log() + lift, 1, kBeyondLinear).masked_fill(nothing, 0)};
}

CarriedForward carry_forward(const torch::Tensor& values, const torch::Tensor& mask, const torch::Tensor& times,
                             std::int64_t bins) {
  const torch::NoGradGuard off;
  const auto batch = values.size(0), places = values.size(1), features = values.size(2);
  const torch::Tensor when = times.dim() == 1 ? times.unsqueeze(0).expand({batch, places}) : times;
  // A share of a bin, so that hours divided by the horizon do not fall below their bin by rounding.
  constexpr double kRounding = 1e-4;
  const torch::Tensor here = mask.gt(0);
  const torch::Tensor bin = (when * static_cast<double>(bins) + kRounding)
                                .floor()
                                .clamp(0, static_cast<double>(bins - 1))
                                .masked_fill(here.any(2).logical_not(), static_cast<double>(bins));
  // Places in the order of time, those without any observation last.
  const torch::Tensor order = std::get<1>(
      when.masked_fill(here.any(2).logical_not(), std::numeric_limits<double>::infinity()).sort(true, 1, false));
  const torch::Tensor sorted = here.gather(1, order.unsqueeze(2).expand({batch, places, features}));
  const torch::Tensor rank = at::arange(1, places + 1, order.options()).view({1, places, 1}) * sorted;
  const torch::Tensor latest =
      at::cat({at::zeros({batch, 1, features}, order.options()), std::get<0>(rank.cummax(1))}, 1);
  // How many places come up to the end of every bin.
  const torch::Tensor bounds = at::arange(bins, when.options()).expand({batch, bins}).contiguous();
  const torch::Tensor count = at::searchsorted(bin.gather(1, order), bounds, false, true);
  const torch::Tensor last = latest.gather(1, count.unsqueeze(2).expand({batch, bins, features}));
  const torch::Tensor before = at::constant_pad_nd(count.narrow(1, 0, bins - 1), {1, 0}, 0).unsqueeze(2);
  const torch::Tensor nothing = last.eq(0);
  const torch::Tensor index =
      order.gather(1, (last - 1).clamp_min(0).view({batch, bins * features})).view({batch, bins, features});
  const torch::Tensor end = (at::arange(1, bins + 1, values.options()) / static_cast<double>(bins)).view({1, bins, 1});
  const torch::Tensor seen_at = when.unsqueeze(2).expand({batch, places, features}).gather(1, index);
  return {values.gather(1, index).masked_fill(nothing, 0), last.gt(before).to(values.scalar_type()),
          (end - seen_at).clamp(0, 1).masked_fill(nothing, 1)};
}

ModalityBatch without_absent(const ModalityBatch& batch, const fusion::ModalityShape& shape, SeriesEncoder encoder,
                             const torch::Tensor& present) {
  const bool series = is_series(shape.kind);
  const bool summary = series && (encoder == SeriesEncoder::summary || encoder == SeriesEncoder::both);
  const bool places = series && encoder != SeriesEncoder::summary;
  const bool masked = places || shape.kind == fusion::ModalityKind::fixed;
  const auto rows = present.size(0);
  const torch::Tensor absent = present.eq(0);
  const auto checked = [&](const torch::Tensor& a, const char* what, std::int64_t dimensions, std::int64_t columns) {
    if (!a.defined() || a.dim() != dimensions || a.size(0) != rows || a.size(-1) != columns)
      user_error("modality '{}': {} must have {} axes, {} rows and {} columns, not {}", shape.name, what, dimensions,
                 rows, columns, a.defined() ? fmt::format("[{}]", fmt::join(a.sizes(), ", ")) : "be missing");
    return a.to(present.scalar_type());
  };
  const auto hidden = [&](const torch::Tensor& a) {
    return a.masked_fill(a.dim() == 2 ? absent.view({rows, 1}) : absent.view({rows, 1, 1}), 0);
  };
  ModalityBatch out;
  if (summary) out.summary = hidden(checked(batch.summary, "the summary", 2, shape.summaries));
  if (places || !series) {
    const std::int64_t dimensions = series ? 3 : 2;
    out.values = hidden(checked(batch.values, "values", dimensions, shape.features));
    if (masked) {
      out.mask = hidden(checked(batch.mask, "the mask", dimensions, shape.features));
      if (out.mask.sizes() != out.values.sizes())
        user_error("modality '{}': the mask must have the shape of the values", shape.name);
      out.values = out.values.masked_fill(out.mask.eq(0), 0);
    }
  }
  if (places) {
    const torch::Tensor& times = batch.times;
    if (!times.defined() || times.dim() < 1 || times.dim() > 2 || times.size(-1) != out.values.size(1) ||
        (times.dim() == 2 && times.size(0) != rows))
      user_error("modality '{}': there must be {} times, for all samples or for each", shape.name, out.values.size(1));
    out.times = times.to(present.scalar_type());
    if (out.times.dim() == 2) out.times = hidden(out.times);
  }
  return out;
}

struct ModalityEncoder::Parts {
  Affine first, second;                        // summaries and vectors
  torch::Tensor frequency, phase;              // time embedding
  Affine queries, keys, attended;              // multi-time attention
  torch::Tensor carried_weight, carried_bias;  // imputation: D x 3F x 3
  Affine gate_hidden, gate_output;             // unified gate
};

ModalityEncoder::ModalityEncoder(const FusionOptions& options, const fusion::ModalityShape& shape, std::int64_t bins)
    : options_(options), shape_(shape), bins_(bins), parts_(std::make_unique<Parts>()) {
  const auto width = options.dimension, encoded = options.time_dimension;
  const bool series = is_series(shape.kind);
  const auto encoder = options.encoder;
  const bool gated = encoder == SeriesEncoder::utde || encoder == SeriesEncoder::both;
  if (!series || encoder == SeriesEncoder::summary || encoder == SeriesEncoder::both) {
    const std::int64_t inputs = series                                      ? shape.summaries
                                : shape.kind == fusion::ModalityKind::fixed ? 2 * shape.features
                                                                            : shape.features;
    parts_->first = Affine(*this, "first", inputs, 2 * width);
    parts_->second = Affine(*this, "second", 2 * width, width);
  }
  if (!series) return;
  if (gated || encoder == SeriesEncoder::mtand) {
    // Periods from twice the horizon to two bins, at any phase.
    const double fastest = std::numbers::pi * std::max<double>(2, static_cast<double>(bins));
    const torch::Tensor steps = at::linspace(0, 1, encoded);
    parts_->frequency =
        register_parameter("frequency", at::exp(steps * std::log(fastest / std::numbers::pi)) * std::numbers::pi);
    parts_->phase = register_parameter("phase", at::empty({encoded}, at::kFloat).uniform_(0, 2 * std::numbers::pi));
    // The same map for queries and keys at first, so that near times look at each other; no bias on keys, which cancels.
    parts_->queries = Affine(*this, "queries", encoded, encoded);
    parts_->keys = Affine(*this, "keys", encoded, encoded, false);
    const torch::NoGradGuard off;
    parts_->queries.weight.mul_(2 * std::sqrt(3.0));
    parts_->keys.weight.copy_(parts_->queries.weight);
    parts_->attended = Affine(*this, "attended", 2 * options.time_heads * shape.features, width);
  }
  if (gated || encoder == SeriesEncoder::imputation) {
    parts_->carried_weight =
        register_parameter("carried_weight", even_weights({width, 3 * shape.features, 3}, 9 * shape.features));
    parts_->carried_bias = register_parameter("carried_bias", at::zeros({width}));
  }
  if (gated) {
    parts_->gate_hidden = Affine(*this, "gate_hidden", 2 * width, width);
    parts_->gate_output =
        Affine(*this, "gate_output", width, options.utde_level == UnifiedGateLevel::feature ? width : 1);
  }
}

ModalityEncoder::~ModalityEncoder() = default;

torch::Tensor ModalityEncoder::forward(const ModalityBatch& batch) const {
  const Parts& p = *parts_;
  const bool series = is_series(shape_.kind);
  const bool training = is_training();
  const auto network = [&](const torch::Tensor& x) {
    return p.second(at::dropout(at::relu(p.first(x)), options_.dropout, training)).unsqueeze(1);
  };
  if (!series) {
    const bool fixed = shape_.kind == fusion::ModalityKind::fixed;
    const torch::Tensor x = network(fixed ? at::cat({batch.values, batch.mask}, 1) : batch.values);
    return x.expand({x.size(0), bins_, x.size(2)});
  }
  if (options_.encoder == SeriesEncoder::summary) {
    const torch::Tensor x = network(batch.summary);
    return x.expand({x.size(0), bins_, x.size(2)});
  }
  const auto rows = batch.values.size(0), features = shape_.features;
  const auto attend = [&] {
    const auto heads = options_.time_heads, each = options_.time_dimension / heads;
    // phi(t) = [w_1 t + b_1, sin(w_2 t + b_2), ...], on top of t: ... x time dimension.
    const auto embed = [&](const torch::Tensor& t) {
      const torch::Tensor a = at::addcmul(p.phase, t.unsqueeze(-1), p.frequency);
      return at::cat({a.narrow(-1, 0, 1), a.narrow(-1, 1, a.size(-1) - 1).sin()}, -1);
    };
    const torch::Tensor centres = (at::arange(bins_, batch.values.options()) + 0.5) / static_cast<double>(bins_);
    const torch::Tensor q = p.queries(embed(centres)).view({bins_, heads, each}).transpose(0, 1);  // H x T x d
    const torch::Tensor flat = p.keys(embed(batch.times));
    auto shape = batch.times.sizes().vec();
    shape.insert(shape.end(), {heads, each});
    const torch::Tensor k = flat.view(shape).transpose(-3, -2);  // (B x) H x L x d
    const torch::Tensor scores = at::matmul(q, k.transpose(-2, -1)) / std::sqrt(static_cast<double>(each));
    const TimeAttention seen = multi_time_attention(batch.values, batch.mask, scores);
    const torch::Tensor channels = at::cat({seen.mean, seen.density}, 2).permute({0, 3, 1, 2});
    return p.attended(channels.reshape({rows, bins_, 2 * heads * features}));
  };
  const auto impute = [&] {
    const CarriedForward carried = carry_forward(batch.values, batch.mask, batch.times, bins_);
    const torch::Tensor channels = at::cat({carried.values, carried.observed, carried.age}, 2);
    const torch::Tensor padded = at::constant_pad_nd(channels, {0, 0, 2, 0}, 0);  // causal
    // The convolution as one product: a window of three bins beside each other.
    const torch::Tensor windows = padded.unfold(1, 3, 1).reshape({rows, bins_, 9 * features});
    return at::linear(windows, p.carried_weight.view({options_.dimension, 9 * features}), p.carried_bias);
  };
  switch (options_.encoder) {
    case SeriesEncoder::mtand:
      return attend();
    case SeriesEncoder::imputation:
      return impute();
    default:
      break;
  }
  const torch::Tensor carried = impute(), attended = attend();
  torch::Tensor seen = at::cat({carried, attended}, 2);
  if (options_.utde_level == UnifiedGateLevel::sample) seen = seen.amax(1, true);
  const torch::Tensor gate =
      at::sigmoid(p.gate_output(at::relu(p.gate_hidden(at::dropout(seen, options_.dropout, training)))));
  const torch::Tensor mixed = attended + gate * (carried - attended);
  return options_.encoder == SeriesEncoder::both ? mixed + network(batch.summary) : mixed;
}

}  // namespace clearway::deep
