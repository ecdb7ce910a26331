#include "prediction_intervals.hpp"

#include <algorithm>
#include <cmath>

#include "clearway/base/errors.hpp"
#include "prediction_table.hpp"

namespace clearway::cli {

namespace {

bool has_uncertainty(const SavedModel& saved) {
  return saved.inference && saved.inference->covariance.size() > 0;
}

const Matrix& covariance_of(const SavedModel& saved) {
  if (!saved.inference)
    user_error(
        "intervals of this kind need the standard errors of the fit, and it was made without (--standard-errors none, "
        "or a selection)");
  if (!has_uncertainty(saved))
    user_error("the fit has no valid standard errors: {}",
               saved.inference->notes.empty() ? std::string("no reason was kept") : saved.inference->notes.front());
  return saved.inference->covariance;
}

UncertaintyOptions uncertainty_options(const IntervalInputs& inputs, const IntervalOptions& options) {
  UncertaintyOptions result;
  result.level = options.level;
  result.simultaneous = options.interval == IntervalKind::band;
  result.seed = inputs.seed;
  result.threads = inputs.threads;
  return result;
}

// "mean", or "mean_<response>" where there are several; classes: "probability_<class>".
std::string mean_name(const Design& design, const std::string& number, Eigen::Index j, Eigen::Index columns) {
  const bool classes = has_classes(design.recipe.expert);
  const std::string stem = (classes ? "probability" : "mean") + number;
  return columns == 1 && !classes ? stem
                                  : fmt::format("{}_{}", stem, design.response_names[static_cast<std::size_t>(j)]);
}

void add(std::vector<NumberColumn>& columns, const std::string& name, const UncertainValues& values, Eigen::Index j) {
  columns.push_back({name + "_se", values.errors.col(j)});
  columns.push_back({name + "_low", values.lower.col(j)});
  columns.push_back({name + "_high", values.upper.col(j)});
}

void add_confidence(std::vector<NumberColumn>& columns, const IntervalInputs& inputs, const IntervalOptions& options) {
  const PredictionUncertainty u = prediction_uncertainty(inputs.saved.model, covariance_of(inputs.saved),
                                                         inputs.design.data, uncertainty_options(inputs, options));
  const Eigen::Index m = u.mean.values.cols();
  for (Eigen::Index j = 0; j < m; ++j) add(columns, mean_name(inputs.design, "", j, m), u.mean, j);
  for (Eigen::Index k = 0; k < u.gate.values.cols(); ++k) add(columns, fmt::format("gate_{}", k + 1), u.gate, k);
  for (std::size_t k = 0; k < u.experts.size(); ++k)
    for (Eigen::Index j = 0; j < m; ++j)
      add(columns, mean_name(inputs.design, fmt::format("_{}", k + 1), j, m), u.experts[k], j);
}

void require_one_response(const SavedModel& saved) {
  if (!has_quantiles(saved.model))
    user_error("intervals of a new response need one real or count response, which this model has not");
}

void add_prediction(std::vector<NumberColumn>& columns, const IntervalInputs& inputs, const IntervalOptions& options) {
  require_one_response(inputs.saved);
  const double tail = 0.5 - 0.5 * options.level;
  columns.push_back({"prediction_low", inputs.saved.model.quantile(inputs.design.data, tail)});
  columns.push_back({"prediction_high", inputs.saved.model.quantile(inputs.design.data, 1 - tail)});
}

void add_regions(std::vector<NumberColumn>& columns, const IntervalInputs& inputs, const IntervalOptions& options) {
  require_one_response(inputs.saved);
  const std::vector<Region> regions =
      highest_density_regions(inputs.saved.model, inputs.design.data, options.level, inputs.threads);
  std::size_t most = 1;
  for (const Region& region : regions) most = std::max(most, region.size());
  const auto n = static_cast<Eigen::Index>(regions.size());
  for (std::size_t piece = 0; piece < most; ++piece) {
    Vector low = Vector::Constant(n, std::nan("")), high = low;
    for (std::size_t t = 0; t < regions.size(); ++t) {
      if (piece >= regions[t].size()) continue;
      low(static_cast<Eigen::Index>(t)) = regions[t][piece].first;
      high(static_cast<Eigen::Index>(t)) = regions[t][piece].second;
    }
    columns.push_back({fmt::format("hdr_{}_low", piece + 1), low});
    columns.push_back({fmt::format("hdr_{}_high", piece + 1), high});
  }
}

double spread(const std::vector<double>& values) {
  double count = 0, mean = 0, squares = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    ++count;
    const double step = value - mean;
    mean += step / count;
    squares += step * (value - mean);
  }
  return count > 1 && squares > 0 ? std::sqrt(squares / count) : std::max(1.0, std::abs(mean));
}

void add_effect(std::vector<NumberColumn>& columns, const std::string& name, const IntervalInputs& inputs,
                const IntervalOptions& options) {
  constexpr double kStep = 1e-4;  // of the column's standard deviation
  const Column& column = inputs.table.column(name);
  if (column.is_text) user_error("an effect needs a numeric column, and '{}' holds words", name);
  const std::vector<std::string> used = inputs.design.recipe.input_columns(true);
  if (std::find(used.begin(), used.end(), name) == used.end())
    user_error("column '{}' takes no part in the model, so it has no effect", name);
  const double step = kStep * spread(column.numbers);
  const auto moved = [&](double by) {
    Table table = inputs.table;
    for (Column& each : table.columns)
      if (each.name == name)
        for (double& value : each.numbers) value += by;
    return apply_recipe(inputs.design.recipe, std::move(table), inputs.missing).data;
  };
  const bool limits = options.interval == IntervalKind::confidence || options.interval == IntervalKind::band;
  const auto size = model_parameters(inputs.saved.model).size();
  const Matrix covariance = limits ? covariance_of(inputs.saved) : Matrix(Matrix::Zero(size, size));
  UncertaintyOptions uncertainty = uncertainty_options(inputs, options);
  uncertainty.simultaneous = uncertainty.simultaneous && limits;
  const UncertainValues effect =
      marginal_effect(inputs.saved.model, covariance, moved(step), moved(-step), step, uncertainty);
  for (Eigen::Index j = 0; j < effect.values.cols(); ++j) {
    std::string stem = "effect_" + name;
    if (effect.values.cols() > 1) stem += "_" + inputs.design.response_names[static_cast<std::size_t>(j)];
    columns.push_back({stem, effect.values.col(j)});
    if (limits) add(columns, stem, effect, j);
  }
}

}  // namespace

std::vector<NumberColumn> interval_columns(const IntervalInputs& inputs, const IntervalOptions& options) {
  std::vector<NumberColumn> columns;
  switch (options.interval) {
    case IntervalKind::none:
      break;
    case IntervalKind::confidence:
    case IntervalKind::band:
      add_confidence(columns, inputs, options);
      break;
    case IntervalKind::prediction:
      add_prediction(columns, inputs, options);
      break;
    case IntervalKind::hdr:
      add_regions(columns, inputs, options);
      break;
  }
  for (const std::string& name : options.effects) add_effect(columns, name, inputs, options);
  return columns;
}

}  // namespace clearway::cli
