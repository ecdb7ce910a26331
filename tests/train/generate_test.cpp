// Text from a language model: laws of drawing, and that the tokens are those that the model's own scores name.
#include "clearway/train/generate.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "clearway/train/language_task.hpp"

namespace clearway::train {
namespace {

torch::Tensor row(const std::vector<double>& numbers) {
  return torch::tensor(numbers, at::kDouble);
}

std::vector<double> some_scores() {
  const auto count = *rc::gen::inRange<std::size_t>(1, 12);
  std::vector<double> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(*rc::gen::inRange(-40, 41) / 8.0);
  return out;
}

/// Ids from the largest score to the smallest, ties by number.
std::vector<std::int32_t> ranked(const std::vector<double>& scores) {
  std::vector<std::int32_t> out(scores.size());
  std::iota(out.begin(), out.end(), 0);
  std::stable_sort(out.begin(), out.end(), [&](auto a, auto b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  return out;
}

RC_GTEST_PROP(DrawToken, WithoutTemperatureIsTheLikeliest, ()) {
  const auto scores = some_scores();
  RandomStream random(*rc::gen::arbitrary<std::uint64_t>());
  const std::int32_t likeliest = ranked(scores).front();
  RC_ASSERT(draw_token(row(scores), {.temperature = 0}, random) == likeliest);
  RC_ASSERT(draw_token(row(scores), {.temperature = 3, .likeliest = 1}, random) == likeliest);
  RC_ASSERT(draw_token(row(scores), {.temperature = 3, .nucleus = 1e-12}, random) == likeliest);
}

RC_GTEST_PROP(DrawToken, StaysAmongTheLikeliest, ()) {
  const auto scores = some_scores();
  const auto among = *rc::gen::inRange<std::size_t>(1, 14);
  RandomStream random(*rc::gen::arbitrary<std::uint64_t>());
  const auto order = ranked(scores);
  const auto end = order.begin() + static_cast<std::ptrdiff_t>(std::min(among, order.size()));
  for (int i = 0; i < 20; ++i) {
    const auto drawn =
        draw_token(row(scores), {.temperature = 5, .likeliest = static_cast<std::int64_t>(among)}, random);
    RC_ASSERT(std::find(order.begin(), end, drawn) != end);
  }
}

// The nucleus is the shortest beginning of the ranking that has the probability: all but its last token have less.
RC_GTEST_PROP(DrawToken, StaysInTheNucleus, ()) {
  const auto scores = some_scores();
  const double nucleus =
      *rc::gen::inRange(1, 100) / 100.0 + 0.00123;  // no sum of probabilities is as close as rounding
  RandomStream random(*rc::gen::arbitrary<std::uint64_t>());
  double total = 0, before = 0;
  for (const double s : scores) total += std::exp(s);
  std::set<std::int32_t> inside;
  for (const auto id : ranked(scores)) {
    if (before >= nucleus) break;
    inside.insert(id);
    before += std::exp(scores[static_cast<std::size_t>(id)]) / total;
  }
  for (int i = 0; i < 20; ++i) RC_ASSERT(inside.contains(draw_token(row(scores), {.nucleus = nucleus}, random)));
}

// Frequencies of 20,000 draws: a deviation beyond five standard errors happens once in two million times per cell.
TEST(DrawToken, FrequenciesAreProbabilitiesSharpenedByTemperature) {
  const std::vector<double> p = {0.5, 0.3, 0.15, 0.05};
  std::vector<double> scores;
  for (const double value : p) scores.push_back(std::log(value) + 7);
  struct Case {
    SamplingOptions options;
    std::vector<double> expected;
  };
  const double squares = 0.25 + 0.09 + 0.0225 + 0.0025;
  for (const Case& c :
       {Case{{}, p}, Case{{.temperature = 0.5}, {0.25 / squares, 0.09 / squares, 0.0225 / squares, 0.0025 / squares}},
        Case{{.likeliest = 2}, {0.625, 0.375, 0, 0}},
        Case{{.nucleus = 0.9}, {0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0}}}) {
    RandomStream random(3);
    constexpr int kDraws = 20000;
    std::vector<double> count(p.size());
    for (int i = 0; i < kDraws; ++i) count[static_cast<std::size_t>(draw_token(row(scores), c.options, random))] += 1;
    for (std::size_t i = 0; i < p.size(); ++i)
      EXPECT_NEAR(count[i] / kDraws, c.expected[i], 5 * std::sqrt(c.expected[i] * (1 - c.expected[i]) / kDraws)) << i;
  }
}

deep::LanguageModel small_model(std::uint64_t seed = 1, deep::TransformerOptions shape = {},
                                deep::SparseMixtureOptions mixture = {}) {
  torch::manual_seed(seed);
  mixture.experts.experts = 4;
  shape.layers = 2;
  shape.width = 16;
  shape.heads = 2;
  shape.context = 10;
  deep::LanguageModel model(shape, mixture, 9, 10);
  // Weights of this size make scores that differ; those of a new model hardly do.
  const torch::NoGradGuard off;
  for (torch::Tensor& parameter : model.parameters()) parameter.mul_(3);
  model.eval();
  return model;
}

deep::TransformerOptions placed(deep::Positions positions, std::int64_t memory) {
  deep::TransformerOptions out;
  out.positions = positions;
  out.memory = memory;
  return out;
}

TEST(ContinueText, SameSeedSameText) {
  deep::LanguageModel model = small_model();
  const auto text = [&](std::uint64_t seed) {
    RandomStream random(seed);
    return continue_text(model, {3, 1}, 40, {}, random);
  };
  EXPECT_EQ(text(5), text(5));
  EXPECT_NE(text(5), text(6));
  EXPECT_EQ(text(5).size(), 40U);
}

TEST(ContinueText, EndsWhenToldTo) {
  deep::LanguageModel model = small_model();
  RandomStream random(1);
  std::vector<std::int32_t> told;
  const TokenIds text = continue_text(model, {3}, 40, {}, random, [&](std::int32_t id) {
    told.push_back(id);
    return told.size() < 7;
  });
  EXPECT_EQ(text.size(), 7U);
  EXPECT_EQ(text, told);
  EXPECT_THROW(continue_text(model, {}, 4, {}, random), std::invalid_argument);
}

// Within one context: what evaluation scores with the token in front of it is what generation draws from, so that a text of
// likeliest tokens costs at each place -log of the largest probability. Float sums in another order.
TEST(ContinueText, LikeliestTokensAreThoseOfEvaluation) {
  deep::LanguageModel model = small_model();
  RandomStream random(1);
  TokenIds all = {3, 1};
  const TokenIds added = continue_text(model, all, 8, {.temperature = 0}, random);
  all.insert(all.end(), added.begin(), added.end());
  const torch::NoGradGuard off;
  const std::vector<std::int64_t> ids(all.begin(), all.end());
  const torch::Tensor tokens = torch::tensor(ids).unsqueeze(0);
  const torch::Tensor logits = model.logits(model.forward(tokens).features)[0];
  double nats = 0;
  for (std::int64_t t = 0; t + 1 < 10; ++t) {
    const torch::Tensor log_p = logits[t].log_softmax(0);
    if (t >= 1) {
      EXPECT_EQ(log_p.argmax(0).item<std::int64_t>(), all[static_cast<std::size_t>(t) + 1]) << t;
    }
    nats -= log_p[ids[static_cast<std::size_t>(t) + 1]].item<double>();
  }
  const TextScore score = score_text(model, all, 1, 10);
  EXPECT_EQ(score.scored, 9);
  EXPECT_NEAR(score.nats_per_token() * 9, nats, 1e-4);
}

// The window depends on the length of the text alone, holds more than half a context once there is so much, and moves seldom.
RC_GTEST_PROP(WindowBegin, HoldsHalfAContextOrMore, ()) {
  const auto context = *rc::gen::inRange<std::int64_t>(1, 40);
  std::int64_t before = 0;
  for (std::int64_t count = 1; count <= 5 * context; ++count) {
    const std::int64_t begin = window_begin(count, context);
    if (count <= context) RC_ASSERT(begin == 0);
    RC_ASSERT(begin >= before);
    RC_ASSERT(begin == before || begin - before == context - context / 2);
    RC_ASSERT(count - begin <= context);
    RC_ASSERT(count - begin > std::min(count - 1, context / 2));
    before = begin;
  }
}

// Texts far longer than the context, and than memory and cache: kept keys and values change no token.
TEST(ContinueText, CacheChangesNothing) {
  for (const auto kind :
       {deep::RouterKind::smoe, deep::RouterKind::hash, deep::RouterKind::stable, deep::RouterKind::relu})
    for (const auto positions : {deep::Positions::learned, deep::Positions::rotary, deep::Positions::relative})
      for (const std::int64_t memory : {0, 7}) {
        if (memory > 0 && positions == deep::Positions::learned) continue;
        for (const double capacity : {0.0, 1.0}) {  // with a capacity nothing is kept, whatever is asked for
          deep::SparseMixtureOptions mixture;
          mixture.experts.experts = 4;
          mixture.router.router = kind;
          mixture.capacity = capacity;
          deep::LanguageModel model = small_model(2, placed(positions, memory), mixture);
          const auto text = [&](bool cache) {
            RandomStream random(8);
            return continue_text(model, {3, 1, 4, 1, 5, 2, 6, 5, 3, 5, 8, 0, 7}, 60, {.cache = cache}, random);
          };
          EXPECT_EQ(text(true), text(false));
        }
      }
}

TEST(ContinuationText, GluesNoWords) {
  TokenizerOptions options;
  options.kind = TokenizerKind::word;
  const auto words = make_tokenizer(options, "the film was dull\n", "text");
  const auto text = [&](const std::string& prompt, const std::string& more) {
    return prompt + continuation_text(*words, prompt, words->encode(prompt, "prompt"), words->encode(more, "more"));
  };
  EXPECT_EQ(text("the", "film was"), "the film was");
  EXPECT_EQ(text("the ", "film was"), "the film was");
  EXPECT_EQ(text("the\n", "film was"), "the\nfilm was");
  EXPECT_EQ(text("a strange", "film"), "a strange film");  // words that the model does not know stay as they were typed
  EXPECT_EQ(continuation_text(*words, "", words->encode("\n", "begin"), words->encode("the film", "more")), "the film");
  const auto bytes = make_tokenizer({}, "x", "text");
  EXPECT_EQ(continuation_text(*bytes, "caf", bytes->encode("caf", "prompt"), bytes->encode("\xc3\xa9", "more")),
            "\xc3\xa9");
}

}  // namespace
}  // namespace clearway::train
