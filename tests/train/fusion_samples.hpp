// Prepared samples of three modalities for tests: a static one, an irregular series and a vector, the last two often absent.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/deep/fusion_options.hpp"
#include "clearway/fusion/prepared.hpp"

namespace clearway::train::testing_fusion {

inline fusion::PreparedTarget target_of(fusion::TargetKind kind) {
  fusion::PreparedTarget target;
  target.kind = kind;
  switch (kind) {
    case fusion::TargetKind::binary:
      target.names = {"event"};
      target.classes = {"no", "yes"};
      break;
    case fusion::TargetKind::multiclass:
      target.names = {"class"};
      target.classes = {"red", "green", "blue"};
      break;
    case fusion::TargetKind::multilabel:
      target.names = {"cough", "fever"};
      break;
    case fusion::TargetKind::regression:
      target.names = {"height", "depth"};
      target.centre = {50, -3};
      target.scale = {10, 0.5};
      break;
  }
  return target;
}

/// Every outcome leans on the first numbers of the static modality and of the vector. A fifth of the labels is unknown.
inline fusion::PreparedData samples_of(fusion::TargetKind kind, std::int64_t n, std::uint64_t seed = 3) {
  RandomStream random(seed);
  fusion::PreparedData data;
  const auto count = static_cast<std::size_t>(n);
  const auto normals = [&](std::size_t size) {
    std::vector<float> out(size);
    for (float& v : out) v = static_cast<float>(random.normal());
    return out;
  };
  for (std::size_t i = 0; i < count; ++i) data.ids.push_back("s" + std::to_string(i));
  data.groups = data.ids;
  fusion::PreparedModality age, vitals, scan;
  age.shape = {"age", fusion::ModalityKind::fixed, 3, 0};
  age.values = normals(count * 3);
  age.mask.assign(count * 3, 1);
  age.present.assign(count, 1);
  constexpr std::size_t kSteps = 5, kFeatures = 2;
  vitals.shape = {"vitals", fusion::ModalityKind::irregular, kFeatures, 7 * kFeatures};
  vitals.steps = kSteps;
  vitals.values = normals(count * kSteps * kFeatures);
  for (std::size_t i = 0; i < vitals.values.size(); ++i)
    vitals.mask.push_back(random.uniform() < 0.7 || i % (kSteps * kFeatures) == 0 ? 1 : 0);
  for (std::size_t i = 0; i < vitals.values.size(); ++i)
    if (vitals.mask[i] == 0) vitals.values[i] = 0;
  vitals.shared_times = true;
  vitals.times = {0.1F, 0.3F, 0.5F, 0.7F, 0.9F};
  vitals.summary = normals(count * 7 * kFeatures);
  scan.shape = {"scan", fusion::ModalityKind::embedding, 4, 0};
  scan.values = normals(count * 4);
  scan.mask.assign(count * 4, 1);
  for (std::size_t i = 0; i < count; ++i) {
    vitals.present.push_back(random.uniform() < 0.6 ? 1 : 0);
    scan.present.push_back(random.uniform() < 0.7 ? 1 : 0);
  }
  data.target = target_of(kind);
  for (std::size_t i = 0; i < count; ++i) {
    const double lean = age.values[i * 3] + (scan.present[i] != 0 ? scan.values[i * 4] : 0.0F);
    const auto event = [&](double x) { return random.uniform() < 1 / (1 + std::exp(-2 * x)) ? 1.0F : 0.0F; };
    switch (kind) {
      case fusion::TargetKind::binary:
        data.target.values.push_back(event(lean));
        break;
      case fusion::TargetKind::multiclass:
        data.target.values.push_back(event(lean) + event(lean));
        break;
      case fusion::TargetKind::multilabel:
        for (const double sign : {1.0, -1.0}) {
          const float value = event(sign * lean);
          data.target.values.push_back(random.uniform() < 0.2 ? std::numeric_limits<float>::quiet_NaN() : value);
        }
        break;
      case fusion::TargetKind::regression:
        for (const double sign : {1.0, -1.0})
          data.target.values.push_back(static_cast<float>(sign * lean + 0.3 * random.normal()));
        break;
    }
  }
  data.modalities = {age, vitals, scan};
  return data;
}

inline deep::FusionOptions small_model() {
  deep::FusionOptions options;
  options.dimension = 8;
  options.bins = 4;
  options.time_dimension = 8;
  options.time_heads = 2;
  options.heads = 2;
  options.experts = 4;
  options.expert_hidden = 8;
  options.router_dimension = 4;
  options.head_hidden = 8;
  return options;
}

inline std::vector<std::int64_t> range(std::int64_t first, std::int64_t last) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(last - first));
  std::iota(out.begin(), out.end(), first);
  return out;
}

inline constexpr fusion::TargetKind kKinds[] = {fusion::TargetKind::binary, fusion::TargetKind::multiclass,
                                                fusion::TargetKind::multilabel, fusion::TargetKind::regression};

}  // namespace clearway::train::testing_fusion
