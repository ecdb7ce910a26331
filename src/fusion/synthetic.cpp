#include "clearway/fusion/synthetic.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/json.hpp"

namespace clearway::fusion {

namespace {

constexpr int kCarriers = 3;      // rhythm, scan, notes
constexpr int kDirections = 8;    // numbers of a scan
constexpr int kTellingWords = 9;  // of a note; odd, so that no note is undecided
constexpr double kHorizonHours = 24;

double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

double absence(double s, const SyntheticOptions& options) {
  return options.by_value ? 2 * options.missing * logistic(2 * s) : options.missing;
}

/// P(y = 1 | the carrier is absent): the mean over s of those that are absent. Rhythm and scan are normal, notes binomial.
double probability_when_absent(int carrier, double sign, const SyntheticOptions& options) {
  double weight = 0, sum = 0;
  const auto add = [&](double s, double density) {
    weight += density * absence(s, options);
    sum += density * absence(s, options) * logistic(options.gain * sign * s);
  };
  if (carrier < 2) {
    for (int i = -900; i <= 900; ++i) add(0.01 * i, std::exp(-0.5 * 1e-4 * i * i));
  } else {
    double binomial = 1;
    for (int good = 0; good <= kTellingWords; ++good) {
      add((2 * good - kTellingWords) / std::sqrt(kTellingWords), binomial);
      binomial *= static_cast<double>(kTellingWords - good) / (good + 1);
    }
  }
  return weight > 0 ? sum / weight : 0.5;
}

/// The chance that a positive has the larger score, ties counting half (Mann and Whitney 1947).
double auroc(const std::vector<double>& scores, const std::vector<int>& labels) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  double wins = 0, positives = 0, negatives = 0;
  for (std::size_t begin = 0; begin < order.size();) {
    double up = 0, down = 0;
    std::size_t end = begin;
    for (; end < order.size() && scores[order[end]] == scores[order[begin]]; ++end)
      (labels[order[end]] == 1 ? up : down) += 1;
    wins += up * (negatives + 0.5 * down);
    positives += up;
    negatives += down;
    begin = end;
  }
  return positives > 0 && negatives > 0 ? wins / (positives * negatives) : 0.5;
}

struct Files {
  std::string context = "id,ward,age,height\n";
  std::string rhythm = "id,hour,name,value\n";
  std::string scan = "id";
  std::string notes = "id,note\n";
  std::string labels = "id,outcome\n";
  std::string truth = "id,ward,outcome,s_rhythm,s_scan,s_notes,probability,visible\n";
};

void add_rhythm(const std::string& id, double s, RandomStream& random, std::string& file) {
  const std::size_t count = 6 + random.index(13);
  std::vector<double> noise(count);
  for (double& value : noise) value = random.normal();
  const double mean = std::accumulate(noise.begin(), noise.end(), 0.0) / static_cast<double>(count);
  for (const double value : noise) {
    const double hour = random.uniform(0, kHorizonHours);
    file += fmt::format("{},{:.4f},level,{:.6f}\n", id, hour, s + value - mean);
    if (random.uniform() < 0.5) file += fmt::format("{},{:.4f},other,{:.4f}\n", id, hour, 50 + 10 * random.normal());
  }
}

/// s along the diagonal, noise across it.
void add_scan(const std::string& id, double s, RandomStream& random, std::string& file) {
  std::array<double, kDirections> noise{};
  for (double& value : noise) value = random.normal();
  const double mean = std::accumulate(noise.begin(), noise.end(), 0.0) / kDirections;
  file += id;
  for (int j = 0; j < kDirections; ++j) {
    const double alternating = j % 2 == 0 ? 1 : -1;  // the direction is (1, -1, 1, ...) / sqrt(8)
    file +=
        fmt::format(",{:.6f}", alternating * (s / std::sqrt(kDirections) + noise[static_cast<std::size_t>(j)] - mean));
  }
  file += '\n';
}

void add_note(const std::string& id, int good, RandomStream& random, std::string& file) {
  static constexpr std::array<const char*, 4> kGood{"better", "calm", "stable", "eating"};
  static constexpr std::array<const char*, 4> kBad{"worse", "restless", "weak", "fever"};
  static constexpr std::array<const char*, 8> kOther{"seen",    "today", "family", "visited",
                                                     "checked", "again", "doctor", "informed"};
  std::vector<const char*> words;
  words.reserve(kTellingWords + 6);
  for (int j = 0; j < kTellingWords; ++j) words.push_back(j < good ? kGood[random.index(4)] : kBad[random.index(4)]);
  for (int j = 0; j < 6; ++j) words.push_back(kOther[random.index(8)]);
  file += id + ",";
  const auto order = random.permutation(words.size());
  for (std::size_t j = 0; j < order.size(); ++j) file.append(j == 0 ? "" : " ").append(words[order[j]]);
  file += '\n';
}

Json spec_json() {
  Json spec = Json::object();
  spec["note"] = "A benchmark in which routing by modality must matter; truth.csv holds the true probabilities.";
  spec["sources"] = {{"labels", {{"format", "wide"}, {"path", "labels.csv"}, {"id", "id"}}},
                     {"context", {{"format", "wide"}, {"path", "context.csv"}, {"id", "id"}}},
                     {"rhythm",
                      {{"format", "long"},
                       {"path", "rhythm.csv"},
                       {"id", "id"},
                       {"time", "hour"},
                       {"parameter", "name"},
                       {"value", "value"}}},
                     {"scan", {{"format", "wide"}, {"path", "scan.csv"}, {"id", "id"}}},
                     {"notes", {{"format", "wide"}, {"path", "notes.csv"}, {"id", "id"}}}};
  spec["time"] = {{"unit", "hours"}, {"horizon", kHorizonHours}, {"grid", 12}};
  spec["target"] = {{"source", "labels"}, {"column", "outcome"}, {"kind", "binary"}};
  spec["split"] = {{"by", "id"}, {"train", 0.7}, {"valid", 0.1}, {"test", 0.2}, {"seed", 1}};
  spec["modalities"] = Json::array();
  spec["modalities"].push_back({{"name", "context"},
                                {"kind", "static"},
                                {"source", "context"},
                                {"columns", {"ward", "age", "height"}},
                                {"categories", {"ward"}}});
  spec["modalities"].push_back(
      {{"name", "rhythm"}, {"kind", "irregular"}, {"source", "rhythm"}, {"columns", {"level", "other"}}});
  spec["modalities"].push_back({{"name", "scan"},
                                {"kind", "embedding"},
                                {"source", "scan"},
                                {"columns", Json::array({fmt::format("e0..e{}", kDirections - 1)})}});
  spec["modalities"].push_back({{"name", "notes"},
                                {"kind", "text"},
                                {"source", "notes"},
                                {"columns", Json::array({"note"})},
                                {"ngrams", {1, 1}},
                                {"buckets", 64}});
  spec["fusion"] = Json::object();
  spec["train"] = Json::object();
  return spec;
}

}  // namespace

SyntheticTruth write_synthetic(const std::string& folder, const SyntheticOptions& options) {
  check_options(options);
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) world_error("{}: cannot be made: {}", folder, error.message());

  std::array<double, 2 * kCarriers> absent_probability{};
  for (int regime = 0; regime < 2 * kCarriers; ++regime)
    absent_probability[static_cast<std::size_t>(regime)] =
        probability_when_absent(regime % kCarriers, regime < kCarriers ? 1 : -1, options);

  Files files;
  for (int j = 0; j < kDirections; ++j) files.scan += fmt::format(",e{}", j);
  files.scan += '\n';
  SyntheticTruth truth;
  for (std::int64_t i = 0; i < options.samples; ++i) {
    RandomStream random(static_cast<std::uint64_t>(options.seed), static_cast<std::uint64_t>(i));
    const std::string id = fmt::format("p{:05d}", i);
    const int regime = static_cast<int>(random.index(2 * kCarriers));
    const int carrier = regime % kCarriers;
    const double sign = regime < kCarriers ? 1 : -1;
    const int good = static_cast<int>(random.binomial(kTellingWords, 0.5));
    const std::array<double, kCarriers> s{random.normal(), random.normal(),
                                          (2 * good - kTellingWords) / std::sqrt(kTellingWords)};
    std::array<int, kCarriers> present{};
    for (std::size_t m = 0; m < kCarriers; ++m) present[m] = random.uniform() >= absence(s[m], options) ? 1 : 0;
    const double probability = logistic(options.gain * sign * s[static_cast<std::size_t>(carrier)]);
    const double visible = present[static_cast<std::size_t>(carrier)] == 1
                               ? probability
                               : absent_probability[static_cast<std::size_t>(regime)];
    const int label = random.uniform() < probability ? 1 : 0;

    files.context += fmt::format("{},{},{:.1f},{:.1f}\n", id, static_cast<char>('A' + regime),
                                 60 + 12 * random.normal(), 170 + 9 * random.normal());
    if (present[0] == 1) add_rhythm(id, s[0], random, files.rhythm);
    if (present[1] == 1) add_scan(id, s[1], random, files.scan);
    if (present[2] == 1) add_note(id, good, random, files.notes);
    files.labels += fmt::format("{},{}\n", id, label);
    files.truth += fmt::format("{},{},{},{},{},{},{},{}\n", id, static_cast<char>('A' + regime), label, s[0], s[1],
                               s[2], probability, visible);
    truth.labels.push_back(label);
    truth.regimes.push_back(regime);
    truth.signals.insert(truth.signals.end(), s.begin(), s.end());
    truth.present.insert(truth.present.end(), present.begin(), present.end());
    truth.probability.push_back(probability);
    truth.visible.push_back(visible);
  }
  truth.auroc_probability = auroc(truth.probability, truth.labels);
  truth.auroc_visible = auroc(truth.visible, truth.labels);

  const std::filesystem::path place(folder);
  write_file((place / "context.csv").string(), files.context);
  write_file((place / "rhythm.csv").string(), files.rhythm);
  write_file((place / "scan.csv").string(), files.scan);
  write_file((place / "notes.csv").string(), files.notes);
  write_file((place / "labels.csv").string(), files.labels);
  write_file((place / "truth.csv").string(), files.truth);
  write_json((place / "spec.json").string(), spec_json());
  return truth;
}

}  // namespace clearway::fusion
