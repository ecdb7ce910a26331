#include "clearway/stat/fit.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "classification_em.hpp"
#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/stat/least_squares.hpp"
#include "clearway/stat/spectral.hpp"
#include "design_checks.hpp"
#include "em_engine.hpp"
#include "nesting.hpp"
#include "optimise.hpp"
#include "spurious_maximum.hpp"
#include "starts.hpp"
#include "tournament.hpp"
#include "trimmed_fit.hpp"

namespace clearway {
namespace {

using detail::EmEngine;
using detail::EngineSettings;
using detail::OptimiseSettings;
using detail::Scaling;
using detail::Solution;
using detail::StartMaker;
using detail::Tournament;
using Eigen::Index;

class Fitter {
 public:
  Fitter(const Data& data, const FitOptions& options, const ProgressCallback& progress)
      : data_(data), options_(options), progress_(progress) {
    check();
    prototype_.gate = Gate(options.gate, static_cast<int>(data.gate_inputs.cols()), options.experts);
    prototype_.experts = blank_experts();
    prototype_.constraints = options.constraints;
    check_constraints();
    scaling_ = Scaling(data, prototype_);
    if (options.gate.units == GateUnits::raw)
      prototype_.gate = prototype_.gate.on_standard_scale(scaling_.gate_centre, scaling_.gate_scale);
    place_fixed_values();
    settings_.threads = resolve_threads(options.threads);
    settings_.gate_ridge = options.gate_ridge;
    settings_.sigma_floor =
        options.sigma_floor * (scaling_.response_deviation.cwiseQuotient(scaling_.response_scale)).minCoeff();
    if (options.noise == NoiseKind::uniform) {
      prototype_.has_noise = true;
      prototype_.noise_weight = 0.05;
      double log_volume = 0;
      for (Index j = 0; j < data.response.cols(); ++j)
        log_volume +=
            std::log((data.response.col(j).maxCoeff() - data.response.col(j).minCoeff()) / scaling_.response_scale(j));
      prototype_.noise_log_density = -log_volume;
    }
    optimise_settings_ = {.max_iterations = options.max_iterations,
                          .tolerance = options.tolerance,
                          .acceleration = options.acceleration,
                          .newton = options.newton};
  }

  FitResult run(const MixtureModel* user_start) {
    const auto begin = std::chrono::steady_clock::now();
    tournament_.emplace(data_, options_, scaling_, prototype_, settings_, optimise_settings_, progress_);
    if (user_start) add_user_start(*user_start);
    tournament_->run();
    FitResult result = assemble();
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

 private:
  void check() const {
    check_options(options_);
    (void)options_.expert_specs();  // as many kinds as experts
    const std::vector<ExpertKind> kinds = options_.distinct_kinds();
    check_mixture(kinds);
    for (const ExpertKind kind : kinds) data_.check(kind);
    const Index n = data_.rows();
    if (options_.experts > n)
      user_error("experts must be at most the number of rows: {} experts for {} rows", options_.experts, n);
    for (const ExpertKind kind : kinds) check_kind(kind);
    if (is_parsimonious(options_.expert.covariance) && data_.response.cols() == 1)
      user_error("covariance '{}' is for a vector response; with one response use --variance",
                 enum_name(options_.expert.covariance));
    if (options_.expert.divisor == VarianceDivisor::unbiased && n <= data_.expert_inputs.cols() + 1)
      user_error("variance divisor 'unbiased' needs more rows ({}) than coefficients ({})", n,
                 data_.expert_inputs.cols() + 1);
    if (options_.expert.link != LinkKind::log && std::none_of(kinds.begin(), kinds.end(), has_link))
      user_error("link is a choice for gamma and inverse-gaussian experts, not for {}",
                 enum_name(options_.expert.kind));
    if (options_.noise == NoiseKind::uniform) {
      for (const ExpertKind kind : kinds)
        if (response_kind(kind) != ResponseKind::real)
          user_error("uniform noise needs a real response, not {} experts", enum_name(kind));
      if (data_.event.size() != 0 && (data_.event.array() != 1).any())
        user_error("uniform noise does not know what to make of censored responses");
      for (Index j = 0; j < data_.response.cols(); ++j)
        if (!(data_.response.col(j).maxCoeff() > data_.response.col(j).minCoeff()))
          user_error("uniform noise needs a response that varies");
    }
    if (!data_.groups.empty() && options_.noise != NoiseKind::none)
      user_error("a noise component does not go with repeated measures");
    for (std::size_t i = 0; i < data_.labels.size(); ++i)
      if (data_.labels[i] >= options_.experts)
        user_error("row {}: its label is expert {} but there are {} experts", i + 1, data_.labels[i] + 1,
                   options_.experts);
    if (options_.gate.kind == GateKind::unnormalised_sigmoid)
      user_error("gate '{}' has weights that do not sum to 1, so there is no likelihood; it is for least squares",
                 enum_name(options_.gate.kind));
    if (options_.method == FitMethod::spectral && options_.experts > 1) {
      MixtureModel prototype;
      prototype.experts = blank_experts();
      std::string reason;
      if (!spectral_possible(prototype, reason)) user_error("method 'spectral' does not apply: {}", reason);
    }
  }

  void check_constraints() const {
    const Constraints& constraints = options_.constraints;
    if (constraints.empty()) return;
    if (options_.distinct_kinds().size() > 1) user_error("fixed and shared parameters need experts of one kind");
    if (data_.response.cols() > 1)
      user_error("fixed and shared parameters need one response, not {}", data_.response.cols());
    for (const FixedParameter& f : constraints.fixed) {
      const Index count = f.in_gate ? prototype_.gate.block_size() : prototype_.experts.front().parameters().size();
      if (f.expert < 0 || f.expert >= options_.experts || f.parameter < 0 || f.parameter >= count)
        user_error("a fixed parameter is number {} of expert {}, which has {} and there are {} experts",
                   f.parameter + 1, f.expert + 1, count, options_.experts);
      if (!std::isfinite(f.value)) user_error("a fixed parameter must have a finite value, not {}", f.value);
      if (!f.in_gate && constraints.is_shared(f.parameter))
        user_error("a parameter is fixed or shared, not both (number {})", f.parameter + 1);
      if (f.in_gate && prototype_.gate.pinned(static_cast<Index>(f.expert) * count + f.parameter) && f.value != 0)
        user_error("gate parameter {} of expert {} is 0 already: it is the reference", f.parameter + 1, f.expert + 1);
    }
    for (int parameter : constraints.shared)
      if (parameter < 0 || parameter >= prototype_.experts.front().parameters().size())
        user_error("a shared parameter is number {} of {}", parameter + 1,
                   prototype_.experts.front().parameters().size());
  }

  // Fixed values are given on the scale of the data; the engines want them on the working scale.
  void place_fixed_values() {
    MixtureModel raw = prototype_;
    for (const FixedParameter& f : prototype_.constraints.fixed) value_of(raw, f) = f.value;
    MixtureModel standard = scaling_.to_standard(raw);
    for (const FixedParameter& f : prototype_.constraints.fixed) value_of(prototype_, f) = value_of(standard, f);
  }

  static double& value_of(MixtureModel& model, const FixedParameter& f) {
    return f.in_gate ? model.gate.parameters()(static_cast<Index>(f.expert) * model.gate.block_size() + f.parameter)
                     : model.experts[static_cast<std::size_t>(f.expert)].parameters()(f.parameter);
  }

  void check_kind(ExpertKind kind) const {
    if (options_.expert.variance != VarianceKind::shared) return;
    ExpertSpec spec = options_.expert;
    spec.kind = kind;
    if (!Expert(spec, 0, 1, 2).has_sigma())
      user_error("variance 'shared' needs experts with a noise level, not {}", enum_name(kind));
    if (!has_gaussian_residuals(kind) || data_.response.cols() > 1)
      user_error("variance 'shared' is for Gaussian experts of one response, not for {}",
                 data_.response.cols() > 1 ? "a vector response" : enum_name(kind));
  }

  std::vector<Expert> blank_experts() const {
    std::vector<Expert> experts;
    for (const ExpertSpec& spec : options_.expert_specs())
      experts.emplace_back(spec, static_cast<int>(data_.expert_inputs.cols()), static_cast<int>(data_.response.cols()),
                           data_.classes, data_.attributes);
    return experts;
  }

  bool spectral_possible(const MixtureModel& prototype, std::string& reason) const {
    Data tiny;
    tiny.expert_inputs = Matrix::Zero(1, data_.expert_inputs.cols());
    tiny.gate_inputs = Matrix::Zero(1, 0);
    tiny.response = Matrix::Constant(1, data_.response.cols(), 1.0);
    tiny.trials = Vector::Ones(1);
    tiny.classes = std::max(2, data_.classes);
    return StartMaker(tiny, prototype).spectral_applies(reason);
  }

  double total_weight() const { return data_.weights.size() ? data_.weights.sum() : static_cast<double>(data_.rows()); }

  void add_user_start(const MixtureModel& start) {
    if (start.expert_count() != options_.experts)
      user_error("the given start has {} experts, the options ask for {}", start.expert_count(), options_.experts);
    MixtureModel model = detail::in_order_of_kinds(scaling_.to_standard(start), prototype_);
    if (model.gate.inputs() == prototype_.gate.inputs())
      model.gate.set_units(prototype_.gate.input_centre(), prototype_.gate.input_scale());
    for (std::size_t j = 0; j < model.experts.size(); ++j)
      if (model.experts[j].parameters().size() != prototype_.experts[j].parameters().size() ||
          model.experts[j].spec().kind != prototype_.experts[j].spec().kind ||
          model.gate.spec().kind != options_.gate.kind ||
          model.gate.parameters().size() != prototype_.gate.parameters().size())
        user_error("the given start is a model of another shape");
    model.constraints = prototype_.constraints;
    for (const FixedParameter& f : model.constraints.fixed) value_of(model, f) = value_of(prototype_, f);
    model.gate.pin();
    model.has_noise = prototype_.has_noise;
    model.noise_log_density = prototype_.noise_log_density;
    if (model.has_noise && !(model.noise_weight > 0)) model.noise_weight = prototype_.noise_weight;
    tournament_->add_user_start(model);
  }

  bool separated(const Solution& solution) {
    if (options_.gate.top_k == 1 && !prototype_.gate.is_smooth()) return false;  // no smooth gate whose ends are far
    // A gate coefficient that is huge on the working scale and smaller than its own standard error: the likelihood has
    // no maximum, it only flattens out.
    const detail::ParameterMap& map = tournament_->engine().map();
    const Vector free = map.pack(solution.model);
    const Vector& errors = solution.outcome.standardised_errors;
    if (errors.size() != free.size()) {
      for (int i : map.gate)
        if (i >= 0 && std::abs(free(i)) > 100) return true;
      return false;
    }
    for (int i : map.gate)
      if (i >= 0 && std::abs(free(i)) > 10 && !(std::abs(free(i)) > errors(i))) return true;
    return false;
  }

  FitResult assemble() {
    FitResult result;
    const Solution* found = tournament_->best(options_.keep_degenerate);
    if (!found) found = tournament_->best(true);
    Solution winner = *found;
    const double total = total_weight();
    const double jacobian = scaling_.log_jacobian() * total;
    const std::vector<Solution>& solutions = tournament_->solutions();
    result.start_records = tournament_->records();
    result.starts = static_cast<int>(result.start_records.size());
    result.starts_polished = static_cast<int>(solutions.size());
    result.starts_agreed = tournament_->agreeing(winner);
    for (const Solution& s : solutions)
      if (s.degenerate && (std::isnan(result.degenerate_log_likelihood) ||
                           s.outcome.objective + jacobian > result.degenerate_log_likelihood))
        result.degenerate_log_likelihood = s.outcome.objective + jacobian;
    if (options_.gate_ridge == 0 && separated(winner)) treat_separation(winner, result, jacobian);
    result.start = result.start_records[winner.start].kind;
    result.sigma_floor = options_.sigma_floor;
    result.gate_ridge = options_.gate_ridge;
    if (result.gate_ridge == 0 && winner.penalty != 0) result.gate_ridge = options_.separation_ridge / total;

    for (const Solution& s : solutions)
      result.history.insert(result.history.end(), s.outcome.history.begin(), s.outcome.history.end());
    for (IterationRecord& r : result.history) r.log_likelihood += jacobian;

    result.model = scaling_.to_raw(winner.model);
    for (const FixedParameter& f : result.model.constraints.fixed)  // to the last bit what was asked for
      value_of(result.model, f) = f.value;
    result.log_likelihood = winner.outcome.objective - winner.penalty + jacobian;
    result.converged = winner.outcome.converged;
    result.reason = winner.outcome.reason;
    if (winner.degenerate) result.reason = StopReason::degenerate;
    result.iterations = winner.outcome.iterations;
    result.score = winner.outcome.score;
    result.rows = data_.rows();
    result.effective_rows = total;
    result.degrees_of_freedom =
        result.model.degrees_of_freedom() - detail::undetermined_parameters(result.model, data_);
    const double df = result.degrees_of_freedom;
    result.aic = -2 * result.log_likelihood + 2 * df;
    result.bic = -2 * result.log_likelihood + df * std::log(total);
    memberships(result);
    // Labels and constraints that differ between experts number them.
    if (data_.labels.empty() && options_.constraints.symmetric(options_.experts)) order_by_share(result);
    result.icl = result.bic + 2 * result.entropy;
    warn(winner, result);
    return result;
  }

  void treat_separation(Solution& winner, FitResult& result, double jacobian) {
    result.gate_separated = true;
    result.supremum_log_likelihood = winner.outcome.objective + jacobian;
    if (options_.separation_ridge == 0) return;
    // Among the best solutions, the one that is best once the separated ones have finite coefficients.
    std::vector<const Solution*> candidates;
    for (const Solution& s : tournament_->solutions())
      if (!s.degenerate || winner.degenerate) candidates.push_back(&s);
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const Solution* a, const Solution* b) { return a->outcome.objective > b->outcome.objective; });
    candidates.resize(std::min<std::size_t>(candidates.size(), 5));
    std::optional<Solution> chosen;
    for (const Solution* candidate : candidates) {
      Solution solution = *candidate;
      if (separated(solution)) solution = with_ridge(solution);
      if ((!solution.degenerate || winner.degenerate) &&
          (!chosen || solution.outcome.objective > chosen->outcome.objective))
        chosen = std::move(solution);
    }
    if (chosen) winner = std::move(*chosen);
  }

  // A separated solution carried on under the ridge.
  Solution with_ridge(const Solution& separated_solution) {
    Solution ridged = separated_solution;
    // From coefficients of ordinary size: at the far end of the plateau the penalised objective has no curvature.
    const double largest = ridged.model.gate.parameters().cwiseAbs().maxCoeff();
    if (largest > 10) ridged.model.gate.parameters() *= 10 / largest;
    EmEngine& engine = tournament_->engine();
    engine.set_gate_ridge(options_.separation_ridge / total_weight());
    ridged.outcome = detail::optimise(engine, ridged.model, optimise_settings_);
    ridged.penalty = engine.penalty(ridged.model);
    engine.set_gate_ridge(options_.gate_ridge);
    ridged.outcome.iterations += separated_solution.outcome.iterations;
    ridged.degenerate = tournament_->is_degenerate(ridged.model);
    return ridged;
  }

  // Shares and entropy of the responsibilities, in blocks of rows so that memory stays small. A group of rows has one
  // expert: it counts once in the entropy.
  void memberships(FitResult& result) const {
    const Index n = data_.rows();
    const int columns = result.model.expert_count() + (result.model.has_noise ? 1 : 0);
    result.shares = Vector::Zero(columns);
    result.entropy = 0;
    const Index rows_at_once = data_.groups.empty() ? 4096 : n;  // a group is not to be cut
    std::unordered_map<int, double> group_size;
    for (int g : data_.groups) ++group_size[g];
    for (Index begin = 0; begin < n; begin += rows_at_once) {
      const Index count = std::min(rows_at_once, n - begin);
      std::vector<Index> rows(static_cast<std::size_t>(count));
      std::iota(rows.begin(), rows.end(), begin);
      const Data block = data_.subset(rows);
      const Matrix r = result.model.responsibilities(block);
      for (Index i = 0; i < count; ++i) {
        const double w = block.weights.size() ? block.weights(i) : 1.0;
        const double once = block.groups.empty() ? w : w / group_size[block.groups[static_cast<std::size_t>(i)]];
        for (int j = 0; j < columns; ++j) {
          result.shares(j) += w * r(i, j);
          if (r(i, j) > 0) result.entropy -= once * r(i, j) * std::log(r(i, j));
        }
      }
    }
    result.shares /= result.effective_rows;
  }

  // Experts by decreasing share: the order of every report.
  static void order_by_share(FitResult& result) {
    std::vector<int> order(result.model.experts.size());
    std::iota(order.begin(), order.end(), 0);
    const Vector shares = result.shares;
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return shares(a) > shares(b); });
    result.model = result.model.permuted(order);
    result.ridge_reference = static_cast<int>(std::max_element(order.begin(), order.end()) - order.begin());
    for (std::size_t j = 0; j < order.size(); ++j) result.shares(static_cast<Index>(j)) = shares(order[j]);
  }

  void warn(const Solution& winner, FitResult& result) const {
    auto& warnings = result.warnings;
    if (!result.converged)
      warnings.push_back(
          fmt::format("The fit did not converge ({}); raise --max-iterations (now {}) or try more --starts.",
                      enum_name(winner.outcome.reason), options_.max_iterations));
    if (result.gate_separated && options_.separation_ridge > 0 && winner.penalty == 0)
      warnings.push_back(fmt::format(
          "The gate of the solution with the highest log-likelihood separates the data: its coefficients run to "
          "infinity "
          "and the log-likelihood tends to {:.3f}. Shown is another solution, the best whose coefficients are finite.",
          result.supremum_log_likelihood));
    else if (result.gate_separated && options_.separation_ridge > 0)
      warnings.push_back(fmt::format(
          "The gate separates the data: without a penalty its coefficients run to infinity and the log-likelihood "
          "tends to {:.3f}. Shown is the best solution with finite coefficients under a weak ridge penalty ({:g} on "
          "standardised inputs, --separation-ridge).",
          result.supremum_log_likelihood, options_.separation_ridge));
    else if (result.gate_separated)
      warnings.push_back(
          "The gate separates the data: its coefficients run to infinity, those shown are where it stopped.");
    if (winner.degenerate)
      warnings.push_back(
          "An expert sits at the noise floor (--sigma-floor): the likelihood has a spike there and no maximum. Use "
          "fewer experts, a shared noise level (--variance shared) or a higher floor.");
    else if (std::isfinite(result.degenerate_log_likelihood) &&
             result.degenerate_log_likelihood > result.log_likelihood)
      warnings.push_back(fmt::format(
          "A solution with an expert at the noise floor has a higher log-likelihood ({:.3f}) and was set aside as a "
          "spike; --keep-degenerate lets it win.",
          result.degenerate_log_likelihood));
    for (Index j = 0; j < result.model.expert_count(); ++j)
      if (result.shares(j) * result.effective_rows <
          static_cast<double>(std::min(data_.expert_inputs.cols() + 2,  // attributes have more columns than parameters
                                       result.model.experts[static_cast<std::size_t>(j)].parameters().size())))
        warnings.push_back(
            fmt::format("Expert {} holds {:.3g} rows in all, fewer than it has parameters; use fewer experts.", j + 1,
                        result.shares(j) * result.effective_rows));
    detail::warn_of_spurious_maximum(result);
    if (result.degrees_of_freedom >= result.effective_rows)
      warnings.push_back(
          fmt::format("The model has {} parameters for {:g} rows.", result.degrees_of_freedom, result.effective_rows));
    if (!result.model.gate.is_smooth())
      warnings.push_back(
          fmt::format("The likelihood of a top-{} gate jumps where another expert enters the selection of a row: the "
                      "gate is the best "
                      "that was found, not a zero of a score, and has no standard errors for the borders.",
                      options_.gate.top_k));
    if (options_.starts == 0 && options_.experts > 1 && result.starts_agreed < 2 &&
        !tournament_->stable_under_reseeding() && options_.method != FitMethod::spectral)
      warnings.push_back(
          fmt::format("Only one of {} polished starts reached this optimum; raise --max-starts to search on.",
                      result.starts_polished));
    if (result.start == StartKind::spectral || options_.method == FitMethod::spectral)
      for (const std::string& text : tournament_->diagnoses()) warnings.push_back("Spectral start: " + text);
    warn_of_bias(winner, result);
  }

  // The spectral start assumes that no gate direction has a component along a regressor (docs/spectral.md).
  void warn_of_bias(const Solution& winner, FitResult& result) const {
    if (result.start != StartKind::spectral || options_.experts < 3 || options_.gate.kind != GateKind::softmax ||
        options_.gate.transform != GateTransform::none)
      return;
    const Index d = data_.expert_inputs.cols();
    if (data_.gate_inputs.cols() != d || data_.gate_inputs != data_.expert_inputs) return;
    Matrix gate(options_.experts, d), experts(options_.experts, d);
    for (int k = 0; k < options_.experts; ++k) {
      gate.row(k) = winner.model.gate.block(k).tail(d).transpose();
      experts.row(k) = winner.model.experts[static_cast<std::size_t>(k)].parameters().segment(1, d).transpose();
    }
    constexpr double kVisiblyOblique = 0.5;
    const double cosine = orthogonality_diagnosis(gate, experts);
    if (cosine > kVisiblyOblique)
      result.warnings.push_back(
          fmt::format("Spectral start: the gate is not orthogonal to the regressors (largest |cos| {:.2f}), which "
                      "biases the spectral "
                      "estimate for three or more experts; the joint EM that followed removes the bias.",
                      cosine));
  }

  const Data& data_;
  const FitOptions& options_;
  const ProgressCallback& progress_;
  MixtureModel prototype_;
  Scaling scaling_;
  EngineSettings settings_;
  OptimiseSettings optimise_settings_;
  std::optional<Tournament> tournament_;
};

}  // namespace

std::vector<ExpertSpec> FitOptions::expert_specs() const {
  std::vector<ExpertSpec> specs(static_cast<std::size_t>(experts), expert);
  if (expert_kinds.size() < 2) return specs;
  if (expert_kinds.size() != specs.size())
    user_error("expert lists {} kinds for {} experts; give one for all, or one for each", expert_kinds.size(), experts);
  for (std::size_t j = 0; j < specs.size(); ++j) specs[j].kind = expert_kinds[j];
  return specs;
}

std::vector<ExpertKind> FitOptions::distinct_kinds() const {
  if (expert_kinds.size() < 2) return {expert.kind};
  std::vector<ExpertKind> kinds;
  for (const ExpertKind kind : expert_kinds)
    if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) kinds.push_back(kind);
  return kinds;
}

std::string FitResult::brief() const {
  if (reason == StopReason::not_fitted) return "not fitted yet";
  if (least_squares)
    return fmt::format(
        "{} experts, least squares, R^2 {:.6f} (df {}), {} after {} iterations, {} start, {} of {} agreed",
        model.expert_count(), least_squares->r_squared.mean(), degrees_of_freedom, enum_name(reason), iterations,
        enum_name(start), starts_agreed, starts_polished);
  return fmt::format(
      "{} experts, log-likelihood {:.4f} (df {}), BIC {:.2f}, {} after {} iterations, {} start, {} of {} agreed",
      model.expert_count(), log_likelihood, degrees_of_freedom, bic, enum_name(reason), iterations, enum_name(start),
      starts_agreed, starts_polished);
}

FitResult fit(const Data& data, const FitOptions& options, const MixtureModel* user_start,
              const ProgressCallback& progress) {
  if (options.method == FitMethod::least_squares) {
    if (!data.groups.empty() || !data.labels.empty())
      user_error(
          "a regression function has no experts per row: repeated measures and labels do not go with least squares");
    if (is_parsimonious(options.expert.covariance))
      user_error("least squares has one covariance for all rows, full or diagonal, not '{}'",
                 enum_name(options.expert.covariance));
    if (!options.constraints.empty()) user_error("least squares takes no fixed or shared parameters");
    return fit_least_squares(data, options, user_start, progress);
  }
  if (options.trim > 0) return detail::trimmed_fit(data, options, user_start, progress);
  if (options.method == FitMethod::cem || options.method == FitMethod::sem)
    return detail::classification_fit(data, options, user_start, progress);
  return Fitter(data, options, progress).run(user_start);
}

}  // namespace clearway
