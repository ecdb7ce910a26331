// Symmetric third-order tensors of small dimension and their decomposition into rank-one terms.
//
// Given M2 = sum_i w_i a_i a_i' (as its top eigenvalues, in coordinates where it is diagonal) and T3 = sum_i w_i
// a_i (x) a_i (x) a_i, whitening makes the terms orthogonal and the tensor power method finds them one by one
// (Anandkumar, Ge, Hsu, Kakade and Telgarsky, JMLR 2014); alternating least squares with orthogonalised factors works
// on T3 unwhitened (Sharan and Valiant, ICML 2017).
#pragma once

#include <cstdint>

#include "clearway/base/random.hpp"
#include "clearway/core/types.hpp"

namespace clearway {

/// A symmetric k x k x k tensor, all entries stored.
class SymmetricTensor3 {
 public:
  explicit SymmetricTensor3(Eigen::Index dimension = 0);

  Eigen::Index dimension() const { return dimension_; }
  double operator()(Eigen::Index a, Eigen::Index b, Eigen::Index c) const { return unfolded_(a, b + dimension_ * c); }
  /// Sets the entry and its five permutations.
  void set(Eigen::Index a, Eigen::Index b, Eigen::Index c, double value);
  /// Adds weight * v (x) v (x) v.
  void add_rank_one(double weight, const Vector& v);
  /// Subtracts the three placements of m (x) g, g symmetric: m_a g_bc + m_b g_ac + m_c g_ab.
  void subtract_symmetrised(const Vector& m, const Matrix& g);

  /// T(., u, v): a vector.
  Vector contract(const Vector& u, const Vector& v) const;
  /// T(u, u, u).
  double form(const Vector& u) const { return u.dot(contract(u, u)); }
  /// T(D, D, D) for a k x r matrix D: the r x r x r tensor of T in the columns of D.
  SymmetricTensor3 transformed(const Matrix& d) const;
  double norm() const { return unfolded_.norm(); }
  /// k x k^2, entry (a, b + k c).
  const Matrix& unfolded() const { return unfolded_; }
  Matrix& unfolded() { return unfolded_; }

 private:
  Eigen::Index dimension_;
  Matrix unfolded_;
};

enum class DecompositionMethod {
  power,  ///< whitening and the robust tensor power method (default)
  als     ///< orthogonalised alternating least squares: as accurate in the median, sometimes loses a factor
};

struct DecompositionOptions {
  DecompositionMethod method = DecompositionMethod::power;
  int starts = 30;      ///< random starts per term (power), of the whole factor matrix (als, a fifth of it)
  int iterations = 30;  ///< power iterations per start, and again from the best start
  std::uint64_t seed = 1;
};

/// sum_i weights_i a_i^(x2) and sum_i weights_i a_i^(x3), found. Terms are ordered by decreasing weight.
struct RankOneTerms {
  Matrix vectors;       ///< k x k, column i is a_i
  Vector weights;       ///< w_i > 0
  bool usable = true;   ///< false when a term came out with a weight that is not positive and finite
  double residual = 0;  ///< |T - sum_i terms| / |T| of the tensor decomposed (whitened for power)
};

/// Decomposes the pair (diag(m2), t3); every entry of m2 must be positive. k = m2.size().
RankOneTerms decompose(const Vector& m2, const SymmetricTensor3& t3, const DecompositionOptions& options);

/// The same for any symmetric d x d matrix `m2` and d x d x d tensor: restricts both to the top k eigenvectors of m2.
/// The vectors come back in d dimensions (d x k). Throws std::invalid_argument when k > d or m2 has not k positive
/// eigenvalues.
RankOneTerms decompose(const Matrix& m2, const SymmetricTensor3& t3, Eigen::Index k,
                       const DecompositionOptions& options);

/// One eigenpair at a time of an orthogonally decomposable tensor by power iteration with deflation: columns of the
/// result are unit vectors, `values` gets T(v, v, v).
Matrix tensor_power_method(SymmetricTensor3 tensor, const DecompositionOptions& options, Vector& values);

}  // namespace clearway
