#include "parsimonious_covariance.hpp"

#include <Eigen/Cholesky>
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

namespace clearway::detail {
namespace {

using Eigen::Index;

constexpr double kStill = 1e-12;  // relative change of the objective at which rounds end
constexpr int kSweeps = 20;       // of rotations through all planes

// The diagonal of volume 1 in the direction of `diagonal`, and that volume (the m-th root of the product).
double volume(const Vector& diagonal) {
  return std::exp(diagonal.array().log().mean());
}

struct Spectrum {
  Matrix directions;  // columns
  Vector values;      // decreasing
};

Spectrum spectrum(const Matrix& scatter) {
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(scatter);
  return {eigen.eigenvectors().rowwise().reverse(), eigen.eigenvalues().reverse()};
}

Matrix assembled(const Matrix& directions, const Vector& values) {
  return directions * values.asDiagonal() * directions.transpose();
}

class Problem {
 public:
  Problem(const std::vector<Matrix>& scatter, const Vector& weights, const std::vector<Matrix>& start, int rounds)
      : scatter_(scatter), weights_(weights), start_(start), rounds_(rounds), m_(scatter.front().rows()) {}

  // Volumes E or V, one shape and orientation for all: of the directions `axes` (columns), or of the axes themselves.
  // `spectra`: the diagonals of W_k in those directions. Returns the diagonals of Sigma_k.
  std::vector<Vector> common_shape(const std::vector<Vector>& spectra, bool own_volumes) const {
    const std::size_t k = spectra.size();
    Vector volumes = Vector::Ones(static_cast<Index>(k));
    Vector shape = Vector::Ones(m_);
    double last = std::numeric_limits<double>::infinity();
    for (int round = 0; round < (own_volumes ? 50 * rounds_ : 1); ++round) {
      Vector sum = Vector::Zero(m_);
      for (std::size_t j = 0; j < k; ++j) sum += spectra[j] / volumes(static_cast<Index>(j));
      shape = sum / volume(sum);
      if (!own_volumes) {
        volumes.setConstant(volume(sum) / weights_.sum());
        break;
      }
      double value = 0;
      for (std::size_t j = 0; j < k; ++j) {
        const auto at = static_cast<Index>(j);
        volumes(at) = spectra[j].cwiseQuotient(shape).sum() / (static_cast<double>(m_) * weights_(at));
        value += weights_(at) * std::log(volumes(at));
      }
      if (last - value <= kStill * weights_.sum()) break;
      last = value;
    }
    std::vector<Vector> result;
    for (std::size_t j = 0; j < k; ++j) result.push_back(volumes(static_cast<Index>(j)) * shape);
    return result;
  }

  // Own shapes, volumes E or V: the diagonals of Sigma_k from those of W_k.
  std::vector<Vector> own_shapes(const std::vector<Vector>& spectra, bool own_volumes) const {
    std::vector<Vector> result;
    double sum = 0;
    for (const Vector& values : spectra) sum += volume(values);
    for (std::size_t j = 0; j < spectra.size(); ++j)
      result.push_back(own_volumes ? Vector(spectra[j] / weights_(static_cast<Index>(j)))
                                   : Vector(spectra[j] * (sum / weights_.sum() / volume(spectra[j]))));
    return result;
  }

  std::vector<Matrix> without_orientation(bool sphere, bool own_shape, bool own_volume) const {
    std::vector<Vector> spectra;
    for (const Matrix& w : scatter_) {
      const Vector diagonal = w.diagonal();
      spectra.push_back(sphere ? Vector::Constant(m_, diagonal.mean()) : diagonal);
    }
    const std::vector<Vector> values =
        (sphere && own_volume) || own_shape ? own_shapes(spectra, own_volume) : common_shape(spectra, own_volume);
    std::vector<Matrix> result;
    result.reserve(values.size());
    for (const Vector& value : values) result.emplace_back(value.asDiagonal());
    return result;
  }

  // One covariance up to its volume: C = sum_k W_k / lambda_k, volumes and C in turn.
  std::vector<Matrix> common_ellipsoid(bool own_volumes) const {
    const std::size_t k = scatter_.size();
    Vector volumes = Vector::Ones(static_cast<Index>(k));
    if (own_volumes)
      for (std::size_t j = 0; j < k; ++j) volumes(static_cast<Index>(j)) = root_determinant(start_[j]);
    Matrix shape;
    double last = std::numeric_limits<double>::infinity();
    for (int round = 0; round < (own_volumes ? 50 * rounds_ : 1); ++round) {
      Matrix sum = Matrix::Zero(m_, m_);
      for (std::size_t j = 0; j < k; ++j) sum += scatter_[j] / volumes(static_cast<Index>(j));
      const double size = root_determinant(sum);
      shape = sum / size;
      if (!own_volumes) {
        volumes.setConstant(size / weights_.sum());
        break;
      }
      const Eigen::LLT<Matrix> factor(shape);
      double value = 0;
      for (std::size_t j = 0; j < k; ++j) {
        const auto at = static_cast<Index>(j);
        volumes(at) = factor.solve(scatter_[j]).trace() / (static_cast<double>(m_) * weights_(at));
        value += weights_(at) * std::log(volumes(at));
      }
      if (last - value <= kStill * weights_.sum()) break;
      last = value;
    }
    std::vector<Matrix> result;
    for (std::size_t j = 0; j < k; ++j) result.emplace_back(volumes(static_cast<Index>(j)) * shape);
    return result;
  }

  std::vector<Matrix> own_orientations(bool own_shape, bool own_volume) const {
    std::vector<Matrix> directions;
    std::vector<Vector> spectra;
    for (const Matrix& w : scatter_) {
      Spectrum one = spectrum(w);
      directions.push_back(std::move(one.directions));
      spectra.push_back(one.values.cwiseMax(1e-300));
    }
    const std::vector<Vector> values = own_shape ? own_shapes(spectra, own_volume) : common_shape(spectra, own_volume);
    std::vector<Matrix> result;
    for (std::size_t j = 0; j < values.size(); ++j) result.push_back(assembled(directions[j], values[j]));
    return result;
  }

  // Own shapes along common directions.
  std::vector<Matrix> common_orientation(bool own_volume) const {
    Matrix sum = Matrix::Zero(m_, m_);
    for (const Matrix& s : start_) sum += s / s.trace();
    Matrix directions = spectrum(sum).directions;  // the common ones, where the start has any
    std::vector<Vector> values;
    double last = std::numeric_limits<double>::infinity();
    for (int round = 0; round < rounds_; ++round) {
      std::vector<Vector> spectra;
      for (const Matrix& w : scatter_)
        spectra.push_back((directions.transpose() * w * directions).diagonal().cwiseMax(1e-300));
      values = own_shapes(spectra, own_volume);
      double value = 0;
      for (std::size_t j = 0; j < values.size(); ++j)
        value += weights_(static_cast<Index>(j)) * values[j].array().log().sum();
      if (last - value <= kStill * weights_.sum()) break;
      last = value;
      rotate(values, directions);
    }
    std::vector<Matrix> result;
    result.reserve(values.size());
    for (const Vector& value : values) result.push_back(assembled(directions, value));
    return result;
  }

 private:
  static double root_determinant(const Matrix& s) {
    const Matrix factor = s.llt().matrixL();
    return std::exp(2 * factor.diagonal().array().log().mean());
  }

  // Lowers sum_k tr(W_k D B_k^-1 D') by rotations of two columns of D at a time:
  //   f(angle) = const + (P - Q) / 2 cos(2 angle) + R sin(2 angle).
  void rotate(const std::vector<Vector>& values, Matrix& directions) const {
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      double largest = 0;
      for (Index i = 0; i < m_; ++i)
        for (Index j = i + 1; j < m_; ++j) {
          double difference = 0, mixed = 0, size = 0;
          for (std::size_t k = 0; k < scatter_.size(); ++k) {
            const Vector wi = scatter_[k] * directions.col(i);
            const double ii = directions.col(i).dot(wi), ij = directions.col(j).dot(wi),
                         jj = directions.col(j).dot(scatter_[k] * directions.col(j));
            const double slope = 1 / values[k](i) - 1 / values[k](j);
            difference += 0.5 * (ii - jj) * slope;
            mixed += ij * slope;
            size += (ii + jj) * std::abs(slope);
          }
          if (std::hypot(difference, mixed) <= 1e-15 * size) continue;
          const double angle = 0.5 * std::atan2(-mixed, -difference);
          largest = std::max(largest, std::abs(angle));
          const Vector old = directions.col(i);
          directions.col(i) = std::cos(angle) * old + std::sin(angle) * directions.col(j);
          directions.col(j) = std::cos(angle) * directions.col(j) - std::sin(angle) * old;
        }
      if (largest < 1e-10) return;
    }
  }

  const std::vector<Matrix>& scatter_;
  const Vector& weights_;
  const std::vector<Matrix>& start_;
  int rounds_;
  Index m_;
};

}  // namespace

char covariance_letter(CovarianceKind kind, int place) {
  if (kind == CovarianceKind::full) return 'V';
  if (kind == CovarianceKind::diagonal) return place == 2 ? 'I' : 'V';
  return enum_name(kind)[static_cast<std::size_t>(place)];
}

int covariance_parameters(CovarianceKind kind, int experts, int responses) {
  const int angles = responses * (responses - 1) / 2;
  const int volume = covariance_letter(kind, 0) == 'V' ? experts : 1;
  const char s = covariance_letter(kind, 1), o = covariance_letter(kind, 2);
  const int shape = s == 'I' ? 0 : (responses - 1) * (s == 'V' ? experts : 1);
  return volume + shape + (o == 'I' ? 0 : angles * (o == 'V' ? experts : 1));
}

std::vector<Matrix> parsimonious_covariances(CovarianceKind kind, const std::vector<Matrix>& scatter,
                                             const Vector& weights, const std::vector<Matrix>& start, int rounds) {
  const Problem problem(scatter, weights, start, rounds);
  const bool own_volume = covariance_letter(kind, 0) == 'V', own_shape = covariance_letter(kind, 1) == 'V';
  switch (covariance_letter(kind, 2)) {
    case 'I':
      return problem.without_orientation(covariance_letter(kind, 1) == 'I', own_shape, own_volume);
    case 'V':
      return problem.own_orientations(own_shape, own_volume);
    default:
      return own_shape ? problem.common_orientation(own_volume) : problem.common_ellipsoid(own_volume);
  }
}

double covariance_objective(const std::vector<Matrix>& covariances, const std::vector<Matrix>& scatter,
                            const Vector& weights) {
  double value = 0;
  for (std::size_t j = 0; j < covariances.size(); ++j) {
    const Eigen::LLT<Matrix> factor(covariances[j]);
    const Matrix lower = factor.matrixL();
    value +=
        weights(static_cast<Index>(j)) * 2 * lower.diagonal().array().log().sum() + factor.solve(scatter[j]).trace();
  }
  return value;
}

}  // namespace clearway::detail
