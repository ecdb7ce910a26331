#include "expert_updates.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "class_logits.hpp"
#include "ordinal.hpp"
#include "parsimonious_covariance.hpp"
#include "response_family.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

Matrix with_ones(const Matrix& x, int slopes) {
  Matrix design(x.rows(), 1 + slopes);
  design.col(0).setOnes();
  if (slopes > 0) design.rightCols(slopes) = x;
  return design;
}

double trials_of(const Data& data, Index i) {
  return data.trials.size() ? data.trials(i) : 1.0;
}

double event_of(const Data& data, Index i) {
  return data.event.size() ? data.event(i) : 1.0;
}

const double* extras(const Expert& expert) {
  return expert.parameters().data() + expert.parameters().size() - extra_count(expert.spec().kind);
}

// One damped step theta += (information + damping)^-1 gradient on the leading `count` parameters, halved until the
// weighted log density does not fall. Returns whether it moved.
bool guarded_step(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, const Vector& gradient,
                  Matrix information, double before) {
  const Index count = gradient.size();
  const double ridge = 1e-10 * (information.trace() / static_cast<double>(count)) + 1e-300;
  information.diagonal().array() += ridge;
  const Vector old = expert.parameters();
  double damping = 0;
  for (int attempt = 0; attempt < 12; ++attempt) {
    Matrix damped = information;
    damped.diagonal() += damping * information.diagonal();
    const Vector step = solve_semidefinite(damped, gradient);
    if (step.allFinite()) {
      expert.parameters().head(count) = old.head(count) + step;
      const double after = weighted_log_density(expert, blocks, r);
      if (after >= before) return true;
    }
    damping = damping == 0 ? 1e-2 : damping * 8;
  }
  expert.parameters() = old;
  return false;
}

// Weighted least squares in residual form: coefficients += Gram^-1 sum r x e. Returns the residual sum after it.
double least_squares(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r,
                     const Vector* extra_weight) {
  const int p = 1 + slope_count(expert);
  Matrix gram = Matrix::Zero(p, p);
  Vector cross = Vector::Zero(p);
  double squares = 0;
  Index at = 0;
  for (const Data& block : blocks) {
    const Index n = block.rows();
    Vector weight = r.segment(at, n);
    if (extra_weight) weight.array() *= extra_weight->segment(at, n).array();
    const Matrix design = with_ones(block.expert_inputs, p - 1);
    const Vector residual = block.response.col(0) - linear_predictor(expert, block.expert_inputs, block.offset);
    const Matrix weighted = weight.asDiagonal() * design;
    gram.noalias() += design.transpose() * weighted;
    cross.noalias() += weighted.transpose() * residual;
    squares += weight.dot(residual.cwiseAbs2());
    at += n;
  }
  const Vector step = solve_semidefinite(gram, cross);
  expert.parameters().head(p) += step;
  return std::max(0.0, squares - step.dot(cross));
}

void update_student_t(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor) {
  const Index last = expert.parameters().size() - 1;
  const Vector before_update = expert.parameters();
  const double before = weighted_log_density(expert, blocks, r);
  const double nu = std::exp(expert.parameters()(last));
  const double sigma = expert.sigma();
  Vector u(r.size());
  Index at = 0;
  for (const Data& block : blocks) {
    const Vector e = (block.response.col(0) - linear_predictor(expert, block.expert_inputs, block.offset)) / sigma;
    u.segment(at, block.rows()) = (nu + 1) / (nu + e.array().square());
    at += block.rows();
  }
  const double squares = least_squares(expert, blocks, r, &u);
  // Division by sum r u instead of sum r has the same fixed point and converges faster (Kent, Tyler and Vardi 1994).
  expert.set_sigma(std::max(sigma_floor, std::sqrt(squares / std::max(r.dot(u), 1e-300))));
  if (weighted_log_density(expert, blocks, r) < before) {
    expert.set_sigma(std::max(sigma_floor, std::sqrt(squares / std::max(r.sum(), 1e-300))));
    if (weighted_log_density(expert, blocks, r) < before) expert.parameters() = before_update;
  }
  // nu by safeguarded Newton on log nu, at the new residuals (ECME: Liu and Rubin 1994).
  double low = 0.0, high = std::log(1e8), m = std::clamp(expert.parameters()(last), low, high);
  const double mass = r.sum();
  Vector squared(r.size());
  at = 0;
  for (const Data& block : blocks) {
    const Vector e = block.response.col(0) - linear_predictor(expert, block.expert_inputs, block.offset);
    squared.segment(at, block.rows()) = (e / expert.sigma()).cwiseAbs2();
    at += block.rows();
  }
  for (int round = 0; round < 30; ++round) {
    const double v = std::exp(m);
    const GammaRatio ratio = half_step_gamma_ratio(v);
    // First and second derivative of sum r log f in nu, then in m = log nu.
    const auto t = squared.array() + v;
    const auto base = v * t;
    const double first = mass * (ratio.first - 0.5 / v) +
                         0.5 * r.dot(((v + 1) * squared.array() / base - (squared.array() / v).log1p()).matrix());
    const double second = mass * (ratio.second + 0.5 / (v * v)) +
                          0.5 * r.dot((squared.array() / base +
                                       squared.array() * (base - (v + 1) * (2 * v + squared.array())) / base.square())
                                          .matrix());
    const double gradient = v * first, curvature = v * first + v * v * second;
    (gradient > 0 ? low : high) = m;
    double next = curvature < 0 ? m - gradient / curvature : 0.5 * (low + high);
    if (!(next > low && next < high)) next = 0.5 * (low + high);
    if (std::abs(next - m) < 1e-6) break;
    m = next;
  }
  expert.parameters()(last) = m;
}

void update_gamma_shape(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r) {
  const Index last = expert.parameters().size() - 1;
  double c = 0, weight = 0;
  Index at = 0;
  for (const Data& block : blocks) {
    const Vector eta = linear_predictor(expert, block.expert_inputs, block.offset);
    for (Index i = 0; i < block.rows(); ++i) {
      const double log_ratio = std::log(block.response(i, 0)) - eta(i);
      c += r(at + i) * (std::exp(log_ratio) - log_ratio - 1);
      weight += r(at + i);
    }
    at += block.rows();
  }
  expert.parameters()(last) = std::log(gamma_shape(c / weight));
}

void update_vector(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor) {
  const int p = 1 + slope_count(expert), m = expert.responses();
  Matrix gram = Matrix::Zero(p, p), cross = Matrix::Zero(p, m), squares = Matrix::Zero(m, m);
  Index at = 0;
  for (const Data& block : blocks) {
    const auto weight = r.segment(at, block.rows());
    const Matrix design = with_ones(block.expert_inputs, p - 1);
    const Matrix residual = block.response - vector_mean(expert, block.expert_inputs);
    const Matrix weighted = weight.asDiagonal() * design;
    gram.noalias() += design.transpose() * weighted;
    cross.noalias() += weighted.transpose() * residual;
    squares.noalias() += residual.transpose() * (weight.asDiagonal() * residual);
    at += block.rows();
  }
  Matrix step(p, m);
  for (int j = 0; j < m; ++j) step.col(j) = solve_semidefinite(gram, cross.col(j));
  for (int j = 0; j < m; ++j) expert.parameters().segment(static_cast<Index>(j) * p, p) += step.col(j);
  set_covariance(expert, (squares - step.transpose() * cross) / r.sum(), sigma_floor);
}

}  // namespace

void set_covariance(Expert& expert, const Matrix& wanted, double sigma_floor) {
  const int p = 1 + slope_count(expert), m = expert.responses();
  Matrix covariance = 0.5 * (wanted + wanted.transpose());
  double* packed = expert.parameters().data() + static_cast<Index>(m) * p;
  if (is_diagonal(expert.spec().covariance)) {
    for (int j = 0; j < m; ++j) packed[j] = std::log(std::max(sigma_floor, std::sqrt(std::max(0.0, covariance(j, j)))));
    return;
  }
  // Keep the smallest standard deviation (in any direction) at the floor.
  Eigen::SelfAdjointEigenSolver<Matrix> eigen(covariance);
  const Vector values = eigen.eigenvalues().cwiseMax(sigma_floor * sigma_floor);
  covariance = eigen.eigenvectors() * values.asDiagonal() * eigen.eigenvectors().transpose();
  const Matrix factor = covariance.llt().matrixL();
  for (int j = 0; j < m; ++j) {
    *packed++ = std::log(factor(j, j));
    for (int i = j + 1; i < m; ++i) *packed++ = factor(i, j);
  }
}

void pool_covariances(const std::vector<Expert>& before, const Vector& mass, double sigma_floor,
                      std::vector<Expert>& experts) {
  std::vector<Matrix> scatter, start;
  std::vector<std::size_t> members;
  for (std::size_t j = 0; j < experts.size(); ++j) {
    const double weight = mass(static_cast<Index>(j));
    if (!(weight > 1e-6)) continue;  // an expert without rows keeps what it has
    scatter.push_back(weight * experts[j].covariance());
    start.push_back(before[j].covariance());
    members.push_back(j);
  }
  if (members.empty()) return;
  const std::vector<Matrix> found =
      parsimonious_covariances(experts.front().spec().covariance, scatter, mass(members), start);
  for (std::size_t i = 0; i < members.size(); ++i) set_covariance(experts[members[i]], found[i], sigma_floor);
}

namespace {

// Kinds whose parameters are best moved together. The gamma family joins them when its link is not the logarithm, under
// which intercept and slopes on one side and shape on the other are orthogonal.
bool updates_by_newton(const ExpertSpec& spec) {
  switch (spec.kind) {
    case ExpertKind::skew_normal:
    case ExpertKind::skew_t:
    case ExpertKind::heteroscedastic:
    case ExpertKind::tobit:
    case ExpertKind::negative_binomial:
    case ExpertKind::zero_inflated_poisson:
    case ExpertKind::inverse_gaussian:
    case ExpertKind::weibull:
    case ExpertKind::exponential:
    case ExpertKind::beta:
    case ExpertKind::ordinal:
      return true;
    case ExpertKind::gamma:
      return spec.link != LinkKind::log;
    default:
      return false;
  }
}

}  // namespace

int slope_count(const Expert& expert) {
  return expert.spec().kind == ExpertKind::constant ? 0 : expert.inputs();
}

double weighted_log_density(const Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r) {
  double total = 0;
  Index at = 0;
  for (const Data& block : blocks) {
    total += expert.log_density(block).dot(r.segment(at, block.rows()));
    at += block.rows();
  }
  return total;
}

Vector solve_semidefinite(const Matrix& a, const Vector& b) {
  // Scaled to unit diagonal first, so that "near-singular" does not depend on units.
  const Vector scale = a.diagonal().cwiseMax(1e-300).cwiseSqrt().cwiseInverse();
  const Matrix scaled = scale.asDiagonal() * a * scale.asDiagonal();
  const Vector right = scale.cwiseProduct(b);
  Eigen::LLT<Matrix> cholesky(scaled);
  if (cholesky.info() == Eigen::Success && cholesky.rcond() > 1e-13) return scale.cwiseProduct(cholesky.solve(right));
  Eigen::SelfAdjointEigenSolver<Matrix> eigen(scaled);
  const double cut = 1e-12 * std::max(1e-300, eigen.eigenvalues().maxCoeff());
  Vector coordinates = eigen.eigenvectors().transpose() * right;
  for (Index i = 0; i < coordinates.size(); ++i)
    coordinates(i) = eigen.eigenvalues()(i) > cut ? coordinates(i) / eigen.eigenvalues()(i) : 0.0;
  return scale.cwiseProduct(eigen.eigenvectors() * coordinates);
}

Matrix expert_score_rows(const Expert& expert, const Data& data) {
  const Index n = data.rows();
  Matrix u = Matrix::Zero(n, expert.parameters().size());
  const int d = slope_count(expert);
  if (expert.spec().kind == ExpertKind::ordinal) return ordinal_score_rows(expert, data);
  if (has_class_logits(expert.spec().kind)) return logit_score_rows(expert, data);
  if (expert.spec().kind == ExpertKind::network) {
    const int h = expert.spec().hidden;
    const Matrix hidden = hidden_layer(expert, data.expert_inputs);
    const auto out = expert.parameters().segment(static_cast<Index>(h) * (d + 1), h + 1);
    const double sigma = expert.sigma();
    const Vector e = (data.response.col(0) - hidden * out.tail(h)).array() - out(0);
    const Vector g = e / (sigma * sigma);
    const Matrix design = with_ones(data.expert_inputs, d);
    for (int j = 0; j < h; ++j) {
      const Vector back = g.array() * out(1 + j) * (1 - hidden.col(j).array().square());
      u.middleCols(static_cast<Index>(j) * (d + 1), d + 1) = back.asDiagonal() * design;
    }
    const Index at = static_cast<Index>(h) * (d + 1);
    u.col(at) = g;
    u.middleCols(at + 1, h) = g.asDiagonal() * hidden;
    u.col(at + 1 + h) = (e.array() / sigma).square() - 1;
    return u;
  }
  if (expert.responses() > 1) {
    const int m = expert.responses(), p = 1 + d;
    const bool full = !is_diagonal(expert.spec().covariance);
    const Matrix design = with_ones(data.expert_inputs, d);
    const Matrix factor = expert.covariance().llt().matrixL();
    const Matrix inverse = factor.triangularView<Eigen::Lower>().solve(Matrix::Identity(m, m));
    const Matrix residual = data.response - vector_mean(expert, data.expert_inputs);
    const Matrix white = residual * inverse.transpose();  // rows: L^-1 e
    const Matrix precision_residual = white * inverse;    // rows: S^-1 e
    for (int j = 0; j < m; ++j)
      u.middleCols(static_cast<Index>(j) * p, p) = precision_residual.col(j).asDiagonal() * design;
    // d/dL_ij (-log|L| - |L^-1 e|^2 / 2) = (S^-1 e)_i (L^-1 e)_j - delta_ij / L_ii; the diagonal is stored as logarithm.
    Index at = static_cast<Index>(m) * p;
    for (int j = 0; j < m; ++j)
      for (int i = j; i < (full ? m : j + 1); ++i, ++at) {
        const Vector g = precision_residual.col(i).cwiseProduct(white.col(j));
        u.col(at) = i == j ? Vector((g * factor(j, j)).array() - 1) : g;
      }
    return u;
  }
  const Vector eta = linear_predictor(expert, data.expert_inputs, data.offset);
  const Vector log_sigma = log_sigma_predictor(expert, data.expert_inputs);
  const bool two_indices = log_sigma.size() != 0;
  const int extra = two_indices ? 1 : extra_count(expert.spec().kind);
  Vector g(n);
  for (Index i = 0; i < n; ++i) {
    const PointDerivatives value =
        point_derivatives(expert.spec(), data.response(i, 0), eta(i),
                          two_indices ? log_sigma.data() + i : extras(expert), trials_of(data, i), event_of(data, i));
    g(i) = value.eta;
    if (extra > 0) u(i, 1 + d) = value.s;
    if (extra > 1) u(i, 2 + d) = value.m;
    if (extra > 2) u(i, 3 + d) = value.t;
  }
  u.col(0) = g;
  if (d > 0) u.middleCols(1, d) = g.asDiagonal() * data.expert_inputs;
  if (two_indices && d > 0) u.rightCols(d) = u.col(1 + d).asDiagonal() * data.expert_inputs;
  return u;
}

bool has_closed_hessian(const Expert& expert) {
  return expert.responses() == 1 && expert.spec().kind != ExpertKind::network;
}

Matrix symmetric_product(const Matrix& x, const Vector& weight) {
  const Matrix weighted = weight.asDiagonal() * x;
  Matrix product(x.cols(), x.cols());
  product.triangularView<Eigen::Lower>() = x.transpose() * weighted;  // half of the work of a product
  product.triangularView<Eigen::StrictlyUpper>() = product.transpose();
  return product;
}

Matrix expert_hessian(const Expert& expert, const Data& data, const ConstVectorRef& r) {
  const int d = slope_count(expert);
  const Index size = expert.parameters().size();
  Matrix h = Matrix::Zero(size, size);
  if (expert.spec().kind == ExpertKind::ordinal) return ordinal_hessian(expert, data, r);
  if (has_class_logits(expert.spec().kind)) return logit_hessian(expert, data, r);
  const Matrix design = with_ones(data.expert_inputs, d);
  const Index n = data.rows();
  const Vector eta = linear_predictor(expert, data.expert_inputs, data.offset);
  const Vector log_sigma = log_sigma_predictor(expert, data.expert_inputs);
  const bool two_indices = log_sigma.size() != 0;
  const int extra = two_indices ? 0 : extra_count(expert.spec().kind);
  Vector second(n), mixed_s(n), mixed_m(n), mixed_t(n), second_s(n);
  double s_s = 0, s_m = 0, m_m = 0, s_t = 0, m_t = 0, t_t = 0;
  for (Index i = 0; i < n; ++i) {
    const PointDerivatives v =
        point_derivatives(expert.spec(), data.response(i, 0), eta(i),
                          two_indices ? log_sigma.data() + i : extras(expert), trials_of(data, i), event_of(data, i));
    second(i) = r(i) * v.eta_eta;
    mixed_s(i) = r(i) * v.eta_s;
    mixed_m(i) = r(i) * v.eta_m;
    second_s(i) = r(i) * v.s_s;
    s_s += r(i) * v.s_s;
    s_m += r(i) * v.s_m;
    m_m += r(i) * v.m_m;
    mixed_t(i) = r(i) * v.eta_t;
    s_t += r(i) * v.s_t;
    m_t += r(i) * v.m_t;
    t_t += r(i) * v.t_t;
  }
  h.topLeftCorner(1 + d, 1 + d).noalias() = design.transpose() * (second.asDiagonal() * design);
  if (two_indices) {
    h.topRightCorner(1 + d, 1 + d).noalias() = design.transpose() * (mixed_s.asDiagonal() * design);
    h.bottomLeftCorner(1 + d, 1 + d) = h.topRightCorner(1 + d, 1 + d).transpose();
    h.bottomRightCorner(1 + d, 1 + d).noalias() = design.transpose() * (second_s.asDiagonal() * design);
  }
  if (extra > 0) {
    h.col(1 + d).head(1 + d) = design.transpose() * mixed_s;
    h.row(1 + d).head(1 + d) = h.col(1 + d).head(1 + d).transpose();
    h(1 + d, 1 + d) = s_s;
  }
  if (extra > 1) {
    h.col(2 + d).head(1 + d) = design.transpose() * mixed_m;
    h.row(2 + d).head(1 + d) = h.col(2 + d).head(1 + d).transpose();
    h(1 + d, 2 + d) = h(2 + d, 1 + d) = s_m;
    h(2 + d, 2 + d) = m_m;
  }
  if (extra > 2) {
    h.col(3 + d).head(1 + d) = design.transpose() * mixed_t;
    h.row(3 + d).head(1 + d) = h.col(3 + d).head(1 + d).transpose();
    h(1 + d, 3 + d) = h(3 + d, 1 + d) = s_t;
    h(2 + d, 3 + d) = h(3 + d, 2 + d) = m_t;
    h(3 + d, 3 + d) = t_t;
  }
  return h;
}

ResidualSum residual_sum(const Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r) {
  ResidualSum sum;
  Index at = 0;
  for (const Data& block : blocks) {
    const auto weight = r.segment(at, block.rows());
    const Vector e = block.response.col(0) - expert.mean(block.expert_inputs, block.trials, block.offset);
    sum.squares += weight.dot(e.cwiseAbs2());
    sum.weight += weight.sum();
    at += block.rows();
  }
  return sum;
}

void update_expert(Expert& expert, const std::vector<Data>& blocks, const ConstVectorRef& r, double sigma_floor,
                   int newton_steps) {
  const ExpertSpec& spec = expert.spec();
  const double mass = r.sum();
  const int d = slope_count(expert), p = 1 + d;
  if (!(mass > 1e-8 * static_cast<double>(r.size())) || mass < 1e-6) return;
  const auto set_sigma = [&](double squares) {
    double variance = squares / mass;
    if (spec.divisor == VarianceDivisor::unbiased) {
      const auto n = static_cast<double>(r.size());
      variance *= n / (n - p);
    }
    expert.set_sigma(std::max(sigma_floor, std::sqrt(variance)));
  };
  if (expert.responses() > 1) return update_vector(expert, blocks, r, sigma_floor);
  if (spec.kind == ExpertKind::linear || spec.kind == ExpertKind::constant)
    return set_sigma(least_squares(expert, blocks, r, nullptr));
  if (spec.kind == ExpertKind::student_t) return update_student_t(expert, blocks, r, sigma_floor);
  if (spec.kind == ExpertKind::laplace) return update_laplace(expert, blocks, r, sigma_floor, newton_steps);
  if (spec.kind == ExpertKind::skew_normal) escape_zero_slant(expert, blocks, r, sigma_floor);
  if (updates_by_newton(spec)) return update_by_newton(expert, blocks, r, sigma_floor, newton_steps);

  for (int round = 0; round < newton_steps; ++round) {
    double before = 0;
    const Index count = has_class_logits(spec.kind)        ? expert.parameters().size()
                        : spec.kind == ExpertKind::network ? expert.parameters().size() - 1
                                                           : p;
    Vector gradient = Vector::Zero(count);
    Matrix information = Matrix::Zero(count, count);
    Index at = 0;
    for (const Data& block : blocks) {
      const Vector weight = r.segment(at, block.rows());
      at += block.rows();
      before += expert.log_density(block).dot(weight);
      if (has_class_logits(spec.kind)) {
        gradient.noalias() += expert_score_rows(expert, block).transpose() * weight;
        information -= expert_hessian(expert, block, weight);
      } else if (spec.kind == ExpertKind::network) {
        // Gauss-Newton: score rows are residual / sigma^2 times the Jacobian of the mean.
        const Matrix u = expert_score_rows(expert, block).leftCols(count);
        gradient.noalias() += u.transpose() * weight;
        const double sigma2 = expert.sigma() * expert.sigma();
        const Vector residual = block.response.col(0) - expert.mean(block.expert_inputs, block.trials, block.offset);
        const Vector inverse = (residual.array().abs() > 1e-150).select(sigma2 / residual.array(), 0.0);
        const Matrix jacobian = inverse.asDiagonal() * u;
        information.noalias() += jacobian.transpose() * ((weight / sigma2).asDiagonal() * jacobian);
      } else {
        const Vector eta = linear_predictor(expert, block.expert_inputs, block.offset);
        Vector g(block.rows()), w(block.rows());
        for (Index i = 0; i < block.rows(); ++i) {
          const PointDerivatives v =
              point_derivatives(spec, block.response(i, 0), eta(i), extras(expert), trials_of(block, i));
          g(i) = weight(i) * v.eta;
          w(i) = weight(i) * v.information;
        }
        const Matrix design = with_ones(block.expert_inputs, d);
        gradient.noalias() += design.transpose() * g;
        information.noalias() += design.transpose() * (w.asDiagonal() * design);
      }
    }
    if (!guarded_step(expert, blocks, r, gradient, information, before)) break;
  }
  if (spec.kind == ExpertKind::gamma) update_gamma_shape(expert, blocks, r);
  if (expert.has_sigma()) set_sigma(residual_sum(expert, blocks, r).squares);
}

}  // namespace clearway::detail
