#include "clearway/fusion/preparation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "series_preparation.hpp"
#include "text_hashing.hpp"

namespace clearway::fusion {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
using Rows = std::span<const std::int64_t>;

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// The quantile at p, linear between order statistics (Hyndman and Fan 1996, type 7). Sorts.
double quantile(std::vector<double>& values, double p) {
  std::sort(values.begin(), values.end());
  const double place = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (place - static_cast<double>(below)) * (values[above] - values[below]);
}

struct Moments {
  double mean = 0, sd = 1;
};
/// Mean and standard deviation (divisor n); the latter 1 where it would be 0.
Moments moments(std::span<const double> values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0, residual = 0;
  for (const double value : values) {
    squares += (value - mean) * (value - mean);
    residual += value - mean;
  }
  const double sd = std::sqrt(std::max(0.0, squares - residual * residual / n) / n);
  // Equal values differ from their mean by rounding only.
  return {mean + residual / n, sd > 1e-12 * std::abs(mean) ? sd : 1.0};
}

/// Observations of one feature of some samples.
std::vector<double> observations(const RawModality& raw, std::size_t feature, Rows samples) {
  std::vector<double> values;
  for (const std::int64_t i : samples)
    for (std::int64_t row = raw.offsets[at(i)]; row < raw.offsets[at(i) + 1]; ++row)
      if (const double value = raw.values[at(row) * raw.features.size() + feature]; !std::isnan(value))
        values.push_back(value);
  return values;
}

FeaturePreparation fit_feature(const ModalitySpec& spec, const RawModality& raw, std::size_t feature, Rows train) {
  FeaturePreparation result;
  result.name = raw.features[feature];
  result.low = -kInfinity;
  result.high = kInfinity;
  std::vector<double> values = observations(raw, feature, train);
  result.category = spec.is_category(result.name);
  if (result.category) {
    std::vector<bool> seen(raw.levels[feature].size());
    for (const double value : values) seen[static_cast<std::size_t>(value)] = true;
    for (std::size_t level = 0; level < seen.size(); ++level)
      if (seen[level]) result.levels.push_back(raw.levels[feature][level]);
    return result;
  }
  result.transform = spec.transform_of(result.name);
  if (spec.winsorise > 0 && !values.empty()) {
    result.low = quantile(values, spec.winsorise);
    result.high = quantile(values, 1 - spec.winsorise);
  }
  for (double& value : values) value = detail::transformed(result, spec.name, value);
  const Moments scale = moments(values);
  result.mean = scale.mean;
  result.sd = scale.sd;
  return result;
}

std::vector<double> fit_document_frequency(const ModalitySpec& spec, const RawModality& raw, Rows train) {
  std::vector<double> documents(at(spec.buckets));
  double total = 0;
  for (const std::int64_t i : train) {
    if (raw.offsets[at(i)] == raw.offsets[at(i) + 1]) continue;
    ++total;
    for (const auto& [bucket, count] : detail::hashed_counts(raw.texts[at(raw.offsets[at(i)])], spec))
      ++documents[at(bucket)];
  }
  for (double& value : documents) value = std::log((1 + total) / (1 + value)) + 1;
  return documents;
}

void prepare_texts(const ModalityPreparation& preparation, const RawModality& raw, std::int64_t samples,
                   PreparedModality& prepared) {
  const std::size_t width = at(preparation.spec.buckets);
  for (std::int64_t i = 0; i < samples; ++i) {
    if (raw.offsets[at(i)] == raw.offsets[at(i) + 1]) continue;
    const auto counts = detail::hashed_counts(raw.texts[at(raw.offsets[at(i)])], preparation.spec);
    double squares = 0;
    std::vector<std::pair<std::int64_t, double>> weights;
    for (const auto& [bucket, count] : counts) {
      weights.emplace_back(bucket, (1 + std::log(count)) * preparation.inverse_document_frequency[at(bucket)]);
      squares += weights.back().second * weights.back().second;
    }
    if (weights.empty()) continue;  // nothing but blanks and punctuation
    for (const auto& [bucket, weight] : weights)
      prepared.values[at(i) * width + at(bucket)] = static_cast<float>(weight / std::sqrt(squares));
    std::fill_n(prepared.mask.begin() + static_cast<std::ptrdiff_t>(at(i) * width), width, std::uint8_t{1});
    prepared.present[at(i)] = 1;
  }
}

/// Whether one of the samples has anything of a modality.
bool any_present(const ModalitySpec& spec, const RawModality& raw, Rows samples) {
  return std::any_of(samples.begin(), samples.end(), [&](std::int64_t i) {
    const std::int64_t row = raw.offsets[at(i)];
    if (row == raw.offsets[at(i) + 1]) return false;
    return raw.kind != ModalityKind::text || !detail::hashed_counts(raw.texts[at(row)], spec).empty();
  });
}

std::vector<std::string> summary_names_of(const std::vector<std::string>& columns) {
  std::vector<std::string> names;
  for (const auto& column : columns)
    for (const char* what : {"mean", "max", "min", "last", "change", "log count", "observed"})
      names.push_back(column + " " + what);
  return names;
}

void check_modality(const ModalityPreparation& preparation, const RawModality& raw) {
  bool same = raw.name == preparation.spec.name && raw.kind == preparation.spec.kind &&
              raw.features.size() == preparation.features.size();
  for (std::size_t f = 0; same && f < raw.features.size(); ++f) same = raw.features[f] == preparation.features[f].name;
  if (same) return;
  std::vector<std::string> names;
  for (const auto& feature : preparation.features) names.push_back(feature.name);
  user_error("the data's modality '{}' of the kind {} with the columns {} is not what was trained: '{}', {}, {}",
             raw.name, enum_name(raw.kind), short_list(raw.features), preparation.spec.name,
             enum_name(preparation.spec.kind), short_list(names));
}

}  // namespace

std::vector<std::string> column_names(const ModalityPreparation& preparation) {
  std::vector<std::string> names;
  if (preparation.spec.kind == ModalityKind::text) {
    for (std::int64_t i = 0; i < preparation.spec.buckets; ++i) names.push_back(fmt::format("bucket {}", i));
    return names;
  }
  for (const auto& feature : preparation.features) {
    if (!feature.category) names.push_back(feature.name);
    if (!feature.category) continue;
    for (const auto& level : feature.levels) names.push_back(feature.name + "=" + level);
    names.push_back(feature.name + "=(other)");
  }
  return names;
}

Preparation Preparation::fit(const FusionSpec& spec, const RawData& raw, Rows train) {
  if (train.empty()) user_error("{}: there are no training samples", spec.origin);
  Preparation result;
  for (std::size_t m = 0; m < raw.modalities.size(); ++m) {
    const RawModality& modality = raw.modalities[m];
    ModalityPreparation preparation;
    preparation.spec = spec.modalities[m];
    preparation.spec.columns = modality.features;  // patterns resolved
    preparation.grid = spec.grid_of(preparation.spec);
    preparation.learned = any_present(preparation.spec, modality, train);
    if (modality.kind == ModalityKind::text) {
      preparation.features.emplace_back().name = modality.features[0];
      preparation.inverse_document_frequency = fit_document_frequency(preparation.spec, modality, train);
    } else {
      for (std::size_t f = 0; f < modality.features.size(); ++f)
        preparation.features.push_back(fit_feature(preparation.spec, modality, f, train));
    }
    if (is_series(modality.kind)) {
      const std::size_t columns = column_names(preparation).size();
      preparation.summary_mean.assign(columns * 6, 0);
      preparation.summary_sd.assign(columns * 6, 1);
      const detail::Summaries summaries = detail::summarise(preparation, modality, raw.samples());
      std::vector<double> seen;
      for (std::size_t c = 0; c < columns; ++c)
        for (std::size_t s = 0; s < 6; ++s) {
          seen.clear();
          for (const std::int64_t i : train)
            if (summaries.observed[at(i) * columns + c] != 0)
              seen.push_back(summaries.values[(at(i) * columns + c) * 6 + s]);
          const Moments scale = moments(seen);
          preparation.summary_mean[c * 6 + s] = scale.mean;
          preparation.summary_sd[c * 6 + s] = scale.sd;
        }
    }
    result.modalities_.push_back(std::move(preparation));
  }
  PreparedTarget& target = result.target_;
  target.kind = raw.target.kind;
  target.names = raw.target.names;
  target.classes = raw.target.classes;
  if (target.kind == TargetKind::regression)
    for (std::size_t j = 0; j < target.names.size(); ++j) {
      std::vector<double> values;
      for (const std::int64_t i : train)
        if (const double value = raw.target.values[at(i) * target.names.size() + j]; !std::isnan(value))
          values.push_back(value);
      const Moments scale = moments(values);
      target.centre.push_back(scale.mean);
      target.scale.push_back(scale.sd);
    }
  return result;
}

PreparedData Preparation::apply(const RawData& raw) const {
  if (raw.modalities.size() != modalities_.size())
    user_error("the data have {} modalities, not {} as was trained", raw.modalities.size(), modalities_.size());
  PreparedData data;
  data.ids = raw.ids;
  data.groups = raw.groups;
  for (std::size_t m = 0; m < modalities_.size(); ++m) {
    PreparedModality& prepared =
        data.modalities.emplace_back(prepare(modalities_[m], raw.modalities[m], raw.samples()));
    if (!modalities_[m].learned) std::fill(prepared.present.begin(), prepared.present.end(), std::uint8_t{0});
  }
  prepare_target(raw.target, data.target);
  return data;
}

std::vector<std::string> Preparation::not_learned(const RawData& raw) const {
  std::vector<std::int64_t> all(at(raw.samples()));
  std::iota(all.begin(), all.end(), std::int64_t{0});
  std::vector<std::string> names;
  for (std::size_t m = 0; m < modalities_.size(); ++m)
    if (!modalities_[m].learned && any_present(modalities_[m].spec, raw.modalities[m], all))
      names.push_back(modalities_[m].spec.name);
  return names;
}

PreparedModality Preparation::prepare(const ModalityPreparation& preparation, const RawModality& raw,
                                      std::int64_t samples) const {
  check_modality(preparation, raw);
  PreparedModality prepared;
  prepared.features = column_names(preparation);
  const std::size_t width = prepared.features.size();
  const bool series = is_series(raw.kind);
  if (series) prepared.summary_names = summary_names_of(prepared.features);
  prepared.shape = {raw.name, raw.kind, static_cast<std::int64_t>(width),
                    static_cast<std::int64_t>(prepared.summary_names.size())};
  prepared.present.assign(at(samples), 0);
  if (series) {
    detail::prepare_series(preparation, raw, samples, prepared);
    return prepared;
  }
  prepared.values.assign(at(samples) * width, 0.0F);
  prepared.mask.assign(at(samples) * width, 0);
  if (raw.kind == ModalityKind::text) {
    prepare_texts(preparation, raw, samples, prepared);
    return prepared;
  }
  const detail::ColumnMap columns(preparation, raw);
  for (std::int64_t i = 0; i < samples; ++i)
    for (std::int64_t row = raw.offsets[at(i)]; row < raw.offsets[at(i) + 1]; ++row)
      columns.visit(row, [&](std::size_t column, double value) {
        prepared.values[at(i) * width + column] = static_cast<float>(value);
        prepared.mask[at(i) * width + column] = 1;
        prepared.present[at(i)] = 1;
      });
  return prepared;
}

void Preparation::prepare_target(const RawTarget& raw, PreparedTarget& target) const {
  target = target_;
  if (raw.values.empty()) return;
  if (raw.kind != target_.kind || raw.names.size() != target_.names.size())
    user_error("the data's target is {} of the kind {}, not {} of the kind {} as was trained",
               plural(raw.names.size(), "column"), enum_name(raw.kind), target_.names.size(), enum_name(target_.kind));
  std::vector<float> codes;  // of the data's classes
  for (const auto& name : raw.classes) {
    const auto found = std::find(target_.classes.begin(), target_.classes.end(), name);
    if (found == target_.classes.end())
      user_error("the class {} of the target '{}' is none of those trained, {}", quoted_for_message(name),
                 target_.names[0], short_list(target_.classes));
    codes.push_back(static_cast<float>(found - target_.classes.begin()));
  }
  target.values.reserve(raw.values.size());
  for (std::size_t i = 0; i < raw.values.size(); ++i) {
    const double value = raw.values[i];
    const std::size_t j = i % target_.names.size();
    if (target_.kind == TargetKind::regression)
      target.values.push_back(static_cast<float>((value - target_.centre[j]) / target_.scale[j]));
    else if (codes.empty() || std::isnan(value))
      target.values.push_back(static_cast<float>(value));
    else
      target.values.push_back(codes[static_cast<std::size_t>(value)]);
  }
}

std::vector<ModalityShape> Preparation::shapes() const {
  std::vector<ModalityShape> shapes;
  for (const auto& modality : modalities_) {
    const auto columns = static_cast<std::int64_t>(column_names(modality).size());
    shapes.push_back(
        {modality.spec.name, modality.spec.kind, columns, is_series(modality.spec.kind) ? 7 * columns : 0});
  }
  return shapes;
}

// ---- JSON

Json Preparation::to_json() const {
  const auto numbers = [](const std::vector<double>& values, const char* what) {
    return json_numbers(values.data(), values.size(), what);
  };
  Json json = Json::object();
  json["modalities"] = Json::array();
  for (const auto& modality : modalities_) {
    Json entry = Json::object();
    entry["spec"] = fusion::to_json(modality.spec);
    entry["grid"] = modality.grid;
    entry["learned"] = modality.learned;
    entry["features"] = Json::array();
    for (const auto& feature : modality.features)
      entry["features"].push_back({{"name", feature.name},
                                   {"category", feature.category},
                                   {"transform", enum_name(feature.transform)},
                                   {"low", json_number_or_null(feature.low)},
                                   {"high", json_number_or_null(feature.high)},
                                   {"mean", json_number(feature.mean, feature.name)},
                                   {"sd", json_number(feature.sd, feature.name)},
                                   {"levels", feature.levels}});
    entry["summary_mean"] = numbers(modality.summary_mean, "summary_mean");
    entry["summary_sd"] = numbers(modality.summary_sd, "summary_sd");
    entry["inverse_document_frequency"] = numbers(modality.inverse_document_frequency, "inverse_document_frequency");
    json["modalities"].push_back(std::move(entry));
  }
  json["target"] = {{"kind", enum_name(target_.kind)},
                    {"names", target_.names},
                    {"classes", target_.classes},
                    {"centre", numbers(target_.centre, "centre")},
                    {"scale", numbers(target_.scale, "scale")}};
  return json;
}

Preparation Preparation::from_json(const Json& json, const std::string& where) {
  JsonObject object(json, where);
  Preparation result;
  for (JsonObject& entry : object.objects("modalities")) {
    ModalityPreparation modality;
    modality.spec = modality_from_json(entry.at("spec"), entry.where("spec"));
    modality.grid = entry.integer("grid", 0, std::numeric_limits<std::int64_t>::max());
    if (entry.has("learned")) modality.learned = entry.boolean("learned");  // absent from older files
    for (JsonObject& item : entry.objects("features")) {
      FeaturePreparation feature;
      feature.name = item.text("name");
      feature.category = item.boolean("category");
      feature.transform = item.choice<Transform>("transform");
      feature.low = item.at("low").is_null() ? -kInfinity : item.number("low");
      feature.high = item.at("high").is_null() ? kInfinity : item.number("high");
      feature.mean = item.number("mean");
      feature.sd = item.number("sd");
      feature.levels = item.texts("levels");
      item.finish();
      if (!(feature.sd > 0)) user_error("{} must be above 0", item.where("sd"));
      modality.features.push_back(std::move(feature));
    }
    const bool text = modality.spec.kind == ModalityKind::text;
    const std::size_t summaries = is_series(modality.spec.kind) ? 6 * column_names(modality).size() : 0;
    modality.summary_mean = entry.numbers("summary_mean", summaries);
    modality.summary_sd = entry.numbers("summary_sd", summaries);
    modality.inverse_document_frequency =
        entry.numbers("inverse_document_frequency", text ? at(modality.spec.buckets) : 0);
    entry.finish();
    result.modalities_.push_back(std::move(modality));
  }
  JsonObject target = object.object("target");
  result.target_.kind = target.choice<TargetKind>("kind");
  result.target_.names = target.texts("names");
  result.target_.classes = target.texts("classes");
  const std::size_t scales = result.target_.kind == TargetKind::regression ? result.target_.names.size() : 0;
  result.target_.centre = target.numbers("centre", scales);
  result.target_.scale = target.numbers("scale", scales);
  target.finish();
  object.finish();
  return result;
}

}  // namespace clearway::fusion
