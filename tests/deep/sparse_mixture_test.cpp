// The sparse layer with every policy: dispatch against a dense reference, gradients, accounts, no memory between steps.
#include "clearway/deep/sparse_mixture.hpp"

#include <ATen/Context.h>

#include <mutex>

#include "clearway/deep/routers/competition.hpp"
#include "routing_cases.hpp"

namespace clearway::deep {
namespace {

constexpr std::int64_t kD = 6, kN = 4, kT = 11;

SparseMixtureOptions small(RouterKind kind) {
  return {.experts = {.experts = kN, .inputs = kD, .hidden = 5}, .router = {.router = kind}};
}
std::shared_ptr<SparseMixture> layer(const SparseMixtureOptions& options, std::int64_t steps = 20) {
  torch::manual_seed(21);
  auto out = std::make_shared<SparseMixture>(options, 0, 1, kVocabulary, steps);
  out->to(at::kDouble);
  // Routers that start at 0 (noisy) would tie.
  const at::NoGradGuard no_grad;
  for (auto& parameter : out->router().parameters()) parameter.add_(0.5 * at::randn_like(parameter));
  return out;
}
RoutingRequest request(bool training, std::int64_t step = 0) {
  torch::manual_seed(22);
  return {.x = at::randn({kT, kD}, at::kDouble),
          .ids = at::randint(kVocabulary, {kT}, at::kLong),
          .training = training,
          .step = step};
}
std::vector<RouterKind> kinds() {
  std::vector<RouterKind> out;
  for (const auto& entry : enum_names(RouterKind{})) out.push_back(entry.value);
  return out;
}
/// sum of weight times response, token by token, from all responses.
torch::Tensor dense_reference(SparseMixture& mixture, const torch::Tensor& x, const Routing& routing) {
  const torch::Tensor weights = weight_table(routing, x.size(0), kN);
  return (mixture.experts().respond_all(x) * weights.unsqueeze(2)).sum(1);
}

TEST(SparseMixture, OutputIsTheWeightedSumOfResponsesForEveryPolicy) {
  for (const auto kind : kinds()) {
    if (kind == RouterKind::soft) continue;
    for (const auto use : {CompetitionUse::scheduled, CompetitionUse::always})
      for (const bool training : {true, false}) {
        auto options = small(kind);
        options.router.competition = use;
        const auto mixture = layer(options);
        const RoutingRequest asked = request(training);
        const auto out = mixture->forward(asked);
        EXPECT_LT(distance(out.output, dense_reference(*mixture, asked.x, out.routing)), 1e-12) << enum_name(kind);
        EXPECT_NEAR(out.load.sum().item<double>(), 1, 1e-6);
        EXPECT_FALSE(out.routing.assignments.weights.requires_grad() || out.routing.scores.requires_grad());
      }
  }
}

TEST(SparseMixture, AnyAssignmentHasTheGradientsOfTheDenseReference) {
  torch::manual_seed(31);
  ExpertBank bank({.experts = 5, .inputs = 7, .hidden = 9});
  const torch::Tensor x = at::randn({40, 7}).requires_grad_(), weights = at::rand({40, 3}).requires_grad_();
  const torch::Tensor experts = at::randint(-1, 5, {40, 3}, at::kLong), c = at::randn({40, 7});
  const torch::Tensor table = at::zeros({40, 5}).scatter_add(1, experts.clamp_min(0), weights * experts.ge(0));
  std::vector<torch::Tensor> leaves{x, weights};
  for (const auto& parameter : bank.parameters()) leaves.push_back(parameter);
  const torch::Tensor sparse = bank.mix(x, assignments_from_slots(experts, weights));
  const torch::Tensor dense = (bank.respond_all(x) * table.unsqueeze(2)).sum(1);
  EXPECT_LT(distance(sparse, dense), 1e-5);
  const auto a = torch::autograd::grad({(sparse * c).sum()}, leaves),
             b = torch::autograd::grad({(dense * c).sum()}, leaves);
  for (std::size_t i = 0; i < leaves.size(); ++i)
    EXPECT_LT(distance(a[i], b[i]), 1e-4 * (1 + b[i].abs().max().item<double>())) << i;
}

TEST(SparseMixture, AuxiliaryLossesHaveRightGradients) {
  // Every term that a policy can have is switched on. Distillation is left to the router's parameters, because its
  // target is detached.
  for (const auto kind : kinds()) {
    auto options = small(kind);
    options.router.competition = CompetitionUse::always;
    options.router.z_loss = 0.1;
    options.router.entropy_loss = 0.1;
    const auto mixture = layer(options);
    const RoutingRequest asked = request(true);
    const auto loss = [&] {
      torch::manual_seed(23);
      return mixture->forward(asked).auxiliary_loss;
    };
    const torch::Tensor value = loss();
    const bool lossless = kind == RouterKind::hash || kind == RouterKind::base || kind == RouterKind::soft ||
                          kind == RouterKind::random || kind == RouterKind::dropout;
    EXPECT_EQ(!value.defined(), lossless) << enum_name(kind);
    if (!value.defined()) continue;
    EXPECT_LT(derivative_error(loss, mixture->router().parameters()), 1e-5) << enum_name(kind);
  }
  for (const auto kind : {RouterKind::compete, RouterKind::compete_v1, RouterKind::compete_v2}) {
    auto options = small(kind);
    options.router.competition = CompetitionUse::always;
    options.router.distillation_weight = 0;
    options.router.diversity = options.router.competition_balance = 1;
    options.experts.activation =
        ExpertActivation::gelu;  // a ReLU expert may answer 0, where directions have no derivative
    const auto mixture = layer(options);
    const RoutingRequest asked = request(true);
    EXPECT_LT(derivative_error([&] { return mixture->forward(asked).auxiliary_loss; }, mixture->experts().parameters()),
              1e-5)
        << enum_name(kind);
  }
}

TEST(SparseMixture, TaskGradientReachesTheRouterByTheFormOfTheWeights) {
  const auto slopes = [](const SparseMixtureOptions& options) {
    const auto mixture = layer(options);
    const auto parameters = mixture->router().named_parameters();
    const auto out = mixture->forward(request(true));
    return torch::autograd::grad({out.output.square().sum()}, {parameters["network.gate.slopes"]}, {}, false, false,
                                 true)[0];
  };
  auto one = small(RouterKind::smoe);
  one.router.top_k = 1;
  EXPECT_EQ(slopes(one).abs().max().item<double>(), 0);
  one.router.weights = WeightForm::probability;
  EXPECT_GT(slopes(one).abs().max().item<double>(), 0);
  EXPECT_GT(slopes(small(RouterKind::smoe)).abs().max().item<double>(), 0);
  // Softmax over the selected is the renormalised softmax over all.
  const auto mixture = layer(small(RouterKind::smoe));
  const auto out = mixture->forward(request(true));
  const torch::Tensor p = out.routing.probabilities.gather(1, out.routing.assignments.experts.reshape({kT, 2}));
  EXPECT_LT(distance(out.routing.assignments.weights.reshape({kT, 2}), p / p.sum(1, true)), 1e-12);
}

TEST(SparseMixture, NothingOfOneStepReachesTheNext) {
  for (const auto kind : kinds()) {
    auto options = small(kind);
    options.router.competition_rate = 1;
    options.router.competition_warmup = 0;
    const auto mixture = layer(options, 20);
    // Backward after every step without retaining graphs, parameters changed in place between: a loss that held the
    // graph of an earlier step would throw. Steps beyond the schedule do not compete.
    for (const std::int64_t step : {0, 1, 19, 20, 21}) {
      const auto out = mixture->forward(request(true, step));
      torch::Tensor total = out.output.square().sum();
      if (out.auxiliary_loss.defined()) total = total + out.auxiliary_loss;
      total.backward();
      const at::NoGradGuard no_grad;
      for (auto& parameter : mixture->parameters())
        if (parameter.grad().defined()) parameter.sub_(parameter.grad(), 1e-3);
      mixture->zero_grad();
      mixture->router().after_step(out.load, step);
    }
  }
}

TEST(SparseMixture, EvaluationDrawsNothingAndNeverCompetes) {
  const auto state = [] {
    auto generator = at::globalContext().defaultGenerator(at::kCPU);
    const std::lock_guard<std::mutex> lock(generator.mutex());
    return generator.get_state();
  };
  for (const auto kind : kinds()) {
    auto options = small(kind);
    options.router.competition = CompetitionUse::always;
    options.jitter = 0.1;
    options.expert_dropout = 0.2;
    const auto mixture = layer(options);
    const RoutingRequest asked = request(false);
    const torch::Tensor before = state();
    const auto out = mixture->forward(asked);
    EXPECT_TRUE(before.equal(state())) << enum_name(kind);
    EXPECT_FALSE(out.routing.competed);
    EXPECT_FALSE(out.auxiliary_loss.defined()) << enum_name(kind);
  }
}

TEST(SparseMixture, EvaluationsPerTokenAreThoseOfTheSchedule) {
  for (const auto kind : {RouterKind::compete, RouterKind::compete_v1, RouterKind::compete_v2}) {
    auto options = small(kind);
    options.router.competition_rate = 0.3;
    const auto mixture = layer(options, 40);
    const torch::Tensor row = mixture->router().named_buffers()["schedule"];
    mixture->reset_evaluations();
    for (std::int64_t step = 0; step < 40; ++step) mixture->forward(request(true, step));
    const auto competing = row.sum().item<std::int64_t>();
    EXPECT_GT(competing, 0);
    EXPECT_EQ(mixture->evaluations(), kT * (2 * 40 + (kN - 2) * competing));
  }
}

TEST(SparseMixture, CapacityDropsWhatIsOver) {
  auto options = small(RouterKind::smoe);
  options.capacity = 0.5;
  const auto mixture = layer(options);
  const RoutingRequest asked = request(true);
  const auto out = mixture->forward(asked);
  const auto most = static_cast<std::int64_t>(std::ceil(0.5 * 2 * kT / kN));
  EXPECT_LE(assignment_counts(out.routing.assignments, kN).max().item<std::int64_t>(), most);
  EXPECT_EQ(out.dropped, 2 * kT - out.routing.assignments.count());
  EXPECT_GT(out.dropped, 0);
  EXPECT_LT(distance(out.load, layer(small(RouterKind::smoe))->forward(asked).load), 1e-7);  // of what was asked for
  EXPECT_LT(distance(out.output, dense_reference(*mixture, asked.x, out.routing)), 1e-12);
  // The same in a competition step, whether responses are kept or only those of the winners.
  options.router = {.router = RouterKind::compete, .competition = CompetitionUse::always};
  const auto competing = layer(options);
  const auto kept = competing->forward(asked);
  EXPECT_LT(distance(kept.output, dense_reference(*competing, asked.x, kept.routing)), 1e-12);
}

TEST(SparseMixture, SharedExpertsAddTheirResponses) {
  auto options = small(RouterKind::smoe);
  options.shared_experts = 2;
  const auto mixture = layer(options);
  const RoutingRequest asked = request(false);
  mixture->reset_evaluations();
  const auto out = mixture->forward(asked);
  EXPECT_EQ(mixture->evaluations(), kT * (2 + 2));
  ExpertBank shared = small_bank(kD, 2);
  for (const auto& item : mixture->named_parameters())
    if (item.key().rfind("shared.", 0) == 0) set(shared, item.key().substr(7), item.value());
  EXPECT_LT(distance(out.output, dense_reference(*mixture, asked.x, out.routing) + shared.respond_all(asked.x).sum(1)),
            1e-12);
}

TEST(SparseMixture, ExpertDropoutKeepsTheMean) {
  auto options = small(RouterKind::smoe);
  options.expert_dropout = 0.25;
  const auto mixture = layer(options);
  const RoutingRequest asked = request(true);
  torch::Tensor mean = at::zeros({kT, kN}, at::kDouble);
  torch::manual_seed(40);
  for (int i = 0; i < 4000; ++i) mean += weight_table(mixture->forward(asked).routing, kT, kN) / 4000.0;
  RoutingRequest plain = asked;
  plain.training = false;
  // The deviation of a weight w is w sqrt(p / (1 - p)) <= 0.58; five standard errors of 4000 draws.
  EXPECT_LT(distance(mean, weight_table(mixture->forward(plain).routing, kT, kN)), 5 * 0.58 / std::sqrt(4000.0));
}

TEST(SparseMixture, JitterIsSeenByTheRouterOnly) {
  for (const auto kind : {RouterKind::smoe, RouterKind::compete}) {
    auto options = small(kind);
    options.jitter = 0.3;
    options.router.competition = CompetitionUse::always;
    const auto mixture = layer(options);
    const RoutingRequest asked = request(true);
    torch::manual_seed(50);
    const torch::Tensor factor = at::empty({kT, kD}, at::kDouble).uniform_(0.7, 1.3);
    torch::manual_seed(50);
    const auto out = mixture->forward(asked);
    RoutingRequest jittered = asked;
    jittered.x = asked.x * factor;
    jittered.training = false;
    EXPECT_LT(distance(out.routing.probabilities, mixture->forward(jittered).routing.probabilities), 1e-12);
    // Experts, also those that compete, answer to the inputs as they are.
    EXPECT_LT(distance(out.output, dense_reference(*mixture, asked.x, out.routing)), 1e-12);
    if (kind == RouterKind::compete) {
      RoutingRequest plain = asked;
      dynamic_cast<CompetitionRouter&>(mixture->router()).set_use(CompetitionUse::oracle);
      plain.training = false;
      EXPECT_LT(distance(out.routing.affinities, mixture->forward(plain).routing.affinities), 1e-12);
    }
  }
}

TEST(SparseMixture, SoftSlotsMixTokens) {
  const auto mixture = layer(small(RouterKind::soft));
  const RoutingRequest asked = request(true);
  const auto out = mixture->forward(asked);
  const auto parameters = mixture->router().named_parameters();
  const torch::Tensor phi = parameters["phi"], scale = parameters["scale"];
  torch::Tensor expected = at::zeros({kT, kD}, at::kDouble), logits = at::zeros({kT, 8}, at::kDouble);
  for (std::int64_t t = 0; t < kT; ++t)
    for (std::int64_t j = 0; j < 8; ++j)
      logits[t][j] = scale[0] * (asked.x[t] * phi.select(1, j)).sum() / (asked.x[t].norm() * phi.select(1, j).norm());
  const torch::Tensor dispatch = logits.exp() / logits.exp().sum(0, true),
                      combine = logits.exp() / logits.exp().sum(1, true);
  for (std::int64_t j = 0; j < 8; ++j) {
    const torch::Tensor slot = (dispatch.select(1, j).unsqueeze(1) * asked.x).sum(0, true);
    const torch::Tensor answer = mixture->experts().respond_all(slot)[0][j / 2];  // two slots per expert
    expected += combine.select(1, j).unsqueeze(1) * answer;
  }
  EXPECT_LT(distance(out.output, expected), 1e-12);
  EXPECT_NEAR(out.load.sum().item<double>(), 1, 1e-12);
}

TEST(SparseMixture, StateIsComplete) {
  // A fresh layer that gets parameters and buffers of a used one answers alike, in every policy.
  for (const auto kind : kinds()) {
    auto options = small(kind);
    options.router.stage_one = 0.1;
    const auto used = layer(options, 20);
    for (std::int64_t step = 0; step < 20; ++step)
      used->router().after_step(used->forward(request(true, step)).load, step);
    torch::manual_seed(77);
    auto fresh = std::make_shared<SparseMixture>(options, 0, 1, kVocabulary, 20);
    fresh->to(at::kDouble);
    for (const auto& item : used->named_parameters()) set(*fresh, item.key(), item.value());
    for (const auto& item : used->named_buffers()) set(*fresh, item.key(), item.value());
    torch::Tensor a, b;
    for (const bool training : {false, true}) {
      RoutingRequest asked = request(training, 19);
      torch::manual_seed(78);
      a = used->forward(asked).output;
      torch::manual_seed(78);
      b = fresh->forward(asked).output;
      EXPECT_EQ(distance(a, b), 0) << enum_name(kind);
    }
  }
}

TEST(SparseMixture, RefusesWhatDoesNotFit) {
  EXPECT_THROW(layer(small(RouterKind::smoe))->forward({.x = at::zeros({3, kD + 1}, at::kDouble)}),
               std::invalid_argument);
  auto options = small(RouterKind::smoe);
  options.router.top_k = kN + 1;
  EXPECT_THROW(layer(options), std::invalid_argument);
  options = small(RouterKind::smoe);
  options.expert_dropout = 1;
  EXPECT_THROW(layer(options), std::invalid_argument);
  options.expert_dropout = 0;
  options.jitter = -0.1;
  EXPECT_THROW(layer(options), std::invalid_argument);
}

}  // namespace
}  // namespace clearway::deep
