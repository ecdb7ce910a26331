#include "clearway/train/study_teacher.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <torch/optim/adam.h>
#include <torch/utils.h>

#include <cmath>
#include <numbers>

#include "clearway/base/errors.hpp"
#include "clearway/deep/affinity.hpp"
#include "clearway/deep/routers/competition.hpp"
#include "clearway/deep/routers/selection.hpp"
#include "clearway/deep/sparse_mixture.hpp"

namespace clearway::train {
namespace {

using deep::RouterOptions;

/// Responses of the k experts of largest score, weighted by the softmax of these: T x N x d, T x N -> T x d.
torch::Tensor mixed(const torch::Tensor& responses, const torch::Tensor& scores, std::int64_t k) {
  const torch::Tensor winners = deep::top_experts(scores, k);
  const torch::Tensor weights = deep::softmax_weights(scores, winners, deep::WeightForm::renormalised);
  const torch::Tensor answers =
      responses.gather(1, winners.unsqueeze(2).expand({responses.size(0), k, responses.size(2)}));
  return (answers * weights.unsqueeze(2)).sum(1);
}

/// The teacher: fixed experts, fixed gate.
class Teacher {
 public:
  Teacher(const TeacherStudyOptions& options, TeacherGate gate, at::Generator random)
      : experts_({.experts = options.experts, .inputs = options.inputs, .hidden = options.hidden}),
        gate_(gate),
        top_k_(options.top_k) {
    const at::NoGradGuard no_grad;
    const auto d = static_cast<double>(options.inputs), h = static_cast<double>(options.hidden);
    // Hidden units of variance about 1 around shifted thresholds, responses of order 1.
    experts_.w1.normal_(0, 1 / std::sqrt(d), random);
    experts_.b1.normal_(0, 0.5, random);
    experts_.w2.normal_(0, std::sqrt(2 / h), random);
    experts_.b2.zero_();
    slopes_ = at::empty({options.experts, options.inputs}).normal_(0, 2 / std::sqrt(d), random);
  }

  torch::Tensor operator()(const torch::Tensor& x) {
    const at::NoGradGuard no_grad;
    const torch::Tensor responses = experts_.respond_all(x);
    const torch::Tensor scores = gate_ == TeacherGate::norm ? responses.norm(2, 2) : at::linear(x, slopes_);
    return mixed(responses, scores, top_k_);
  }

 private:
  deep::ExpertBank experts_;
  torch::Tensor slopes_;
  TeacherGate gate_;
  std::int64_t top_k_;
};

RouterOptions router_of(const TeacherStudyOptions& options, Student student) {
  RouterOptions out;
  out.top_k = options.top_k;
  if (student == Student::smoe_mlp || student == Student::compete_mlp) out.router_network = deep::RouterNetwork::mlp;
  if (student == Student::smoe_linear || student == Student::smoe_mlp) return out;
  out.competition_rate = options.competition_rate;
  out.competition_warmup = 0;
  if (student == Student::switch_top1) out.router = deep::RouterKind::switch_top1;
  if (student == Student::compete_v2) out.router = deep::RouterKind::compete_v2;
  if (student == Student::switch_top1 || student == Student::compete_v2) return out;
  // The norm teacher's own gate: affinities by norm, weights by their softmax.
  out.router = deep::RouterKind::compete_v1;
  out.distillation = deep::Distillation::kl;
  out.distillation_weight = options.distillation_weight;
  if (student == Student::oracle) out.competition = deep::CompetitionUse::oracle;
  return out;
}

double relative_error(const torch::Tensor& got, const torch::Tensor& wanted) {
  return ((got - wanted).square().sum() / (wanted - wanted.mean(0)).square().sum()).item<double>();
}

}  // namespace

TeacherCell run_teacher_cell(const TeacherStudyOptions& options, TeacherGate teacher_gate, Student student,
                             std::uint64_t seed) {
  if (options.top_k < 1 || options.top_k > options.experts)
    user_error("top-k must be between 1 and the number of experts, {}, not {}", options.experts, options.top_k);
  if (options.steps < 1 || options.batch < 1 || options.test_rows < 2)
    user_error("teacher study: steps and batch must be at least 1 and test-rows at least 2, not {}, {} and {}",
               options.steps, options.batch, options.test_rows);
  // Three streams: the teacher and the data are the same for every student, whatever its layer draws.
  Teacher teacher(options, teacher_gate, at::make_generator<at::CPUGeneratorImpl>(3 * seed));
  const auto data = at::make_generator<at::CPUGeneratorImpl>(3 * seed + 1);
  torch::manual_seed(3 * seed + 2);
  const auto draw = [&](std::int64_t rows) { return at::empty({rows, options.inputs}).normal_(0, 1, data); };
  const torch::Tensor test = draw(options.test_rows), truth = teacher(test);

  deep::SparseMixture layer(
      {.experts = {.experts = options.experts, .inputs = options.inputs, .hidden = options.hidden},
       .router = router_of(options, student)},
      0, 1, 0, options.steps);
  torch::optim::Adam optimiser(layer.parameters(), torch::optim::AdamOptions(options.learning_rate));
  layer.train();
  for (std::int64_t step = 0; step < options.steps; ++step) {
    const double share = static_cast<double>(step) / static_cast<double>(options.steps);
    const double rate = options.learning_rate * (0.55 + 0.45 * std::cos(std::numbers::pi * share));
    for (auto& group : optimiser.param_groups()) static_cast<torch::optim::AdamOptions&>(group.options()).lr(rate);
    const torch::Tensor x = draw(options.batch);
    const auto out = layer.forward({.x = x, .training = true, .step = step});
    torch::Tensor loss = (out.output - teacher(x)).square().mean();
    if (out.auxiliary_loss.defined()) loss = loss + out.auxiliary_loss;
    optimiser.zero_grad();
    loss.backward();
    optimiser.step();
    layer.router().after_step(out.load, step);
  }

  TeacherCell cell;
  cell.evaluations = static_cast<double>(layer.evaluations()) / static_cast<double>(options.steps * options.batch);
  layer.eval();
  const at::NoGradGuard no_grad;
  const auto routed = layer.forward({.x = test});
  cell.by_router = relative_error(routed.output, truth);
  torch::Tensor strength;
  if (auto* competition = dynamic_cast<deep::CompetitionRouter*>(&layer.router())) {
    competition->set_use(deep::CompetitionUse::oracle);
    const auto competed = layer.forward({.x = test});
    cell.by_competition = relative_error(competed.output, truth);
    strength = competed.routing.affinities;
  } else {
    const torch::Tensor responses = layer.experts().respond_all(test);
    strength = deep::affinities(responses, deep::Affinity::norm);
    cell.by_competition = relative_error(mixed(responses, strength, options.top_k), truth);
  }
  cell.agreement = routed.routing.probabilities.argmax(1).eq(strength.argmax(1)).to(at::kDouble).mean().item<double>();
  return cell;
}

}  // namespace clearway::train
