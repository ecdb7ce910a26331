// From observations in any order to the rows of samples.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "clearway/fusion/row_scanner.hpp"
#include "observations.hpp"

namespace clearway::fusion::detail {

namespace {

using Entries = std::vector<Observation>;

/// Codes in order of arrival become codes in order of names.
std::vector<std::string> sort_names(Entries& entries, std::size_t feature, const std::vector<std::string>& arrived) {
  std::vector<std::string> sorted = arrived;
  std::sort(sorted.begin(), sorted.end(), name_less);
  std::vector<double> code;
  code.reserve(arrived.size());
  for (const auto& name : arrived)
    code.push_back(
        static_cast<double>(std::lower_bound(sorted.begin(), sorted.end(), name, name_less) - sorted.begin()));
  for (Observation& entry : entries)
    if (entry.feature == feature) entry.value = code[static_cast<std::size_t>(entry.value)];
  return sorted;
}

void assemble_series(const Entries& entries, RawModality& raw) {
  const std::size_t width = raw.features.size();
  std::vector<std::size_t> repeats(width);  // of each feature at one time
  for (std::size_t begin = 0; begin < entries.size();) {
    const Observation& first = entries[begin];
    std::size_t end = begin;
    std::fill(repeats.begin(), repeats.end(), 0);
    const std::size_t row = raw.times.size();
    for (; end < entries.size() && entries[end].sample == first.sample && entries[end].time == first.time; ++end) {
      const std::size_t here = row + repeats[entries[end].feature]++;
      if (here == raw.times.size()) {
        raw.times.push_back(first.time);
        raw.values.resize(raw.values.size() + width, std::nan(""));
      }
      raw.values[here * width + entries[end].feature] = entries[end].value;
    }
    raw.offsets[first.sample + 1] += static_cast<std::int64_t>(raw.times.size() - row);
    begin = end;
  }
}

/// The earliest value of each feature.
void assemble_vectors(const Entries& entries, RawModality& raw) {
  const std::size_t width = raw.features.size();
  for (std::size_t begin = 0; begin < entries.size();) {
    const std::uint32_t sample = entries[begin].sample;
    const std::size_t row = raw.values.size();
    raw.values.resize(row + width, std::nan(""));
    for (; begin < entries.size() && entries[begin].sample == sample; ++begin)
      if (double& value = raw.values[row + entries[begin].feature]; std::isnan(value)) value = entries[begin].value;
    raw.offsets[sample + 1] = 1;
  }
}

/// All texts of a sample in the order of their times, one per line.
void assemble_texts(const Entries& entries, const std::vector<std::string>& texts, RawModality& raw) {
  for (std::size_t begin = 0; begin < entries.size();) {
    const std::uint32_t sample = entries[begin].sample;
    std::string all;
    for (; begin < entries.size() && entries[begin].sample == sample; ++begin)
      all.append(all.empty() ? "" : "\n").append(texts[static_cast<std::size_t>(entries[begin].value)]);
    raw.texts.push_back(std::move(all));
    raw.offsets[sample + 1] = 1;
  }
}

}  // namespace

bool name_less(const std::string& a, const std::string& b) {
  double x = 0, y = 0;
  const bool a_number = read_finite(a, x), b_number = read_finite(b, y);
  if (a_number != b_number) return a_number;
  return a_number && x != y ? x < y : a < b;
}

std::vector<Observation> within_horizon(const ModalityReading& modality, std::vector<Observation> entries,
                                        const std::vector<double>& index_times, double horizon,
                                        ModalityReport& report) {
  const std::optional<double> at = modality.spec->at;
  std::size_t kept = 0;
  for (Observation entry : entries) {
    if (!modality.share_times && entry.time != kNoTime) {
      entry.time -= index_times[entry.sample];
      if (at && std::abs(entry.time - *at) > 1e-9) continue;
      if (horizon > 0) {
        entry.time /= horizon;
        report.before_index += entry.time < 0;
        report.after_horizon += entry.time > 1;
        if (entry.time < 0 || entry.time > 1) continue;
      }
    }
    entries[kept++] = entry;
  }
  entries.resize(kept);
  return entries;
}

RawModality assemble_rows(const ModalityReading& modality, std::vector<Observation> entries, std::size_t samples) {
  RawModality raw;
  raw.name = modality.spec->name;
  raw.kind = modality.spec->kind;
  raw.features = modality.features;
  raw.levels.resize(modality.features.size());
  for (std::size_t f = 0; f < modality.features.size(); ++f)
    if (modality.named[f]) raw.levels[f] = sort_names(entries, f, (*modality.pools)[f].names());
  std::sort(entries.begin(), entries.end(), [](const Observation& a, const Observation& b) {
    return std::tie(a.sample, a.time, a.feature, a.value) < std::tie(b.sample, b.time, b.feature, b.value);
  });
  raw.offsets.assign(samples + 1, 0);  // first the rows of each sample, then their sums
  if (raw.kind == ModalityKind::text) {
    const auto texts = std::move(raw.levels[0]);
    raw.levels.assign(1, {});
    assemble_texts(entries, texts, raw);
  } else if (is_series(raw.kind)) {
    assemble_series(entries, raw);
  } else {
    assemble_vectors(entries, raw);
  }
  for (std::size_t i = 1; i < raw.offsets.size(); ++i) raw.offsets[i] += raw.offsets[i - 1];
  return raw;
}

}  // namespace clearway::fusion::detail
