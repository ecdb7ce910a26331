#include "clearway/train/loop.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "clearway/deep/sparse_mixture.hpp"
#include "clearway/train/adamw.hpp"
#include "clearway/train/checkpoint.hpp"
#include "clearway/train/metrics_log.hpp"

namespace clearway::train {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Whether weight decay applies: to matrices, not to biases, norms and other vectors per unit.
bool decays(const std::string& name, const torch::Tensor& parameter) {
  const auto ends_with = [&](std::string_view end) {
    return name.size() >= end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
  };
  return parameter.dim() >= 2 && !ends_with("bias") && !ends_with("b1") && !ends_with("b2") && !ends_with("b_gate");
}

/// Names of the parameters of which this process has its own rows alone.
std::set<std::string> spread_names(const torch::nn::Module& model) {
  std::set<std::string> out;
  for (const auto& entry : model.named_modules("", false)) {
    const auto* mixture = dynamic_cast<const deep::SparseMixture*>(entry.value().get());
    if (mixture == nullptr || !mixture->is_spread()) continue;
    for (const auto& parameter : mixture->experts().named_parameters())
      out.insert(entry.key() + ".experts." + parameter.key());
  }
  return out;
}

void append(Scalars& values, const Scalars& more) {
  values.insert(values.end(), more.begin(), more.end());
}

/// One training run: its state between steps.
class Run {
 public:
  Run(TrainingTask& task, const LoopOptions& options, const LearningRateOptions& rate, const RunFolder* folder,
      const LoopCallbacks& callbacks, Communicator* communicator)
      : task_(task), options_(options), rate_(rate), callbacks_(callbacks), communicator_(communicator) {
    spread_ = spread_names(task.model());
    for (const auto& entry : task.model().named_parameters()) {
      if (!entry.value().requires_grad()) continue;
      parameters_.push_back({entry.key(), entry.value()});
      (spread_.contains(entry.key()) ? own_ : common_).push_back(parameters_.back());
    }
    optimizer_.emplace(parameters_, AdamWOptions{.beta1 = options.beta1,
                                                 .beta2 = options.beta2,
                                                 .epsilon = options.epsilon,
                                                 .weight_decay = options.weight_decay});
    for (const NamedTensor& parameter : parameters_)
      if (!decays(parameter.name, parameter.tensor)) optimizer_->set_weight_decay(parameter.name, 0);
    if (folder != nullptr && leads()) checkpoints_.emplace(*folder);
    saves_ = agree(checkpoints_.has_value());
    seed_ = at::detail::getDefaultCPUGenerator().current_seed();
  }

  /// Takes up the last checkpoint. Every process reads the same one.
  void resume(const RunFolder& folder) {
    const CheckpointFolder checkpoints(folder);
    if (!checkpoints.has("last")) user_error("{}: there is no checkpoint to resume from", folder.path());
    Checkpoint checkpoint = checkpoints.load("last");
    for (const std::string& name : spread_) {
      keep_own_rows(checkpoint.model, name);
      for (const char* moment : {".exp_avg", ".exp_avg_sq"}) keep_own_rows(checkpoint.optimizer, name + moment);
    }
    load_into(task_.model(), checkpoint.model, checkpoints.file("last", "model.safetensors"));
    NamedTensors extra;
    for (auto entry = checkpoint.optimizer.begin(); entry != checkpoint.optimizer.end();) {
      if (entry->first.rfind(kTaskPrefix, 0) != 0) {
        ++entry;
        continue;
      }
      extra[entry->first.substr(kTaskPrefix.size())] = entry->second;
      entry = checkpoint.optimizer.erase(entry);
    }
    std::vector<NamedTensor> moments;
    for (const auto& [name, tensor] : checkpoint.optimizer) moments.push_back({name, tensor});
    optimizer_->load_state(moments);
    task_.load_extra_state(extra);
    state_ = checkpoint.state;
    const auto generator = state_.generators.find("torch");
    if (generator != state_.generators.end()) set_torch_generator_state(generator->second);
    worse_evaluations_ = state_.more.value("evaluations_without_better", std::int64_t{0});
  }

  std::int64_t step() const { return state_.step; }
  bool leads() const { return communicator_ == nullptr || communicator_->rank() == 0; }

  /// Weights as process 0 has them; spread experts are each process's own.
  void begin_equal() {
    for (const auto& [name, tensor] : module_tensors(task_.model())) {
      torch::Tensor value = tensor.detach();
      if (!spread_.contains(name)) communicator_->broadcast(value, 0);
    }
  }

  LoopResult go(MetricsLog* metrics) {
    LoopResult out;
    const double start = now();
    double logged_at = start;
    std::int64_t logged_scored = 0;
    out.reason = StopReason::finished;
    while (state_.step < options_.steps) {
      const double step_start = now(), talked = communication();
      const StepAccount account = one_step();
      if (!account.finite) {
        out.reason = StopReason::diverged;
        break;
      }
      ++state_.step;
      ++out.session_steps;
      state_.data_position = state_.step;
      out.scored += account.scored;
      out.last_loss = account.loss;
      out.training_seconds += now() - step_start;
      out.communication_seconds += communication() - talked;
      const bool last = state_.step == options_.steps;
      const bool stopping = agree(callbacks_.stop && callbacks_.stop());
      Scalars values;
      if (state_.step % options_.log_every == 0 || last || stopping) {
        const double time = now();
        values.emplace_back("train/loss", account.loss);
        values.emplace_back("train/auxiliary", account.auxiliary);
        values.emplace_back("train/learning_rate", account.rate);
        values.emplace_back("train/gradient_norm", account.gradient_norm);
        values.emplace_back("train/tokens_per_second", static_cast<double>(out.scored - logged_scored) * processes() /
                                                           std::max(1e-9, time - logged_at));
        append(values, task_.diagnose());
        logged_at = now();
        logged_scored = out.scored;
      }
      const bool evaluates = state_.step % options_.evaluate_every == 0 || last;
      if (evaluates) {
        append(values, evaluate(out));
        logged_at = now();
      }
      if (!values.empty() && metrics != nullptr) metrics->write(state_.step, values);
      if (!values.empty() && leads() && callbacks_.logged) callbacks_.logged(state_.step, values);
      if (evaluates || stopping) save(evaluates && best_now_);
      report(account, out, start);
      if (evaluates && options_.patience > 0 && worse_evaluations_ >= options_.patience && !last) {
        out.reason = StopReason::patience;
        break;
      }
      if (stopping && !last) {
        out.reason = StopReason::interrupted;
        break;
      }
    }
    out.steps = state_.step;
    out.seconds = now() - start;
    out.best_metric = state_.best_metric;
    out.best_step = state_.best_step;
    return out;
  }

 private:
  static constexpr std::string_view kTaskPrefix = "task.";

  struct StepAccount {
    double loss = 0, auxiliary = 0, rate = 0, gradient_norm = 0;
    std::int64_t scored = 0;
    bool finite = true;
  };

  double processes() const { return communicator_ == nullptr ? 1 : communicator_->size(); }
  double communication() const { return communicator_ == nullptr ? 0 : communicator_->seconds(); }

  /// Cuts this process's experts out of a tensor with those of all; one that does not fit is for load_into() to refuse.
  void keep_own_rows(NamedTensors& tensors, const std::string& name) const {
    const auto found = tensors.find(name);
    if (found == tensors.end() || found->second.dim() < 1 || found->second.size(0) % communicator_->size() != 0) return;
    const std::int64_t share = found->second.size(0) / communicator_->size();
    found->second = found->second.narrow(0, communicator_->rank() * share, share).clone();
  }

  /// The rows of all processes, where a parameter is spread.
  torch::Tensor whole(const std::string& parameter, const torch::Tensor& tensor) const {
    if (!spread_.contains(parameter) || tensor.dim() < 1) return tensor;
    const torch::Tensor all = deep::rows_of_all(*communicator_, tensor.detach());
    return leads() ? all : torch::Tensor();
  }

  StepAccount one_step() {
    StepAccount out;
    // Process 0 draws on as if it were alone; the others' numbers depend on the step only, so that a resumed run has them.
    if (!leads()) {
      RandomStream random(seed_, static_cast<std::uint64_t>(communicator_->rank()));
      torch::manual_seed(random.index(std::uint64_t{1} << 62) + static_cast<std::uint64_t>(state_.step));
    }
    task_.model().train();
    optimizer_->zero_grad();
    const std::int64_t others = communicator_ == nullptr ? 1 : communicator_->size();
    const std::int64_t parts = options_.accumulate * others;
    const std::int64_t first = communicator_ == nullptr ? 0 : communicator_->rank() * options_.accumulate;
    for (std::int64_t part = 0; part < options_.accumulate; ++part) {
      const PartLoss loss = task_.part_loss({state_.step, first + part, parts});
      (loss.objective / static_cast<double>(parts)).backward();
      out.loss += loss.loss / static_cast<double>(parts);
      out.auxiliary += loss.auxiliary / static_cast<double>(parts);
      out.scored += loss.scored;
    }
    const double elsewhere = communicator_ != nullptr ? add_over_processes(out) : 0;
    out.gradient_norm = gradient_norm(common_);
    if (!own_.empty()) out.gradient_norm = std::sqrt(std::pow(out.gradient_norm, 2) + elsewhere);
    if (options_.clip > 0 && out.gradient_norm > options_.clip && std::isfinite(out.gradient_norm))
      scale_gradients(parameters_, options_.clip / out.gradient_norm);
    out.rate = learning_rate(rate_, state_.step, options_.steps);
    out.finite = std::isfinite(out.loss) && std::isfinite(out.gradient_norm);
    if (!out.finite) return out;
    optimizer_->step(out.rate);
    task_.after_step(state_.step);
    return out;
  }

  /// Sums common gradients, and what is recorded, over processes; returns the squared norm of all spread gradients.
  double add_over_processes(StepAccount& account) {
    std::vector<double> numbers{account.loss, account.auxiliary, std::pow(gradient_norm(own_), 2)};
    std::int64_t count = 0;
    for (const NamedTensor& parameter : common_) count += parameter.tensor.numel();
    if (!flat_.defined()) flat_ = at::empty({count}, at::kFloat);
    count = 0;
    for (const NamedTensor& parameter : common_) {
      const torch::Tensor gradient = parameter.tensor.grad();
      numbers.push_back(gradient.defined() ? 1 : 0);
      torch::Tensor place = flat_.narrow(0, count, parameter.tensor.numel());
      gradient.defined() ? place.copy_(gradient.reshape({-1})) : place.zero_();
      count += place.numel();
    }
    torch::Tensor sums = at::tensor(numbers, at::kDouble);
    communicator_->all_reduce(sums);
    if (count > 0) communicator_->all_reduce(flat_);
    const double* sum = sums.data_ptr<double>();
    account.loss = sum[0];
    account.auxiliary = sum[1];
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < common_.size(); ++i) {
      const torch::Tensor& parameter = common_[i].tensor;
      // Without gradient everywhere it stays without: the optimiser leaves it alone.
      if (sum[3 + i] > 0) {
        torch::Tensor& gradient = parameter.mutable_grad();
        if (!gradient.defined()) gradient = at::empty_like(parameter.detach());
        gradient.copy_(flat_.narrow(0, begin, gradient.numel()).reshape(gradient.sizes()));
      }
      begin += parameter.numel();
    }
    return sum[2];
  }

  /// True everywhere when true anywhere.
  bool agree(bool stop) {
    if (communicator_ == nullptr) return stop;
    torch::Tensor flag = at::full({1}, stop ? 1 : 0, at::kLong);
    communicator_->all_reduce(flag);
    return flag.item<std::int64_t>() > 0;
  }

  Scalars evaluate(LoopResult& out) {
    task_.model().eval();
    const torch::NoGradGuard off;
    Scalars values = task_.evaluate();
    if (communicator_ != nullptr)  // other processors may round differently, and all must decide alike
      for (auto& entry : values) {
        torch::Tensor value = at::full({1}, entry.second, at::kDouble);
        communicator_->broadcast(value, 0);
        entry.second = value.item<double>();
      }
    task_.model().train();
    best_now_ = false;
    const std::string metric = task_.metric();
    const auto found =
        std::find_if(values.begin(), values.end(), [&](const auto& entry) { return entry.first == metric; });
    if (found == values.end()) return values;
    out.last_evaluation = values;
    const double value = found->second;
    const bool better =
        std::isfinite(value) &&
        (!state_.best_metric || (task_.larger_is_better() ? value > *state_.best_metric : value < *state_.best_metric));
    if (better) {
      best_now_ = true;
      state_.best_metric = value;
      state_.best_step = state_.step;
    }
    worse_evaluations_ = better ? 0 : worse_evaluations_ + 1;
    return values;
  }

  /// Called by all processes: process 0 saves, and the others hand over what it does not have.
  void save(bool best) {
    if (!saves_) return;
    Checkpoint checkpoint;
    for (const auto& [name, tensor] : module_tensors(task_.model())) checkpoint.model[name] = whole(name, tensor);
    for (const NamedTensor& moment : optimizer_->state())
      checkpoint.optimizer[moment.name] = whole(moment.name.substr(0, moment.name.rfind('.')), moment.tensor);
    for (const auto& [name, tensor] : task_.extra_state())
      checkpoint.optimizer[std::string(kTaskPrefix) + name] = tensor;
    if (!checkpoints_) return;
    state_.generators["torch"] = torch_generator_state();
    state_.more["evaluations_without_better"] = worse_evaluations_;
    checkpoint.state = state_;
    checkpoints_->save(checkpoint, best);
  }

  void report(const StepAccount& account, const LoopResult& out, double start) const {
    if (!callbacks_.progress || !leads()) return;
    const double rate = static_cast<double>(out.scored) * processes() / std::max(1e-9, now() - start);
    callbacks_.progress(static_cast<double>(state_.step) / static_cast<double>(options_.steps),
                        fmt::format("step {}, loss {:.3f}, {:.0f} tokens/s", state_.step, account.loss, rate));
  }

  TrainingTask& task_;
  LoopOptions options_;
  LearningRateOptions rate_;
  const LoopCallbacks& callbacks_;
  Communicator* communicator_;
  std::vector<NamedTensor> parameters_;
  std::set<std::string> spread_;           // names of parameters whose rows are shared out
  std::vector<NamedTensor> common_, own_;  // parameters_ without and with these names
  torch::Tensor flat_;                     // all common gradients; kept, for fresh pages cost as much as sending
  std::optional<AdamW> optimizer_;
  std::optional<CheckpointFolder> checkpoints_;
  TrainingState state_;
  std::int64_t worse_evaluations_ = 0;
  bool best_now_ = false;
  bool saves_ = false;      // process 0 keeps checkpoints
  std::uint64_t seed_ = 0;  // torch's when the run began
};

}  // namespace

std::string_view to_text(StopReason reason) {
  switch (reason) {
    case StopReason::not_started:
      return "not started";
    case StopReason::finished:
      return "all steps are done";
    case StopReason::patience:
      return "no better evaluation for as long as patience allows";
    case StopReason::interrupted:
      return "interrupted; the last step is saved";
    case StopReason::diverged:
      return "the loss or its gradient is not finite";
  }
  return "?";
}

LoopResult run_training(TrainingTask& task, const LoopOptions& options, const LearningRateOptions& rate,
                        const RunFolder* folder, bool resume, const LoopCallbacks& callbacks,
                        Communicator* communicator, const std::string& events) {
  Run run(task, options, rate, folder, callbacks, communicator);
  if (resume) {
    if (folder == nullptr) user_error("resume needs the folder of the run");
    run.resume(*folder);
  } else if (communicator != nullptr) {
    run.begin_equal();
  }
  std::optional<MetricsLog> metrics;
  if (folder != nullptr && run.leads()) metrics.emplace(folder->file("metrics.jsonl"), run.step(), events);
  return run.go(metrics ? &*metrics : nullptr);
}

}  // namespace clearway::train
