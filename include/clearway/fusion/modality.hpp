// What a modality is: its kind, its features and their shape after preparation. No torch here.
//
// A sample (a patient, an utterance) has any number of modalities, each of which may be absent. Times are shares of the
// horizon since the index time, t / t_max in [0, 1], for every modality: one convention (FuseMoE's code has three).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "clearway/base/options.hpp"

namespace clearway::fusion {

enum class ModalityKind { fixed, irregular, regular, embedding, embedding_series, text };
inline std::span<const EnumName<ModalityKind>> enum_names(ModalityKind) {
  static constexpr std::array<EnumName<ModalityKind>, 6> names{{
      {ModalityKind::fixed, "static", "one row of numbers and categories per sample"},
      {ModalityKind::irregular, "irregular", "a series whose features are observed at times of their own"},
      {ModalityKind::regular, "regular", "a series observed at equal steps"},
      {ModalityKind::embedding, "embedding", "one vector per sample"},
      {ModalityKind::embedding_series, "embedding-series", "vectors at times"},
      {ModalityKind::text, "text", "text, as hashed n-grams"},
  }};
  return names;
}
inline bool is_series(ModalityKind kind) {
  return kind == ModalityKind::irregular || kind == ModalityKind::regular || kind == ModalityKind::embedding_series;
}

/// What a model needs to know of a modality.
struct ModalityShape {
  std::string name;
  ModalityKind kind = ModalityKind::fixed;
  std::int64_t features = 0;   ///< F, columns of values and mask
  std::int64_t summaries = 0;  ///< S, columns of the summary of a series; 0 for vectors
};

/// What is to be predicted.
enum class TargetKind { binary, multiclass, multilabel, regression };
inline std::span<const EnumName<TargetKind>> enum_names(TargetKind) {
  static constexpr std::array<EnumName<TargetKind>, 4> names{{
      {TargetKind::binary, "binary", "yes or no"},
      {TargetKind::multiclass, "multi-class", "one of several classes"},
      {TargetKind::multilabel, "multi-label", "any of several labels"},
      {TargetKind::regression, "regression", "numbers, standardised while training"},
  }};
  return names;
}

}  // namespace clearway::fusion
