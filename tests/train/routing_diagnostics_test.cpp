// Routing decided by responses against the same by hand, and how much routing changes between checkpoints.
#include "clearway/train/routing_diagnostics.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "clearway/deep/affinity.hpp"
#include "rehearsal.hpp"

namespace clearway::train {
using namespace testing_rehearsal;  // NOLINT(google-build-using-namespace)
namespace {

struct Scores {
  double by_router, by_response;
};

Scores scores_of(deep::LanguageModel& model, const EncodedText& text) {
  model.eval();
  Scores out{};
  out.by_router = score_text(model, text.tokens, 4, model.options().context).nats_per_token();
  for (const auto& layer : model.mixtures()) layer->decide_by_response(true);
  out.by_response = score_text(model, text.tokens, 4, model.options().context).nats_per_token();
  for (const auto& layer : model.mixtures()) layer->decide_by_response(false);
  return out;
}

// The policy whose experts decide always, on the same weights, is the oracle of what is measured "by competition": the same
// operations, hence the same bits. Its own measure does not change when told to decide by response.
TEST(ByCompetition, EqualsThePolicyThatAlwaysCompetes) {
  for (const auto kind : {deep::RouterKind::compete, deep::RouterKind::compete_v1, deep::RouterKind::compete_v2}) {
    Rehearsal rehearsal;
    rehearsal.mixture.router.router = kind;
    const NamedTensors weights = rehearsal.run(nullptr, false);
    const auto learned = rehearsal.model();
    load_into(*learned, weights, "learned");
    rehearsal.mixture.router.competition = deep::CompetitionUse::oracle;
    const auto oracle = rehearsal.model();
    load_into(*oracle, weights, "oracle");
    const Scores routed = scores_of(*learned, rehearsal.valid), competed = scores_of(*oracle, rehearsal.valid);
    EXPECT_DOUBLE_EQ(routed.by_response, competed.by_router);
    EXPECT_DOUBLE_EQ(competed.by_response, competed.by_router);
    EXPECT_GT(std::abs(routed.by_router - routed.by_response), 1e-3);
  }
}

// A router that knows no competition: the K experts of the largest norms, weighted by the softmax of these norms, one token and
// one expert at a time. Float sums in another order.
TEST(ByCompetition, EqualsRoutingByHand) {
  Rehearsal rehearsal;
  rehearsal.mixture.router.router = deep::RouterKind::smoe;
  const auto model = rehearsal.model();
  deep::SparseMixture& layer = *model->mixtures().front();
  const torch::NoGradGuard off;
  torch::manual_seed(3);
  deep::RoutingRequest request;
  request.x = at::randn({7, 16});
  request.ids = at::zeros({7}, at::kLong);
  layer.eval();
  const torch::Tensor routed = layer.forward(request).output;
  layer.decide_by_response(true);
  const torch::Tensor decided = layer.forward(request).output;
  const deep::ExpertBank& bank = layer.experts();
  for (std::int64_t t = 0; t < 7; ++t) {
    std::vector<std::pair<double, torch::Tensor>> answers;
    for (std::int64_t i = 0; i < 4; ++i) {
      const torch::Tensor hidden = at::relu(at::matmul(request.x[t], bank.w1[i]) + bank.b1[i]);
      const torch::Tensor answer = at::matmul(hidden, bank.w2[i]) + bank.b2[i];
      answers.emplace_back(std::sqrt(answer.to(at::kDouble).square().sum().item<double>()), answer);
    }
    std::sort(answers.begin(), answers.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    const double share = 1 / (1 + std::exp(answers[1].first - answers[0].first));
    const torch::Tensor expected = share * answers[0].second + (1 - share) * answers[1].second;
    EXPECT_LT((decided[t] - expected).abs().max().item<double>(), 1e-5) << t;
  }
  EXPECT_GT((decided - routed).abs().max().item<double>(), 1e-3);
}

/// Share of tokens whose first expert is another one at the later of two checkpoints, over all sparse layers.
double fluctuation(Rehearsal& rehearsal, std::int64_t early, std::int64_t late) {
  const TemporaryFolder place;
  const RunFolder folder = new_run(place, "run");
  int asked = 0;
  LoopCallbacks until_early;
  until_early.stop = [&] { return ++asked == early; };
  rehearsal.loop.steps = late;
  const NamedTensors before = rehearsal.run(&folder, false, until_early), after = rehearsal.run(&folder, true);
  EXPECT_EQ(rehearsal.result.steps, late);
  EXPECT_FALSE(before.at("embedding").equal(after.at("embedding")));
  const torch::Tensor tokens =
      at::tensor(std::vector<std::int64_t>(rehearsal.valid.tokens.begin(), rehearsal.valid.tokens.begin() + 16 * 16))
          .reshape({16, 16});
  const auto experts = [&](const NamedTensors& weights) {
    const auto model = rehearsal.model();
    load_into(*model, weights, "checkpoint");
    return first_experts(*model, tokens);
  };
  return experts(before).ne(experts(after)).to(at::kDouble).mean().item<double>();
}

// Row B7 of the claims on routers: a table of tokens, and the second stage of StableMoE, route for ever as they do once. A learned
// router and the first stage do not, so the measure can tell.
TEST(RoutingFluctuation, B7IsZeroForHashAndTheSecondStageOfStable) {
  Rehearsal rehearsal;
  rehearsal.rate.peak = 0.02;
  rehearsal.mixture.router.router = deep::RouterKind::hash;
  EXPECT_EQ(fluctuation(rehearsal, 20, 40), 0);
  rehearsal.mixture.router.router = deep::RouterKind::smoe;
  EXPECT_GT(fluctuation(rehearsal, 20, 40), 0);
  rehearsal.mixture.router.router = deep::RouterKind::stable;
  rehearsal.mixture.router.stage_one = 0.25;  // 10 of 40 steps
  EXPECT_EQ(fluctuation(rehearsal, 20, 40), 0);
  rehearsal.mixture.router.stage_one = 1;
  EXPECT_GT(fluctuation(rehearsal, 20, 40), 0);
}

}  // namespace
}  // namespace clearway::train
