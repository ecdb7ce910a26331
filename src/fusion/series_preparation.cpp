#include "series_preparation.hpp"

#include "clearway/base/errors.hpp"

namespace clearway::fusion::detail {

namespace {

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// Means of the observations in equal cells of [0, 1].
void fill_grid(const ModalityPreparation& preparation, const RawModality& raw, std::int64_t samples,
               const ColumnMap& map, PreparedModality& prepared) {
  const std::size_t width = map.columns(), cells = at(preparation.grid);
  prepared.steps = preparation.grid;
  prepared.shared_times = true;
  for (std::size_t c = 0; c < cells; ++c)
    prepared.times.push_back(static_cast<float>((static_cast<double>(c) + 0.5) / static_cast<double>(cells)));
  prepared.values.assign(at(samples) * cells * width, 0.0F);
  prepared.mask.assign(at(samples) * cells * width, 0);
  std::vector<double> sums(cells * width);
  std::vector<std::int64_t> counts(cells * width);
  for (std::int64_t i = 0; i < samples; ++i) {
    std::fill(sums.begin(), sums.end(), 0.0);
    std::fill(counts.begin(), counts.end(), 0);
    for (std::int64_t row = raw.offsets[at(i)]; row < raw.offsets[at(i) + 1]; ++row) {
      // Full hours belong to the cell that they begin, whatever the rounding of 7 / 48 x 48.
      const double place = raw.times[at(row)] * static_cast<double>(cells) + 1e-9;
      const std::size_t cell = std::min(cells - 1, static_cast<std::size_t>(place));
      map.visit(row, [&](std::size_t column, double value) {
        sums[cell * width + column] += value;
        ++counts[cell * width + column];
      });
    }
    for (std::size_t j = 0; j < sums.size(); ++j) {
      if (counts[j] == 0) continue;
      prepared.values[at(i) * sums.size() + j] = static_cast<float>(sums[j] / static_cast<double>(counts[j]));
      prepared.mask[at(i) * sums.size() + j] = 1;
    }
  }
}

void fill_own_times(const ModalityPreparation& preparation, const RawModality& raw, std::int64_t samples,
                    const ColumnMap& map, PreparedModality& prepared) {
  const std::size_t width = map.columns();
  const std::int64_t most = preparation.spec.max_length;
  std::int64_t longest = 1;
  for (std::int64_t i = 0; i < samples; ++i) longest = std::max(longest, raw.offsets[at(i) + 1] - raw.offsets[at(i)]);
  if (most > 0) longest = std::min(longest, most);
  prepared.steps = longest;
  prepared.times.assign(at(samples * longest), 0.0F);
  prepared.values.assign(at(samples * longest) * width, 0.0F);
  prepared.mask.assign(at(samples * longest) * width, 0);
  for (std::int64_t i = 0; i < samples; ++i) {
    std::int64_t begin = raw.offsets[at(i)], end = raw.offsets[at(i) + 1];
    if (preparation.spec.keep == Keep::first)
      end = std::min(end, begin + longest);
    else
      begin = std::max(begin, end - longest);
    for (std::int64_t row = begin; row < end; ++row) {
      const std::size_t place = at(i * longest + row - begin);
      prepared.times[place] = static_cast<float>(raw.times[at(row)]);
      map.visit(row, [&](std::size_t column, double value) {
        prepared.values[place * width + column] = static_cast<float>(value);
        prepared.mask[place * width + column] = 1;
      });
    }
  }
}

}  // namespace

double transformed(const FeaturePreparation& feature, const std::string& modality, double value) {
  const double x = std::min(std::max(value, feature.low), feature.high);
  const bool defined = feature.transform == Transform::log1p ? x > -1 : feature.transform != Transform::sqrt || x >= 0;
  if (!defined)
    user_error("modality '{}': '{}' holds {}, of which there is no {}; leave such values out with range, or take asinh",
               modality, feature.name, value, enum_name(feature.transform));
  switch (feature.transform) {
    case Transform::none:
      break;
    case Transform::log1p:
      return std::log1p(x);
    case Transform::sqrt:
      return std::sqrt(x);
    case Transform::asinh:
      return std::asinh(x);
  }
  return x;
}

ColumnMap::ColumnMap(const ModalityPreparation& preparation, const RawModality& raw)
    : preparation_(&preparation), raw_(&raw) {
  for (std::size_t f = 0; f < preparation.features.size(); ++f) {
    const FeaturePreparation& feature = preparation.features[f];
    first_.push_back(columns_);
    columns_ += feature.category ? feature.levels.size() + 1 : 1;
    std::vector<std::size_t>& levels = level_.emplace_back();
    if (feature.category)
      for (const auto& level : raw.levels[f])
        levels.push_back(static_cast<std::size_t>(std::find(feature.levels.begin(), feature.levels.end(), level) -
                                                  feature.levels.begin()));
  }
}

Summaries summarise(const ModalityPreparation& preparation, const RawModality& raw, std::int64_t samples) {
  const ColumnMap map(preparation, raw);
  const std::size_t width = map.columns();
  Summaries summaries{std::vector<double>(at(samples) * width * 6), std::vector<std::uint8_t>(at(samples) * width)};
  std::vector<double> first(width), sums(width), counts(width);
  for (std::int64_t i = 0; i < samples; ++i) {
    double* values = summaries.values.data() + at(i) * width * 6;
    std::fill(counts.begin(), counts.end(), 0.0);
    for (std::int64_t row = raw.offsets[at(i)]; row < raw.offsets[at(i) + 1]; ++row)
      map.visit(row, [&](std::size_t column, double value) {
        double* of = values + column * 6;
        if (counts[column] == 0) {
          sums[column] = 0;
          first[column] = of[1] = of[2] = value;
        }
        counts[column] += 1;
        sums[column] += value;
        of[1] = std::max(of[1], value);
        of[2] = std::min(of[2], value);
        of[3] = value;
      });
    for (std::size_t c = 0; c < width; ++c) {
      if (counts[c] == 0) continue;
      double* of = values + c * 6;
      of[0] = sums[c] / counts[c];
      of[4] = of[3] - first[c];
      of[5] = std::log1p(counts[c]);
      summaries.observed[at(i) * width + c] = 1;
    }
  }
  return summaries;
}

void prepare_series(const ModalityPreparation& preparation, const RawModality& raw, std::int64_t samples,
                    PreparedModality& prepared) {
  const ColumnMap map(preparation, raw);
  const std::size_t width = map.columns();
  if (preparation.grid > 0)
    fill_grid(preparation, raw, samples, map, prepared);
  else
    fill_own_times(preparation, raw, samples, map, prepared);
  for (std::int64_t i = 0; i < samples; ++i) prepared.present[at(i)] = raw.offsets[at(i) + 1] > raw.offsets[at(i)];

  const Summaries summaries = summarise(preparation, raw, samples);
  prepared.summary.assign(at(samples) * width * 7, 0.0F);
  for (std::size_t j = 0; j < at(samples) * width; ++j) {
    if (summaries.observed[j] == 0) continue;
    const std::size_t column = j % width;
    for (std::size_t s = 0; s < 6; ++s)
      prepared.summary[j * 7 + s] =
          static_cast<float>((summaries.values[j * 6 + s] - preparation.summary_mean[column * 6 + s]) /
                             preparation.summary_sd[column * 6 + s]);
    prepared.summary[j * 7 + 6] = 1.0F;
  }
}

}  // namespace clearway::fusion::detail
