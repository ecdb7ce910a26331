#include "clearway/stat/least_squares.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "design_checks.hpp"
#include "least_squares_diagnosis.hpp"
#include "least_squares_search.hpp"
#include "nesting.hpp"
#include "regression_function.hpp"

namespace clearway {
namespace {

using detail::LeastSquaresProblem;
using detail::LeastSquaresSearch;
using detail::LeastSquaresSolution;
using detail::Scaling;
using Eigen::Index;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLogTwoPi = 1.83787706640934548356;

void check(const Data& data, const FitOptions& options) {
  check_options(options);
  (void)options.expert_specs();  // as many kinds as experts
  for (const ExpertKind kind : options.distinct_kinds()) {
    data.check(kind);
    if (!detail::has_regression_mean(kind))
      user_error(
          "method 'least-squares' needs experts with a mean for a real response (linear, sigmoid, tanh, gelu, relu, "
          "leaky-relu, polynomial, constant, network), not {}",
          enum_name(kind));
  }
  if (options.noise != NoiseKind::none)
    user_error("method 'least-squares' has no noise component; leave --noise {} out", enum_name(options.noise));
  if (!data.groups.empty() || !data.labels.empty())
    user_error("method 'least-squares' knows no groups or labels: no row belongs to an expert");
  if (options.experts > data.rows())
    user_error("experts must be at most the number of rows: {} experts for {} rows", options.experts, data.rows());
}

class LeastSquaresFitter {
 public:
  LeastSquaresFitter(const Data& data, const FitOptions& options, const ProgressCallback& progress)
      : data_(data), options_(options), progress_(progress) {
    check(data, options);
    prototype_.form = ModelForm::regression;
    prototype_.gate = Gate(options.gate, static_cast<int>(data.gate_inputs.cols()), options.experts);
    // The starts come from EM, which knows a shared noise level for experts of one kind.
    const bool shared = data.response.cols() == 1 && options.distinct_kinds().size() == 1;
    for (ExpertSpec expert : options.expert_specs()) {
      expert.variance = shared ? VarianceKind::shared : VarianceKind::separate;
      expert.divisor = VarianceDivisor::likelihood;
      prototype_.experts.emplace_back(expert, static_cast<int>(data.expert_inputs.cols()),
                                      static_cast<int>(data.response.cols()), data.classes);
    }
    scaling_ = Scaling(data, prototype_);
    if (options.gate.units == GateUnits::raw)
      prototype_.gate = prototype_.gate.on_standard_scale(scaling_.gate_centre, scaling_.gate_scale);
    total_ = data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows());
  }

  FitResult run(const MixtureModel* user_start) {
    const auto begin = std::chrono::steady_clock::now();
    search_.emplace(data_, options_, scaling_, prototype_, progress_);
    if (user_start) add_user_start(*user_start);
    search_->run();
    FitResult result = assemble();
    result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    return result;
  }

 private:
  void add_user_start(const MixtureModel& start) {
    if (start.expert_count() != options_.experts)
      user_error("the given start has {} experts, the options ask for {}", start.expert_count(), options_.experts);
    MixtureModel model = detail::in_order_of_kinds(scaling_.to_standard(start), prototype_);
    if (model.gate.inputs() == prototype_.gate.inputs())
      model.gate.set_units(prototype_.gate.input_centre(), prototype_.gate.input_scale());
    MixtureModel own = prototype_;
    own.gate = model.gate;
    own.gate.pin();
    bool same = model.gate.spec().kind == options_.gate.kind &&
                model.gate.parameters().size() == prototype_.gate.parameters().size();
    for (std::size_t j = 0; j < model.experts.size(); ++j) {
      same = same && model.experts[j].spec().kind == own.experts[j].spec().kind &&
             model.experts[j].parameters().size() == own.experts[j].parameters().size();
      if (same) own.experts[j].parameters() = model.experts[j].parameters();
    }
    if (!same) user_error("the given start is a model of another shape");
    search_->add_start(own, StartKind::user);
  }

  // Normal log-likelihood on the scale of the data at a sum of squares on the working scale, one variance for all
  // responses there.
  double log_likelihood(double squares) const {
    const double values = total_ * static_cast<double>(data_.response.cols());
    const double variance = std::max(squares / values, std::numeric_limits<double>::min());
    return -0.5 * values * (kLogTwoPi + std::log(variance) + 1) + total_ * scaling_.log_jacobian();
  }

  FitResult assemble() {
    FitResult result;
    LeastSquaresSolution winner = search_->best();
    result.start_records = search_->records();
    result.starts = static_cast<int>(result.start_records.size());
    result.starts_polished = static_cast<int>(search_->solutions().size());
    result.starts_agreed = search_->agreeing();
    result.start = result.start_records[winner.start].kind;
    const LeastSquaresProblem& problem = search_->problem();
    detail::LeastSquaresDiagnosis diagnosis = detail::diagnose(problem, winner.model);
    if (options_.gate_ridge == 0 && (diagnosis.gate_separated || diagnosis.expert_diverges))
      treat_divergence(winner, result, diagnosis);

    for (StartRecord& record : result.start_records) {
      if (std::isfinite(record.short_log_likelihood))
        record.short_log_likelihood = log_likelihood(record.short_log_likelihood);
      if (std::isfinite(record.log_likelihood)) record.log_likelihood = log_likelihood(record.log_likelihood);
    }
    for (const LeastSquaresSolution& s : search_->solutions())
      result.history.insert(result.history.end(), s.outcome.history.begin(), s.outcome.history.end());
    for (IterationRecord& r : result.history) r.log_likelihood = log_likelihood(r.log_likelihood);

    const Matrix products = problem.residual_products(winner.model);
    set_noise(winner.model, products);
    result.model = scaling_.to_raw(winner.model);
    result.log_likelihood = result.model.log_likelihood(data_);
    result.converged = winner.outcome.converged;
    result.reason = winner.outcome.reason;
    result.iterations = std::max(winner.outcome.iterations, result.start_records[winner.start].iterations);
    result.score = winner.outcome.score;
    result.rows = data_.rows();
    result.effective_rows = total_;
    result.degrees_of_freedom =
        result.model.degrees_of_freedom() - detail::undetermined_parameters(result.model, data_);
    const double df = result.degrees_of_freedom;
    result.aic = -2 * result.log_likelihood + 2 * df;
    result.bic = -2 * result.log_likelihood + df * std::log(total_);
    const std::vector<int> order = order_by_share(result, winner.model);
    result.least_squares = report(products, result.degrees_of_freedom);
    result.least_squares->rank = diagnosis.rank;
    result.least_squares->smallest_singular_value = diagnosis.smallest_singular_value;
    result.least_squares->condition = diagnosis.condition;
    if (!order.empty()) diagnosis = detail::diagnose(problem, winner.model.permuted(order));
    result.least_squares->flat_directions = diagnosis.flat_directions;
    warn(result);
    return result;
  }

  // Coefficients that run to infinity: among the best solutions the one that is best once these have finite ones, under a
  // weak ridge (the theory of least squares assumes a compact set of parameters).
  void treat_divergence(LeastSquaresSolution& winner, FitResult& result, detail::LeastSquaresDiagnosis& diagnosis) {
    result.gate_separated = diagnosis.gate_separated;
    expert_diverged_ = diagnosis.expert_diverges;
    result.supremum_log_likelihood = log_likelihood(winner.outcome.sum_of_squares);
    if (options_.separation_ridge == 0) return;
    std::vector<const LeastSquaresSolution*> candidates;
    for (const LeastSquaresSolution& s : search_->solutions()) candidates.push_back(&s);
    std::stable_sort(candidates.begin(), candidates.end(), [](const auto* a, const auto* b) {
      return a->outcome.sum_of_squares < b->outcome.sum_of_squares;
    });
    constexpr std::size_t kCandidates = 4;
    candidates.resize(std::min(candidates.size(), kCandidates));
    LeastSquaresProblem& problem = search_->problem();
    // Half of the ridge times variance is what the penalty of fit() is to the log-likelihood.
    const double ridge = options_.separation_ridge * winner.outcome.sum_of_squares / total_;
    double least = std::numeric_limits<double>::infinity();
    for (const LeastSquaresSolution* candidate : candidates) {
      LeastSquaresSolution ridged = *candidate;
      shrink(ridged.model);
      problem.set_ridge(ridge, ridge);
      ridged.outcome = detail::minimise(problem, ridged.model, search_->settings(candidate->start));
      problem.set_ridge(0);
      if (ridged.outcome.sum_of_squares < least) {
        least = ridged.outcome.sum_of_squares;
        ridged.outcome.iterations += candidate->outcome.iterations;
        diagnosis = detail::diagnose(problem, ridged.model);
        winner = std::move(ridged);
      }
    }
    result.start = result.start_records[winner.start].kind;
  }

  // Coefficients of ordinary size: at the far end of a plateau there is no curvature.
  static void shrink(MixtureModel& model) {
    constexpr double kGate = 10, kExpert = 100;
    const auto shorten = [](auto&& values, double most) {
      const double largest = values.size() ? values.cwiseAbs().maxCoeff() : 0.0;
      if (largest > most) values *= most / largest;
    };
    shorten(model.gate.parameters(), kGate);
    for (Expert& expert : model.experts)
      shorten(expert.parameters().head(detail::mean_parameter_count(expert)), kExpert);
  }

  // Residual variance (covariance) as the noise of every expert, on the working scale.
  void set_noise(MixtureModel& model, const Matrix& products) const {
    const auto m = products.rows();
    const double floor = 1e-300;
    if (m == 1) {
      for (Expert& expert : model.experts) expert.set_sigma(std::sqrt(std::max(products(0, 0) / total_, floor)));
      return;
    }
    Matrix covariance = products / total_;
    covariance.diagonal().array() += 1e-14 * covariance.diagonal().array() + floor;  // exact fits stay factorable
    Matrix factor = covariance.diagonal().cwiseSqrt().asDiagonal();
    const bool full = !is_diagonal(options_.expert.covariance);
    if (full) factor = Matrix(covariance.llt().matrixL());
    for (Expert& expert : model.experts) {
      Index at = detail::mean_parameter_count(expert);
      for (Index j = 0; j < m; ++j) {
        expert.parameters()(at++) = std::log(factor(j, j));
        if (full)
          for (Index i = j + 1; i < m; ++i) expert.parameters()(at++) = factor(i, j);
      }
    }
  }

  // Experts by decreasing average weight of the gate. Returns the order, empty when nothing moved.
  std::vector<int> order_by_share(FitResult& result, const MixtureModel& standard) const {
    const int k = result.model.expert_count();
    Vector shares = Vector::Zero(k);
    constexpr Index kRows = 4096;
    for (Index begin = 0; begin < data_.rows(); begin += kRows) {
      const Data block = scaling_.standardised(data_, begin, std::min(kRows, data_.rows() - begin));
      const Matrix weights = standard.gate.log_weights(block.gate_inputs).array().exp();
      if (block.weights.size())
        shares += weights.transpose() * block.weights;
      else
        shares += weights.colwise().sum().transpose();
    }
    shares /= total_;
    std::vector<int> order(static_cast<std::size_t>(k));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return shares(a) > shares(b); });
    result.shares = shares;
    if (std::is_sorted(order.begin(), order.end())) return {};
    result.model = result.model.permuted(order);
    for (std::size_t j = 0; j < order.size(); ++j) result.shares(static_cast<Index>(j)) = shares(order[j]);
    return order;
  }

  LeastSquaresReport report(const Matrix& products, int df) const {
    LeastSquaresReport found;
    const Index m = products.rows();
    const bool full = !is_diagonal(options_.expert.covariance);
    found.parameters = df - static_cast<int>(full ? m * (m + 1) / 2 : m);
    found.sum_of_squares = products.diagonal().cwiseProduct(scaling_.response_scale.cwiseAbs2());
    found.r_squared.resize(m);
    for (Index j = 0; j < m; ++j) {
      const Vector& y = data_.response.col(j);
      const Vector weight = data_.weights.size() ? data_.weights : Vector::Ones(y.size());
      const double around_mean = weight.dot((y.array() - weight.dot(y) / total_).square().matrix());
      found.r_squared(j) = around_mean > 0 ? 1 - found.sum_of_squares(j) / around_mean : kNan;
    }
    const double left = total_ * static_cast<double>(m) - found.parameters;  // parameters are spread over the responses
    found.residual_deviation = left > 0 ? Vector((found.sum_of_squares * (static_cast<double>(m) / left)).cwiseSqrt())
                                        : Vector::Constant(m, kNan);
    return found;
  }

  void warn(FitResult& result) const {
    auto& warnings = result.warnings;
    const LeastSquaresReport& report = *result.least_squares;
    if (!result.converged)
      warnings.push_back(
          fmt::format("The fit did not converge ({}); raise --max-iterations (now {}) or try more --starts.",
                      enum_name(result.reason), options_.max_iterations));
    const bool diverged = result.gate_separated || expert_diverged_;
    const char* what = result.gate_separated && expert_diverged_
                           ? "The gate turns into a step and experts run to infinity"
                       : result.gate_separated ? "The gate turns into a step"
                                               : "Experts run to infinity against one another";
    if (diverged && options_.separation_ridge > 0)
      warnings.push_back(fmt::format(
          "{}: without a penalty there is no minimum, the log-likelihood tends to {:.3f}. Shown is the best solution "
          "with finite coefficients under a weak ridge penalty ({:g} on standardised inputs, --separation-ridge).",
          what, result.supremum_log_likelihood, options_.separation_ridge));
    else if (diverged)
      warnings.push_back(fmt::format("{}: there is no minimum, the coefficients shown are where it stopped.", what));
    for (const std::string& direction : report.flat_directions)
      warnings.push_back("The data do not determine " + direction + ".");
    if (report.flat_directions.empty() && report.condition > kLargestTrustedCondition)
      warnings.push_back(fmt::format(
          "The regression function is nearly flat in some direction (condition number {:.3g}): parameters and their "
          "standard errors are unreliable, predictions are not affected. Fewer experts may do.",
          report.condition));
    for (std::string text : detail::coinciding_experts(result.model, data_, scaling_))
      warnings.push_back(std::move(text));
    for (Index j = 0; j < result.model.expert_count(); ++j)
      if (result.shares(j) * result.effective_rows < static_cast<double>(data_.expert_inputs.cols() + 2))
        warnings.push_back(
            fmt::format("Expert {} has the weight of {:.3g} rows in all, fewer than it has parameters; use fewer "
                        "experts.",
                        j + 1, result.shares(j) * result.effective_rows));
    if (report.parameters >= result.effective_rows * static_cast<double>(data_.response.cols()))
      warnings.push_back(
          fmt::format("The model has {} parameters for {:g} rows.", report.parameters, result.effective_rows));
    if (options_.starts == 0 && options_.experts > 1 && result.starts_agreed < 2)
      warnings.push_back(fmt::format(
          "Only one of {} polished starts reached this optimum; raise --starts to search on.", result.starts_polished));
  }

  const Data& data_;
  const FitOptions& options_;
  const ProgressCallback& progress_;
  MixtureModel prototype_;
  Scaling scaling_;
  double total_ = 0;
  bool expert_diverged_ = false;
  std::optional<LeastSquaresSearch> search_;
};

}  // namespace

FitResult fit_least_squares(const Data& data, const FitOptions& options, const MixtureModel* user_start,
                            const ProgressCallback& progress) {
  return LeastSquaresFitter(data, options, progress).run(user_start);
}

}  // namespace clearway
