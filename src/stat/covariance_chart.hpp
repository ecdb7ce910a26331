// The covariances of one of the 14 forms (parsimonious_covariance.hpp) around an estimate, as smooth functions of
// parameters psi that are free and 0 at the estimate: what observed information needs of a constrained model.
//
// Sigma_k = L_k L_k' moves by strains S (symmetric) and turns W (skew) in a frame F_k,
//
//   Sigma_k(psi) = F_k exp(W) V_k^(1/2) exp(S) V_k^(1/2) exp(W)' F_k',   W = sum psi_b W_b,  S = sum psi_a S_a
//
//   one ellipsoid for all, or one each (..E with a common shape, EVV, VVV): F_k = L_k, V_k = I, no turns, S any symmetric
//     matrix: regular also where eigenvalues are equal;
//   the other forms: F_k the axes, V_k the variances along them, S diagonal, W any skew matrix (none for ..I).
//
// S = I is the volume, S of trace 0 is the shape. What experts have in common has one psi that moves them all. The first
// and second derivatives at 0 are closed: with P = L^-1 dL the lower half of L^-1 dSigma L^-T (its diagonal halved),
//   d^2 L = L half(L^-1 (d^2 Sigma) L^-T - P_a P_b' - P_b P_a').
#pragma once

#include <string>
#include <vector>

#include "clearway/core/types.hpp"
#include "clearway/stat/specification.hpp"

namespace clearway::detail {

class CovarianceChart {
 public:
  struct Parameter {
    std::string name;  ///< "volume", "shape 1", "turn 1,2"
    int expert;        ///< the one it moves; -1: all of several
  };

  /// Around `covariances` (one per expert, m x m, positive definite), which should be of the form.
  CovarianceChart(CovarianceKind kind, const std::vector<Matrix>& covariances);

  int size() const { return static_cast<int>(parameters_.size()); }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  /// How far the covariances are from the form: the largest distance, relative to the covariance.
  double distance() const { return distance_; }

  /// d packed factor of expert k / d psi: the lower Cholesky factor by columns with the logarithm of its diagonal
  /// (m (m + 1) / 2), of diagonal forms the m logarithms; x size().
  Matrix jacobian(std::size_t k) const;
  /// sum_c score_c d^2 packed_c / d psi^2 of expert k: size() x size().
  Matrix curvature(std::size_t k, const Vector& score) const;

 private:
  struct Move {
    int parameter;
    bool turn;
    Matrix matrix;  // S or W, m x m
  };
  struct Place {       // of one expert
    Matrix factor;     // L
    Matrix frame;      // L^-1 F
    Vector variances;  // V
    std::vector<Move> moves;
  };

  void ellipsoids(const std::vector<Matrix>& covariances);
  void axes(const std::vector<Matrix>& covariances);
  void add(const std::string& name, bool own, bool turn, const Matrix& matrix);
  void add_shapes(bool own);
  Matrix first(const Place& place, const Move& a) const;
  Matrix second(const Place& place, const Move& a, const Move& b) const;

  CovarianceKind kind_;
  Eigen::Index m_;
  std::vector<Place> places_;
  std::vector<Parameter> parameters_;
  double distance_ = 0;
};

}  // namespace clearway::detail
