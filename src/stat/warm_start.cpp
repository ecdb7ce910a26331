#include "warm_start.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "clearway/base/random.hpp"
#include "em_engine.hpp"
#include "optimise.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr Index kMostRows = 5000;  // rows on which starts are compared
constexpr int kIterations = 15;    // of EM before they are compared
constexpr int kGateSteps = 8;      // Newton steps of the gate in the first M-step, as for other starts
constexpr int kMostMerges = 12;
constexpr std::uint64_t kSampleStream = 91;

/// What comparing starts needs: rows, their scale and an engine for the wanted number of experts.
class Trials {
 public:
  Trials(const Data& data, const FitOptions& options, const MixtureModel& other) {
    const Data* rows = &data;
    if (data.rows() > kMostRows) {
      RandomStream stream(static_cast<std::uint64_t>(options.seed), kSampleStream);
      std::vector<Index> kept;
      for (const std::size_t row : stream.sample_without_replacement(static_cast<std::size_t>(data.rows()),
                                                                     static_cast<std::size_t>(kMostRows)))
        kept.push_back(static_cast<Index>(row));
      sample_ = data.subset(kept);
      if (sample_.weights.size() && !(sample_.weights.sum() > 0)) sample_.weights.setOnes();
      rows = &sample_;
    }
    prototype_.gate = Gate(options.gate, static_cast<int>(data.gate_inputs.cols()), options.experts);
    for (const ExpertSpec& spec : options.expert_specs())
      prototype_.experts.emplace_back(spec, static_cast<int>(data.expert_inputs.cols()),
                                      static_cast<int>(data.response.cols()), data.classes, data.attributes);
    prototype_.has_noise = other.has_noise;
    prototype_.noise_weight = other.noise_weight;
    scaling_ = Scaling(data, prototype_);
    other_ = scaling_.to_standard(other);
    prototype_.noise_log_density = other_.noise_log_density;
    EngineSettings settings;
    settings.gate_ridge = options.gate_ridge;
    settings.sigma_floor =
        options.sigma_floor * (scaling_.response_deviation.cwiseQuotient(scaling_.response_scale)).minCoeff();
    engine_ = make_engine(*rows, scaling_, prototype_, settings);
    standard_ = scaling_.standardised(*rows, 0, rows->rows());
    responsibilities_ = other_.responsibilities(standard_).leftCols(other_.expert_count());
  }

  const Data& rows() const { return standard_; }
  const Matrix& responsibilities() const { return responsibilities_; }
  const MixtureModel& other() const { return other_; }

  /// Tries the start with these memberships (n x experts).
  void attempt(const Matrix& memberships) {
    if ((memberships.colwise().sum().array() < 1e-6 * static_cast<double>(memberships.rows())).any()) return;
    MixtureModel model = prototype_;
    engine_->reset();
    engine_->maximise(memberships, kGateSteps, model);
    const double value = run_short(*engine_, model, kIterations);
    if (!std::isfinite(value) || !model.gate.parameters().allFinite()) return;
    if (best_ && value <= best_value_) return;
    best_ = model;
    best_value_ = value;
  }

  std::optional<MixtureModel> best() const {
    if (!best_) return std::nullopt;
    return scaling_.to_raw(*best_);
  }

 private:
  Data sample_, standard_;
  MixtureModel prototype_, other_;
  Scaling scaling_;
  std::unique_ptr<EmEngine> engine_;
  Matrix responsibilities_;
  std::optional<MixtureModel> best_;
  double best_value_ = 0;
};

// The input that varies most among the rows of an expert, relative to its own scale (the working scale: 1).
Vector side_of_rows(const Matrix& inputs, const ConstVectorRef& r) {
  const double mass = std::max(r.sum(), 1e-300);
  Index widest = 0;
  double largest = -1;
  Vector centre(inputs.cols());
  for (Index j = 0; j < inputs.cols(); ++j) {
    centre(j) = r.dot(inputs.col(j)) / mass;
    const double spread = r.dot((inputs.col(j).array() - centre(j)).square().matrix()) / mass;
    if (spread > largest) {
      largest = spread;
      widest = j;
    }
  }
  return inputs.col(widest).array() - centre(widest);
}

// How far the response lies above the expert's mean (classes: how unlikely the response is).
Vector residuals_of(const Expert& expert, const Data& data) {
  if (has_classes(expert.spec().kind)) {
    const Vector density = expert.log_density(data);
    return density.array() - density.mean();
  }
  return (data.response - expert.mean(data.expert_inputs, data.trials, data.offset)).rowwise().sum();
}

}  // namespace

// With several kinds in one model memberships belong to kinds: a split expert's halves, or a merged expert's rows, would
// go to experts of another kind.
std::optional<MixtureModel> split_start(const Data& data, const FitOptions& options, const MixtureModel& smaller) {
  if (options.distinct_kinds().size() > 1) return std::nullopt;
  Trials trials(data, options, smaller);
  const Matrix& r = trials.responsibilities();
  constexpr double kShare = 0.9;  // of an expert's responsibility that goes to the side the row is on
  for (int j = 0; j < smaller.expert_count(); ++j) {
    std::vector<Vector> sides{residuals_of(trials.other().experts[static_cast<std::size_t>(j)], trials.rows())};
    if (trials.rows().expert_inputs.cols() > 0) sides.push_back(side_of_rows(trials.rows().expert_inputs, r.col(j)));
    if (trials.rows().gate_inputs.cols() > 0 && trials.rows().gate_inputs.cols() != trials.rows().expert_inputs.cols())
      sides.push_back(side_of_rows(trials.rows().gate_inputs, r.col(j)));
    for (const Vector& side : sides) {
      Matrix memberships(r.rows(), r.cols() + 1);
      memberships.leftCols(r.cols()) = r;
      for (Index i = 0; i < r.rows(); ++i) {
        const double share = side(i) > 0 ? kShare : 1 - kShare;
        memberships(i, j) = share * r(i, j);
        memberships(i, r.cols()) = (1 - share) * r(i, j);
      }
      trials.attempt(memberships);
    }
  }
  return trials.best();
}

std::optional<MixtureModel> merge_start(const Data& data, const FitOptions& options, const MixtureModel& larger) {
  if (options.distinct_kinds().size() > 1) return std::nullopt;
  Trials trials(data, options, larger);
  const Matrix& r = trials.responsibilities();
  const Index k = r.cols();
  const auto without = [&](Index dropped) {
    Matrix rest(r.rows(), k - 1);
    rest << r.leftCols(dropped), r.rightCols(k - 1 - dropped);
    return rest;
  };
  // Pairs by shared responsibility sum_t r_ti r_tj / sqrt(sum r_ti sum r_tj).
  const Matrix shared = r.transpose() * r;
  const Vector mass = r.colwise().sum().transpose().cwiseMax(1e-300);
  std::vector<std::pair<Index, Index>> pairs;
  for (Index i = 0; i < k; ++i)
    for (Index j = i + 1; j < k; ++j) pairs.emplace_back(i, j);
  const auto overlap = [&](const std::pair<Index, Index>& p) {
    return shared(p.first, p.second) / std::sqrt(mass(p.first) * mass(p.second));
  };
  std::stable_sort(pairs.begin(), pairs.end(), [&](const auto& a, const auto& b) { return overlap(a) > overlap(b); });
  pairs.resize(std::min<std::size_t>(pairs.size(), kMostMerges));
  for (const auto& [i, j] : pairs) {
    Matrix merged = without(j);
    merged.col(i) += r.col(j);
    trials.attempt(merged);
  }
  for (Index j = 0; k > 2 && j < k; ++j) {  // the rows of a dropped expert go to the others by their own densities
    Matrix rest = without(j);
    const Vector sum = rest.rowwise().sum();
    for (Index i = 0; i < rest.rows(); ++i)
      if (sum(i) > 1e-12)
        rest.row(i) /= sum(i);
      else
        rest.row(i).setConstant(1.0 / static_cast<double>(k - 1));
    trials.attempt(rest);
  }
  return trials.best();
}

std::optional<MixtureModel> duplicated_start(const FitOptions& options, const MixtureModel& smaller) {
  const GateSpec& spec = smaller.gate.spec();
  if (spec.kind != GateKind::softmax && spec.kind != GateKind::constant && spec.kind != GateKind::quadratic)
    return std::nullopt;
  // The expert that is doubled has the kind that the larger model has once more.
  const std::vector<ExpertSpec> wanted = options.expert_specs();
  const auto count = [](const auto& list, ExpertKind kind) {
    return std::count_if(list.begin(), list.end(), [&](const auto& one) {
      if constexpr (requires { one.kind; })
        return one.kind == kind;
      else
        return one.spec().kind == kind;
    });
  };
  std::size_t doubled = 0;
  while (doubled < smaller.experts.size() && count(wanted, smaller.experts[doubled].spec().kind) <=
                                                 count(smaller.experts, smaller.experts[doubled].spec().kind))
    ++doubled;
  if (doubled == smaller.experts.size()) return std::nullopt;
  if (doubled > 0) {
    std::vector<int> order{static_cast<int>(doubled)};
    for (int k = 0; k < smaller.expert_count(); ++k)
      if (k != order.front()) order.push_back(k);
    return duplicated_start(options, smaller.permuted(order));
  }
  MixtureModel larger = smaller;
  larger.gate = Gate(spec, smaller.gate.inputs(), options.experts);
  larger.gate.set_units(smaller.gate.input_centre(), smaller.gate.input_scale());
  const double half = std::log(2.0) * (spec.kind == GateKind::constant ? 1.0 : spec.temperature);
  for (int k = 0; k + 1 < options.experts; ++k) larger.gate.block(k + 1) = smaller.gate.block(k);
  larger.gate.block(0) = smaller.gate.block(0);
  larger.gate.block(0)(0) -= half;
  larger.gate.block(1)(0) -= half;
  larger.gate.pin();
  larger.experts.insert(larger.experts.begin(), smaller.experts.front());
  return larger;
}

}  // namespace clearway::detail
