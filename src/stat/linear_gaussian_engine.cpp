// The fast engine: linear Gaussian experts behind a gate with linear scores. One pass over tiled rows per EM iteration
// gives the likelihood, the experts' least squares and a Newton step for the gate (clearway/stat/em_pass.hpp).
#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <optional>

#include "clearway/stat/em_pass.hpp"
#include "em_engine.hpp"
#include "expert_updates.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

bool fits(const MixtureModel& model) {
  const Gate& gate = model.gate;
  if (!gate.is_linear() && gate.spec().kind != GateKind::equal) return false;
  return std::all_of(model.experts.begin(), model.experts.end(), [](const Expert& e) {
    return e.responses() == 1 && (e.spec().kind == ExpertKind::linear || e.spec().kind == ExpertKind::constant);
  });
}

class LinearGaussianEngine final : public EmEngine {
 public:
  LinearGaussianEngine(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                       const EngineSettings& settings)
      : EmEngine(prototype, settings, data.weights.size() ? data.weights.sum() : static_cast<double>(data.rows())),
        temperature_(prototype.gate.spec().temperature),
        equal_gate_(prototype.gate.spec().kind == GateKind::equal) {
    const Index n = data.rows();
    const Gate& gate = prototype.gate;
    const bool slopes = prototype.experts.front().spec().kind == ExpertKind::linear;
    const bool softmax = gate.spec().kind == GateKind::softmax;
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
      else if (gate.spec().kind == GateKind::quadratic)
        z_.emplace(gate.features(scaling.standardised(data, 0, n).gate_inputs));
      else
        z_.emplace(ones);
    }
    Vector response = (data.response.col(0).array() - scaling.response_centre(0)) / scaling.response_scale(0);
    if (data.offset.size()) response -= data.offset / scaling.response_scale(0);
    y_ = TiledMatrix(response);
    if (data.weights.size()) weights_ = TiledMatrix(data.weights);
    const EmData view{&x_, z_ ? &*z_ : &x_, &y_, data.weights.size() ? &weights_ : nullptr};
    pass_.emplace(view, prototype.expert_count());
    const Index k = prototype.expert_count(), q = view.z->cols(), p = x_.cols();
    for (Index j = 0; j + 1 < k; ++j)
      for (Index c = 0; c < q; ++c)
        kernel_to_free_.push_back(equal_gate_ ? -1 : map_.gate[static_cast<std::size_t>(j * q + c)]);
    for (const auto& expert : map_.experts) kernel_to_free_.insert(kernel_to_free_.end(), expert.begin(), expert.end());
    if (map_.noise >= 0) kernel_to_free_.push_back(map_.noise);
    gate_entries_ = (k - 1) * q;
    rows_ = n;
    coefficients_ = p;
  }

  void reset() override { has_previous_ = false; }

  double step(MixtureModel& model) override {
    load(model);
    pass_->run(parameters_, EmParts{.experts = true, .gate_gradient = !equal_gate_, .gate_information = !equal_gate_},
               sums_, settings_.threads);
    double value = sums_.log_likelihood + penalty(model);
    // The experts' update is exact, so only an overshooting gate step can lower the objective: halve it and look again.
    for (int halving = 0; has_previous_ && value < previous_value_ - 1e-10 * std::abs(previous_value_) && halving < 8;
         ++halving) {
      model.gate.parameters() = 0.5 * (model.gate.parameters() + previous_gate_);
      load(model);
      pass_->run(parameters_, EmParts{.experts = true, .gate_gradient = !equal_gate_, .gate_information = !equal_gate_},
                 sums_, settings_.threads);
      value = sums_.log_likelihood + penalty(model);
    }
    previous_value_ = value;
    previous_gate_ = model.gate.parameters();
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

  void maximise(const Matrix& responsibilities, int gate_steps, MixtureModel& model) override {
    // Starts are rare; plain sums over the tiles suffice.
    const int k = model.expert_count();
    const Matrix x = x_.to_matrix(), z = z_ ? z_->to_matrix() : x;
    const Vector y = y_.to_matrix().col(0);
    Matrix r = responsibilities;
    if (weights_.rows() > 0) r = weights_.to_matrix().col(0).asDiagonal() * r;
    for (int j = 0; j < k; ++j) {
      Expert& expert = model.experts[static_cast<std::size_t>(j)];
      const double mass = r.col(j).sum();
      if (!(mass > 1e-6)) continue;
      const Matrix weighted = r.col(j).asDiagonal() * x;
      const Vector b = solve_semidefinite(x.transpose() * weighted, weighted.transpose() * y);
      expert.parameters().head(coefficients_) = b;
      set_sigma(expert, r.col(j).dot((y - x * b).cwiseAbs2()), mass);
    }
    pool_sigma_if_shared(model, [&](int j) {
      const Vector e = y - x * model.experts[static_cast<std::size_t>(j)].parameters().head(coefficients_);
      return ResidualSum{r.col(j).dot(e.cwiseAbs2()), r.col(j).sum()};
    });
    if (equal_gate_ || k == 1) return;
    const Index q = z.cols();
    Eigen::Map<Matrix> gate(model.gate.parameters().data(), q, k);
    const Vector mass = r.rowwise().sum();
    // The first step starts from equal weights, where the information is (I - 11'/k)/k times the Gram matrix of the
    // features, and its inverse k (I + 11') times that of the Gram matrix: no weighted products are needed.
    if (gate_steps == 0) return;
    gate.setZero();
    Matrix gram = z.transpose() * (mass.asDiagonal() * z);
    const Matrix gradient = z.transpose() * (r.leftCols(k - 1) - mass * Vector::Constant(k - 1, 1.0 / k).transpose());
    gram.diagonal().array() += 1e-8 * gram.trace() / static_cast<double>(q);
    const Matrix direction = gram.ldlt().solve(gradient);
    gate.leftCols(k - 1) = static_cast<double>(k) * temperature_ * (direction.colwise() + direction.rowwise().sum());
  }

 private:
  void load(const MixtureModel& model) {
    const int k = model.expert_count();
    parameters_.coefficients.resize(coefficients_, k);
    parameters_.sigma.resize(k);
    for (int j = 0; j < k; ++j) {
      const Expert& expert = model.experts[static_cast<std::size_t>(j)];
      parameters_.coefficients.col(j) = expert.parameters().head(coefficients_);
      parameters_.sigma(j) = expert.sigma();
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

  void set_sigma(Expert& expert, double squares, double mass) const {
    double variance = std::max(0.0, squares) / mass;
    if (expert.spec().divisor == VarianceDivisor::unbiased)
      variance *= static_cast<double>(rows_) / static_cast<double>(rows_ - coefficients_);
    expert.set_sigma(std::max(settings_.sigma_floor, std::sqrt(variance)));
  }

  template <class Residuals>
  void pool_sigma_if_shared(MixtureModel& model, const Residuals& residuals) const {
    if (model.experts.front().spec().variance != VarianceKind::shared) return;
    ResidualSum total;
    for (int j = 0; j < model.expert_count(); ++j) {
      const ResidualSum part = residuals(j);
      total.squares += part.squares;
      total.weight += part.weight;
    }
    for (Expert& expert : model.experts) set_sigma(expert, total.squares, total.weight);
  }

  void update_experts(MixtureModel& model) {
    std::vector<ResidualSum> residuals(model.experts.size());
    for (int j = 0; j < model.expert_count(); ++j) {
      const auto at = static_cast<std::size_t>(j);
      Expert& expert = model.experts[at];
      const double mass = sums_.counts(j);
      if (!(mass > 1e-6)) {  // nobody's expert: leave it, the caller sees its share
        residuals[at] = {mass * expert.sigma() * expert.sigma(), mass};
        continue;
      }
      const Vector step = solve_semidefinite(sums_.gram[at], sums_.cross.col(j));
      expert.parameters().head(coefficients_) += step;
      const double squares = sums_.squares(j) - step.dot(sums_.cross.col(j));
      residuals[at] = {squares, mass};
      set_sigma(expert, squares, mass);
    }
    pool_sigma_if_shared(model, [&](int j) { return residuals[static_cast<std::size_t>(j)]; });
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

  TiledMatrix x_, y_, weights_;
  std::optional<TiledMatrix> z_;  // empty: the gate sees the inputs of the experts
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
  Vector previous_gate_;
};

}  // namespace

std::unique_ptr<EmEngine> make_linear_gaussian_engine(const Data& data, const Scaling& scaling,
                                                      const MixtureModel& prototype, const EngineSettings& settings) {
  if (!fits(prototype)) return nullptr;
  return std::make_unique<LinearGaussianEngine>(data, scaling, prototype, settings);
}

std::unique_ptr<EmEngine> make_engine(const Data& data, const Scaling& scaling, const MixtureModel& prototype,
                                      const EngineSettings& settings) {
  if (auto fast = make_linear_gaussian_engine(data, scaling, prototype, settings)) return fast;
  return make_general_engine(data, scaling, prototype, settings);
}

}  // namespace clearway::detail
