// Dendrograms: the heights printed in the vignette of dendroMixR, and merges worked out by hand.

#include "clearway/core/dendrogram.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace clearway {
namespace {

// The vignette prints 0.000428571, 0.001714286, 0.003, 0.6270089286, 3.4994169643. By hand: 0.01 / (20 + 10/3),
// 0.04 / (20 + 10/3), 0.04 / (40/3), (53/28)^2 * 0.175 and (1143/280)^2 * 0.21.
TEST(Dendrogram, HeightsOfTheVignette) {
  LocationAtoms atoms{(Vector(6) << .05, .30, .05, .30, .15, .15).finished(),
                      (Matrix(6, 1) << -2.1, -1.9, .05, -.05, 3, 3.2).finished()};
  const auto tree = build_dendrogram(atoms);
  const std::vector<double> expected{0.003 / 7, 0.012 / 7, 0.003, 2809.0 / 784 * 0.175, 1306449.0 / 78400 * 0.21};
  ASSERT_EQ(tree.heights.size(), expected.size());
  for (std::size_t s = 0; s < expected.size(); ++s) EXPECT_NEAR(tree.heights[s], expected[s], 1e-14);
  EXPECT_NEAR(tree.heights[3], 0.6270089286, 1e-10);
  EXPECT_NEAR(tree.heights[4], 3.4994169643, 1e-10);
  EXPECT_EQ(tree.pairs.front(), (std::pair<int, int>{2, 3}));
  ASSERT_EQ(tree.levels.size(), 6u);
  const LocationAtoms& last = tree.levels.back();  // total weight and overall mean
  EXPECT_NEAR(last.weights(0), 1, 1e-14);
  EXPECT_NEAR(last.positions(0, 0), atoms.weights.dot(atoms.positions.col(0)), 1e-14);
}

TEST(Dendrogram, GaussianMergesKeepMeanAndCovarianceOfTheMixture) {
  GaussianAtoms atoms{(Vector(3) << 0.2, 0.5, 0.3).finished(), (Matrix(3, 2) << 0, 1, 2, -1, 0.5, 3).finished(), {}};
  for (int i = 0; i < 3; ++i)
    atoms.covariances.push_back((Matrix(2, 2) << 1 + i, 0.3 * i, 0.3 * i, 0.5 + i).finished());
  // Covariance of the whole: sum p_i (S_i + mu_i mu_i') - mu mu'.
  const Vector mean = atoms.means.transpose() * atoms.weights;
  Matrix covariance = -mean * mean.transpose();
  for (int i = 0; i < 3; ++i)
    covariance += atoms.weights(i) * (atoms.covariances[static_cast<std::size_t>(i)] +
                                      atoms.means.row(i).transpose() * atoms.means.row(i));
  const auto tree = build_dendrogram(atoms);
  EXPECT_LE((tree.levels.back().means.row(0).transpose() - mean).norm(), 1e-14);
  EXPECT_LE((tree.levels.back().covariances.front() - covariance).norm(), 1e-14);
  EXPECT_EQ(tree.levels[1].covariances.size(), 2u);
}

TEST(Dendrogram, GaussianDissimilarityByHand) {
  const GaussianAtoms atoms{(Vector(2) << 0.25, 0.75).finished(),
                            (Matrix(2, 1) << 1, 3).finished(),
                            {Matrix::Constant(1, 1, 2), Matrix::Constant(1, 1, 5)}};
  EXPECT_NEAR(atoms.dissimilarity(0, 1), (4.0 + 3.0) / (4 + 4.0 / 3), 1e-14);
}

TEST(Dendrogram, SoftmaxGaussianMergeByHand) {
  MixingMeasure g;
  g.gate_intercepts = (Vector(3) << std::log(0.2), std::log(0.6), 0).finished();
  g.gate_slopes = (Matrix(3, 1) << 4, 0, 1).finished();
  g.expert_slopes = (Matrix(3, 1) << 1, 4, 100).finished();
  g.expert_intercepts = (Vector(3) << 2, 3, 100).finished();
  g.variances = (Vector(3) << 1, 5, 100).finished();
  const auto tree = build_dendrogram(SoftmaxGaussianAtoms{g});
  // |dc|^2 = 1, sqrt(3^2 + 4^2) = 5, 1/0.2 + 1/0.6 = 20/3.
  EXPECT_EQ(tree.pairs.front(), (std::pair<int, int>{0, 1}));
  EXPECT_NEAR(tree.heights.front(), 6 / (20.0 / 3), 1e-14);
  const MixingMeasure& merged = tree.levels[1].measure;  // shares 1/4 and 3/4
  EXPECT_NEAR(merged.gate_intercepts(0), std::log(0.8), 1e-14);
  EXPECT_NEAR(merged.gate_slopes(0, 0), 1, 1e-14);
  EXPECT_NEAR(merged.expert_slopes(0, 0), 3.25, 1e-14);
  EXPECT_NEAR(merged.expert_intercepts(0), 2.75, 1e-14);
  EXPECT_NEAR(merged.variances(0), 4, 1e-14);
  EXPECT_EQ(merged.gate_intercepts(1), 0);
}

TEST(Dendrogram, CriterionIsMinusHeightMinusWeightedLikelihood) {
  const std::vector<double> dsc = dendrogram_criterion({0.1, 2.0}, {-1.0, -1.5}, 3.0);
  EXPECT_NEAR(dsc[0], 2.9, 1e-14);
  EXPECT_NEAR(dsc[1], 2.5, 1e-14);
  EXPECT_THROW(dendrogram_criterion({0.1}, {}, 1), std::invalid_argument);
}

TEST(Dendrogram, MistakesAreNamed) {
  EXPECT_THROW(build_dendrogram(LocationAtoms{Vector::Zero(2), Matrix::Zero(2, 1)}), std::invalid_argument);
  EXPECT_THROW(build_dendrogram(LocationAtoms{Vector::Ones(2), Matrix::Zero(3, 1)}), std::invalid_argument);
  EXPECT_THROW(build_dendrogram(GaussianAtoms{Vector::Ones(1), Matrix::Zero(1, 2), {Matrix::Zero(1, 1)}}),
               std::invalid_argument);
}

}  // namespace
}  // namespace clearway
