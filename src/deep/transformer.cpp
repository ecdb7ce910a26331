#include "clearway/deep/transformer.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "clearway/base/errors.hpp"
#include "clearway/deep/attention.hpp"
#include "fused_norm.hpp"

namespace clearway::deep {
namespace {

constexpr double kNormEpsilon = 1e-5;

struct Norm {
  torch::Tensor weight, bias;
  torch::Tensor operator()(const torch::Tensor& x) const { return layer_norm(x, weight, bias, kNormEpsilon); }
};

}  // namespace

/// Attention, then a sparse mixture or a feed-forward network.
class LanguageModel::Block : public torch::nn::Module {
 public:
  Block(const TransformerOptions& options, const torch::Tensor& relative, std::shared_ptr<SparseMixture> mixture)
      : options_(options), relative_(relative), mixture_(std::move(mixture)) {
    const auto width = options.width;
    const double bound = 1 / std::sqrt(static_cast<double>(width));
    const auto linear = [&](const char* name, std::int64_t outputs, std::int64_t inputs, double shrink = 1) {
      const double limit = shrink / std::sqrt(static_cast<double>(inputs));
      return register_parameter(name, at::empty({outputs, inputs}, at::kFloat).uniform_(-limit, limit));
    };
    qkv_ = register_parameter("attention_qkv", at::empty({3 * width, width}, at::kFloat).uniform_(-bound, bound));
    // What is added to the residual stream begins smaller the more blocks add to it (GPT-2).
    const double shrink =
        options.norm == NormPlace::before ? 1 / std::sqrt(2.0 * static_cast<double>(options.layers)) : 1;
    attention_output_ = linear("attention_output", width, width, shrink);
    const auto norm = [&](const std::string& name) {
      return Norm{register_parameter(name + "_weight", at::ones({width})),
                  register_parameter(name + "_bias", at::zeros({width}))};
    };
    first_ = norm("norm1");
    second_ = norm("norm2");
    if (options.norm == NormPlace::twice) {
      inner_ = norm("norm_sparse");
      unused_ = norm("norm3");  // part of the released models: allocated in every block, used in dense ones
    }
    if (mixture_) {
      register_module("mixture", mixture_);
      return;
    }
    const std::int64_t hidden = options.hidden > 0 ? options.hidden : 4 * width;
    up_ = linear("up_weight", hidden, width);
    up_bias_ = register_parameter("up_bias", at::zeros({hidden}));
    down_ = linear("down_weight", width, hidden, shrink);
    down_bias_ = register_parameter("down_bias", at::zeros({width}));
  }

  /// x: B x T x C; memory: B x M x C or undefined; `cache`, if given, stands for it. The sparse layer's account goes to
  /// `account`.
  torch::Tensor forward(const torch::Tensor& x, const torch::Tensor& memory, const torch::Tensor& ids,
                        const torch::Tensor& kept, std::int64_t step, std::vector<SparseMixtureResult>& account,
                        KeyValueCache::Entry* cache = nullptr, std::int64_t position = 0) {
    const auto attended = [&](const torch::Tensor& in, const torch::Tensor& earlier) {
      return cache != nullptr ? attend_to_cache(in, *cache, position) : attend(in, earlier);
    };
    switch (options_.norm) {
      case NormPlace::before: {
        const torch::Tensor y = x + drop(attended(first_(x), memory.defined() ? first_(memory) : memory));
        return y + drop(feed(second_(y), ids, kept, step, account));
      }
      case NormPlace::after: {
        const torch::Tensor y = first_(x + drop(attended(x, memory)));
        return second_(y + drop(feed(y, ids, kept, step, account)));
      }
      case NormPlace::twice:
        break;
    }
    const torch::Tensor y = first_(x + attended(x, memory));
    if (!mixture_) return unused_(y + feed(y, ids, kept, step, account));
    return second_(y + inner_(y + drop(feed(y, ids, kept, step, account))));
  }

 private:
  torch::Tensor drop(const torch::Tensor& x) const { return at::dropout(x, options_.dropout, is_training()); }

  torch::Tensor attend(const torch::Tensor& x, const torch::Tensor& memory) const {
    const auto batch = x.size(0), count = x.size(1), width = options_.width, heads = options_.heads;
    const bool drops = is_training() && options_.dropout > 0;
    if (!memory.defined() && !relative_.defined() && !drops)
      return at::linear(causal_self_attention(at::linear(x, qkv_), heads, options_.positions == Positions::rotary),
                        attention_output_);
    const torch::Tensor seen = memory.defined() ? at::cat({memory, x}, 1) : x;
    const auto split = [&](const torch::Tensor& a) {
      return a.reshape({batch, a.size(1), heads, width / heads}).transpose(1, 2);
    };
    torch::Tensor q, k, v;
    if (memory.defined()) {
      const auto weights = qkv_.split(width);
      q = split(at::linear(x, weights[0]));
      k = split(at::linear(seen, weights[1]));
      v = split(at::linear(seen, weights[2]));
    } else {
      const auto parts = at::linear(x, qkv_).split(width, 2);
      q = split(parts[0]);
      k = split(parts[1]);
      v = split(parts[2]);
    }
    if (options_.positions == Positions::rotary) {
      q = rotate_positions(q, seen.size(1) - count);
      k = rotate_positions(k, 0);
    }
    const std::int64_t span = relative_.defined() ? relative_.size(1) : 0;
    const torch::Tensor mixed = drops ? causal_attention_dense(q, k, v, relative_, span, options_.dropout)
                                      : causal_attention(q, k, v, relative_, span);
    return at::linear(mixed.transpose(1, 2).reshape({batch, count, width}), attention_output_);
  }

  /// Attention to what the cache holds and to the tokens themselves, the first of which is at `position` of the text.
  torch::Tensor attend_to_cache(const torch::Tensor& x, KeyValueCache::Entry& cache, std::int64_t position) const {
    const auto batch = x.size(0), count = x.size(1), width = options_.width, heads = options_.heads;
    auto parts = at::linear(x, qkv_).split(width, 2);
    for (torch::Tensor& part : parts) part = part.reshape({batch, count, heads, width / heads}).transpose(1, 2);
    if (options_.positions == Positions::rotary) {
      parts[0] = rotate_positions(parts[0], position);
      parts[1] = rotate_positions(parts[1], position);
    }
    make_room(cache, parts[1]);
    cache.keys.narrow(2, cache.count, count).copy_(parts[1]);
    cache.values.narrow(2, cache.count, count).copy_(parts[2]);
    const std::int64_t begin = options_.memory > 0 ? std::max<std::int64_t>(0, cache.count - options_.memory) : 0;
    cache.count += count;
    const auto seen = [&](const torch::Tensor& held) { return held.narrow(2, begin, cache.count - begin); };
    const std::int64_t span = relative_.defined() ? relative_.size(1) : 0;
    const torch::Tensor mixed = causal_attention(parts[0], seen(cache.keys), seen(cache.values), relative_, span);
    return at::linear(mixed.transpose(1, 2).reshape({batch, count, width}), attention_output_);
  }

  /// Drops what the memory no longer reaches and sees to places for `next` (B x H x T x D).
  void make_room(KeyValueCache::Entry& cache, const torch::Tensor& next) const {
    const auto count = next.size(2);
    const std::int64_t kept = options_.memory > 0 ? std::min(cache.count, options_.memory) : cache.count;
    const bool first = !cache.keys.defined();
    // Twice the memory, so that what is kept moves seldom.
    const std::int64_t places =
        options_.memory > 0 ? 2 * options_.memory + options_.context : std::max(options_.context, kept + count);
    if (!first && cache.count + count <= cache.keys.size(2)) return;
    for (torch::Tensor* held : {&cache.keys, &cache.values}) {
      const torch::Tensor room = at::empty({next.size(0), next.size(1), places, next.size(3)}, next.options());
      if (kept > 0) room.narrow(2, 0, kept).copy_(held->narrow(2, cache.count - kept, kept));
      *held = room;
    }
    cache.count = kept;
  }

  torch::Tensor feed(const torch::Tensor& x, const torch::Tensor& ids, const torch::Tensor& kept, std::int64_t step,
                     std::vector<SparseMixtureResult>& account) {
    if (!mixture_) {
      const torch::Tensor hidden = at::relu(at::linear(x, up_, up_bias_));
      return at::linear(at::dropout(hidden, options_.dropout, is_training()), down_, down_bias_);
    }
    RoutingRequest request;
    const torch::Tensor rows = x.reshape({-1, options_.width});
    request.x = kept.defined() ? rows.index_select(0, kept) : rows;
    request.ids = kept.defined() ? ids.index_select(0, kept) : ids;
    request.training = is_training();
    request.step = step;
    account.push_back(mixture_->forward(request));
    const torch::Tensor& answer = account.back().output;
    return (kept.defined() ? at::zeros_like(rows).index_copy(0, kept, answer) : answer).reshape(x.sizes());
  }

  TransformerOptions options_;
  torch::Tensor relative_;  // shared by all blocks, owned by the model
  std::shared_ptr<SparseMixture> mixture_;
  torch::Tensor qkv_, attention_output_, up_, up_bias_, down_, down_bias_;
  Norm first_, second_, inner_, unused_;
};

LanguageModel::LanguageModel(const TransformerOptions& options, SparseMixtureOptions mixture, std::int64_t vocabulary,
                             std::int64_t total_steps)
    : options_(options), vocabulary_(vocabulary) {
  if (options.width % options.heads != 0)
    user_error("heads must divide the width: {} does not divide {}", options.heads, options.width);
  if (options.positions == Positions::rotary && options.width / options.heads % 2 != 0)
    user_error("rotary positions need an even width per head, not {} / {} = {}", options.width, options.heads,
               options.width / options.heads);
  if (vocabulary < 2) user_error("the vocabulary must have at least 2 tokens, not {}", vocabulary);
  if (options.memory > 0 && options.positions == Positions::learned)
    user_error("memory needs rotary or relative positions: learned ones belong to places in the context");
  const auto width = options.width;
  const auto normal = [&](at::IntArrayRef shape) { return at::randn(shape) * options.embedding_deviation; };
  embedding_ = register_parameter("embedding", normal({vocabulary, width}));
  torch::Tensor relative;
  if (options.positions == Positions::learned)
    position_ = register_parameter("position", normal({options.context, width}));
  if (options.positions == Positions::relative)
    relative = position_ = register_parameter(
        "relative_keys", normal({width / options.heads, options.memory > 0 ? options.memory : options.context}));

  mixture.experts.inputs = width;
  mixture.experts.hidden = options.hidden > 0 ? options.hidden : width;
  mixture.experts.dropout = options.dropout;
  const int sparse = options.sparse_every > 0 ? static_cast<int>(options.layers / options.sparse_every) : 0;
  for (std::int64_t i = 0; i < options.layers; ++i) {
    std::shared_ptr<SparseMixture> layer;
    if (options.sparse_every > 0 && (i + 1) % options.sparse_every == 0) {
      layer =
          std::make_shared<SparseMixture>(mixture, static_cast<int>(mixtures_.size()), sparse, vocabulary, total_steps);
      if (!layer->router().causal())
        user_error("router '{}' looks at later tokens, so a language model with it would see what it must predict",
                   enum_name(mixture.router.router));
      mixtures_.push_back(layer);
    }
    blocks_.push_back(register_module(fmt::format("block{}", i), std::make_shared<Block>(options, relative, layer)));
  }
  if (options.norm == NormPlace::before) {
    norm_weight_ = register_parameter("norm_weight", at::ones({width}));
    norm_bias_ = register_parameter("norm_bias", at::zeros({width}));
  }
  if (!options.tied) {
    const double bound = 1 / std::sqrt(static_cast<double>(width));
    output_weight_ =
        register_parameter("output_weight", at::empty({vocabulary, width}, at::kFloat).uniform_(-bound, bound));
    output_bias_ = register_parameter("output_bias", at::zeros({vocabulary}));
  }
}

void LanguageModel::check_tokens(const torch::Tensor& tokens) const {
  if (tokens.dim() != 2 || tokens.scalar_type() != at::kLong || tokens.size(1) < 1)
    user_error("tokens must be a B x T table of int64 with at least one column");
  const auto smallest = tokens.min().item<std::int64_t>(), largest = tokens.max().item<std::int64_t>();
  if (smallest < 0 || largest >= vocabulary_)
    user_error("token {} is outside of the vocabulary of {}", smallest < 0 ? smallest : largest, vocabulary_);
}

LanguageModelResult LanguageModel::forward(const torch::Tensor& tokens, std::int64_t step, StreamMemory* memory,
                                           const torch::Tensor& kept) {
  check_tokens(tokens);
  if (tokens.size(1) > options_.context)
    user_error("{} tokens in a row: the context is {}", tokens.size(1), options_.context);
  torch::Tensor x = at::embedding(embedding_, tokens);
  if (options_.positions == Positions::learned) x = x + position_.narrow(0, 0, tokens.size(1));
  x = at::dropout(x, options_.dropout, is_training());
  const torch::Tensor ids = tokens.reshape({-1});
  LanguageModelResult out;
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    torch::Tensor seen;
    if (memory != nullptr && options_.memory > 0) {
      if (memory->size() == blocks_.size()) seen = (*memory)[i];
      const torch::Tensor stream = seen.defined() ? at::cat({seen, x.detach()}, 1) : x.detach();
      if (memory->size() != blocks_.size()) memory->resize(blocks_.size());
      (*memory)[i] = stream.narrow(1, std::max<std::int64_t>(0, stream.size(1) - options_.memory),
                                   std::min(stream.size(1), options_.memory));
    }
    x = blocks_[i]->forward(x, seen, ids, kept, step, out.layers);
  }
  for (const SparseMixtureResult& layer : out.layers)
    if (layer.auxiliary_loss.defined())
      out.auxiliary_loss =
          out.auxiliary_loss.defined() ? out.auxiliary_loss + layer.auxiliary_loss : layer.auxiliary_loss;
  if (norm_weight_.defined()) x = layer_norm(x, norm_weight_, norm_bias_, kNormEpsilon);
  out.features = x;
  return out;
}

bool LanguageModel::routes_by_token() const {
  return std::all_of(mixtures_.begin(), mixtures_.end(), [](const auto& layer) {
    return layer->router().causal() && layer->options().capacity <= 0 && !layer->is_spread();
  });
}

torch::Tensor LanguageModel::features_after(const torch::Tensor& tokens, KeyValueCache& cache) {
  if (is_training()) throw std::logic_error("a cache of keys and values is for evaluation");
  if (!routes_by_token()) throw std::logic_error("experts depend on tokens that a cache does not hold");
  check_tokens(tokens);
  const auto count = tokens.size(1);
  if (options_.memory == 0 && cache.read + count > options_.context)
    user_error("{} tokens behind {} others: the context is {}", count, cache.read, options_.context);
  const torch::NoGradGuard off;
  cache.blocks.resize(blocks_.size());
  torch::Tensor x = at::embedding(embedding_, tokens);
  if (options_.positions == Positions::learned) x = x + position_.narrow(0, cache.read, count);
  std::vector<SparseMixtureResult> account;
  const torch::Tensor ids = tokens.reshape({-1});
  for (std::size_t i = 0; i < blocks_.size(); ++i)
    x = blocks_[i]->forward(x, {}, ids, {}, 0, account, &cache.blocks[i], cache.read);
  cache.read += count;
  return norm_weight_.defined() ? layer_norm(x, norm_weight_, norm_bias_, kNormEpsilon) : x;
}

torch::Tensor LanguageModel::logits(const torch::Tensor& features) const {
  return options_.tied ? at::linear(features, embedding_) : at::linear(features, output_weight_, output_bias_);
}

std::int64_t LanguageModel::parameter_count() const {
  std::int64_t count = 0;
  for (const torch::Tensor& parameter : parameters()) count += parameter.numel();
  return count;
}

TransformerOptions with_size(TransformerOptions options, ModelSize size) {
  const auto shape = [&](std::int64_t layers, std::int64_t width, std::int64_t heads, std::int64_t context) {
    options.layers = layers;
    options.width = width;
    options.heads = heads;
    options.context = context;
  };
  // What the released models share: post-norm, relative keys over 2048 earlier tokens, experts as wide as the model.
  const auto published = [&](std::int64_t layers, std::int64_t width, std::int64_t sparse_every) {
    shape(layers, width, 8, 512);
    options.memory = 2048;
    options.hidden = width;
    options.positions = Positions::relative;
    options.norm = NormPlace::twice;
    options.tied = false;
    options.dropout = 0.1;
    options.sparse_every = sparse_every;
  };
  switch (size) {
    case ModelSize::custom:
      break;
    case ModelSize::tiny:
      shape(2, 64, 4, 64);
      break;
    case ModelSize::small:
      shape(4, 128, 4, 128);
      break;
    case ModelSize::medium:
      shape(8, 256, 8, 256);
      break;
    case ModelSize::compete_s:
      published(6, 264, 1);
      break;
    case ModelSize::compete_m:
      published(8, 352, 1);
      break;
    case ModelSize::glam_s:
      published(8, 264, 2);
      break;
    case ModelSize::glam_m:
      published(12, 352, 2);
      break;
  }
  return options;
}

}  // namespace clearway::deep
