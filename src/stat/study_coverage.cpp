#include "clearway/stat/study_coverage.hpp"

#include <charconv>
#include <cmath>
#include <map>
#include <mutex>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/core/alignment.hpp"
#include "clearway/stat/scenario.hpp"
#include "inference_parameters.hpp"

namespace clearway {
namespace {

using Eigen::Index;

constexpr std::uint64_t kInputs = 1000;  // streams: inputs and responses of replication r are kInputs + 2 r, + 1
constexpr std::uint64_t kPseudoTruth = 10;

struct Size {
  int experts = 0, dim = 0;
};

Size size_of(const std::string& design) {
  Size size;
  const auto number = [&](std::string_view text, int& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value >= 1 && value <= 100;
  };
  const std::size_t k = design.find("_k"), d = design.find("_d");
  const bool formed = design.starts_with("gauss_k") && d != std::string::npos && k + 2 < d;
  if (!formed || !number(std::string_view(design).substr(k + 2, d - k - 2), size.experts) ||
      !number(std::string_view(design).substr(d + 2), size.dim))
    user_error("design must be like gauss_k2_d1 (experts and inputs from 1 to 100), not '{}'", design);
  return size;
}

ModelNames names_of(int dim) {
  ModelNames names;
  names.responses = {"y"};
  for (int j = 0; j < dim; ++j) names.expert_inputs.push_back(fmt::format("x{}", j + 1));
  names.gate_inputs = names.expert_inputs;
  return names;
}

// Student t experts of the same means and variances.
MixtureModel with_t5_noise(const MixtureModel& truth) {
  constexpr double kNu = 5;
  MixtureModel model = truth;
  for (Expert& expert : model.experts) {
    Expert heavy(ExpertSpec{.kind = ExpertKind::student_t}, expert.inputs());
    heavy.parameters().head(expert.inputs() + 1) = expert.parameters().head(expert.inputs() + 1);
    heavy.set_sigma(expert.sigma() * std::sqrt((kNu - 2) / kNu));
    heavy.parameters()(heavy.parameters().size() - 1) = std::log(kNu);
    expert = heavy;
  }
  return model;
}

Data draw(const MixtureModel& generator, Index rows, std::uint64_t seed, std::uint64_t stream_number) {
  RandomStream inputs(seed, stream_number), responses(seed, stream_number + 1);
  Data data;
  data.expert_inputs.resize(rows, generator.gate.inputs());
  for (Index t = 0; t < rows; ++t)
    for (Index j = 0; j < data.expert_inputs.cols(); ++j) data.expert_inputs(t, j) = inputs.uniform(-2, 2);
  data.gate_inputs = data.expert_inputs;
  data.response = simulate(generator, data, responses).response;
  return data;
}

// The fit with its experts in the order of the target's.
void align(FitResult& result, const MixtureModel& target) {
  const auto k = static_cast<Index>(target.experts.size());
  Matrix cost(k, k);
  for (Index i = 0; i < k; ++i)
    for (Index j = 0; j < k; ++j)
      cost(i, j) = (result.model.experts[static_cast<std::size_t>(i)].parameters() -
                    target.experts[static_cast<std::size_t>(j)].parameters())
                       .squaredNorm();
  const std::vector<int> order = optimal_assignment(cost);
  const Vector shares = result.shares;
  result.model = result.model.permuted(order);
  for (Index j = 0; j < k; ++j) result.shares(j) = shares(order[static_cast<std::size_t>(j)]);
}

// One design: its truth, what generates data, what intervals ought to hold.
class CoverageDesign {
 public:
  CoverageDesign(const std::string& name, int number, const CoverageOptions& options) : options_(options) {
    const Size size = size_of(name);
    ScenarioOptions scenario;
    scenario.scenario = ScenarioKind::gauss;
    scenario.experts = size.experts;
    scenario.dim = size.dim;
    scenario.rows = 100;
    scenario.seed = options.seed;
    target_ = generator_ = make_problem(scenario).truth;
    seed_ = static_cast<std::uint64_t>(options.seed) * 1000 + static_cast<std::uint64_t>(number);
    fit_.experts = size.experts;
    fit_.threads = 1;
    names_ = names_of(size.dim);
    if (options.noise == CoverageNoise::t5) generator_ = with_t5_noise(generator_);
  }

  // The limit of the estimate under the wrong model: a fit to very many rows.
  void find_pseudo_truth() {
    if (options_.noise != CoverageNoise::t5) return;
    const Data data = draw(generator_, options_.pseudo_rows, seed_, kPseudoTruth);
    FitOptions fit_options = fit_;
    fit_options.threads = options_.threads;
    FitResult result = fit(data, fit_options);
    if (!result.converged) world_error("the fit that gives the pseudo-true parameters did not converge");
    align(result, target_);
    target_ = result.model;
  }

  CoverageTarget target() const {
    CoverageTarget target;
    const detail::ReportedParameters reported =
        detail::reported_parameters(target_, names_, Vector::Constant(shares(), std::nan("")));
    target.names = reported.names;
    target.parts = reported.parts;
    target.values = reported.values;
    return target;
  }

  CoverageReplication replicate(int number) const {
    CoverageReplication result;
    result.replication = number;
    const Data data = draw(generator_, options_.rows, seed_, kInputs + 2 * static_cast<std::uint64_t>(number));
    try {
      FitResult fitted = fit(data, fit_);
      result.converged = fitted.converged;
      align(fitted, target_);
      Vector values = target().values;
      if (shares() > 0) values.tail(shares()) = detail::gate_shares(target_, data, 1).values;
      for (const StandardErrorKind kind : {StandardErrorKind::observed, StandardErrorKind::sandwich}) {
        InferenceOptions options;
        options.standard_errors = kind;
        options.level = options_.level;
        const Inference inference = infer(data, fitted, names_, options);
        std::string& covered = kind == StandardErrorKind::observed ? result.observed : result.sandwich;
        for (int i = 0; i < inference.size(); ++i) {
          const bool inside = inference.lower(i) <= values(i) && values(i) <= inference.upper(i);
          covered += !inference.valid(i) ? '-' : inside ? '1' : '0';
        }
      }
    } catch (const std::runtime_error& error) {  // no start gave a finite likelihood
      result.failure = error.what();
    }
    return result;
  }

 private:
  // One expert has no share to estimate.
  Index shares() const { return target_.expert_count() > 1 ? target_.expert_count() : 0; }

  const CoverageOptions& options_;
  MixtureModel generator_, target_;
  std::uint64_t seed_ = 0;
  FitOptions fit_;
  ModelNames names_;
};

}  // namespace

CoverageStudy run_coverage_study(const CoverageOptions& options, const std::vector<CoverageReplication>& known,
                                 const CoverageSink& sink, const CoverageProgress& progress) {
  check_options(options);
  if (options.design.empty()) user_error("a coverage study needs at least one design");
  CoverageStudy study;
  study.options = options;
  std::vector<CoverageDesign> designs;
  designs.reserve(options.design.size());
  for (std::size_t d = 0; d < options.design.size(); ++d)
    designs.emplace_back(options.design[d], static_cast<int>(d), study.options);
  std::map<std::pair<int, int>, const CoverageReplication*> done;
  for (const CoverageReplication& replication : known)
    done[{replication.design, replication.replication}] = &replication;
  for (std::size_t d = 0; d < designs.size(); ++d) {
    if (progress)
      progress(static_cast<double>(d) / static_cast<double>(designs.size()), options.design[d] + ": target");
    designs[d].find_pseudo_truth();
    study.targets.push_back(designs[d].target());
    const std::size_t first = study.replications.size();
    study.replications.resize(first + static_cast<std::size_t>(options.replications));
    std::mutex lock;
    int finished = 0;
    parallel_for(static_cast<std::size_t>(options.replications), options.threads, [&](std::size_t r) {
      CoverageReplication& slot = study.replications[first + r];
      const auto found = done.find({static_cast<int>(d), static_cast<int>(r)});
      const bool fresh = found == done.end();
      slot = fresh ? designs[d].replicate(static_cast<int>(r)) : *found->second;
      slot.design = static_cast<int>(d);
      const std::lock_guard guard(lock);
      if (fresh && sink) sink(slot);
      ++finished;
      if (progress)
        progress((static_cast<double>(d) + finished / static_cast<double>(options.replications)) /
                     static_cast<double>(designs.size()),
                 fmt::format("{}: {} of {}", options.design[d], finished, options.replications));
    });
  }
  return study;
}

}  // namespace clearway
