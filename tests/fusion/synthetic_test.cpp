// The synthetic benchmark: its files say what truth.csv says, and its truth is what the head of the header claims.
#include "clearway/fusion/synthetic.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "clearway/fusion/preparation.hpp"
#include "clearway/io/file.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::fusion {
namespace {

using testing_io::TemporaryFolder;

TEST(Synthetic, FilesHoldTheSignals) {
  TemporaryFolder folder;
  SyntheticOptions options;
  options.samples = 300;
  options.missing = 0.3;
  const SyntheticTruth truth = write_synthetic(folder / "data", options);
  const RawData raw = read_samples(read_spec(folder / "data/spec.json"));
  ASSERT_EQ(raw.samples(), 300);
  for (std::size_t i = 0; i < 300; ++i) {
    EXPECT_EQ(raw.target.values[i], truth.labels[i]);
    EXPECT_EQ(static_cast<int>(raw.modalities[0].values[3 * i]), truth.regimes[i]);  // wards A to F
    for (std::size_t m = 0; m < 3; ++m) {
      const auto& offsets = raw.modalities[m + 1].offsets;
      EXPECT_EQ(offsets[i + 1] > offsets[i], truth.present[3 * i + m] == 1);
    }
    // The number of each modality, to the six decimals of the files.
    if (truth.present[3 * i] == 1) {
      double sum = 0, count = 0;
      for (auto row = raw.modalities[1].offsets[i]; row < raw.modalities[1].offsets[i + 1]; ++row)
        if (const double x = raw.modalities[1].values[static_cast<std::size_t>(2 * row)]; !std::isnan(x)) {
          sum += x;
          count += 1;
        }
      EXPECT_NEAR(sum / count, truth.signals[3 * i], 1e-6);
    }
    if (truth.present[3 * i + 1] == 1) {
      const auto row = static_cast<std::size_t>(raw.modalities[2].offsets[i]);
      double along = 0;
      for (std::size_t j = 0; j < 8; ++j)
        along += (j % 2 == 0 ? 1 : -1) / std::sqrt(8.0) * raw.modalities[2].values[8 * row + j];
      EXPECT_NEAR(along, truth.signals[3 * i + 1], 2e-6);  // 8 roundings of 5e-7 / sqrt(8)
    }
    if (truth.present[3 * i + 2] == 1) {
      const std::string& note = raw.modalities[3].texts[static_cast<std::size_t>(raw.modalities[3].offsets[i])];
      int surplus = 0;
      for (const char* word : {"better", "calm", "stable", "eating", "worse", "restless", "weak", "fever"})
        for (std::size_t at = note.find(word); at != std::string::npos; at = note.find(word, at + 1))
          surplus += word[0] == 'b' || word[0] == 'c' || word[0] == 's' || word[0] == 'e' ? 1 : -1;
      EXPECT_DOUBLE_EQ(surplus / 3.0, truth.signals[3 * i + 2]);
    }
  }
}

TEST(Synthetic, TheSameOptionsGiveTheSameFiles) {
  TemporaryFolder folder;
  SyntheticOptions options;
  options.samples = 50;
  write_synthetic(folder / "a", options);
  write_synthetic(folder / "b", options);
  for (const char* name : {"rhythm.csv", "notes.csv", "scan.csv", "context.csv", "labels.csv", "truth.csv"})
    EXPECT_EQ(read_file(folder / (std::string("a/") + name)), read_file(folder / (std::string("b/") + name))) << name;
}

class SyntheticLaws : public ::testing::TestWithParam<bool> {};

TEST_P(SyntheticLaws, ProbabilitiesAreCalibratedAndNoModalityHelpsAlone) {
  TemporaryFolder folder;
  SyntheticOptions options;
  options.samples = 20000;
  options.missing = 0.4;
  options.by_value = GetParam();
  const SyntheticTruth truth = write_synthetic(folder / "data", options);
  const double n = static_cast<double>(options.samples);
  // By regime and presence of the carrier, labels less probabilities sum to 0 up to 5 standard deviations, at most
  // sqrt(count) / 2 each.
  for (int regime = 0; regime < 6; ++regime)
    for (const int there : {0, 1}) {
      double sum = 0, visible_sum = 0, count = 0, absent_rate = 0;
      for (std::size_t i = 0; i < truth.labels.size(); ++i) {
        if (truth.regimes[i] != regime) continue;
        const int present = truth.present[3 * i + static_cast<std::size_t>(regime % 3)];
        absent_rate += present == 0;
        if (present != there) continue;
        sum += truth.labels[i] - truth.probability[i];
        visible_sum += truth.labels[i] - truth.visible[i];
        count += 1;
      }
      EXPECT_LT(std::abs(sum), 2.5 * std::sqrt(count));
      EXPECT_LT(std::abs(visible_sum), 2.5 * std::sqrt(count));
      EXPECT_NEAR(absent_rate / (n / 6), 0.4, 0.05);  // binomial of 3333: sd 0.0085, and the regime's size varies
    }
  // Covariance of the label with any s, and with the sign of the regime: 0, with standard error at most 0.5 / sqrt(n).
  for (std::size_t m = 0; m < 3; ++m) {
    double covariance = 0;
    for (std::size_t i = 0; i < truth.labels.size(); ++i)
      covariance += (truth.labels[i] - 0.5) * truth.signals[3 * i + m];
    EXPECT_LT(std::abs(covariance / n), 2.5 / std::sqrt(n));
  }
  // Not at random, absence tells: of absent carriers, s was large.
  for (std::size_t i = 0; i < truth.labels.size(); ++i) {
    const int regime = truth.regimes[i];
    if (truth.present[3 * i + static_cast<std::size_t>(regime % 3)] == 1) {
      ASSERT_EQ(truth.visible[i], truth.probability[i]);
    } else if (options.by_value) {
      ASSERT_EQ(truth.visible[i] > 0.55, regime < 3);
    } else {
      ASSERT_NEAR(truth.visible[i], 0.5, 1e-12);
    }
  }
  EXPECT_GT(truth.auroc_probability, truth.auroc_visible);
}
INSTANTIATE_TEST_SUITE_P(Absence, SyntheticLaws, ::testing::Bool());

TEST(Synthetic, BayesAurocIsThatOfTheFormula) {
  // P(positive has the larger p) = integral of the two densities; by quadrature over s normal for two carriers of three,
  // and the sum over the binomial of the third: densities of p for y = 1 and y = 0.
  std::vector<std::pair<double, double>> weights;  // (p, weight), by symmetry of signs one sign suffices
  for (int i = -800; i <= 800; ++i) {
    const double s = 0.01 * i;
    weights.emplace_back(1 / (1 + std::exp(-3 * s)), 2.0 / 3 * 0.01 * std::exp(-s * s / 2) / std::sqrt(2 * M_PI));
  }
  const std::array<double, 10> binomial{1, 9, 36, 84, 126, 126, 84, 36, 9, 1};
  for (int k = 0; k <= 9; ++k)
    weights.emplace_back(1 / (1 + std::exp(-(2.0 * k - 9))), binomial[static_cast<std::size_t>(k)] / 512 / 3);
  std::sort(weights.begin(), weights.end());
  double negatives = 0, wins = 0, positives = 0;
  for (const auto& [p, w] : weights) {
    wins += p * w * (negatives + 0.5 * (1 - p) * w);
    negatives += (1 - p) * w;
    positives += p * w;
  }
  const double expected = wins / (positives * negatives);
  TemporaryFolder folder;
  SyntheticOptions options;
  options.samples = 20000;
  // The standard error of an AUROC near 0.91 with 10^4 of each class is below 0.0025 (Hanley and McNeil 1982).
  EXPECT_NEAR(write_synthetic(folder / "data", options).auroc_probability, expected, 0.0075);
}

}  // namespace
}  // namespace clearway::fusion
