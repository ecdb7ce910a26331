#include "ordinal.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/core/activations.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

double sigmoid(double z) {
  return std::exp(log_sigmoid(z));
}

// Thresholds t_0 = 0, t_1, ..., t_(c-2).
Vector thresholds(const Expert& expert) {
  const Index inner = expert.classes() - 2, first = 1 + expert.inputs();
  Vector t = Vector::Zero(inner + 1);
  for (Index s = 0; s < inner; ++s) t(s + 1) = t(s) + std::exp(expert.parameters()(first + s));
  return t;
}

Vector predictor(const Expert& expert, const ConstMatrixRef& x) {
  Vector eta = Vector::Constant(x.rows(), expert.parameters()(0));
  if (expert.inputs() > 0) eta.noalias() += x * expert.parameters().segment(1, expert.inputs());
  return eta;
}

// Derivatives of log(sigmoid(u) - sigmoid(l)) in u and l, the ends of the class's interval; infinite ends have none.
struct EndDerivatives {
  double upper = 0, lower = 0, upper2 = 0, lower2 = 0, mixed = 0;
};

EndDerivatives end_derivatives(const Vector& t, Index y, double eta) {
  EndDerivatives d;
  const bool has_upper = y<t.size(), has_lower = y> 0;
  const double u = has_upper ? t(y) - eta : 0, l = has_lower ? t(y - 1) - eta : 0;
  // sigmoid(u) - sigmoid(l) = sigmoid(u) sigmoid(-l) (1 - e^(l - u)): each factor has simple derivatives.
  const double q = has_upper && has_lower ? 1 / std::expm1(t(y) - t(y - 1)) : 0;
  const double curvature = q * (1 + q);
  if (has_upper) {
    d.upper = sigmoid(-u) + q;
    d.upper2 = -sigmoid(u) * sigmoid(-u) - curvature;
  }
  if (has_lower) {
    d.lower = -sigmoid(l) - q;
    d.lower2 = -sigmoid(l) * sigmoid(-l) - curvature;
  }
  d.mixed = curvature;
  return d;
}

}  // namespace

Matrix ordinal_log_probabilities(const Expert& expert, const ConstMatrixRef& x) {
  const Vector t = thresholds(expert), eta = predictor(expert, x);
  const Index c = expert.classes();
  Matrix log_p(x.rows(), c);
  for (Index i = 0; i < x.rows(); ++i) {
    log_p(i, 0) = log_sigmoid(t(0) - eta(i));
    for (Index s = 1; s + 1 < c; ++s)
      log_p(i, s) =
          log_sigmoid(t(s) - eta(i)) + log_sigmoid(eta(i) - t(s - 1)) + std::log(-std::expm1(t(s - 1) - t(s)));
    log_p(i, c - 1) = log_sigmoid(eta(i) - t(c - 2));
  }
  return log_p;
}

Matrix ordinal_score_rows(const Expert& expert, const Data& data) {
  const Vector t = thresholds(expert), eta = predictor(expert, data.expert_inputs);
  const Index n = data.rows(), d = expert.inputs(), inner = expert.classes() - 2;
  Matrix u = Matrix::Zero(n, expert.parameters().size());
  for (Index i = 0; i < n; ++i) {
    const auto y = static_cast<Index>(data.response(i, 0));
    const EndDerivatives e = end_derivatives(t, y, eta(i));
    const double in_eta = -(e.upper + e.lower);
    u(i, 0) = in_eta;
    if (d > 0) u.row(i).segment(1, d) = in_eta * data.expert_inputs.row(i);
    for (Index g = 1; g <= inner && g <= y; ++g)  // the gap below threshold g moves every threshold from g on
      u(i, d + g) = std::exp(expert.parameters()(d + g)) * (e.upper + (g <= y - 1 ? e.lower : 0.0));
  }
  return u;
}

Matrix ordinal_hessian(const Expert& expert, const Data& data, const ConstVectorRef& r) {
  const Vector t = thresholds(expert), eta = predictor(expert, data.expert_inputs);
  const Index n = data.rows(), d = expert.inputs(), inner = expert.classes() - 2;
  const Index size = expert.parameters().size();
  Matrix h = Matrix::Zero(size, size);
  // Directions of the row: the two ends move by a (eta: -1) and b in every parameter.
  Vector a(size), b(size);
  for (Index i = 0; i < n; ++i) {
    const auto y = static_cast<Index>(data.response(i, 0));
    const EndDerivatives e = end_derivatives(t, y, eta(i));
    a.setZero();
    b.setZero();
    a(0) = b(0) = -1;
    if (d > 0) a.segment(1, d) = b.segment(1, d) = -data.expert_inputs.row(i).transpose();
    for (Index g = 1; g <= inner && g <= y; ++g) {
      const double gap = std::exp(expert.parameters()(d + g));
      a(d + g) = gap;
      if (g <= y - 1) b(d + g) = gap;
      h(d + g, d + g) += r(i) * gap * (e.upper + (g <= y - 1 ? e.lower : 0.0));  // second derivative of exp
    }
    h.noalias() += (r(i) * e.upper2) * a * a.transpose();
    h.noalias() += (r(i) * e.lower2) * b * b.transpose();
    h.noalias() += (r(i) * e.mixed) * (a * b.transpose() + b * a.transpose());
  }
  return h;
}

void set_ordinal_margins(Expert& expert, const Vector& probabilities) {
  const Index c = expert.classes();
  const double total = probabilities.sum();
  double below = 0, previous = 0;
  for (Index s = 0; s + 1 < c; ++s) {
    below += probabilities(s) / total;
    const double cut = std::log(below) - std::log1p(-std::min(below, 1 - 1e-12));
    if (s == 0)
      expert.parameters()(0) = -cut;
    else
      expert.parameters()(expert.inputs() + s) = std::log(std::max(cut - previous, 1e-6));
    previous = cut;
  }
}

}  // namespace clearway::detail
