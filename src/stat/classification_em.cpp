#include "classification_em.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "clearway/stat/membership_alignment.hpp"
#include "local_likelihood.hpp"
#include "sampling_units.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr int kGateSteps = 8;        // Newton steps of the gate for decided memberships: to its optimum
constexpr int kChain = 200;          // iterations of SEM (fewer when max-iterations is lower)
constexpr double kSmallest = 1e-12;  // weight of the noise component that is left when no row is in it

// One expert per unit (row or group), and what follows from it.
class DecidedMemberships {
 public:
  DecidedMemberships(const Data& data, const LocalLikelihood& local)
      : working_(local.scaling().standardised(data, 0, data.rows())),
        units_(data.groups, data.rows()),
        // The general engine makes whole M-steps; the fast one only first steps of a start.
        engine_(make_general_engine(data, local.scaling(), local.model(), local.engine().settings())) {}

  Matrix responsibilities(const MixtureModel& model) const { return model.responsibilities(working_); }

  template <class Decide>
  Matrix decide(const Matrix& responsibilities, Decide&& decide) const {
    Matrix decided = Matrix::Zero(responsibilities.rows(), responsibilities.cols());
    for (const std::vector<Index>& unit : units_.rows) {
      const Vector weights = responsibilities.row(unit.front()).transpose();
      const Index expert = decide(weights);
      for (const Index t : unit) decided(t, expert) = 1;
    }
    return decided;
  }

  // The M-step for decided memberships.
  void maximise(const Matrix& decided, MixtureModel& model) const {
    const int k = model.expert_count();
    engine_->maximise(decided.leftCols(k), kGateSteps, model);
    if (!model.has_noise) return;
    const Vector w = working_.weights.size() ? working_.weights : Vector::Ones(working_.rows());
    model.noise_weight = std::clamp(decided.col(k).dot(w) / w.sum(), kSmallest, 1 - kSmallest);
  }

 private:
  Data working_;
  SamplingUnits units_;
  std::unique_ptr<EmEngine> engine_;
};

Index most_responsible(const Vector& weights) {
  Index best = 0;
  weights.maxCoeff(&best);
  return best;
}

// Until no row changes its expert. Returns whether that happened.
bool run_cem(const DecidedMemberships& memberships, const FitOptions& options, MixtureModel& model, int& iterations) {
  Matrix before;
  for (iterations = 0; iterations < std::max(1, options.max_iterations); ++iterations) {
    Matrix decided = memberships.decide(memberships.responsibilities(model), most_responsible);
    if (iterations > 0 && decided == before) return true;
    memberships.maximise(decided, model);
    before = std::move(decided);
  }
  return false;
}

void run_sem(const DecidedMemberships& memberships, const FitOptions& options, const ParameterMap& map,
             MixtureModel& model, int& iterations) {
  RandomStream stream(static_cast<std::uint64_t>(options.seed), 0);
  const int chain = std::max(2, std::min(kChain, options.max_iterations));
  const int k = model.expert_count();
  const Matrix reference = memberships.responsibilities(model).leftCols(k);
  Vector sum = Vector::Zero(map.size);
  int counted = 0;
  for (iterations = 0; iterations < chain; ++iterations) {
    const Matrix r = memberships.responsibilities(model);
    memberships.maximise(memberships.decide(r,
                                            [&](const Vector& weights) {
                                              return static_cast<Index>(stream.categorical(
                                                  weights.data(), static_cast<std::size_t>(weights.size())));
                                            }),
                         model);
    if (iterations < chain / 2) continue;
    const MembershipAlignment alignment =
        align_memberships(memberships.responsibilities(model).leftCols(k), reference, Vector());
    sum += map.pack(model.permuted(alignment.order));
    ++counted;
  }
  map.unpack(sum / counted, model);
}

// What a result says about its model, for a model that is no maximum of the likelihood.
void describe(const Data& data, FitResult& result) {
  const MixtureModel& model = result.model;
  const Matrix r = model.responsibilities(data);
  const Vector w = data.weights.size() ? Vector(data.weights) : Vector::Ones(data.rows());
  result.log_likelihood = model.log_likelihood(data);
  const double df = result.degrees_of_freedom;
  result.shares = r.transpose() * w / result.effective_rows;
  result.entropy = -w.dot((r.array() * r.array().max(1e-300).log()).rowwise().sum().matrix());
  result.aic = -2 * result.log_likelihood + 2 * df;
  result.bic = -2 * result.log_likelihood + df * std::log(result.effective_rows);
  result.icl = result.bic + 2 * result.entropy;
}

}  // namespace

FitResult classification_fit(const Data& data, const FitOptions& options, const MixtureModel* user_start,
                             const ProgressCallback& progress) {
  const auto begin = std::chrono::steady_clock::now();
  if (options.expert.divisor == VarianceDivisor::unbiased)
    user_error("method '{}' needs variance divisor 'likelihood'", enum_name(options.method));
  FitOptions em = options;
  em.method = FitMethod::automatic;
  FitResult result = fit(data, em, user_start, progress);
  const LocalLikelihood local(data, result.model, options);
  const DecidedMemberships memberships(data, local);
  MixtureModel model = local.model();
  int iterations = 0;
  const bool hard = options.method == FitMethod::cem;
  bool arrived = true;
  if (hard)
    arrived = run_cem(memberships, options, model, iterations);
  else
    run_sem(memberships, options, local.engine().map(), model, iterations);
  result.model = local.scaling().to_raw(model);
  result.model = result.model.permuted(result.model.order_by_share(data));
  result.iterations += iterations;
  result.converged = result.converged && arrived;
  if (!arrived)
    result.reason = StopReason::iteration_limit;
  else if (result.reason == StopReason::converged)
    result.reason = StopReason::settled;
  result.score = LocalLikelihood(data, result.model, options).mean_score();
  describe(data, result);
  result.warnings.push_back(
      hard ? fmt::format("Classification EM: every row belongs to one expert wholly ({} steps from the EM optimum). "
                         "These are not maximum likelihood estimates; with overlapping experts they are biased, and "
                         "standard errors do not apply.",
                         iterations)
           : fmt::format("Stochastic EM: memberships were drawn; shown is the mean of the last {} of {} iterations, "
                         "which is near the maximum of the likelihood but not at it.",
                         iterations - iterations / 2, iterations));
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return result;
}

}  // namespace clearway::detail
