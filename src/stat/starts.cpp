#include "starts.hpp"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/stat/spectral.hpp"
#include "expert_updates.hpp"
#include "ordinal.hpp"
#include "response_family.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

// The response on the scale of the linear predictor: log counts, empirical logits, class indicators.
Matrix linearised_response(const Data& data, ExpertKind kind) {
  const Vector y = data.response.col(0);
  switch (kind) {
    case ExpertKind::poisson:
    case ExpertKind::negative_binomial:
    case ExpertKind::zero_inflated_poisson:
      return (y.array() + 0.5).log();
    case ExpertKind::gamma:
    case ExpertKind::inverse_gaussian:
    case ExpertKind::weibull:
    case ExpertKind::exponential:
      return y.array().log();
    case ExpertKind::beta:
      return (y.array() / (1 - y.array())).log();
    case ExpertKind::bernoulli:
      return y;
    case ExpertKind::binomial:
      return ((y.array() + 0.5) / (data.trials.array() - y.array() + 0.5)).log();
    case ExpertKind::multinomial:
    case ExpertKind::conditional_logit: {
      Matrix indicator = Matrix::Zero(y.size(), data.classes);
      for (Index i = 0; i < y.size(); ++i) indicator(i, static_cast<Index>(y(i))) = 1;
      return indicator;
    }
    default:
      return data.response;
  }
}

void standardise_columns(Matrix& a) {
  for (Index j = 0; j < a.cols(); ++j) {
    a.col(j).array() -= a.col(j).mean();
    const double deviation = std::sqrt(a.col(j).squaredNorm() / static_cast<double>(a.rows()));
    if (deviation > 0) a.col(j) /= deviation;
  }
}

// Memberships mostly on the given expert, the rest spread. A gate that looks at inputs must not be so sure at the start
// that it separates at once; one that does not cannot, and soft memberships would only blur the experts.
Matrix soft_memberships(const std::vector<int>& expert, int k, GateKind gate) {
  const bool blind = gate == GateKind::constant || gate == GateKind::equal;
  const double certainty = blind ? 0.999 : 0.9;
  Matrix r = Matrix::Constant(static_cast<Index>(expert.size()), k, k > 1 ? (1 - certainty) / (k - 1) : 1.0);
  if (k > 1)
    for (std::size_t i = 0; i < expert.size(); ++i) r(static_cast<Index>(i), expert[i]) = certainty;
  return r;
}

}  // namespace

StartMaker::StartMaker(const Data& standardised, const MixtureModel& prototype)
    : data_(standardised), prototype_(prototype) {
  response_ = linearised_response(standardised, common_kind());
  if (standardised.offset.size() && response_.cols() == 1) response_.col(0) -= standardised.offset;
  standardise_columns(response_);
  space_.resize(response_.rows(), standardised.expert_inputs.cols() + response_.cols());
  space_ << standardised.expert_inputs, 1.5 * response_;
}

// The kind whose scale of the linear predictor serves all experts: their own where they agree; logarithms where all
// responses are positive or counts; the response as it is otherwise.
ExpertKind StartMaker::common_kind() const {
  const ExpertKind first = prototype_.experts.front().spec().kind;
  bool same = true, positive = true, counts = false;
  for (const Expert& expert : prototype_.experts) {
    const ResponseKind response = response_kind(expert.spec().kind);
    same = same && expert.spec().kind == first;
    counts = counts || response == ResponseKind::counts;
    positive = positive && (response == ResponseKind::positive || response == ResponseKind::counts);
  }
  if (same) return first;
  return !positive ? ExpertKind::linear : counts ? ExpertKind::poisson : ExpertKind::gamma;
}

// The mean of the response on the scale of the linear predictor.
double StartMaker::linked_mean(const ExpertSpec& spec) const {
  const double mean = std::max(1e-6, data_.response.col(0).mean());
  if (spec.kind == ExpertKind::beta) return std::log(mean) - std::log1p(-mean);
  switch (spec.link) {
    case LinkKind::inverse:
      return 1 / mean;
    case LinkKind::inverse_square:
      return 1 / (mean * mean);
    case LinkKind::identity:
      return mean;
    default:
      return std::log(mean);
  }
}

MixtureModel StartMaker::blank(RandomStream& stream) const {
  MixtureModel model = prototype_;
  const double deviation =
      std::max(1e-6, std::sqrt((data_.response.col(0).array() - data_.response.col(0).mean()).square().mean()));
  for (Expert& expert : model.experts) {
    const ExpertKind kind = expert.spec().kind;
    const int d = slope_count(expert);
    Vector& theta = expert.parameters();
    theta.setZero();
    const auto extra = expert.responses() > 1 ? std::span<const ExtraParameter>() : extra_parameters(kind);
    for (std::size_t i = 0; i < extra.size(); ++i)
      theta(theta.size() - static_cast<Index>(extra.size() - i)) = extra[i].start;
    const double scale = 1.0 / std::sqrt(static_cast<double>(std::max(1, d)));
    switch (kind) {
      case ExpertKind::network: {
        const int h = expert.spec().hidden;
        for (Index i = 0; i < static_cast<Index>(h) * (d + 1); ++i) theta(i) = 1.5 * scale * stream.normal();
        for (Index i = static_cast<Index>(h) * (d + 1) + 1; i + 1 < theta.size(); ++i)
          theta(i) = stream.normal() / std::sqrt(static_cast<double>(h));
        break;
      }
      case ExpertKind::relu:
      case ExpertKind::leaky_relu:
      case ExpertKind::polynomial:  // their derivative vanishes (or is one-sided) at zero
        theta(0) = 0.5;
        for (int i = 1; i <= d; ++i) theta(i) = scale * stream.normal();
        break;
      case ExpertKind::poisson:
      case ExpertKind::negative_binomial:
      case ExpertKind::zero_inflated_poisson:
      case ExpertKind::weibull:
      case ExpertKind::exponential:
      case ExpertKind::gamma:
      case ExpertKind::inverse_gaussian:
      case ExpertKind::beta:
        theta(0) = linked_mean(expert.spec()) - (data_.offset.size() ? data_.offset.mean() : 0.0);
        break;
      case ExpertKind::heteroscedastic:
        theta(1 + d) = std::log(deviation);
        break;
      case ExpertKind::skew_normal:  // without slant the likelihood is flat in it
        theta(theta.size() - 1) = stream.normal();
        break;
      case ExpertKind::skew_t:
        theta(theta.size() - 2) = stream.normal();
        break;
      case ExpertKind::ordinal: {
        Vector margin = Vector::Constant(expert.classes(), 0.5);
        for (Index i = 0; i < data_.rows(); ++i) margin(static_cast<Index>(data_.response(i, 0))) += 1;
        set_ordinal_margins(expert, margin);
        break;
      }
      default:
        break;
    }
    if (expert.has_sigma()) expert.set_sigma(deviation);
  }
  start_gate(model.gate, stream);
  return model;
}

// Zero where that is a fair start; centres and directions at random rows, because equal ones would stay equal.
void StartMaker::start_gate(Gate& gate, RandomStream& stream) const {
  gate.parameters().setZero();
  if (gate.estimates_temperature()) gate.shared()(0) = std::log(gate.spec().temperature);
  const int q = gate.inputs();
  const GateSpec& spec = gate.spec();
  const bool hierarchical = spec.kind == GateKind::hierarchical;
  const auto at_random_row = [&](Eigen::Map<Vector> block) {
    const auto row = static_cast<Index>(stream.index(static_cast<std::uint64_t>(data_.rows())));
    block.segment(1, q) = gate.seen(data_.gate_inputs.row(row)).transpose();
  };
  const bool placed = spec.kind == GateKind::laplace || spec.kind == GateKind::gaussian ||
                      spec.kind == GateKind::cosine || (hierarchical && spec.inner == LevelKind::laplace);
  for (int k = 0; placed && k < gate.experts(); ++k) at_random_row(gate.block(k));
  for (int g = 0; hierarchical && spec.outer == LevelKind::laplace && g < gate.groups(); ++g)
    at_random_row(gate.group_block(g));
  if (spec.kind == GateKind::quadratic && spec.shape == QuadraticShape::low_rank)
    for (int k = 0; k < gate.experts(); ++k)
      for (Index i = gate.block_size() - 2 * spec.rank * q; i < gate.block_size(); ++i)
        gate.block(k)(i) = 0.3 * stream.normal();
}

Matrix StartMaker::kmeans_memberships(RandomStream& stream) const {
  const int k = prototype_.expert_count();
  const Index n = space_.rows();
  // k-means++ seeding (Arthur and Vassilvitskii 2007), then Lloyd's iterations.
  Matrix centre(k, space_.cols());
  Vector distance = Vector::Constant(n, std::numeric_limits<double>::infinity());
  for (int j = 0; j < k; ++j) {
    Index chosen = 0;
    if (j == 0 || !(distance.sum() > 0))
      chosen = static_cast<Index>(stream.index(static_cast<std::uint64_t>(n)));
    else
      chosen = static_cast<Index>(stream.categorical(distance.data(), static_cast<std::size_t>(n)));
    centre.row(j) = space_.row(chosen);
    distance = distance.cwiseMin((space_.rowwise() - centre.row(j)).rowwise().squaredNorm());
  }
  std::vector<int> member(static_cast<std::size_t>(n), 0);
  for (int round = 0; round < 10; ++round) {
    Matrix score = -2 * space_ * centre.transpose();
    score.rowwise() += centre.rowwise().squaredNorm().transpose();
    bool moved = false;
    for (Index i = 0; i < n; ++i) {
      Index best = 0;
      score.row(i).minCoeff(&best);
      if (member[static_cast<std::size_t>(i)] != static_cast<int>(best)) {
        member[static_cast<std::size_t>(i)] = static_cast<int>(best);
        moved = true;
      }
    }
    if (!moved) break;
    Matrix sum = Matrix::Zero(k, space_.cols());
    Vector count = Vector::Zero(k);
    for (Index i = 0; i < n; ++i) {
      sum.row(member[static_cast<std::size_t>(i)]) += space_.row(i);
      count(member[static_cast<std::size_t>(i)]) += 1;
    }
    for (int j = 0; j < k; ++j)
      if (count(j) > 0) centre.row(j) = sum.row(j) / count(j);
  }
  return soft_memberships(member, k, prototype_.gate.spec().kind);
}

Matrix StartMaker::plane_memberships(RandomStream& stream, bool local) const {
  const int k = prototype_.expert_count();
  const Index n = space_.rows(), d = data_.expert_inputs.cols(), m = response_.cols();
  Matrix residual(n, k);
  for (int j = 0; j < k; ++j) {
    // Rows through which the plane goes: the nearest in (x, y) around a random row, or a handful at random.
    std::vector<Index> rows;
    if (local) {
      const auto around = static_cast<Index>(stream.index(static_cast<std::uint64_t>(n)));
      const Vector distance = (space_.rowwise() - space_.row(around)).rowwise().squaredNorm();
      // From a handful of rows to a fair share of them, at random: regimes come in all sizes.
      const double fewest = static_cast<double>(std::min<Index>(n, 2 * (d + 2)));
      const double most = std::max(fewest, static_cast<double>(n) / (2.0 * k));
      const auto count = static_cast<Index>(fewest * std::pow(most / fewest, stream.uniform()));
      rows.resize(static_cast<std::size_t>(n));
      std::iota(rows.begin(), rows.end(), Index{0});
      std::nth_element(rows.begin(), rows.begin() + (count - 1), rows.end(),
                       [&](Index a, Index b) { return distance(a) < distance(b); });
      rows.resize(static_cast<std::size_t>(count));
    } else {
      const auto count = static_cast<std::size_t>(std::min(n, d + 2));
      for (std::size_t r : stream.sample_without_replacement(static_cast<std::size_t>(n), count))
        rows.push_back(static_cast<Index>(r));
    }
    const auto count = static_cast<Index>(rows.size());
    Matrix design(count, 1 + d), target(count, m);
    for (Index i = 0; i < count; ++i) {
      design(i, 0) = 1;
      design.row(i).tail(d) = data_.expert_inputs.row(rows[static_cast<std::size_t>(i)]);
      target.row(i) = response_.row(rows[static_cast<std::size_t>(i)]);
    }
    Matrix gram = design.transpose() * design;
    gram.diagonal().array() += 1e-3 * gram.trace() / static_cast<double>(1 + d);
    const Matrix plane = gram.ldlt().solve(design.transpose() * target);
    Matrix error = response_ - data_.expert_inputs * plane.bottomRows(d);
    error.rowwise() -= plane.row(0);
    residual.col(j) = error.rowwise().squaredNorm();
    if (local) {  // minus twice the log density: a tight regime must not lose its rows' neighbours to a loose one
      double squares = 0;
      for (Index i : rows) squares += residual(i, j);
      const double variance = std::max(1e-4, squares / static_cast<double>(count * m));
      residual.col(j) = (residual.col(j) / variance).array() + static_cast<double>(m) * std::log(variance);
    }
  }
  std::vector<int> member(static_cast<std::size_t>(n));
  for (Index i = 0; i < n; ++i) {
    Index best = 0;
    residual.row(i).minCoeff(&best);
    member[static_cast<std::size_t>(i)] = static_cast<int>(best);
  }
  return soft_memberships(member, k, prototype_.gate.spec().kind);
}

MixtureModel StartMaker::make(StartKind kind, EmEngine& engine, RandomStream& stream) const {
  MixtureModel model = blank(stream);
  const Matrix memberships =
      kind == StartKind::kmeans ? kmeans_memberships(stream) : plane_memberships(stream, kind == StartKind::planes);
  engine.maximise(memberships, 1, model);
  return model;
}

MixtureModel StartMaker::make_reseeded(const MixtureModel& solution, int moved, EmEngine& engine) const {
  const int k = prototype_.expert_count();
  const Index n = data_.rows();
  const Matrix joint = solution.joint_log_density(data_);
  const Vector top = joint.rowwise().maxCoeff();
  const Vector density = top.array() + (joint.colwise() - top).array().exp().rowwise().sum().log();
  // Memberships without the moved expert.
  Matrix r = (joint.leftCols(k).colwise() - density).array().exp();
  r.col(moved).setZero();
  const Vector left = r.rowwise().sum().cwiseMax(1e-12);
  r = left.cwiseInverse().asDiagonal() * r;
  // The worst-explained rows: one in twenty, but enough to carry an expert; the nearest of them around the worst.
  const Index worst = std::min(n, std::max<Index>(n / 20, 3 * (data_.expert_inputs.cols() + 2)));
  std::vector<Index> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), Index{0});
  std::nth_element(rows.begin(), rows.begin() + (worst - 1), rows.end(),
                   [&](Index a, Index b) { return density(a) < density(b); });
  rows.resize(static_cast<std::size_t>(worst));
  for (Index i : rows) {
    r.row(i) *= 0.1;
    r(i, moved) = 0.9;
  }
  MixtureModel model = solution;
  Expert& expert = model.experts[static_cast<std::size_t>(moved)];
  RandomStream stream(0, 0);
  expert = blank(stream).experts[static_cast<std::size_t>(moved)];
  engine.maximise(r, 1, model);
  return model;
}

bool StartMaker::spectral_applies(std::string& reason) const {
  const Expert& expert = prototype_.experts.front();
  for (const Expert& other : prototype_.experts)
    if (other.spec().kind != expert.spec().kind) {
      reason = "it needs experts of one kind";
      return false;
    }
  switch (expert.spec().kind) {
    case ExpertKind::linear:
    case ExpertKind::sigmoid:
    case ExpertKind::tanh:
    case ExpertKind::relu:
    case ExpertKind::leaky_relu:
    case ExpertKind::student_t:
      break;
    case ExpertKind::polynomial:
      if (expert.spec().degree % 2 == 1) break;
      reason = "the third cross-moment of an even power is zero";
      return false;
    default:
      reason = fmt::format("there is no response transform for {} experts", enum_name(expert.spec().kind));
      return false;
  }
  if (expert.responses() > 1) {
    reason = "it needs one response";
    return false;
  }
  if (expert.inputs() < prototype_.expert_count()) {
    reason = fmt::format("it needs at least as many inputs as experts ({} inputs, {} experts)", expert.inputs(),
                         prototype_.expert_count());
    return false;
  }
  if (prototype_.expert_count() < 2) {
    reason = "one expert needs no start";
    return false;
  }
  return true;
}

MixtureModel StartMaker::make_spectral(EmEngine& engine, std::uint64_t seed, bool thorough,
                                       std::vector<std::string>& diagnoses) const {
  SpectralOptions options;
  options.experts = prototype_.expert_count();
  options.link = prototype_.experts.front().spec();
  if (options.link.kind == ExpertKind::student_t) options.link.kind = ExpertKind::linear;
  options.seed = seed;
  options.threads = 1;
  options.inputs = thorough ? InputModel::automatic : InputModel::gaussian;
  Vector y = data_.response.col(0);
  if (data_.offset.size()) y -= data_.offset;
  const SpectralResult result = spectral_regressors(data_.expert_inputs, y, options);
  diagnoses = result.diagnoses;
  if (!result.found)
    throw std::runtime_error(diagnoses.empty() ? "the cross-moments carry no signal" : diagnoses.front());
  RandomStream stream(seed, 1);
  MixtureModel model = blank(stream);
  const double sigma = std::isfinite(result.sigma) && result.sigma > 0 ? result.sigma : 0.5;
  for (int j = 0; j < model.expert_count(); ++j) {
    Expert& expert = model.experts[static_cast<std::size_t>(j)];
    expert.parameters()(0) = result.intercepts(j);
    expert.parameters().segment(1, expert.inputs()) = result.slopes.row(j).transpose();
    expert.set_sigma(std::max(sigma, engine.settings().sigma_floor));
  }
  // The gate alone first, regressors fixed, the noise level re-estimated (algorithm B of docs/spectral.md): with
  // regressors known it is a concave problem per step and has no bad local optimum.
  for (int round = 0; round < 10; ++round) {
    MixtureModel next = model;
    engine.reset();
    engine.step(next);
    model.gate = next.gate;
    Matrix r = model.responsibilities(data_).leftCols(model.expert_count());
    double squares = 0, weight = 0;
    for (int j = 0; j < model.expert_count(); ++j) {
      const Vector e =
          y - model.experts[static_cast<std::size_t>(j)].mean(data_.expert_inputs, Vector(), Vector()).col(0);
      Vector rj = r.col(j);
      if (data_.weights.size()) rj = rj.cwiseProduct(data_.weights);
      squares += rj.dot(e.cwiseAbs2());
      weight += rj.sum();
    }
    const double common = std::max(engine.settings().sigma_floor, std::sqrt(squares / weight));
    for (Expert& expert : model.experts) expert.set_sigma(common);
  }
  engine.reset();
  return model;
}

}  // namespace clearway::detail
