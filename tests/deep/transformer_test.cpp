// Attention against its definition and finite differences; parameter counts against the published logs; causality.
#include "clearway/deep/transformer.hpp"

#include <gtest/gtest.h>
#include <torch/autograd.h>

#include <cmath>

#include "clearway/deep/attention.hpp"

namespace clearway::deep {
namespace {

double largest(const torch::Tensor& a) {
  return a.abs().max().item<double>();
}

struct Case {
  std::int64_t queries, keys, span, distances;
};

// 150 and 300 queries make several blocks; the block form and the definition differ by rounding only (double).
TEST(Attention, BlocksEqualTheDefinitionWithGradients) {
  torch::manual_seed(1);
  const auto leaf = [](at::IntArrayRef shape) { return at::randn(shape, at::kDouble).set_requires_grad(true); };
  for (const Case c : {Case{5, 5, 0, 0}, Case{150, 150, 0, 0}, Case{150, 190, 0, 0}, Case{150, 190, 40, 40},
                       Case{300, 300, 300, 300}, Case{7, 20, 3, 5}, Case{140, 150, 400, 400}}) {
    std::vector<torch::Tensor> inputs = {leaf({2, 3, c.queries, 4}), leaf({2, 3, c.keys, 4}), leaf({2, 3, c.keys, 4})};
    if (c.distances > 0) inputs.push_back(leaf({4, c.distances}));
    const torch::Tensor relative = c.distances > 0 ? inputs[3] : torch::Tensor();
    const torch::Tensor ours = causal_attention(inputs[0], inputs[1], inputs[2], relative, c.span);
    const torch::Tensor theirs = causal_attention_dense(inputs[0], inputs[1], inputs[2], relative, c.span);
    EXPECT_LT(largest(ours - theirs), 1e-12);
    const torch::Tensor direction = at::randn_like(ours);
    const auto a = torch::autograd::grad({(ours * direction).sum()}, inputs);
    const auto b = torch::autograd::grad({(theirs * direction).sum()}, inputs);
    for (std::size_t i = 0; i < a.size(); ++i) EXPECT_LT(largest(a[i] - b[i]), 1e-11) << i;
  }
}

// score(t, s) = q_t . (k_s + r_{t - s}) / sqrt(D) over keys at most span - 1 earlier, by loops; also with more relative keys than
// there are places.
TEST(Attention, RelativeKeysEqualLoops) {
  torch::manual_seed(5);
  struct Shape {
    std::int64_t queries, keys, span, distances;
  };
  for (const Shape c : {Shape{6, 6, 20, 20}, Shape{4, 9, 3, 5}, Shape{140, 150, 1000, 1000}}) {
    const auto normal = [](at::IntArrayRef shape) { return at::randn(shape, at::kDouble); };
    const torch::Tensor q = normal({1, 1, c.queries, 3}), k = normal({1, 1, c.keys, 3}), v = normal({1, 1, c.keys, 3});
    const torch::Tensor relative = normal({3, c.distances});
    const auto qa = q.accessor<double, 4>(), ka = k.accessor<double, 4>(), va = v.accessor<double, 4>();
    const auto ra = relative.accessor<double, 2>();
    torch::Tensor wanted = at::zeros_like(q);
    auto out = wanted.accessor<double, 4>();
    for (std::int64_t t = 0; t < c.queries; ++t) {
      const std::int64_t place = c.keys - c.queries + t;
      double total = 0;
      for (std::int64_t s = std::max<std::int64_t>(0, place - c.span + 1); s <= place; ++s) {
        double score = 0;
        for (int i = 0; i < 3; ++i) score += qa[0][0][t][i] * (ka[0][0][s][i] + ra[i][place - s]);
        const double weight = std::exp(score / std::sqrt(3.0));
        total += weight;
        for (int i = 0; i < 3; ++i) out[0][0][t][i] += weight * va[0][0][s][i];
      }
      for (int i = 0; i < 3; ++i) out[0][0][t][i] /= total;
    }
    EXPECT_LT(largest(causal_attention(q, k, v, relative, c.span) - wanted), 1e-12);
    EXPECT_LT(largest(causal_attention_dense(q, k, v, relative, c.span) - wanted), 1e-12);
  }
}

// Rotating both queries and keys further by the same number of places changes no product.
TEST(Attention, RotaryProductsDependOnDistanceOnly) {
  torch::manual_seed(2);
  const torch::Tensor q = at::randn({1, 1, 6, 8}, at::kDouble), k = at::randn({1, 1, 6, 8}, at::kDouble);
  const auto product = [&](std::int64_t first) {
    return at::matmul(rotate_positions(q, first), rotate_positions(k, first).transpose(2, 3));
  };
  EXPECT_LT(largest(product(0) - product(1000)), 1e-10);
  EXPECT_LT(largest(rotate_positions(q, 0).narrow(2, 0, 1) - q.narrow(2, 0, 1)), 1e-15);
}

SparseMixtureOptions sixteen() {
  SparseMixtureOptions mixture;
  mixture.experts.experts = 16;
  return mixture;
}

// The deviation of n normal draws has itself a deviation of sigma / sqrt(2 n): five of those.
TEST(LanguageModel, EmbeddingsHaveTheDeviationAskedFor) {
  torch::manual_seed(3);
  for (const double deviation : {0.02, 1.0}) {
    const LanguageModel model({.positions = Positions::learned, .embedding_deviation = deviation}, sixteen(), 205);
    for (const char* name : {"embedding", "position"}) {
      const torch::Tensor drawn = model.named_parameters()[name];
      EXPECT_NEAR(drawn.std().item<double>(), deviation,
                  5 * deviation / std::sqrt(2.0 * static_cast<double>(drawn.numel())))
          << name;
    }
  }
}

// V d + (d V + V) + (d / heads) L + layers (4 d^2 + (16 d + 16) + 16 (2 d^2 + 2 d) + 8 d): the logs of the released code and
// of RMoE (arXiv 2408.06793) print 15.32 M and 36.08 M.
TEST(LanguageModel, HasAsManyParametersAsPublished) {
  EXPECT_EQ(LanguageModel(with_size({}, ModelSize::compete_s), sixteen(), 205).parameter_count(), 15319165);
  EXPECT_EQ(LanguageModel(with_size({}, ModelSize::compete_m), sixteen(), 205).parameter_count(), 36076813);
}

TEST(LanguageModel, NeverLooksAhead) {
  torch::manual_seed(3);
  for (const auto positions : {Positions::learned, Positions::rotary, Positions::relative})
    for (const auto norm : {NormPlace::before, NormPlace::after, NormPlace::twice}) {
      TransformerOptions options;
      options.context = 12;
      options.positions = positions;
      options.norm = norm;
      LanguageModel model(options, {}, 11);
      model.eval();
      const torch::Tensor tokens = at::randint(0, 11, {2, 12}, at::kLong);
      torch::Tensor changed = tokens.clone();
      changed.narrow(1, 7, 5).copy_(at::randint(0, 11, {2, 5}, at::kLong));
      const torch::NoGradGuard off;
      const torch::Tensor a = model.forward(tokens).features, b = model.forward(changed).features;
      EXPECT_LT(largest(a.narrow(1, 0, 7) - b.narrow(1, 0, 7)), 1e-6);
      EXPECT_GT(largest(a.narrow(1, 7, 5) - b.narrow(1, 7, 5)), 1e-3);
    }
}

// A stream in two halves with memory gives what one pass gives.
TEST(LanguageModel, MemoryContinuesAStream) {
  torch::manual_seed(4);
  for (const auto positions : {Positions::rotary, Positions::relative}) {
    TransformerOptions options;
    options.context = options.memory = 16;
    options.positions = positions;
    LanguageModel model(options, {}, 11);
    model.eval();
    const torch::NoGradGuard off;
    const torch::Tensor tokens = at::randint(0, 11, {2, 16}, at::kLong);
    StreamMemory memory;
    const torch::Tensor first = model.forward(tokens.narrow(1, 0, 8), 0, &memory).features;
    const torch::Tensor second = model.forward(tokens.narrow(1, 8, 8), 0, &memory).features;
    EXPECT_LT(largest(model.forward(tokens).features - at::cat({first, second}, 1)), 1e-5);
  }
}

/// Features of tokens read in pieces of these sizes, one after another.
torch::Tensor read_in_pieces(LanguageModel& model, const torch::Tensor& tokens,
                             const std::vector<std::int64_t>& sizes) {
  KeyValueCache cache;
  std::vector<torch::Tensor> out;
  std::int64_t first = 0;
  for (const std::int64_t size : sizes) {
    out.push_back(model.features_after(tokens.narrow(1, first, size), cache));
    first += size;
  }
  EXPECT_EQ(cache.read, first);
  return at::cat(out, 1);
}

// Every router that a language model may have, in every kind of block: keys and values that were kept are those that would be
// computed again. Float sums in another order.
TEST(KeyValueCache, PiecesEqualTheWhole) {
  int routers = 0;
  for (const auto& name : enum_names(RouterKind{})) {
    SparseMixtureOptions mixture;
    mixture.experts.experts = 4;
    mixture.router.router = name.value;
    if (name.value == RouterKind::expert_choice || name.value == RouterKind::soft)
      continue;  // no language model has these
    ++routers;
    for (const auto positions : {Positions::learned, Positions::rotary, Positions::relative})
      for (const auto norm : {NormPlace::before, NormPlace::after, NormPlace::twice}) {
        torch::manual_seed(6);
        TransformerOptions options;
        options.context = 12;
        options.positions = positions;
        options.norm = norm;
        LanguageModel model(options, mixture, 11, 10);
        model.eval();
        const torch::NoGradGuard off;
        const torch::Tensor tokens = at::randint(0, 11, {2, 12}, at::kLong);
        ASSERT_TRUE(model.routes_by_token());
        const torch::Tensor pieces = read_in_pieces(model, tokens, {3, 1, 1, 4, 1, 1, 1});
        EXPECT_LT(largest(model.forward(tokens).features - pieces), 2e-5) << name.name;
      }
  }
  EXPECT_EQ(routers, 19);
}

// Beyond the memory, and beyond what the cache has room for.
TEST(KeyValueCache, KeepsWhatTheMemoryReaches) {
  for (const auto positions : {Positions::rotary, Positions::relative}) {
    torch::manual_seed(7);
    TransformerOptions options;
    options.context = 4;
    options.memory = 6;
    options.positions = positions;
    LanguageModel model(options, {}, 11);
    model.eval();
    const torch::NoGradGuard off;
    const torch::Tensor tokens = at::randint(0, 11, {2, 60}, at::kLong);
    std::vector<std::int64_t> sizes = {4, 4, 3};
    sizes.insert(sizes.end(), 49, 1);
    std::vector<torch::Tensor> out;
    StreamMemory memory;
    std::int64_t first = 0;
    for (const std::int64_t size : sizes) {
      out.push_back(model.forward(tokens.narrow(1, first, size), 0, &memory).features);
      first += size;
    }
    EXPECT_LT(largest(at::cat(out, 1) - read_in_pieces(model, tokens, sizes)), 2e-5);
  }
}

TEST(KeyValueCache, RefusesWhatItCannotKeep) {
  TransformerOptions options;
  options.context = 4;
  LanguageModel model(options, {}, 11);
  const torch::Tensor tokens = at::zeros({1, 3}, at::kLong);
  KeyValueCache cache;
  EXPECT_THROW(model.features_after(tokens, cache), std::logic_error);  // training
  model.eval();
  model.features_after(tokens, cache);
  EXPECT_THROW(model.features_after(tokens, cache), std::invalid_argument);  // 6 tokens
  EXPECT_THROW(model.features_after(at::full({1, 1}, 11, at::kLong), cache), std::invalid_argument);
  SparseMixtureOptions crowded;
  crowded.capacity = 1;
  LanguageModel places(options, crowded, 11);
  places.eval();
  EXPECT_FALSE(places.routes_by_token());
  KeyValueCache other;
  EXPECT_THROW(places.features_after(tokens, other), std::logic_error);
}

TEST(LanguageModel, RefusesWhatDoesNotFit) {
  TransformerOptions odd;
  odd.heads = 5;
  EXPECT_THROW(LanguageModel(odd, {}, 11), std::invalid_argument);
  odd.heads = 64;  // one number per head cannot rotate
  EXPECT_THROW(LanguageModel(odd, {}, 11), std::invalid_argument);
  EXPECT_THROW(LanguageModel({}, {}, 1), std::invalid_argument);
  LanguageModel model({}, {}, 11);
  EXPECT_THROW(model.forward(at::full({1, 4}, 11, at::kLong)), std::invalid_argument);
  EXPECT_THROW(model.forward(at::full({1, 4}, -1, at::kLong)), std::invalid_argument);
  EXPECT_THROW(model.forward(at::zeros({1, 65}, at::kLong)), std::invalid_argument);
}

}  // namespace
}  // namespace clearway::deep
