// Competition: affinities, weights, targets, schedule, and what must not happen in a step.
#include "clearway/deep/routers/competition.hpp"

#include "clearway/base/random.hpp"
#include "clearway/deep/affinity.hpp"
#include "clearway/deep/competition_schedule.hpp"
#include "clearway/deep/losses.hpp"
#include "routing_cases.hpp"

namespace clearway::deep {
namespace {

constexpr std::int64_t kD = 6, kN = 4, kT = 9;

RouterOptions always(RouterKind kind) {
  return {.router = kind, .competition = CompetitionUse::always};
}
std::vector<RouterKind> competitions() {
  return {RouterKind::compete, RouterKind::compete_v1, RouterKind::compete_v2};
}
double softplus(double t) {
  return std::log1p(std::exp(t));
}

torch::Tensor inputs() {
  torch::manual_seed(5);
  return at::randn({kT, kD}, at::kDouble);
}

TEST(Affinity, ByHand) {
  // 2 tokens, 3 experts, 4 outputs.
  const torch::Tensor responses = at::stack(
      {table({{1, -2, 2, 0}, {3, 4, 0, 0}, {0, 0, 0, 0}}), table({{1, 1, 1, 1}, {-1, -1, -1, -1}, {2, 0, 0, 0}})});
  EXPECT_LT(distance(affinities(responses, Affinity::norm), table({{3, 5, 0}, {2, 2, 2}})), 1e-12);
  const double zero = softplus(0);
  const torch::Tensor expected =
      table({{(softplus(1) + softplus(-2) + softplus(2) + zero) / 4, (softplus(3) + softplus(4) + 2 * zero) / 4, zero},
             {softplus(1), softplus(-1), (softplus(2) + 3 * zero) / 4}});
  EXPECT_LT(distance(affinities(responses, Affinity::softplus), expected), 1e-12);
  EXPECT_LT(distance(affinities(responses, Affinity::relu), table({{.75, 1.75, 0}, {1, 0, .5}})), 1e-12);
  const auto mean_of = [](double (*f)(double), std::vector<double> v) {
    double sum = 0;
    for (const double t : v) sum += f(t);
    return sum / static_cast<double>(v.size());
  };
  const auto sigmoid = +[](double t) { return 1 / (1 + std::exp(-t)); };
  const auto silu = +[](double t) { return t / (1 + std::exp(-t)); };
  EXPECT_NEAR(affinities(responses, Affinity::sigmoid)[0][0].item<double>(), mean_of(sigmoid, {1, -2, 2, 0}), 1e-12);
  EXPECT_NEAR(affinities(responses, Affinity::silu)[0][1].item<double>(), mean_of(silu, {3, 4, 0, 0}), 1e-12);
  EXPECT_LT(distance(standardised(table({{1, 2, 3, 2}, {5, 5, 5, 5}})),
                     table({{-std::sqrt(2.0), 0, std::sqrt(2.0), 0}, {0, 0, 0, 0}})),
            1e-11);
}

TEST(Affinity, NormIncludesTheOutputBias) {
  ExpertBank bank = small_bank(kD, kN);
  set(bank, "w2", at::zeros({kN, 5, kD}, at::kDouble));
  set(bank, "b2", at::arange(1, kN + 1, at::kDouble).unsqueeze(1).expand({kN, kD}));
  const torch::Tensor s = affinities(bank.respond_all(inputs()), Affinity::norm);
  EXPECT_LT(distance(s[0], std::sqrt(6.0) * torch::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble)), 1e-12);
}

TEST(Affinity, ChunksGiveTheSameValuesAndGradients) {
  for (const double dropout : {0.0, 0.4}) {
    torch::manual_seed(6);
    ExpertBank bank(
        {.experts = kN, .inputs = kD, .hidden = 5, .activation = ExpertActivation::swiglu, .dropout = dropout});
    bank.to(at::kDouble);
    const torch::Tensor x = inputs().requires_grad_(), c = at::randn({kT, kN}, at::kDouble);
    std::vector<torch::Tensor> leaves{x};
    for (const auto& parameter : bank.parameters()) leaves.push_back(parameter);
    const auto gradients = [&](const torch::Tensor& s) { return torch::autograd::grad({(s * c).sum()}, leaves); };
    torch::manual_seed(8);
    // With dropout both must draw alike: one chunk of all tokens.
    const torch::Tensor chunked = chunked_affinities(x, bank, Affinity::norm, dropout > 0 ? kT : 4);
    torch::manual_seed(99);
    const auto by_chunks = gradients(chunked);
    const torch::Tensor after = at::rand({1});
    torch::manual_seed(8);
    const torch::Tensor whole = affinities(bank.respond_all(x), Affinity::norm);
    const auto at_once = gradients(whole);
    EXPECT_LT(distance(chunked, whole), 1e-12);
    for (std::size_t i = 0; i < leaves.size(); ++i) EXPECT_LT(distance(by_chunks[i], at_once[i]), 1e-12) << i;
    torch::manual_seed(99);
    EXPECT_EQ(after.item<float>(), at::rand({1}).item<float>());  // the backward pass gave the random state back
  }
}

TEST(Competition, ChunkedStepEqualsTheStepThatKeepsResponses) {
  for (const auto kind : competitions()) {
    torch::manual_seed(2);
    auto options = always(kind);
    options.diversity = 0.3;
    const auto made = small_router(options, kD, kN, 10);
    auto& router = dynamic_cast<CompetitionRouter&>(*made);
    ExpertBank bank = small_bank(kD, kN);
    const torch::Tensor x = inputs();
    const auto result = [&](std::int64_t bytes) {
      router.response_bytes = bytes;
      const Routing out = router.route({.x = x, .training = true}, bank);
      const Assignments& a = out.assignments;
      const torch::Tensor answers =
          out.responses.dim() == 2 ? out.responses
                                   : out.responses.reshape({kT * kN, kD}).index_select(0, a.tokens * kN + a.experts);
      const torch::Tensor y = at::zeros_like(x).index_add(0, a.tokens, answers * a.weights.unsqueeze(1));
      EXPECT_LT(distance(y, bank.mix(x, a)), 1e-12);
      std::vector<torch::Tensor> leaves = bank.parameters();
      for (const auto& parameter : router.parameters()) leaves.push_back(parameter);
      auto gradients = torch::autograd::grad({y.square().sum() + out.auxiliary_loss}, leaves);
      gradients.push_back(y.detach());
      return gradients;
    };
    const auto kept = result(std::int64_t{64} << 20), chunked = result(2 * kN * kD * 8);
    for (std::size_t i = 0; i < kept.size(); ++i) EXPECT_LT(distance(kept[i], chunked[i]), 1e-10) << i;
  }
}

TEST(Competition, WinnersAndWeightsByHand) {
  // Constant experts: E_i(x) = b_i.
  ExpertBank bank = small_bank(2, 4);
  set(bank, "w2", at::zeros({4, 5, 2}, at::kDouble));
  set(bank, "b2", table({{0, 1}, {3, 4}, {0, 2}, {-3, 0}}));
  const torch::Tensor x = at::zeros({1, 2}, at::kDouble);
  const auto weights = [&](RouterOptions options) {
    options.competition = CompetitionUse::oracle;
    return weight_table(small_router(options, 2, 4)->route({.x = x}, bank), 1, 4);
  };
  const double v1 = std::exp(5.0) / (std::exp(5.0) + std::exp(3.0));
  EXPECT_LT(distance(weights({.router = RouterKind::compete_v1}), table({{0, v1, 0, 1 - v1}})), 1e-12);
  const double second = (softplus(3) + softplus(4)) / 2, third = (softplus(0) + softplus(2)) / 2;
  EXPECT_LT(distance(weights({.router = RouterKind::compete_v2}),
                     table({{0, second / (second + third), third / (second + third), 0}})),
            1e-12);
  // Norms 1, 5, 2, 3: mean 2.75, variance 35/16.
  const double deviation = std::sqrt(35.0) / 4;
  const double own = 1 / (1 + std::exp(-2 * 2 / deviation));
  EXPECT_LT(distance(weights({.router = RouterKind::compete, .affinity = Affinity::norm, .target_sharpness = 2}),
                     table({{0, own, 0, 1 - own}})),
            1e-9);
}

TEST(Competition, DistillationOfWinnersByHand) {
  // Constant experts of norms 1, 5, 2, 3 as above; a router without weights is uniform: KL(w || 1/4) = log 4 - H(w).
  ExpertBank bank = small_bank(2, 4);
  set(bank, "w2", at::zeros({4, 5, 2}, at::kDouble));
  set(bank, "b2", table({{0, 1}, {3, 4}, {0, 2}, {-3, 0}}));
  const auto loss = [&](Distillation distillation) {
    auto options = always(RouterKind::compete);
    options.affinity = Affinity::norm;
    options.distillation = distillation;
    options.distillation_weight = 1;
    options.competition_balance = 0;
    const auto router = small_router(options, 2, 4, 10);
    const torch::NoGradGuard quiet;
    for (torch::Tensor& parameter : router->parameters()) parameter.zero_();
    return router->route({.x = at::zeros({1, 2}, at::kDouble), .training = true}, bank).auxiliary_loss.item<double>();
  };
  const auto divergence = [](std::vector<double> scores) {
    double total = 0, sum = std::log(4.0);
    for (double& score : scores) total += score = std::exp(score / (std::sqrt(35.0) / 4));
    for (const double score : scores) sum += score / total * std::log(score / total);
    return sum;
  };
  EXPECT_NEAR(loss(Distillation::kl_winners), divergence({5, 3}), 1e-9);
  EXPECT_NEAR(loss(Distillation::kl), divergence({1, 5, 2, 3}), 1e-9);
}

TEST(Competition, TargetsAreDetachedAndTheTaskDoesNotReachTheRouter) {
  for (const auto kind : competitions())
    for (const auto affinity : {Affinity::policy, Affinity::combined}) {
      torch::manual_seed(3);
      auto options = always(kind);
      options.affinity = affinity;
      options.diversity = options.competition_balance = 0;
      ExpertBank bank = small_bank(kD, kN);
      const torch::Tensor x = inputs();
      const auto distilling = small_router(options, kD, kN, 10);
      const Routing out = distilling->route({.x = x, .training = true}, bank);
      // Distillation alone: nothing for the experts, something for the router.
      for (const auto& g : torch::autograd::grad({out.auxiliary_loss}, bank.parameters(), {}, true, false, true))
        EXPECT_FALSE(g.defined());
      for (const auto& g : torch::autograd::grad({out.auxiliary_loss}, distilling->parameters(), {}, true))
        EXPECT_GT(g.abs().max().item<double>(), 0);
      // The task alone: nothing for the router, something for the experts, through the weights, too.
      const torch::Tensor task = bank.mix(x, out.assignments).square().sum();
      for (const auto& g : torch::autograd::grad({task}, distilling->parameters(), {}, true, false, true))
        EXPECT_FALSE(g.defined());
      EXPECT_GT(torch::autograd::grad({out.assignments.weights.square().sum()}, {bank.w2}, {}, true)[0]
                    .abs()
                    .max()
                    .item<double>(),
                0);
    }
}

TEST(Competition, PermutedExpertsPermuteEverything) {
  const torch::Tensor order = torch::tensor({2, 0, 3, 1}, at::kLong);
  for (const auto kind : competitions()) {
    torch::manual_seed(4);
    ExpertBank bank = small_bank(kD, kN), other = small_bank(kD, kN);
    const auto router = small_router(always(kind), kD, kN, 10), permuted = small_router(always(kind), kD, kN, 10);
    for (const auto& item : bank.named_parameters()) set(other, item.key(), item.value().index_select(0, order));
    for (const auto& item : router->named_parameters())
      set(*permuted, item.key(),
          item.value().index_select(item.value().dim() == 2 && item.key() == "network.gate.intercepts" ? 1 : 0, order));
    const Routing a = router->route({.x = inputs(), .training = true}, bank);
    const Routing b = permuted->route({.x = inputs(), .training = true}, other);
    EXPECT_LT(distance(b.affinities, a.affinities.index_select(1, order)), 1e-12);
    EXPECT_LT(distance(b.probabilities, a.probabilities.index_select(1, order)), 1e-12);
    EXPECT_LT(distance(weight_table(b, kT, kN), weight_table(a, kT, kN).index_select(1, order)), 1e-12);
    EXPECT_NEAR(a.auxiliary_loss.item<double>(), b.auxiliary_loss.item<double>(), 1e-12);
  }
}

TEST(Schedule, EventsAreMovedNotDropped) {
  const CompetitionScheduleOptions free{.layers = 8, .steps = 2000, .rate = 0.2, .warmup = 0.1, .most_layers = 8};
  CompetitionScheduleOptions capped = free;
  capped.most_layers = 2;
  const torch::Tensor drawn = competition_schedule(free), table = competition_schedule(capped);
  EXPECT_GT(drawn.sum(0).max().item<int>(), 2);  // otherwise nothing was to be moved
  EXPECT_LE(table.sum(0).max().item<int>(), 2);
  EXPECT_EQ(table.narrow(1, 0, 200).sum().item<int>(), 0);
  EXPECT_TRUE(table.sum(1).equal(drawn.sum(1)));
  // 8 x 1800 draws at 0.2, five standard deviations.
  EXPECT_NEAR(drawn.sum().item<double>(), 8 * 1800 * 0.2, 5 * std::sqrt(8 * 1800 * 0.2 * 0.8));
  // Late layers do not pile up early: the mean step of every layer is near the middle.
  const torch::Tensor steps = at::arange(2000, at::kDouble);
  for (int layer = 0; layer < 8; ++layer) {
    const torch::Tensor row = table[layer].to(at::kDouble);
    EXPECT_NEAR(((row * steps).sum() / row.sum()).item<double>(), 1100, 5 * 520 / std::sqrt(360.0));
  }
}

TEST(Schedule, FullTableIsFullAndTheStreamIsItsOwn) {
  CompetitionScheduleOptions options{.layers = 4, .steps = 300, .rate = 1, .warmup = 0, .most_layers = 3};
  EXPECT_TRUE(competition_schedule(options).sum(0).eq(3).all().item<bool>());
  options.rate = 0.3;
  torch::manual_seed(1);
  const torch::Tensor first = competition_schedule(options);
  at::rand({100});
  EXPECT_TRUE(competition_schedule(options).equal(first));
  ++options.seed;
  EXPECT_FALSE(competition_schedule(options).equal(first));
  options.rate = 1.5;
  EXPECT_THROW(competition_schedule(options), std::invalid_argument);
}

TEST(Competition, FollowsItsScheduleAndOnlyWhileTraining) {
  const RouterOptions options{.router = RouterKind::compete, .competition_rate = 0.4};
  torch::manual_seed(1);
  auto router = make_router(options, {.experts = kN, .inputs = kD}, 1, 3, 0, 50);
  router->to(at::kDouble);
  const auto& competition = dynamic_cast<CompetitionRouter&>(*router);
  ASSERT_EQ(competition.schedule.scalar_type(), at::kByte);  // also after a change of the number type
  ASSERT_EQ(competition.schedule.numel(), 50);
  ExpertBank bank = small_bank(kD, kN);
  bool some = false;
  for (std::int64_t step = 0; step < 60; ++step) {
    const bool due = step < 50 && competition.schedule[step].item<int>() != 0;
    some = some || due;
    EXPECT_EQ(router->route({.x = inputs(), .training = true, .step = step}, bank).competed, due);
    EXPECT_FALSE(router->route({.x = inputs(), .training = false, .step = step}, bank).competed);
  }
  EXPECT_TRUE(some);
}

TEST(Competition, DistillationLossesByHand) {
  for (const auto kind : competitions()) {
    torch::manual_seed(11);
    auto options = always(kind);
    options.diversity = options.competition_balance = 0;
    const auto router = small_router(options, kD, kN, 10);
    ExpertBank bank = small_bank(kD, kN);
    const Routing out = router->route({.x = inputs(), .training = true}, bank);
    const torch::Tensor s = out.affinities, p = out.probabilities;
    double expected = 0;
    if (kind == RouterKind::compete) {
      const torch::Tensor z = (s - s.mean(1, true)) / s.var(1, false, true).sqrt();
      expected = 0.1 * (z.softmax(1) * (z.softmax(1) / p).log()).sum(1).mean().item<double>();
    } else {
      const auto best = s.topk(2, 1);
      const torch::Tensor target = kind == RouterKind::compete_v2
                                       ? s.softmax(1)
                                       : at::zeros_like(s).scatter(1, std::get<1>(best), std::get<0>(best).softmax(1));
      const torch::Tensor gap = (p - target).square();
      expected = kind == RouterKind::compete_v2
                     ? 0.01 * (gap.mean() + 0.1 * gap.gather(1, std::get<1>(best)).mean()).item<double>()
                     : 0.05 * gap.mean().item<double>();
    }
    EXPECT_NEAR(out.auxiliary_loss.item<double>(), expected, 1e-9);
  }
}

}  // namespace
}  // namespace clearway::deep
