// The fast engine: single-index experts behind a gate with linear scores. One pass over tiled rows per EM iteration
// gives the likelihood, a scoring step for every expert (least squares for linear Gaussian experts, iteratively
// reweighted least squares or Gauss-Newton for the others) and a Newton step for the gate (clearway/stat/em_pass.hpp).
//
// A scoring step from the current parameters goes uphill, but it may go too far; the next pass sees that, and the engine
// goes back half of the way (Jiang and Tanner 1999 call this iteration IRLS-EM; the halving makes it a generalised EM).
#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <optional>

#include "clearway/stat/em_pass.hpp"
#include "em_engine.hpp"
#include "em_pass_families.hpp"
#include "expert_updates.hpp"
#include "response_family.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr int kGateHalvings = 8;
constexpr int kHalvings = 12;
constexpr int kScoringSteps = 8;            // of an expert from given memberships
constexpr double kScoringTolerance = 1e-2;  // gain of log-likelihood per row at which they end
constexpr int kReseededGateSteps = 2;
constexpr double kSmallestMass = 1e-6;  // of an expert that is updated

bool fits(const MixtureModel& model) {
  const Gate& gate = model.gate;
  if ((!gate.is_linear() && gate.spec().kind != GateKind::equal) || !gate.is_smooth()) return false;
  return std::all_of(model.experts.begin(), model.experts.end(), [](const Expert& e) {
    // With the unbiased divisor the objective is no guard, which scoring steps need.
    return e.responses() == 1 && pass_supports(e.spec().kind) &&
           (is_linear_gaussian(e.spec().kind) || e.spec().divisor == VarianceDivisor::likelihood);
  });
}

class SingleIndexEngine final : public EmEngine {
 public:
  SingleIndexEngine(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                    const EngineSettings& settings)
      : EmEngine(prototype, settings, data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows())),
        spec_(prototype.experts.front().spec()),
        linear_(is_linear_gaussian(spec_.kind)),
        gaussian_(is_gaussian(spec_.kind)),
        temperature_(prototype.gate.spec().temperature),
        equal_gate_(prototype.gate.spec().kind == GateKind::equal) {
    const Index n = data.rows();
    const Gate& gate = prototype.gate;
    const bool slopes = spec_.kind != ExpertKind::constant;
    const bool softmax = gate.spec().kind == GateKind::softmax && !gate.keeps_units();
    const Matrix ones = Matrix::Ones(n, 1);
    if (slopes)
      x_ = TiledMatrix(data.expert_inputs, true, scaling.expert_centre, scaling.expert_scale);
    else
      x_ = TiledMatrix(ones);
    const bool shared = softmax && slopes && data.gate_inputs.cols() == data.expert_inputs.cols() &&
                        scaling.gate_centre == scaling.expert_centre && data.gate_inputs == data.expert_inputs;
    if (!shared) {
      if (softmax)
        z_.emplace(data.gate_inputs, true, scaling.gate_centre, scaling.gate_scale);
      else if (gate_reads_inputs(gate.spec().kind))
        z_.emplace(gate.features(scaling.standardised(data, 0, n).gate_inputs));
      else
        z_.emplace(ones);
    }
    Vector response = (data.response.col(0).array() - scaling.response_centre(0)) / scaling.response_scale(0);
    if (data.offset.size()) {
      const Vector offset = data.offset / scaling.response_scale(0);
      if (linear_)
        response -= offset;
      else
        offset_ = TiledMatrix(offset);
    }
    y_ = TiledMatrix(response);
    if (data.trials.size()) trials_ = TiledMatrix(data.trials);
    if (data.weights.size()) weights_ = TiledMatrix(data.weights);
    pass_.emplace(view(z_ ? *z_ : x_, column(weights_)), prototype.expert_count());
    const Index k = prototype.expert_count(), q = z_ ? z_->cols() : x_.cols(), p = x_.cols();
    for (Index j = 0; j + 1 < k; ++j)
      for (Index c = 0; c < q; ++c)
        kernel_to_free_.push_back(equal_gate_ ? -1 : map_.gate[static_cast<std::size_t>(j * q + c)]);
    for (const auto& expert : map_.experts) {
      kernel_to_free_.insert(kernel_to_free_.end(), expert.begin(), expert.end());
      if (extra_count(spec_.kind) == 0) kernel_to_free_.push_back(-1);  // the pass always has a place for a dispersion
    }
    if (map_.noise >= 0) kernel_to_free_.push_back(map_.noise);
    gate_entries_ = (k - 1) * q;
    rows_ = n;
    coefficients_ = p;
  }

  void reset() override { has_previous_ = false; }

  double step(MixtureModel& model) override {
    double value = sums_at(model);
    for (int halving = 0; has_previous_ && value < previous_value_ - 1e-10 * std::abs(previous_value_); ++halving) {
      if (halving == (linear_ ? kGateHalvings : kHalvings)) {
        if (linear_) break;  // the experts' update is exact: what is left is the price of another noise estimate
        model = previous_;
        return previous_value_;
      }
      retreat(model);
      value = sums_at(model);
    }
    previous_value_ = value;
    previous_ = model;
    has_previous_ = true;
    update_experts(model);
    update_gate(model);
    if (model.has_noise) model.noise_weight = std::clamp(sums_.noise_mass / total_weight_, 1e-12, 1 - 1e-12);
    return value;
  }

  double objective(const MixtureModel& model) override {
    load(model);
    pass_->run(parameters_, EmParts::likelihood(), sums_, settings_.threads);
    return sums_.log_likelihood + penalty(model);
  }

  double derivatives(const MixtureModel& model, Vector& score, Matrix* information) override {
    load(model);
    pass_->derivatives(parameters_, derivatives_, settings_.threads);
    score = Vector::Zero(map_.size);
    if (information) information->setZero(map_.size, map_.size);
    const auto factor = [&](Index i) { return i < gate_entries_ ? 1 / temperature_ : 1.0; };
    const auto size = static_cast<Index>(kernel_to_free_.size());
    for (Index i = 0; i < size; ++i) {
      const int fi = kernel_to_free_[static_cast<std::size_t>(i)];
      if (fi < 0) continue;
      score(fi) += factor(i) * derivatives_.gradient(i);
      if (!information) continue;
      for (Index j = 0; j < size; ++j) {
        const int fj = kernel_to_free_[static_cast<std::size_t>(j)];
        if (fj >= 0) (*information)(fi, fj) -= factor(i) * factor(j) * derivatives_.hessian(i, j);
      }
    }
    if (settings_.gate_ridge > 0) {
      const Vector free = map_.pack(model);
      for (Index i = 0; i < map_.size; ++i)
        if (map_.penalised[static_cast<std::size_t>(i)]) {
          score(i) -= settings_.gate_ridge * total_weight_ * free(i);
          if (information) (*information)(i, i) += settings_.gate_ridge * total_weight_;
        }
    }
    return derivatives_.log_likelihood + penalty(model);
  }

  // The M-step of one expert is a fit of that expert alone, its memberships being case weights: a pass of one expert.
  void maximise(const Matrix& responsibilities, int gate_steps, MixtureModel& model) override {
    const int k = model.expert_count();
    Matrix r = responsibilities;
    if (weights_.rows() > 0) r = weights_.to_matrix().col(0).asDiagonal() * r;
    TiledMatrix membership(Vector(r.col(0)));
    EmPass alone(view(y_, &membership), 1);  // the gate of one expert has no say: any column serves as its features
    std::vector<ResidualSum> residuals(model.experts.size());
    for (int j = 0; j < k; ++j) {
      Expert& expert = model.experts[static_cast<std::size_t>(j)];
      const double mass = r.col(j).sum();
      if (!(mass > kSmallestMass)) continue;
      if (j > 0) membership = TiledMatrix(Vector(r.col(j)));
      const double squares = maximise_expert(alone, r.col(j), mass, expert);
      residuals[static_cast<std::size_t>(j)] = {squares, mass};
      set_dispersion(expert, squares, mass);
    }
    pool_sigma_if_shared(model, residuals);
    if (equal_gate_ || k == 1) return;
    const Matrix z = (z_ ? *z_ : x_).to_matrix();
    const Index q = z.cols();
    Eigen::Map<Matrix> gate(model.gate.parameters().data(), q, k);
    const Vector mass = r.rowwise().sum();
    // The first step starts from equal weights, where the information is (I - 11'/k)/k times the Gram matrix of the
    // features, and its inverse k (I + 11') times that of the Gram matrix: no weighted products are needed.
    if (gate_steps == 0) return;
    if (!linear_ && !gate.isZero(0.0)) return reseeded_gate(z, r, mass, model);
    gate.setZero();
    Matrix gram = z.transpose() * (mass.asDiagonal() * z);
    const Matrix gradient = z.transpose() * (r.leftCols(k - 1) - mass * Vector::Constant(k - 1, 1.0 / k).transpose());
    gram.diagonal().array() += 1e-8 * gram.trace() / static_cast<double>(q);
    const Matrix direction = gram.ldlt().solve(gradient);
    gate.leftCols(k - 1) = static_cast<double>(k) * temperature_ * (direction.colwise() + direction.rowwise().sum());
  }

 private:
  static const TiledMatrix* column(const TiledMatrix& values) { return values.rows() > 0 ? &values : nullptr; }

  EmData view(const TiledMatrix& z, const TiledMatrix* weights) const {
    return {&x_, &z, &y_, weights, column(offset_), column(trials_), spec_};
  }

  double sums_at(const MixtureModel& model) {
    load(model);
    pass_->run(parameters_, EmParts{.experts = true, .gate_gradient = !equal_gate_, .gate_information = !equal_gate_},
               sums_, settings_.threads);
    return sums_.log_likelihood + penalty(model);
  }

  // Half of the way back to the parameters before the last step.
  void retreat(MixtureModel& model) const {
    if (linear_)  // the experts' update is exact, so that only the gate can have gone too far
      model.gate.parameters() = 0.5 * (model.gate.parameters() + previous_.gate.parameters());
    else
      map_.unpack(0.5 * (map_.pack(model) + map_.pack(previous_)), model);
  }

  void load_dispersion(const Expert& expert, Index at, EmParameters& parameters) const {
    if (gaussian_) parameters.sigma(at) = expert.sigma();
    if (spec_.kind == ExpertKind::gamma) parameters.shape(at) = std::exp(expert.parameters()(coefficients_));
  }

  void load(const MixtureModel& model) {
    const int k = model.expert_count();
    parameters_.coefficients.resize(coefficients_, k);
    parameters_.sigma.resize(k);
    parameters_.shape.resize(k);
    for (int j = 0; j < k; ++j) {
      const Expert& expert = model.experts[static_cast<std::size_t>(j)];
      parameters_.coefficients.col(j) = expert.parameters().head(coefficients_);
      load_dispersion(expert, j, parameters_);
    }
    const Index q = z_ ? z_->cols() : x_.cols();
    if (equal_gate_)
      parameters_.gate.setZero(q, k);
    else
      parameters_.gate = Eigen::Map<const Matrix>(model.gate.parameters().data(), q, k) / temperature_;
    parameters_.has_noise = model.has_noise;
    parameters_.noise_weight = model.noise_weight;
    parameters_.noise_log_density = model.noise_log_density;
  }

  // An intercept that gives the mean of the response, for kinds whose scoring step from elsewhere could go far.
  void set_intercept(const ConstVectorRef& r, Expert& expert) const {
    double successes = 0, trials = 0;  // or the sums of response and exposure
    for (Index i = 0; i < rows_; ++i) {
      successes += r(i) * y_(i, 0);
      if (spec_.kind == ExpertKind::poisson || spec_.kind == ExpertKind::gamma)
        trials += r(i) * (offset_.rows() > 0 ? std::exp(offset_(i, 0)) : 1.0);
      else
        trials += r(i) * (trials_.rows() > 0 ? trials_(i, 0) : 1.0);
    }
    expert.parameters().head(coefficients_).setZero();
    if (spec_.kind == ExpertKind::gamma)
      expert.parameters()(0) = std::log(successes / trials);
    else if (spec_.kind == ExpertKind::poisson)
      expert.parameters()(0) = std::log(std::max(successes, 0.5) / trials);
    else
      expert.parameters()(0) = std::log((successes + 0.5) / (trials - successes + 0.5));
  }

  // Scoring steps for one expert, halved until its log-likelihood does not fall. Returns the sum that its dispersion is
  // estimated from.
  double maximise_expert(EmPass& alone, const ConstVectorRef& r, double mass, Expert& expert) {
    if (!gaussian_) set_intercept(r, expert);
    EmParameters one;
    one.coefficients = expert.parameters().head(coefficients_);
    one.gate = Matrix::Zero(1, 1);
    one.sigma = one.shape = Vector::Ones(1);
    load_dispersion(expert, 0, one);
    EmSums sums;
    Vector step;
    double squares = 0, reached = -std::numeric_limits<double>::infinity();
    const double precision = gaussian_ ? 1 / (one.sigma(0) * one.sigma(0)) : one.shape(0);
    for (int pass = 0; pass <= kScoringSteps; ++pass) {
      alone.run(one, EmParts{.experts = true}, sums);
      if (sums.log_likelihood >= reached) {
        reached = sums.log_likelihood;
        squares = sums.squares(0);
        expert.parameters().head(coefficients_) = one.coefficients;
        step = solve_semidefinite(sums.gram[0], sums.cross.col(0));
        if (!step.allFinite() || step.dot(sums.cross.col(0)) * precision < kScoringTolerance * mass) break;
      } else {
        step *= 0.5;
      }
      one.coefficients = expert.parameters().head(coefficients_) + step;
    }
    return squares;
  }

  // The dispersion from the sum of its squares (em_pass.hpp).
  void set_dispersion(Expert& expert, double squares, double mass) const {
    if (spec_.kind == ExpertKind::gamma)
      expert.parameters()(coefficients_) = std::log(gamma_shape(std::max(0.0, squares) / mass));
    if (!gaussian_) return;
    double variance = std::max(0.0, squares) / mass;
    if (spec_.divisor == VarianceDivisor::unbiased)
      variance *= static_cast<double>(rows_) / static_cast<double>(rows_ - coefficients_);
    expert.set_sigma(std::max(settings_.sigma_floor, std::sqrt(variance)));
  }

  void pool_sigma_if_shared(MixtureModel& model, const std::vector<ResidualSum>& residuals) const {
    if (!gaussian_ || spec_.variance != VarianceKind::shared) return;
    ResidualSum total;
    for (const ResidualSum& part : residuals) {
      total.squares += part.squares;
      total.weight += part.weight;
    }
    for (Expert& expert : model.experts) set_dispersion(expert, total.squares, total.weight);
  }

  void update_experts(MixtureModel& model) {
    std::vector<ResidualSum> residuals(model.experts.size());
    for (int j = 0; j < model.expert_count(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      Expert& expert = model.experts[at];
      const double mass = sums_.counts(j);
      if (!(mass > kSmallestMass)) {  // nobody's expert: leave it, the caller sees its share
        if (gaussian_) residuals[at] = {mass * expert.sigma() * expert.sigma(), mass};
        continue;
      }
      const Vector step = solve_semidefinite(sums_.gram[at], sums_.cross.col(j));
      if (!step.allFinite()) continue;
      expert.parameters().head(coefficients_) += step;
      residuals[at] = {squares_after(sums_.squares(j), step.dot(sums_.cross.col(j))), mass};
      set_dispersion(expert, residuals[at].squares, mass);
    }
    pool_sigma_if_shared(model, residuals);
  }

  // The sum of squares after a scoring step: exact for linear means. For others a prediction, with at least half of the
  // sum left: then the joint step of coefficients and dispersion still goes uphill.
  double squares_after(double squares, double gain) const {
    if (linear_) return squares - gain;
    return squares - std::min(gaussian_ ? gain : 0.5 * gain, 0.5 * squares);
  }

  // A solution with an expert moved elsewhere: its gate is worth keeping where experts tell rows apart less sharply than
  // linear Gaussian ones do. Newton steps from where it stands.
  void reseeded_gate(const Matrix& z, const Matrix& r, const Vector& mass, MixtureModel& model) {
    const Index q = z.cols(), k = r.cols();
    for (int step = 0; step < kReseededGateSteps; ++step) {
      Matrix p = z * Eigen::Map<const Matrix>(model.gate.parameters().data(), q, k) / temperature_;
      p.colwise() -= p.rowwise().maxCoeff().eval();
      p = p.array().exp();
      p = p.rowwise().sum().cwiseInverse().asDiagonal() * p;
      sums_.gate_gradient = z.transpose() * (r - mass.asDiagonal() * p);
      sums_.gate_information.setZero((k - 1) * q, (k - 1) * q);
      for (Index a = 0; a + 1 < k; ++a)
        for (Index b = a; b + 1 < k; ++b) {
          const Vector w = mass.array() * p.col(a).array() * ((a == b ? 1.0 : 0.0) - p.col(b).array());
          const Matrix block = z.transpose() * (w.asDiagonal() * z);
          sums_.gate_information.block(a * q, b * q, q, q) = block;
          sums_.gate_information.block(b * q, a * q, q, q) = block.transpose();
        }
      update_gate(model);
    }
  }

  // One Newton step on the gate at the responsibilities of the last pass.
  void update_gate(MixtureModel& model) {
    const int k = model.expert_count();
    if (equal_gate_ || k == 1) return;
    const Index q = sums_.gate_gradient.rows();
    const Index size = (k - 1) * q;
    Vector gradient = Eigen::Map<const Vector>(sums_.gate_gradient.data(), size);
    Matrix information = sums_.gate_information;
    if (settings_.gate_ridge > 0) {
      const double ridge = settings_.gate_ridge * total_weight_ * temperature_ * temperature_;
      for (Index i = 0; i < size; ++i)
        if (i % q != 0) {
          gradient(i) -= ridge * model.gate.parameters()(i) / temperature_;
          information(i, i) += ridge;
        }
    }
    information.diagonal().array() += 1e-10 * information.trace() / static_cast<double>(size) + 1e-12;
    Vector step = solve_semidefinite(information, gradient) * temperature_;
    if (!step.allFinite()) return;
    // Nearly separated rows have hardly any curvature; no score should jump by more than a few units of logit at once.
    const double longest = step.cwiseAbs().maxCoeff();
    if (longest > 10 * temperature_) step *= 10 * temperature_ / longest;
    model.gate.parameters().head(size) += step;
  }

  TiledMatrix x_, y_, weights_, offset_, trials_;
  std::optional<TiledMatrix> z_;  // empty: the gate sees the inputs of the experts
  ExpertSpec spec_;
  bool linear_, gaussian_;
  double temperature_;
  bool equal_gate_;
  Index rows_ = 0, coefficients_ = 0, gate_entries_ = 0;
  std::optional<EmPass> pass_;
  std::vector<int> kernel_to_free_;
  EmParameters parameters_;
  EmSums sums_;
  EmDerivatives derivatives_;
  bool has_previous_ = false;
  double previous_value_ = 0;
  MixtureModel previous_;
};

}  // namespace

std::unique_ptr<EmEngine> make_single_index_engine(const Data& data, const Scaling& scaling,
                                                   const MixtureModel& prototype, const EngineSettings& settings) {
  if (!fits(prototype) || !data.groups.empty() || !data.labels.empty()) return nullptr;
  return std::make_unique<SingleIndexEngine>(data, scaling, prototype, settings);
}

std::unique_ptr<EmEngine> make_engine(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                                      const EngineSettings& settings) {
  if (auto fast = make_single_index_engine(data, scaling, prototype, settings)) return fast;
  return make_general_engine(data, scaling, prototype, settings);
}

}  // namespace clearway::detail
