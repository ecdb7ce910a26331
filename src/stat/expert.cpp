#include "clearway/stat/expert.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "class_logits.hpp"
#include "clearway/base/errors.hpp"
#include "expert_updates.hpp"
#include "ordinal.hpp"
#include "response_family.hpp"

namespace clearway {
namespace {

using Eigen::Index;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kLogTwoPi = 1.83787706640934548356;
constexpr double kLogPi = 1.14472988584940017414;

int slopes_of(const ExpertSpec& spec, int inputs) {
  return spec.kind == ExpertKind::constant ? 0 : inputs;
}

int covariance_size(const ExpertSpec& spec, int m) {
  return !is_diagonal(spec.covariance) ? m * (m + 1) / 2 : m;
}

Index parameter_count(const ExpertSpec& spec, int d, int m, int classes, int attributes) {
  const int p = 1 + slopes_of(spec, d);
  if (has_class_logits(spec.kind)) return static_cast<Index>(classes - 1) * (p - attributes * classes) + attributes;
  if (spec.kind == ExpertKind::network) return static_cast<Index>(spec.hidden) * (d + 2) + 2;
  if (spec.kind == ExpertKind::ordinal) return p + classes - 2;
  if (spec.kind == ExpertKind::heteroscedastic) return Index{2} * p;
  if (m > 1) return static_cast<Index>(m) * p + covariance_size(spec, m);
  return p + detail::extra_count(spec.kind);
}

// Lower Cholesky factor of the noise covariance of a vector response, from its packed form.
Matrix unpack_covariance_factor(const ExpertSpec& spec, const double* packed, int m) {
  Matrix factor = Matrix::Zero(m, m);
  for (int j = 0; j < m; ++j) {
    factor(j, j) = std::exp(*packed++);
    if (!is_diagonal(spec.covariance))
      for (int i = j + 1; i < m; ++i) factor(i, j) = *packed++;
  }
  return factor;
}

void check_groups(const Data& data) {
  if (data.groups.empty()) return;
  const Index n = data.rows();
  if (static_cast<Index>(data.groups.size()) != n)
    user_error("there are {} group numbers for {} rows", data.groups.size(), n);
  std::unordered_map<int, Index> first;
  for (Index i = 0; i < n; ++i) {
    const Index other = first.try_emplace(data.groups[static_cast<std::size_t>(i)], i).first->second;
    for (Index j = 0; j < data.gate_inputs.cols(); ++j)
      if (data.gate_inputs(i, j) != data.gate_inputs(other, j))
        user_error(
            "rows {} and {} belong to the same group but gate input {} is {} in one and {} in the other; the gate "
            "looks at groups, so its inputs must not vary within one",
            other + 1, i + 1, j + 1, data.gate_inputs(other, j), data.gate_inputs(i, j));
    if (data.weights.size() && data.weights(i) != data.weights(other))
      user_error("rows {} and {} belong to the same group but have different weights", other + 1, i + 1);
    if (!data.labels.empty() && data.labels.size() == data.groups.size() &&
        data.labels[static_cast<std::size_t>(i)] != data.labels[static_cast<std::size_t>(other)])
      user_error("rows {} and {} belong to the same group but have different labels", other + 1, i + 1);
  }
}

void check_labels(const Data& data) {
  if (data.labels.empty()) return;
  if (static_cast<Index>(data.labels.size()) != data.rows())
    user_error("there are {} labels for {} rows", data.labels.size(), data.rows());
  for (std::size_t i = 0; i < data.labels.size(); ++i)
    if (data.labels[i] < -1)
      user_error("row {}: a label must be an expert's number or -1, not {}", i + 1, data.labels[i]);
}

}  // namespace

void Data::check(ExpertKind kind) const {
  const Index n = response.rows();
  if (n == 0 || response.cols() == 0) user_error("there are no rows to work on");
  if (expert_inputs.rows() != n) user_error("expert inputs have {} rows, the response has {}", expert_inputs.rows(), n);
  if (gate_inputs.rows() != n) user_error("gate inputs have {} rows, the response has {}", gate_inputs.rows(), n);
  const auto finite = [](const Matrix& a, const char* what) {
    for (Index j = 0; j < a.cols(); ++j)
      for (Index i = 0; i < a.rows(); ++i)
        if (!std::isfinite(a(i, j))) user_error("{} row {}, column {} is {}", what, i + 1, j + 1, a(i, j));
  };
  finite(expert_inputs, "expert inputs:");
  finite(gate_inputs, "gate inputs:");
  finite(response, "response:");
  if (weights.size() != 0) {
    if (weights.size() != n) user_error("there are {} weights for {} rows", weights.size(), n);
    if (!weights.allFinite() || (weights.array() < 0).any()) user_error("weights must be finite and not negative");
    if (!(weights.sum() > 0)) user_error("at least one weight must be positive");
  }
  if (offset.size() != 0) {
    if (offset.size() != n) user_error("there are {} offsets for {} rows", offset.size(), n);
    if (!offset.allFinite()) user_error("offsets must be finite");
    if (has_classes(kind) || kind == ExpertKind::network || response.cols() > 1)
      user_error("an offset needs experts with one linear predictor, not {}", enum_name(kind));
  }
  check_groups(*this);
  check_labels(*this);
  if (response.cols() > 1 && kind != ExpertKind::linear && kind != ExpertKind::constant)
    user_error("a vector response ({} columns) needs linear or constant experts, not {}", response.cols(),
               enum_name(kind));
  if (kind == ExpertKind::binomial) {
    if (trials.size() != n) user_error("binomial experts need the number of trials of every row");
    for (Index i = 0; i < n; ++i)
      if (!(trials(i) >= 1) || trials(i) != std::floor(trials(i)))
        user_error("row {}: trials must be a whole number of at least 1, not {}", i + 1, trials(i));
  }
  if (event.size() != 0) {
    if (event.size() != n) user_error("there are {} events for {} rows", event.size(), n);
    if (!allows_censoring(kind))
      user_error("censored responses need tobit, weibull or exponential experts, not {}", enum_name(kind));
    for (Index i = 0; i < n; ++i)
      if (event(i) != 1 && event(i) != 0 && !(event(i) == -1 && kind == ExpertKind::tobit))
        user_error("row {}: an event must be 1 (observed) or 0 (censored){}, not {}", i + 1,
                   kind == ExpertKind::tobit ? " or -1 (censored from below)" : "", event(i));
    if (!(event.array() == 1).any()) user_error("every response is censored: nothing was observed");
  }
  for (Index i = 0; i < n; ++i) {
    const double y = response(i, 0);
    switch (response_kind(kind)) {
      case ResponseKind::counts:
        if (y < 0 || y != std::floor(y)) user_error("row {}: a count must be 0, 1, 2, ..., not {}", i + 1, y);
        break;
      case ResponseKind::zero_one:
        if (y != 0 && y != 1) user_error("row {}: a bernoulli response must be 0 or 1, not {}", i + 1, y);
        break;
      case ResponseKind::successes:
        if (y < 0 || y > trials(i) || y != std::floor(y))
          user_error("row {}: successes must be a whole number from 0 to {}, not {}", i + 1, trials(i), y);
        break;
      case ResponseKind::positive:
        if (!(y > 0))
          user_error("row {}: the response of {} experts must be positive, not {}", i + 1, enum_name(kind), y);
        break;
      case ResponseKind::unit:
        if (!(y > 0 && y < 1)) user_error("row {}: a beta response must lie between 0 and 1, not be {}", i + 1, y);
        break;
      case ResponseKind::classes:
        if (y < 0 || y >= classes || y != std::floor(y))
          user_error("row {}: a class number must be 0 to {}, not {}", i + 1, classes - 1, y);
        break;
      case ResponseKind::real:
        break;
    }
  }
}

Data Data::subset(const std::vector<Index>& rows) const {
  Data d;
  const auto n = static_cast<Index>(rows.size());
  d.expert_inputs.resize(n, expert_inputs.cols());
  d.gate_inputs.resize(n, gate_inputs.cols());
  d.response.resize(n, response.cols());
  if (weights.size()) d.weights.resize(n);
  if (trials.size()) d.trials.resize(n);
  if (offset.size()) d.offset.resize(n);
  if (!groups.empty()) d.groups.resize(rows.size());
  if (!labels.empty()) d.labels.resize(rows.size());
  if (event.size()) d.event.resize(n);
  d.classes = classes;
  d.attributes = attributes;
  for (Index i = 0; i < n; ++i) {
    const Index t = rows[static_cast<std::size_t>(i)];
    d.expert_inputs.row(i) = expert_inputs.row(t);
    d.gate_inputs.row(i) = gate_inputs.row(t);
    d.response.row(i) = response.row(t);
    if (weights.size()) d.weights(i) = weights(t);
    if (trials.size()) d.trials(i) = trials(t);
    if (offset.size()) d.offset(i) = offset(t);
    const auto to = static_cast<std::size_t>(i), from = static_cast<std::size_t>(t);
    if (!groups.empty()) d.groups[to] = groups[from];
    if (!labels.empty()) d.labels[to] = labels[from];
    if (event.size()) d.event(i) = event(t);
  }
  return d;
}

Expert::Expert(ExpertSpec spec, int inputs, int responses, int classes, int attributes)
    : spec_(spec), inputs_(inputs), responses_(responses), classes_(classes), attributes_(attributes) {
  if (inputs < 0) user_error("an expert cannot have {} inputs", inputs);
  if (responses < 1) user_error("an expert needs at least 1 response, not {}", responses);
  if (responses > 1 && spec.kind != ExpertKind::linear && spec.kind != ExpertKind::constant)
    user_error("a vector response needs linear or constant experts, not {}", enum_name(spec.kind));
  if (has_classes(spec.kind) && classes < 2)
    user_error("{} experts need at least 2 classes, not {}", enum_name(spec.kind), classes);
  if (attributes < 0 || (attributes > 0 && spec.kind != ExpertKind::conditional_logit))
    user_error("{} experts cannot have {} attributes", enum_name(spec.kind), attributes);
  if (plain_inputs() < 0)
    user_error("{} attributes of {} classes need {} inputs of the expert, not {}", attributes, classes,
               attributes * classes, inputs);
  parameters_ = Vector::Zero(parameter_count(spec, inputs, responses, classes, attributes));
}

int Expert::degrees_of_freedom() const {
  int df = static_cast<int>(parameters_.size());
  if (has_sigma() && spec_.variance == VarianceKind::shared) --df;
  return df;
}

bool Expert::has_sigma() const {
  const auto extra = detail::extra_parameters(spec_.kind);
  return responses_ == 1 && !extra.empty() && extra.front().is_scale;
}

namespace {
Index sigma_index(const Expert& expert) {
  return expert.parameters().size() - detail::extra_count(expert.spec().kind);
}
}  // namespace

double Expert::sigma() const {
  return has_sigma() ? std::exp(parameters_(sigma_index(*this))) : kNan;
}

void Expert::set_sigma(double sigma) {
  if (!has_sigma()) throw std::logic_error("this kind of expert has no sigma");
  parameters_(sigma_index(*this)) = std::log(sigma);
}

Matrix Expert::covariance() const {
  if (responses_ == 1) return Matrix::Constant(1, 1, has_sigma() ? sigma() * sigma() : kNan);
  const int at = responses_ * (1 + slopes_of(spec_, inputs_));
  const Matrix factor = unpack_covariance_factor(spec_, parameters_.data() + at, responses_);
  return factor * factor.transpose();
}

namespace detail {

Vector linear_predictor(const Expert& expert, const ConstMatrixRef& x, const ConstVectorRef& offset) {
  const int d = slope_count(expert);
  Vector eta = Vector::Constant(x.rows(), expert.parameters()(0));
  if (d > 0) eta.noalias() += x * expert.parameters().segment(1, d);
  if (offset.size() != 0) eta += offset;
  return eta;
}

// Hidden layer of a network expert: n x h, tanh applied.
Matrix hidden_layer(const Expert& expert, const ConstMatrixRef& x) {
  const int d = expert.inputs(), h = expert.spec().hidden;
  Matrix hidden(x.rows(), h);
  for (int j = 0; j < h; ++j) {
    const auto w = expert.parameters().segment(static_cast<Index>(j) * (d + 1), d + 1);
    hidden.col(j) = ((x * w.tail(d)).array() + w(0)).tanh();
  }
  return hidden;
}

// Linear predictor of log sigma of a heteroscedastic expert: n; empty for every other kind.
Vector log_sigma_predictor(const Expert& expert, const ConstMatrixRef& x) {
  if (expert.spec().kind != ExpertKind::heteroscedastic) return {};
  const int d = expert.inputs();
  const auto c = expert.parameters().tail(1 + d);
  Vector s = Vector::Constant(x.rows(), c(0));
  if (d > 0) s.noalias() += x * c.tail(d);
  return s;
}

// Log-probabilities of the classes: n x c.
Matrix class_log_probabilities(const Expert& expert, const ConstMatrixRef& x) {
  if (expert.spec().kind == ExpertKind::ordinal) return ordinal_log_probabilities(expert, x);
  return logit_log_probabilities(expert, x);
}

// Mean of every response of a linear or constant expert: n x m.
Matrix vector_mean(const Expert& expert, const ConstMatrixRef& x) {
  const int d = slope_count(expert), m = expert.responses();
  Matrix mean(x.rows(), m);
  for (int j = 0; j < m; ++j) {
    const auto b = expert.parameters().segment(static_cast<Index>(j) * (1 + d), 1 + d);
    mean.col(j).setConstant(b(0));
    if (d > 0) mean.col(j).noalias() += x * b.tail(d);
  }
  return mean;
}

}  // namespace detail

namespace {

// The extra parameters row by row: the same for all rows but log sigma of heteroscedastic experts.
class RowExtras {
 public:
  RowExtras(const Expert& expert, const ConstMatrixRef& x)
      : common_(expert.parameters().data() + expert.parameters().size() - detail::extra_count(expert.spec().kind)),
        log_sigma_(detail::log_sigma_predictor(expert, x)) {}
  const double* operator[](Index i) const { return log_sigma_.size() ? log_sigma_.data() + i : common_; }

 private:
  const double* common_;
  Vector log_sigma_;
};

}  // namespace

Vector Expert::log_density(const Data& data) const {
  const Index n = data.rows();
  Vector result(n);
  if (has_classes(spec_.kind)) {
    const Matrix logp = detail::class_log_probabilities(*this, data.expert_inputs);
    for (Index i = 0; i < n; ++i) result(i) = logp(i, static_cast<Index>(data.response(i, 0)));
    return result;
  }
  if (responses_ > 1) {
    const int at = responses_ * (1 + slopes_of(spec_, inputs_));
    const Matrix factor = unpack_covariance_factor(spec_, parameters_.data() + at, responses_);
    Matrix residual = (data.response - detail::vector_mean(*this, data.expert_inputs)).transpose();
    factor.triangularView<Eigen::Lower>().solveInPlace(residual);
    const double constant = -0.5 * responses_ * kLogTwoPi - factor.diagonal().array().log().sum();
    return (constant - 0.5 * residual.colwise().squaredNorm().transpose().array()).matrix();
  }
  if (spec_.kind == ExpertKind::network) {
    const Vector mean_value = mean(data.expert_inputs, Vector(), Vector());
    const double s = parameters_(parameters_.size() - 1);
    return (-0.5 * ((data.response.col(0) - mean_value) * std::exp(-s)).array().square() - s - 0.5 * kLogTwoPi)
        .matrix();
  }
  const Vector eta = detail::linear_predictor(*this, data.expert_inputs, data.offset);
  if (spec_.kind == ExpertKind::linear || spec_.kind == ExpertKind::constant) {
    const double s = parameters_(parameters_.size() - 1);
    return (-0.5 * ((data.response.col(0) - eta) * std::exp(-s)).array().square() - s - 0.5 * kLogTwoPi).matrix();
  }
  const RowExtras extra(*this, data.expert_inputs);
  if (spec_.kind == ExpertKind::student_t) {  // the gamma functions once, not per row
    const double nu = std::exp(extra[0][1]);
    const double constant = detail::half_step_gamma_ratio(nu).value - 0.5 * (extra[0][1] + kLogPi) - extra[0][0];
    const auto squares = ((data.response.col(0) - eta) * std::exp(-extra[0][0])).array().square();
    return (constant - 0.5 * (nu + 1) * (squares / nu).log1p()).matrix();
  }
  for (Index i = 0; i < n; ++i)
    result(i) = detail::point_derivatives(spec_, data.response(i, 0), eta(i), extra[i],
                                          data.trials.size() ? data.trials(i) : 1.0,
                                          data.event.size() ? data.event(i) : 1.0, detail::Order::value)
                    .value;
  return result;
}

Matrix Expert::mean(const ConstMatrixRef& x, const ConstVectorRef& trials, const ConstVectorRef& offset) const {
  if (x.cols() != inputs_) user_error("the expert was made for {} inputs, not {}", inputs_, x.cols());
  if (has_classes(spec_.kind)) return detail::class_log_probabilities(*this, x).array().exp();
  if (responses_ > 1) return detail::vector_mean(*this, x);
  if (spec_.kind == ExpertKind::network) {
    const int h = spec_.hidden;
    const auto out = parameters_.segment(static_cast<Index>(h) * (inputs_ + 1), h + 1);
    return ((detail::hidden_layer(*this, x) * out.tail(h)).array() + out(0)).matrix();
  }
  Vector eta = detail::linear_predictor(*this, x, offset);
  const RowExtras extra(*this, x);
  for (Index i = 0; i < eta.size(); ++i)
    eta(i) = detail::family_mean(spec_, eta(i), extra[i], trials.size() ? trials(i) : 1.0);
  return eta;
}

Vector Expert::variance(const ConstMatrixRef& x, const ConstVectorRef& trials, const ConstVectorRef& offset) const {
  if (responses_ > 1 || has_classes(spec_.kind)) return Vector::Constant(x.rows(), kNan);
  if (spec_.kind == ExpertKind::network) return Vector::Constant(x.rows(), sigma() * sigma());
  const Vector eta = detail::linear_predictor(*this, x, offset);
  const RowExtras extra(*this, x);
  Vector value(x.rows());
  for (Index i = 0; i < eta.size(); ++i)
    value(i) = detail::family_variance(spec_, eta(i), extra[i], trials.size() ? trials(i) : 1.0);
  return value;
}

Vector Expert::distribution(const ConstVectorRef& y, const ConstMatrixRef& x, const ConstVectorRef& trials,
                            const ConstVectorRef& offset) const {
  if (responses_ > 1 || has_classes(spec_.kind))
    user_error("{} experts have no one-dimensional distribution function", enum_name(spec_.kind));
  // A network is a Gaussian around its own mean.
  const bool network = spec_.kind == ExpertKind::network;
  const Vector eta = network ? Vector(mean(x, trials, offset)) : detail::linear_predictor(*this, x, offset);
  const RowExtras extra(*this, x);
  Vector p(y.size());
  for (Index i = 0; i < y.size(); ++i)
    p(i) = detail::family_distribution(network ? ExpertSpec{} : spec_, y(i), eta(i), extra[i],
                                       trials.size() ? trials(i) : 1.0);
  return p;
}

bool Expert::response_may_be_scaled() const {
  switch (spec_.kind) {
    case ExpertKind::linear:
    case ExpertKind::constant:
    case ExpertKind::student_t:
    case ExpertKind::network:
    case ExpertKind::laplace:
    case ExpertKind::skew_normal:
    case ExpertKind::skew_t:
    case ExpertKind::heteroscedastic:
      return true;  // not tobit: a censored response contributes a probability, which has no scale
    default:
      return false;
  }
}

Expert Expert::on_raw_scale(const Vector& x_centre, const Vector& x_scale, const Vector& y_centre,
                            const Vector& y_scale) const {
  const int d = inputs_;
  if (x_centre.size() != d || x_scale.size() != d) user_error("the scale of an expert needs {} numbers", d);
  Expert raw = *this;
  const bool scaled = response_may_be_scaled();
  const auto move = [&](auto coefficients, double centre, double scale) {  // [intercept, slopes]
    if (coefficients.size() > 1) {
      coefficients.tail(d) = coefficients.tail(d).cwiseQuotient(x_scale).eval();
      coefficients(0) -= coefficients.tail(d).dot(x_centre);
    }
    coefficients *= scale;
    coefficients(0) += centre;
  };
  Vector& theta = raw.parameters_;
  if (has_class_logits(spec_.kind)) {
    const int w = plain_inputs();
    for (int s = 0; s + 1 < classes_; ++s) {
      auto own = theta.segment(static_cast<Index>(s) * (1 + w), 1 + w);
      own.tail(w) = own.tail(w).cwiseQuotient(x_scale.head(w)).eval();
      own(0) -= own.tail(w).dot(x_centre.head(w));
    }
    // The columns of an attribute have one scale; their centres are differences of the constants.
    for (int v = 0; v < attributes_; ++v) {
      const Index first = w + static_cast<Index>(v) * classes_, last = first + classes_ - 1;
      double& slope = theta(theta.size() - attributes_ + v);
      slope /= x_scale(last);
      for (int s = 0; s + 1 < classes_; ++s)
        theta(static_cast<Index>(s) * (1 + w)) -= slope * (x_centre(first + s) - x_centre(last));
    }
    return raw;
  }
  if (spec_.kind == ExpertKind::network) {
    const int h = spec_.hidden;
    for (int j = 0; j < h; ++j) move(theta.segment(static_cast<Index>(j) * (1 + d), 1 + d), 0.0, 1.0);
    theta.segment(static_cast<Index>(h) * (1 + d), h + 1) *= y_scale(0);
    theta(static_cast<Index>(h) * (1 + d)) += y_centre(0);
    theta(theta.size() - 1) += std::log(y_scale(0));
    return raw;
  }
  const int p = 1 + slopes_of(spec_, d);
  for (int j = 0; j < responses_; ++j)
    move(theta.segment(static_cast<Index>(j) * p, p), scaled ? y_centre(j) : 0.0, scaled ? y_scale(j) : 1.0);
  if (!scaled) return raw;
  if (spec_.kind == ExpertKind::heteroscedastic) {
    move(theta.tail(p), std::log(y_scale(0)), 1.0);
  } else if (responses_ == 1) {
    theta(sigma_index(*this)) += std::log(y_scale(0));
  } else {
    double* packed = theta.data() + static_cast<Index>(responses_) * p;
    for (int j = 0; j < responses_; ++j) {
      *packed++ += std::log(y_scale(j));
      if (!is_diagonal(spec_.covariance))
        for (int i = j + 1; i < responses_; ++i) *packed++ *= y_scale(i);
    }
  }
  return raw;
}

Expert Expert::on_standard_scale(const Vector& x_centre, const Vector& x_scale, const Vector& y_centre,
                                 const Vector& y_scale) const {
  return on_raw_scale(-x_centre.cwiseQuotient(x_scale), x_scale.cwiseInverse(), -y_centre.cwiseQuotient(y_scale),
                      y_scale.cwiseInverse());
}

Index Expert::coefficient_count() const {
  if (responses_ > 1) return Index{responses_} * (1 + slopes_of(spec_, inputs_));
  const Index size = parameters_.size();
  if (spec_.kind == ExpertKind::network) return size - 1;
  if (spec_.kind == ExpertKind::ordinal) return size - (classes_ - 2);
  return size - detail::extra_count(spec_.kind);
}

std::vector<std::string> Expert::parameter_names(const std::vector<std::string>& input_names,
                                                 const std::vector<std::string>& response_names) const {
  const auto plain = static_cast<std::size_t>(plain_inputs()), attributes = static_cast<std::size_t>(attributes_);
  if (input_names.size() != plain + attributes) user_error("the expert needs {} input names", plain + attributes);
  std::vector<std::string> names;
  const auto coefficients = [&](const std::string& prefix) {
    names.push_back(prefix + "(intercept)");
    if (spec_.kind != ExpertKind::constant)
      for (std::size_t i = 0; i < plain; ++i) names.push_back(prefix + input_names[i]);
  };
  const auto response_name = [&](int j) {
    return static_cast<std::size_t>(j) < response_names.size() ? response_names[static_cast<std::size_t>(j)]
                                                               : fmt::format("y{}", j + 1);
  };
  if (has_class_logits(spec_.kind)) {
    for (int s = 0; s + 1 < classes_; ++s) coefficients(response_name(s) + ": ");
    for (std::size_t v = 0; v < attributes; ++v) names.push_back(input_names[plain + v]);
  } else if (spec_.kind == ExpertKind::network) {
    for (int j = 0; j < spec_.hidden; ++j) coefficients(fmt::format("hidden {}: ", j + 1));
    names.push_back("output: (intercept)");
    for (int j = 0; j < spec_.hidden; ++j) names.push_back(fmt::format("output: hidden {}", j + 1));
    names.push_back("log(sigma)");
  } else if (responses_ > 1) {
    for (int j = 0; j < responses_; ++j) coefficients(response_name(j) + ": ");
    for (int j = 0; j < responses_; ++j) {
      names.push_back("log covariance factor " + response_name(j));
      if (!is_diagonal(spec_.covariance))
        for (int i = j + 1; i < responses_; ++i)
          names.push_back("covariance factor " + response_name(i) + ", " + response_name(j));
    }
  } else {
    coefficients("");
    if (spec_.kind == ExpertKind::heteroscedastic) coefficients("log sigma: ");
    for (int s = 0; s + 2 < classes_; ++s)  // ordinal
      names.push_back(fmt::format("log(gap {}|{})", response_name(s + 1), response_name(s + 2)));
    for (const detail::ExtraParameter& extra : detail::extra_parameters(spec_.kind)) names.emplace_back(extra.name);
  }
  return names;
}

}  // namespace clearway
