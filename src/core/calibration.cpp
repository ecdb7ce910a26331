#include "clearway/core/calibration.hpp"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/core/array.hpp"
#include "score_checks.hpp"

namespace clearway {

using Eigen::Index;

namespace {

constexpr int kMostIterations = 200;
constexpr double kFar = 1000;  // how far from the scale of the logits a temperature may go

/// log(1 + exp(x)) without overflow.
double softplus(double x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

double sigmoid(double x) {
  return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
}

/// Row i has probability own(i) for its class and other(i) for every other one.
struct Targets {
  Vector own, other;

  Targets(std::span<const int> classes, Index count, bool smoothed) {
    const Index n = static_cast<Index>(classes.size());
    own = Vector::Ones(n);
    other = Vector::Zero(n);
    if (!smoothed) return;
    Vector rows_of = Vector::Zero(count);
    for (const int c : classes) rows_of(c) += 1;
    for (Index i = 0; i < n; ++i) {
      other(i) = 1 / (rows_of(classes[static_cast<std::size_t>(i)]) + static_cast<double>(count));
      own(i) = 1 - static_cast<double>(count - 1) * other(i);
    }
  }
};

struct Loss {
  double value = 0, slope = 0, curvature = 0;
};

/// The mean cross-entropy of softmax(beta z) and its derivatives in beta. The target's mean of every row of z is 0, which
/// makes it logsumexp(beta z) and keeps what a sure and right row contributes exact however small it is.
Loss scaled_loss(const Matrix& z, double beta) {
  const Vector largest = beta >= 0 ? Vector(z.rowwise().maxCoeff()) : Vector(z.rowwise().minCoeff());
  const DoubleArray p = (beta * (z.colwise() - largest)).array().exp();
  const Vector sum = p.rowwise().sum();
  const Vector mean = (p * z.array()).rowwise().sum() / sum.array();
  const Vector variance = (p * (z.colwise() - mean).array().square()).rowwise().sum() / sum.array();
  return {(sum.array().log() + beta * largest.array()).mean(), mean.mean(), variance.mean()};
}

/// Whether a line through the origin puts every row on the side of its class.
bool separates(const Matrix& z, std::span<const int> classes) {
  for (Index i = 0; i < z.rows(); ++i)
    if (z(i, classes[static_cast<std::size_t>(i)]) < z.row(i).maxCoeff()) return false;
  return true;
}

TemperatureFit fit_centred(const Matrix& z, std::span<const int> classes) {
  TemperatureFit fit;
  const auto shifted = [&](const Targets& targets) {
    Matrix out = z;
    for (Index i = 0; i < z.rows(); ++i) {
      const double own = z(i, classes[static_cast<std::size_t>(i)]);
      out.row(i).array() -= own;  // what is left of the target's mean is that of the other classes
      out.row(i).array() -= targets.other(i) * out.row(i).sum();
    }
    return out;
  };
  const Matrix exact = shifted(Targets(classes, z.cols(), false));
  fit.loss_before = fit.loss_after = scaled_loss(exact, 1).value;
  const double scale = z.norm() / std::sqrt(static_cast<double>(z.size()));
  if (scale == 0) {
    fit.converged = true;
    fit.note = "all logits of a row are equal: no temperature changes anything, 1 is kept";
    return fit;
  }
  fit.separated = separates(z, classes);
  const Matrix goal = fit.separated ? shifted(Targets(classes, z.cols(), true)) : exact;
  // The slope of the loss rises with beta: the bracket [low, high] has the minimum, or its end that is nearer to it.
  double low = 1 / (kFar * scale), high = kFar / scale;
  double beta = std::clamp(1.0, low, high);
  if (scaled_loss(goal, low).slope >= 0) {
    beta = low;
    fit.converged = true;
    fit.note =
        "the logits do not point to the classes: the temperature ends at its largest value, where all classes are "
        "about equally probable";
  } else if (scaled_loss(goal, high).slope <= 0) {
    beta = high;
    fit.converged = true;
    fit.note = "the logits all but separate the classes: the temperature ends at its least value";
  } else {
    while (fit.iterations < kMostIterations) {
      ++fit.iterations;
      const Loss loss = scaled_loss(goal, beta);
      (loss.slope > 0 ? high : low) = beta;
      const double step = loss.slope / loss.curvature;
      const double next = beta - step;
      fit.converged = std::abs(step) <= 1e-9 * beta;  // the next step would be of its square
      if (fit.converged) {
        beta = next;
        break;
      }
      beta = next > low && next < high ? next : std::sqrt(low * high);
    }
    if (fit.separated)
      fit.note = "the logits separate the classes of these rows: smoothed targets keep the temperature from 0";
    else if (!fit.converged)
      fit.note = "the temperature did not settle";
  }
  fit.temperature = 1 / beta;
  fit.loss_after = scaled_loss(exact, beta).value;
  return fit;
}

std::vector<int> as_classes(const ConstVectorRef& event) {
  std::vector<int> out;
  for (const double y : event) out.push_back(y > 0);
  return out;
}

void check_events(const char* what, const ConstVectorRef& logit, const ConstVectorRef& event) {
  detail::check_lengths(what, logit.size(), event.size());
  detail::check_finite(what, "logit", logit);
  detail::check_binary(what, event);
}

/// One fit per column.
template <class Fit>
auto per_label(const char* what, const ConstMatrixRef& logits, const ConstMatrixRef& targets, Fit&& fit) {
  if (logits.cols() != targets.cols())
    user_error("{}: logits of {} labels but targets of {}", what, logits.cols(), targets.cols());
  std::vector<decltype(fit(logits.col(0), targets.col(0)))> out;
  for (Index j = 0; j < logits.cols(); ++j) out.push_back(fit(logits.col(j), targets.col(j)));
  return out;
}

double platt_loss(const Vector& z, const Vector& target, const Eigen::Vector2d& at) {
  double sum = 0;
  for (Index i = 0; i < z.size(); ++i) {
    const double t = at(0) * z(i) + at(1);
    sum += softplus(t) - target(i) * t;
  }
  return sum / static_cast<double>(z.size());
}

/// Whether some threshold has all events on one side of it, or on it, and all others on the other: then the likelihood
/// of two parameters has no maximum (Albert and Anderson 1984).
bool separates(const ConstVectorRef& logit, const ConstVectorRef& event) {
  const double far = std::numeric_limits<double>::infinity();
  double least[2] = {far, far}, most[2] = {-far, -far};
  for (Index i = 0; i < logit.size(); ++i) {
    const std::size_t c = event(i) > 0;
    least[c] = std::min(least[c], logit(i));
    most[c] = std::max(most[c], logit(i));
  }
  return most[0] <= least[1] || most[1] <= least[0];
}

}  // namespace

TemperatureFit fit_temperature(const ConstVectorRef& logit, const ConstVectorRef& event) {
  check_events("temperature", logit, event);
  Matrix z(logit.size(), 2);
  z << -0.5 * logit, 0.5 * logit;
  return fit_centred(z, as_classes(event));
}

TemperatureFit fit_class_temperature(const ConstMatrixRef& logits, std::span<const int> classes) {
  detail::check_classes("temperature", classes, logits.rows(), logits.cols());
  detail::check_finite("temperature", "logit", logits);
  return fit_centred(logits.colwise() - logits.rowwise().mean(), classes);
}

std::vector<TemperatureFit> fit_label_temperatures(const ConstMatrixRef& logits, const ConstMatrixRef& targets) {
  return per_label("temperature", logits, targets, fit_temperature);
}

PlattFit fit_platt(const ConstVectorRef& logit, const ConstVectorRef& event) {
  check_events("Platt scaling", logit, event);
  PlattFit fit;
  fit.loss_before = platt_loss(logit, event, {1, 0});
  const double centre = logit.mean();
  const double scale = (logit.array() - centre).matrix().norm() / std::sqrt(static_cast<double>(logit.size()));
  const bool constant = (logit.array() == logit(0)).all();
  fit.separated = constant ? event.sum() == 0 || event.minCoeff() == 1 : separates(logit, event);
  Vector target = event;
  if (fit.separated) {
    const Targets smoothed(as_classes(event), 2, true);
    target = (event.array() > 0).select(smoothed.own, smoothed.other);
  }
  const Vector z = constant ? Vector(Vector::Zero(logit.size())) : Vector((logit.array() - centre) / scale);
  const double rate = target.mean();
  Eigen::Vector2d at(0, std::log(rate / (1 - rate)));  // the best constant
  double loss = platt_loss(z, target, at);
  while (!constant && fit.iterations < kMostIterations && !fit.converged) {
    ++fit.iterations;
    Eigen::Vector2d gradient(0, 0);
    Eigen::Matrix2d hessian = Eigen::Matrix2d::Zero();
    for (Index i = 0; i < z.size(); ++i) {
      const double p = sigmoid(at(0) * z(i) + at(1));
      const Eigen::Vector2d row(z(i), 1);
      gradient += (p - target(i)) * row;
      hessian += p * (1 - p) * row * row.transpose();
    }
    const Eigen::Vector2d step = hessian.ldlt().solve(gradient);
    double length = 1;
    Eigen::Vector2d next = at - step;
    double next_loss = platt_loss(z, target, next);
    while (!(next_loss <= loss) && length > 1e-10) {
      length /= 2;
      next = at - length * step;
      next_loss = platt_loss(z, target, next);
    }
    // Small steps, or a loss that no step lowers by more than rounding (half of gradient times step is what it would be).
    const double gain = 0.5 * gradient.dot(step) / static_cast<double>(z.size());
    fit.converged = step.norm() <= 1e-9 * (1 + at.norm()) || gain <= 1e-15 * loss;
    if (!(next_loss <= loss)) break;
    at = next;
    loss = next_loss;
  }
  fit.slope = constant ? 0 : at(0) / scale;
  fit.intercept = constant ? at(1) : at(1) - at(0) * centre / scale;
  fit.loss_after = platt_loss(logit, event, {fit.slope, fit.intercept});
  fit.converged = fit.converged || constant;
  const auto say = [&](const char* words) { fit.note += (fit.note.empty() ? "" : "; ") + std::string(words); };
  if (constant) say("all logits are equal: every row gets the same probability");
  if (fit.separated)
    say(event.minCoeff() == event.maxCoeff()
            ? "only one class is there: smoothed targets keep the probabilities from 0 and 1"
            : "the logits separate the classes of these rows: smoothed targets keep the slope finite");
  if (!constant && fit.slope <= 0) say("the slope is not positive: these logits order the rows the wrong way round");
  if (!fit.converged) say("Newton's method did not settle");
  return fit;
}

std::vector<PlattFit> fit_label_platt(const ConstMatrixRef& logits, const ConstMatrixRef& targets) {
  return per_label("Platt scaling", logits, targets, fit_platt);
}

Vector event_probability(const ConstVectorRef& logit, double slope, double intercept) {
  detail::check_numbers("probability", "logit", logit);
  return logit.unaryExpr([&](double z) { return sigmoid(slope * z + intercept); });
}

Matrix class_probability(const ConstMatrixRef& logits, double temperature) {
  if (!(temperature > 0)) user_error("temperature must be above 0, not {}", temperature);
  detail::check_finite("probability", "logit", logits);
  const DoubleArray scaled = logits.array() / temperature;
  return add_col(scaled, DoubleArray(-logsumexp_rows(scaled))).exp().matrix();
}

double fit_deviation_scale(const ConstVectorRef& mean, const ConstVectorRef& deviation, const ConstVectorRef& target) {
  detail::check_lengths("deviation scale", mean.size(), target.size());
  detail::check_lengths("deviation scale", deviation.size(), target.size());
  detail::check_finite("deviation scale", "prediction", mean);
  detail::check_finite("deviation scale", "target", target);
  detail::check_deviations("deviation scale", deviation);
  constexpr double kLeast = 1e-6;  // exact predictions still have a density
  return std::max(kLeast, std::sqrt(((target - mean).array() / deviation.array()).square().mean()));
}

}  // namespace clearway
