#include "covariance_chart.hpp"

#include <fmt/format.h>

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "parsimonious_covariance.hpp"

namespace clearway::detail {
namespace {

using Eigen::Index;

// The lower half with its diagonal halved: the P with P + P' = a.
Matrix half(const Matrix& a) {
  Matrix p = a.triangularView<Eigen::Lower>();
  p.diagonal() *= 0.5;
  return p;
}

// Directions of all covariances where they have them in common: a combination without chance ties has the eigenvectors of
// each.
Matrix common_axes(const std::vector<Matrix>& covariances) {
  constexpr double kGolden = 0.6180339887498949;
  Matrix sum = Matrix::Zero(covariances.front().rows(), covariances.front().cols());
  for (std::size_t k = 0; k < covariances.size(); ++k) {
    const double place = static_cast<double>(k + 1) * kGolden;
    sum += (1 + place - std::floor(place)) / covariances[k].trace() * covariances[k];
  }
  return Eigen::SelfAdjointEigenSolver<Matrix>(sum).eigenvectors();
}

}  // namespace

CovarianceChart::CovarianceChart(CovarianceKind kind, const std::vector<Matrix>& covariances)
    : kind_(kind), m_(covariances.front().rows()), places_(covariances.size()) {
  for (std::size_t k = 0; k < covariances.size(); ++k) places_[k].factor = covariances[k].llt().matrixL();
  const char shape = covariance_letter(kind, 1), orientation = covariance_letter(kind, 2);
  if (orientation != 'I' && shape == orientation)
    ellipsoids(covariances);
  else
    axes(covariances);
}

void CovarianceChart::add(const std::string& name, bool own, bool turn, const Matrix& matrix) {
  own = own || places_.size() == 1;
  for (std::size_t k = 0; k < places_.size(); ++k) {
    if (own || k == 0) parameters_.push_back({name, own ? static_cast<int>(k) : -1});
    places_[k].moves.push_back({size() - 1, turn, matrix});
  }
}

// Contrasts of the diagonal.
void CovarianceChart::add_shapes(bool own) {
  for (Index a = 1; a < m_; ++a) {
    Vector contrast = Vector::Zero(m_);
    contrast.head(a).setOnes();
    contrast(a) = -static_cast<double>(a);
    add(fmt::format("shape {}", a), own, false, contrast.normalized().asDiagonal());
  }
}

void CovarianceChart::ellipsoids(const std::vector<Matrix>& covariances) {
  const bool own_volume = covariance_letter(kind_, 0) == 'V', own_shape = covariance_letter(kind_, 1) == 'V';
  add("volume", own_volume, false, Matrix::Identity(m_, m_));
  add_shapes(own_shape);
  for (Index j = 0; j < m_; ++j)
    for (Index i = j + 1; i < m_; ++i) {
      Matrix both = Matrix::Zero(m_, m_);
      both(i, j) = both(j, i) = 1;
      add(fmt::format("shape {},{}", j + 1, i + 1), own_shape, false, both);
    }
  Vector logs(static_cast<Index>(places_.size()));
  for (std::size_t k = 0; k < places_.size(); ++k) {
    Place& place = places_[k];
    place.frame = Matrix::Identity(m_, m_);
    place.variances = Vector::Ones(m_);
    logs(static_cast<Index>(k)) = 2 * place.factor.diagonal().array().log().mean();
  }
  const double mean = logs.mean();
  for (std::size_t k = 0; k < places_.size(); ++k) {
    const auto at = static_cast<Index>(k);
    const std::size_t like = own_shape ? k : 0;
    const Matrix wanted = std::exp((own_volume ? logs(at) : mean) - logs(static_cast<Index>(like))) * covariances[like];
    distance_ = std::max(distance_, (covariances[k] - wanted).norm() / covariances[k].norm());
  }
}

void CovarianceChart::axes(const std::vector<Matrix>& covariances) {
  const char volume = covariance_letter(kind_, 0), shape = covariance_letter(kind_, 1),
             orientation = covariance_letter(kind_, 2);
  add("volume", volume == 'V', false, Matrix::Identity(m_, m_));
  if (shape != 'I') add_shapes(shape == 'V');
  if (orientation != 'I')
    for (Index j = 0; j < m_; ++j)
      for (Index i = j + 1; i < m_; ++i) {
        Matrix turn = Matrix::Zero(m_, m_);
        turn(i, j) = 1;
        turn(j, i) = -1;
        add(fmt::format("turn {},{}", j + 1, i + 1), orientation == 'V', true, turn);
      }
  const Matrix common = orientation == 'E' ? common_axes(covariances) : Matrix(Matrix::Identity(m_, m_));
  std::vector<Matrix> directions;
  Matrix logs(static_cast<Index>(places_.size()), m_);
  for (std::size_t k = 0; k < places_.size(); ++k) {
    Place& place = places_[k];
    directions.push_back(  // own ones by size, so that axes of common length have one number
        orientation == 'V' ? Matrix(Eigen::SelfAdjointEigenSolver<Matrix>(covariances[k]).eigenvectors()) : common);
    const Matrix& d = directions.back();
    place.frame = place.factor.triangularView<Eigen::Lower>().solve(d);
    place.variances = (d.transpose() * covariances[k] * d).diagonal();
    logs.row(static_cast<Index>(k)) = place.variances.array().log();
  }
  const Vector volumes = logs.rowwise().mean();
  const Eigen::RowVectorXd shapes = (logs.colwise() - volumes).colwise().mean();
  for (std::size_t k = 0; k < places_.size(); ++k) {
    const auto at = static_cast<Index>(k);
    const double size = volume == 'V' ? volumes(at) : volumes.mean();
    Vector wanted = Vector::Constant(m_, std::exp(size));
    if (shape == 'E') wanted = (shapes.array() + size).exp();
    if (shape == 'V') wanted = (logs.row(at).array() - volumes(at) + size).exp();
    const Matrix moved = directions[k] * wanted.asDiagonal() * directions[k].transpose();
    distance_ = std::max(distance_, (covariances[k] - moved).norm() / covariances[k].norm());
  }
}

// L^-1 (d Sigma) L^-T.
Matrix CovarianceChart::first(const Place& place, const Move& a) const {
  const auto v = place.variances.asDiagonal();
  const Matrix inner = a.turn ? Matrix(a.matrix * v - v * a.matrix) : Matrix(a.matrix * v);
  return place.frame * inner * place.frame.transpose();
}

// L^-1 (d^2 Sigma) L^-T. Strains commute with V: it is I, or they are diagonal.
Matrix CovarianceChart::second(const Place& place, const Move& a, const Move& b) const {
  const auto v = place.variances.asDiagonal();
  const Matrix &x = a.matrix, &y = b.matrix;
  Matrix inner;
  if (a.turn && b.turn) {
    const Matrix both = 0.5 * (x * y + y * x);
    inner = both * v + v * both - x * v * y - y * v * x;
  } else if (a.turn || b.turn) {
    const Matrix& turn = a.turn ? x : y;
    const Matrix strained = (a.turn ? y : x) * v;
    inner = turn * strained - strained * turn;
  } else {
    inner = 0.5 * (x * y + y * x) * v;
  }
  return place.frame * inner * place.frame.transpose();
}

Matrix CovarianceChart::jacobian(std::size_t k) const {
  const Place& place = places_[k];
  const bool full = !is_diagonal(kind_);
  Matrix result = Matrix::Zero(full ? m_ * (m_ + 1) / 2 : m_, size());
  for (const Move& move : place.moves) {
    const Matrix p = half(first(place, move));
    const Matrix change = place.factor * p;
    Index at = 0;
    for (Index j = 0; j < m_; ++j)
      for (Index i = j; i < (full ? m_ : j + 1); ++i) result(at++, move.parameter) = i == j ? p(j, j) : change(i, j);
  }
  return result;
}

Matrix CovarianceChart::curvature(std::size_t k, const Vector& score) const {
  const Place& place = places_[k];
  Matrix result = Matrix::Zero(size(), size());
  if (is_diagonal(kind_)) return result;  // log deviations are linear in psi
  // The score as weights: of d^2 log L_jj on the diagonal, of d^2 L_ij below it.
  Matrix weights = Matrix::Zero(m_, m_);
  Index at = 0;
  for (Index j = 0; j < m_; ++j)
    for (Index i = j; i < m_; ++i) weights(i, j) = score(at++);
  std::vector<Matrix> p;
  p.reserve(place.moves.size());
  for (const Move& move : place.moves) p.push_back(half(first(place, move)));
  for (std::size_t a = 0; a < p.size(); ++a)
    for (std::size_t b = 0; b <= a; ++b) {
      const Matrix q =
          half(second(place, place.moves[a], place.moves[b]) - p[a] * p[b].transpose() - p[b] * p[a].transpose());
      Matrix change = place.factor * q;
      change.diagonal() = q.diagonal() - p[a].diagonal().cwiseProduct(p[b].diagonal());
      result(place.moves[a].parameter, place.moves[b].parameter) =
          result(place.moves[b].parameter, place.moves[a].parameter) = weights.cwiseProduct(change).sum();
    }
  return result;
}

}  // namespace clearway::detail
