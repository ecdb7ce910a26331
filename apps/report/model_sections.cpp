// What a report shows of a fitted model at its data: experts over the data, the gate along every input, residuals, the
// dendrogram of experts.
//
// Along an input means: partial dependence. That input is set to each value of a grid in every one of the chosen rows,
// the others stay as they are, and the results are averaged (Friedman 2001, Ann. Stat. 29). With one input nothing is
// averaged, and the curves are the model itself, with pointwise confidence bands where the fit has standard errors.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>

#include <Eigen/Eigenvalues>

#include "../fitted_run.hpp"
#include "clearway/base/text.hpp"
#include "clearway/stat/model_dendrogram.hpp"
#include "clearway/stat/prediction_interval.hpp"
#include "clearway/stat/residuals.hpp"
#include "run_report.hpp"

namespace clearway::cli {

namespace {

constexpr int kGrid = 60;
/// Rows over which partial dependence averages, and inputs that have a panel.
constexpr std::size_t kAveraged = 200;
constexpr std::size_t kMostPanels = 9;
constexpr Eigen::Index kMostResponses = 3;

report::Numbers list(const ConstVectorRef& values) {
  report::Numbers numbers(static_cast<std::size_t>(values.size()));
  for (Eigen::Index i = 0; i < values.size(); ++i) numbers[static_cast<std::size_t>(i)] = values[i];
  return numbers;
}

/// At most `most` of n rows, equally spaced.
std::vector<std::size_t> spaced(std::size_t n, std::size_t most) {
  std::vector<std::size_t> rows(std::min(n, most));
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = n <= most ? i : i * n / most;
  return rows;
}

bool is_category(const DesignRecipe& recipe, const std::string& name) {
  for (const auto* terms : {&recipe.expert_terms, &recipe.gate_terms})
    for (const Term& term : *terms)
      for (const Factor& factor : term.factors)
        if (factor.column == name && factor.transform == Transform::category) return true;
  return false;
}

/// Curves along one input: every matrix has a row per value of the grid.
struct Dependence {
  report::Numbers grid;
  Matrix gate;                    ///< grid x k
  std::vector<Matrix> experts;    ///< per expert grid x m
  Matrix mean;                    ///< grid x m
  Matrix gate_low, gate_high;     ///< empty without bands
  std::vector<Matrix> low, high;  ///< per expert; empty without bands
};

/// A model at the table that it was fitted to.
class ModelAtData {
 public:
  ModelAtData(SavedModel saved, Table table, MissingPolicy missing)
      : saved_(std::move(saved)),
        table_(std::move(table)),
        design_(design_with_response(saved_.recipe, table_, missing, "a report")),
        kept_(design_.kept_rows()) {}

  const MixtureModel& model() const { return saved_.model; }
  const Design& design() const { return design_; }
  const Data& data() const { return design_.data; }
  const DesignRecipe& recipe() const { return saved_.recipe; }
  bool classes() const { return has_class_response(model()); }
  /// Cells of a numeric input column in the rows of the data.
  Vector column(const std::string& name) const {
    const Column& cells = table_.column(name);
    Vector values(data().rows());
    for (Eigen::Index t = 0; t < values.size(); ++t) values[t] = cells.numbers[kept_[static_cast<std::size_t>(t)]];
    return values;
  }
  std::vector<std::string> numeric_inputs() const {
    std::vector<std::string> names;
    for (const std::string& name : recipe().input_columns())
      if (!table_.column(name).is_text && !is_category(recipe(), name)) names.push_back(name);
    return names;
  }
  bool one_input() const { return recipe().input_columns().size() == 1; }

  Dependence along(const std::string& input) const {
    const Vector seen = column(input);
    Dependence out;
    const double low = seen.minCoeff(), high = seen.maxCoeff();
    for (int g = 0; g < kGrid; ++g) out.grid.push_back(g + 1 == kGrid ? high : low + (high - low) * g / (kGrid - 1));
    const std::vector<std::size_t> base = spaced(kept_.size(), one_input() ? 1 : kAveraged);
    const Design grid = apply_recipe(recipe(), grid_table(input, out.grid, base), MissingPolicy::error);
    const auto averaged = [&](const Matrix& values) {
      const auto each = static_cast<Eigen::Index>(base.size());
      Matrix result(kGrid, values.cols());
      for (int g = 0; g < kGrid; ++g) result.row(g) = values.middleRows(g * each, each).colwise().mean();
      return result;
    };
    const Data& at = grid.data;
    out.gate = averaged(model().gate.log_weights(at.gate_inputs).array().exp().matrix());
    out.mean = averaged(model().mean(at));
    for (const Expert& expert : model().experts)
      out.experts.push_back(averaged(expert.mean(at.expert_inputs, at.trials, at.offset)));
    if (one_input() && saved_.inference && saved_.inference->covariance.size() > 0) {
      const PredictionUncertainty sure = prediction_uncertainty(model(), saved_.inference->covariance, at, {});
      out.gate_low = sure.gate.lower;
      out.gate_high = sure.gate.upper;
      for (const UncertainValues& expert : sure.experts) {
        out.low.push_back(expert.lower);
        out.high.push_back(expert.upper);
      }
    }
    return out;
  }

 private:
  /// The chosen rows once per value of the grid, that input replaced; response, weights and groups left out.
  Table grid_table(const std::string& input, const report::Numbers& grid, const std::vector<std::size_t>& base) const {
    Table result;
    result.source = table_.source;
    result.rows = grid.size() * base.size();
    std::vector<std::string> wanted = recipe().input_columns();
    for (const std::string& name : {recipe().trials, recipe().offset})
      if (!name.empty()) wanted.push_back(name);
    for (const std::string& name : wanted) {
      const Column& from = table_.column(name);
      Column column;
      column.name = name;
      column.is_text = from.is_text;
      column.levels = from.levels;
      for (const double value : grid)
        for (const std::size_t row : base)
          if (from.is_text)
            column.codes.push_back(from.codes[kept_[row]]);
          else
            column.numbers.push_back(name == input ? value : from.numbers[kept_[row]]);
      result.columns.push_back(std::move(column));
    }
    return result;
  }

  SavedModel saved_;
  Table table_;
  Design design_;
  std::vector<std::size_t> kept_;
};

std::string expert_name(int k) {
  return fmt::format("expert {}", k + 1);
}

/// Rows as points, coloured by their most responsible expert.
class Points {
 public:
  Points(const ModelAtData& at, std::size_t most) {
    for (const std::size_t row : spaced(static_cast<std::size_t>(at.data().rows()), most))
      rows_.push_back(static_cast<Eigen::Index>(row));
    const Matrix responsibilities = at.model().responsibilities(at.data());
    const std::vector<std::size_t> kept = at.design().kept_rows();
    for (const Eigen::Index t : rows_) {
      Eigen::Index best = 0;
      strength_.push_back(responsibilities.row(t).maxCoeff(&best));
      group_.push_back(best == at.model().expert_count() ? -1 : static_cast<int>(best));
      text_.push_back(fmt::format("row {}", kept[static_cast<std::size_t>(t)] + 1));
    }
  }

  report::Layer layer(const ConstVectorRef& x, const ConstVectorRef& y) const {
    report::Layer layer{.mark = report::Mark::points, .name = "", .x = {}};
    for (const Eigen::Index t : rows_) {
      layer.x.push_back(x[t]);
      layer.y.push_back(y[t]);
    }
    layer.groups = group_;
    layer.strength = strength_;
    layer.text = text_;
    return layer;
  }
  std::size_t count() const { return rows_.size(); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (int k = 0; k <= *std::max_element(group_.begin(), group_.end()); ++k) names.push_back(expert_name(k));
    return names;
  }

 private:
  std::vector<Eigen::Index> rows_;
  std::vector<int> group_;
  report::Numbers strength_;
  std::vector<std::string> text_;
};

/// In a regression function no row belongs to an expert.
std::string colouring(const ModelAtData& at) {
  return at.model().form == ModelForm::regression ? "the expert of the largest gate weight"
                                                  : "its most responsible expert";
}

std::string which_rows(const ModelAtData& at, const Points& points) {
  if (points.count() == static_cast<std::size_t>(at.data().rows())) return "Every point is a row of the table";
  return fmt::format("{} equally spaced of {} rows", points.count(), at.data().rows());
}

std::vector<report::Figure> expert_figures(const ModelAtData& at, const Points& points,
                                           const std::vector<std::string>& inputs,
                                           const std::vector<Dependence>& along) {
  std::vector<report::Figure> figures;
  const Eigen::Index responses = std::min(kMostResponses, along.front().mean.cols());
  for (Eigen::Index j = 0; j < responses; ++j) {
    const std::string& response = at.design().response_names[static_cast<std::size_t>(j)];
    report::XyFigure xy{{""}, {at.classes() ? "probability of " + response : response}, {}};
    bool bands = false;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const Dependence& curve = along[i];
      report::Panel panel{inputs.size() > 1 ? "along " + inputs[i] : "", {}, inputs[i]};
      if (!at.classes()) panel.layers.push_back(points.layer(at.column(inputs[i]), at.data().response.col(j)));
      for (std::size_t k = 0; k < curve.experts.size(); ++k) {
        const int group = static_cast<int>(k);
        if (!curve.low.empty()) {
          bands = true;
          panel.layers.push_back({.mark = report::Mark::band,
                                  .name = expert_name(group),
                                  .group = group,
                                  .x = curve.grid,
                                  .low = list(curve.low[k].col(j)),
                                  .high = list(curve.high[k].col(j))});
        }
        panel.layers.push_back({.mark = report::Mark::line,
                                .name = expert_name(group),
                                .group = group,
                                .x = curve.grid,
                                .y = list(curve.experts[k].col(j))});
      }
      panel.layers.push_back({.mark = report::Mark::line,
                              .name = "the mixture's mean",
                              .x = curve.grid,
                              .y = list(curve.mean.col(j)),
                              .dashed = true});
      xy.panels.push_back(std::move(panel));
    }
    std::string note;
    if (!at.classes())
      note = which_rows(at, points) + ", coloured by " + colouring(at) +
             ", the more solid the surer. Solid lines: means of the experts. ";
    note +=
        inputs.size() == 1 && at.one_input()
            ? std::string(bands ? "Bands: pointwise 95 % confidence intervals of these means." : "")
            : "Lines are partial dependence: the other inputs stay as they are in the rows of the table, and results "
              "are averaged.";
    figures.push_back({"experts-over-data", "Experts over the data", note, std::move(xy)});
  }
  return figures;
}

report::Figure gate_figure(const ModelAtData& at, const std::vector<std::string>& inputs,
                           const std::vector<Dependence>& along) {
  report::XyFigure xy{{""}, {"gate weight"}, {}};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    report::Panel panel{inputs.size() > 1 ? "along " + inputs[i] : "", {}, inputs[i]};
    for (int k = 0; k < at.model().expert_count(); ++k) {
      if (along[i].gate_low.size() > 0)
        panel.layers.push_back({.mark = report::Mark::band,
                                .name = expert_name(k),
                                .group = k,
                                .x = along[i].grid,
                                .low = list(along[i].gate_low.col(k)),
                                .high = list(along[i].gate_high.col(k))});
      panel.layers.push_back({.mark = report::Mark::line,
                              .name = expert_name(k),
                              .group = k,
                              .x = along[i].grid,
                              .y = list(along[i].gate.col(k))});
    }
    xy.panels.push_back(std::move(panel));
  }
  return {"gate-weights", "Gate weights along each input",
          at.one_input() ? "How much each expert is asked." : "Partial dependence, averaged over rows of the table.",
          std::move(xy)};
}

/// The rows in the plane of the first two principal components of the standardised inputs of the experts and the gate.
std::optional<report::Figure> projection(const ModelAtData& at, const Points& points) {
  Matrix inputs(at.data().rows(), at.data().expert_inputs.cols() + at.data().gate_inputs.cols());
  inputs << at.data().expert_inputs, at.data().gate_inputs;
  std::vector<Eigen::Index> varying;
  for (Eigen::Index j = 0; j < inputs.cols(); ++j) {
    inputs.col(j).array() -= inputs.col(j).mean();
    const double deviation = std::sqrt(inputs.col(j).squaredNorm() / static_cast<double>(inputs.rows()));
    if (deviation <= 0) continue;
    inputs.col(j) /= deviation;
    const auto equal = [&](Eigen::Index i) { return (inputs.col(i) - inputs.col(j)).cwiseAbs().maxCoeff() < 1e-12; };
    if (std::none_of(varying.begin(), varying.end(), equal)) varying.push_back(j);
  }
  if (varying.size() < 3 || inputs.rows() < 3) return {};
  const Matrix used = inputs(Eigen::all, varying);
  const Eigen::SelfAdjointEigenSolver<Matrix> solver(used.transpose() * used / static_cast<double>(used.rows()));
  const Eigen::Index d = used.cols();
  const Vector first = used * solver.eigenvectors().col(d - 1), second = used * solver.eigenvectors().col(d - 2);
  const double all = solver.eigenvalues().sum();
  const auto share = [&](Eigen::Index i) { return 100 * solver.eigenvalues()[i] / all; };
  report::XyFigure xy{{fmt::format("first component, {:.0f} % of the variance", share(d - 1))},
                      {fmt::format("second component, {:.0f} %", share(d - 2))},
                      {{"", {points.layer(first, second)}}}};
  xy.group_names = points.names();
  return report::Figure{
      "projection", "The inputs, projected",
      fmt::format("{}, on the first two principal components of the {} standardised inputs, coloured by {}.",
                  which_rows(at, points), d, colouring(at)),
      std::move(xy)};
}

std::vector<report::Figure> residual_figures(const ModelAtData& at, const Points& points) {
  RandomStream stream(1, 0);  // that of clearway diagnose
  const QuantileResiduals residuals = quantile_residuals(at.model(), at.data(), stream);
  std::vector<report::Figure> figures;
  if (!at.classes()) {
    const Matrix mean = at.model().mean(at.data());
    report::XyFigure xy{{"fitted mean"}, {"quantile residual"}, {}};
    xy.rules = {{.y = 0}, {.y = -2}, {.y = 2}};
    xy.group_names = points.names();
    for (Eigen::Index j = 0; j < std::min(kMostResponses, mean.cols()); ++j)
      xy.panels.push_back({mean.cols() > 1 ? at.design().response_names[static_cast<std::size_t>(j)] : "",
                           {points.layer(mean.col(j), residuals.residual.col(j))}});
    figures.push_back(
        {"residuals", "Residuals against fitted means",
         "Quantile residuals are standard normal where the model is right, whatever the family. Dashed: 0 "
         "and two deviations to either side.",
         std::move(xy)});
  }
  report::XyFigure plot{{"share that the model gives to smaller responses"}, {"share of the rows"}, {}};
  plot.diagonal = true;
  for (Eigen::Index j = 0; j < std::min(kMostResponses, residuals.probability.cols()); ++j) {
    report::Numbers sorted = list(residuals.probability.col(j));
    std::sort(sorted.begin(), sorted.end());
    report::Layer layer{.mark = report::Mark::line, .name = "rows", .group = 0, .x = {}};
    for (const std::size_t i : spaced(sorted.size(), 500)) {
      layer.x.push_back(sorted[i]);
      layer.y.push_back((static_cast<double>(i) + 0.5) / static_cast<double>(sorted.size()));
    }
    plot.panels.push_back(
        {residuals.probability.cols() > 1 ? at.design().response_names[static_cast<std::size_t>(j)] : "",
         {std::move(layer)}});
  }
  figures.push_back({"probability-plot", "Probability plot",
                     "On the dashed diagonal the responses are distributed as the model says.", std::move(plot)});
  return figures;
}

std::optional<report::Figure> dendrogram_figure(const ModelAtData& at) {
  std::string reason;
  if (!dendrogram_applies(at.model(), reason) || at.model().form == ModelForm::regression) return {};
  const ModelDendrogram tree = model_dendrogram(at.model(), at.data());
  report::TreeFigure figure{{"dissimilarity"}, {}, {}};
  std::vector<int> nodes(static_cast<std::size_t>(at.model().expert_count()));
  std::iota(nodes.begin(), nodes.end(), 0);
  for (const int k : nodes) figure.leaves.push_back(expert_name(k));
  int next = at.model().expert_count();
  for (std::size_t s = 0; s < tree.heights.size(); ++s) {
    const auto first = static_cast<std::size_t>(tree.pairs[s].first);
    const auto second = static_cast<std::size_t>(tree.pairs[s].second);
    figure.merges.push_back({nodes[first], nodes[second], tree.heights[s]});
    nodes[first] = next++;
    nodes.erase(nodes.begin() + static_cast<std::ptrdiff_t>(second));
  }
  return report::Figure{
      "dendrogram", "Which experts are alike",
      fmt::format("The two closest experts merge again and again; by this dendrogram's criterion {} of "
                  "them would do.",
                  tree.chosen),
      std::move(figure)};
}

}  // namespace

std::vector<report::Section> model_sections(const ReportedRun& run, const ReportOptions& options) {
  report::Section section{.title = "The model at its data"};
  if (!run.folder.has("model.json")) {
    section.text.emplace_back("The run folder holds no model.");
    return {section};
  }
  std::string path = options.data;
  if (path.empty() && run.config.is_object()) path = run.config.value("data", std::string());
  if (path.empty() || path == "-" || !std::filesystem::is_regular_file(path)) {
    section.text.push_back(fmt::format(
        "The table that the model was fitted to {}, so that nothing is drawn over the data: give it with --data.",
        path.empty() || path == "-" ? "came from standard input" : fmt::format("({}) is not there", path)));
    return {section};
  }
  CsvOptions csv;
  MissingPolicy missing = MissingPolicy::error;
  SavedModel saved = model_from_json(run.folder.read_json("model.json"), run.folder.file("model.json"));
  if (run.config.is_object()) {
    options_from_config(run.config, csv, run.folder.file("config.json"));
    if (run.config.contains("missing"))
      missing = enum_value<MissingPolicy>("missing", run.config["missing"].get<std::string>());
  }
  try {
    const ModelAtData at(std::move(saved), read_csv(path, csv), missing);
    if (const double rows = number_of(run.summary, "n"); std::isfinite(rows) && rows != double(at.data().rows()))
      section.warnings.push_back(
          fmt::format("{} has {} usable rows now; the model was fitted to {:g}.", path, at.data().rows(), rows));
    std::vector<std::string> inputs = at.numeric_inputs();
    if (inputs.size() > kMostPanels) {
      section.text.push_back(fmt::format("The first {} of {} numeric inputs are drawn.", kMostPanels, inputs.size()));
      inputs.resize(kMostPanels);
    }
    // Points are drawn once per input, and a page should stay below 700 KB.
    const auto most = static_cast<std::size_t>(options.points);
    const Points points(at, inputs.size() > 2 ? std::max<std::size_t>(10, most / inputs.size() + most / 10) : most);
    if (inputs.empty()) {
      section.text.emplace_back("No input is a number, so that there are no curves.");
    } else {
      std::vector<Dependence> along;
      along.reserve(inputs.size());
      for (const std::string& input : inputs) along.push_back(at.along(input));
      for (report::Figure& figure : expert_figures(at, points, inputs, along))
        section.blocks.emplace_back(std::move(figure));
      section.blocks.emplace_back(gate_figure(at, inputs, along));
    }
    if (auto figure = projection(at, points)) section.blocks.emplace_back(*std::move(figure));
    for (report::Figure& figure : residual_figures(at, points)) section.blocks.emplace_back(std::move(figure));
    if (auto figure = dendrogram_figure(at)) section.blocks.emplace_back(*std::move(figure));
  } catch (const std::exception& problem) {
    section.warnings.push_back(fmt::format("Nothing can be drawn over the data: {}", problem.what()));
  }
  return {section};
}

}  // namespace clearway::cli
