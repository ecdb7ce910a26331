// Dendrogram of a mixing measure: merge the two closest atoms of an over-fitted measure again and again; a large merge
// height says that two atoms were really different. Selects the number of experts from one fit.
//
// Do, Khai, Bing and Nguyen 2024 (arXiv 2403.01684) for Gaussian mixtures, arXiv 2510.12744 for softmax-gated Gaussian
// experts. The criterion is conservative when a component is weak: show it beside BIC, not instead of it.
#pragma once

#include <utility>
#include <vector>

#include "clearway/core/mixing_measure.hpp"

namespace clearway {

/// Atoms at positions that are strongly identifiable (a Gaussian mixture of known variance, say):
/// d(i, j) = |th_i - th_j|^2 / (1/p_i + 1/p_j); a merged atom has the sum of the weights at the weighted mean.
struct LocationAtoms {
  Vector weights;    ///< k, positive
  Matrix positions;  ///< k x p

  int size() const { return static_cast<int>(weights.size()); }
  void check() const;
  double dissimilarity(int i, int j) const;
  LocationAtoms merged(int i, int j) const;
};

/// Components of a Gaussian mixture with free means and covariances:
/// d(i, j) = (|mu_i - mu_j|^2 + |S_i - S_j|_F) / (1/p_i + 1/p_j); the merged component keeps weight, mean and
/// covariance of the two together (the covariance between the two centres included).
struct GaussianAtoms {
  Vector weights;                   ///< k, positive
  Matrix means;                     ///< k x d
  std::vector<Matrix> covariances;  ///< k of d x d

  int size() const { return static_cast<int>(weights.size()); }
  void check() const;
  double dissimilarity(int i, int j) const;
  GaussianAtoms merged(int i, int j) const;
};

/// Softmax-gated linear Gaussian experts:
/// d(i, j) = (|c_i - c_j|^2 + sqrt(|a_i - a_j|^2 + (nu_i - nu_j)^2)) / (e^-b0_i + e^-b0_j); merged: b0 = log(e^b0_i +
/// e^b0_j), everything else the mean with weights e^(b0_i - b0), e^(b0_j - b0).
struct SoftmaxGaussianAtoms {
  MixingMeasure measure;

  int size() const { return measure.size(); }
  void check() const;
  double dissimilarity(int i, int j) const;
  SoftmaxGaussianAtoms merged(int i, int j) const;
};

/// levels[s] has K - s atoms; step s merges the atoms pairs[s] of levels[s] at heights[s].
template <class Atoms>
struct Dendrogram {
  std::vector<Atoms> levels;
  std::vector<std::pair<int, int>> pairs;  ///< first < second; the merged atom takes the place of the first
  std::vector<double> heights;             ///< dissimilarity of the pair
};

/// Merges the closest pair (ties: the first) until one atom is left. Throws std::invalid_argument for bad shapes.
template <class Atoms>
Dendrogram<Atoms> build_dendrogram(const Atoms& atoms) {
  atoms.check();
  Dendrogram<Atoms> out;
  out.levels.push_back(atoms);
  while (out.levels.back().size() > 1) {
    const Atoms& current = out.levels.back();
    std::pair<int, int> closest{0, 1};
    double height = current.dissimilarity(0, 1);
    for (int i = 0; i < current.size(); ++i)
      for (int j = i + 1; j < current.size(); ++j)
        if (const double d = current.dissimilarity(i, j); d < height) {
          height = d;
          closest = {i, j};
        }
    out.pairs.push_back(closest);
    out.heights.push_back(height);
    out.levels.push_back(current.merged(closest.first, closest.second));
  }
  return out;
}

/// DSC(k) = -(h_k + omega l_k) for the levels of a dendrogram, first level first: h_k is the height of the merge that
/// leaves level k, l_k the mean log-likelihood per row of that level's model, omega grows slower than sqrt(n / log n)
/// (log n in the papers). The level of the smallest value is chosen. `mean_log_likelihoods` has one number per height.
std::vector<double> dendrogram_criterion(const std::vector<double>& heights,
                                         const std::vector<double>& mean_log_likelihoods, double omega);

}  // namespace clearway
