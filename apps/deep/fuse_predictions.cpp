#include "fuse_predictions.hpp"

#include <fmt/format.h>

#include <cmath>

#include "clearway/base/errors.hpp"
#include "clearway/core/prediction_scores.hpp"
#include "clearway/train/fusion_usage.hpp"
#include "clearway/train/tensor_rows.hpp"

namespace clearway::cli {
namespace {

using fusion::TargetKind;

Column number_column(std::string name, std::vector<double> numbers) {
  Column out;
  out.name = std::move(name);
  for (std::size_t i = 0; i < numbers.size(); ++i)
    if (!std::isfinite(numbers[i])) {
      out.missing.push_back(i);
      numbers[i] = std::numeric_limits<double>::quiet_NaN();
    }
  out.numbers = std::move(numbers);
  return out;
}

Column text_column(std::string name, const std::vector<std::string>& texts) {
  Column out;
  out.name = std::move(name);
  out.is_text = true;
  out.levels = texts;
  std::sort(out.levels.begin(), out.levels.end());
  out.levels.erase(std::unique(out.levels.begin(), out.levels.end()), out.levels.end());
  out.codes.reserve(texts.size());
  for (const std::string& text : texts)
    out.codes.push_back(
        static_cast<int>(std::lower_bound(out.levels.begin(), out.levels.end(), text) - out.levels.begin()));
  return out;
}

std::vector<double> numbers_of(const ConstVectorRef& vector) {
  return {vector.data(), vector.data() + vector.size()};
}

std::string names_there(const torch::Tensor& present, const std::vector<fusion::ModalityShape>& shapes) {
  std::string out;
  for (std::size_t m = 0; m < shapes.size(); ++m)
    if (present[static_cast<std::int64_t>(m)].item<float>() > 0) out += (out.empty() ? "" : "+") + shapes[m].name;
  return out.empty() ? "none" : out;
}

torch::Tensor present_of(const train::FusionTensors& tensors, const std::vector<std::int64_t>& rows) {
  return tensors.present().index_select(0, train::row_tensor(rows)).contiguous();
}

/// The names of outputs: the event, classes, labels or columns.
const std::vector<std::string>& output_names(const fusion::PreparedTarget& target) {
  return target.kind == TargetKind::multiclass ? target.classes : target.names;
}

void add_outcomes(Table& table, const train::FusionEnsemble& ensemble, const train::FusionTensors& tensors,
                  const std::vector<std::int64_t>& rows) {
  if (!tensors.target().defined()) return;
  const Matrix target = ensemble.targets(tensors, rows);
  const fusion::PreparedTarget& about = ensemble.target();
  if (about.kind == TargetKind::multiclass || about.kind == TargetKind::binary) {
    std::vector<std::string> names;
    for (const double value : target.col(0))
      names.push_back(std::isfinite(value) ? about.classes.at(static_cast<std::size_t>(value)) : "NA");
    table.columns.push_back(text_column("outcome", names));
    return;
  }
  for (Eigen::Index j = 0; j < target.cols(); ++j)
    table.columns.push_back(
        number_column("outcome_" + about.names[static_cast<std::size_t>(j)], numbers_of(target.col(j))));
}

void add_sets(Table& table, const train::FusionEnsemble& ensemble, const train::FusionPrediction& prediction,
              const std::vector<int>& there) {
  const Flags sets = ensemble.sets(prediction, there);
  std::vector<std::string> names;
  for (Eigen::Index i = 0; i < sets.rows(); ++i) {
    std::string set;
    for (Eigen::Index c = 0; c < sets.cols(); ++c)
      if (sets(i, c)) set += (set.empty() ? "" : "|") + ensemble.target().classes[static_cast<std::size_t>(c)];
    names.push_back(set.empty() ? "none" : set);
  }
  table.columns.push_back(text_column("set", names));
  if (ensemble.abstain_below() <= 0) return;
  const Vector top = train::class_columns(prediction).rowwise().maxCoeff();
  std::vector<double> abstain;
  for (const double p : top) abstain.push_back(p < ensemble.abstain_below() ? 1 : 0);
  table.columns.push_back(number_column("abstain", std::move(abstain)));
}

/// One number that says what a prediction is: log-odds of the event, the probability of the top class, or the mean.
double leaning(const train::FusionPrediction& prediction, Eigen::Index row, Eigen::Index output) {
  const double value = prediction.mean(row, output);
  if (prediction.kind == TargetKind::regression) return value;
  const double p = std::clamp(value, 1e-12, 1 - 1e-12);
  return std::log(p) - std::log1p(-p);
}

}  // namespace

Table predictions_table(const train::FusionEnsemble& ensemble, const train::FusionTensors& tensors,
                        const fusion::PreparedData& data, const std::vector<std::int64_t>& rows) {
  const train::FusionPrediction prediction = ensemble.predict(tensors, rows);
  const std::vector<int> there = train::modalities_there(tensors, rows);
  const fusion::PreparedTarget& target = ensemble.target();
  Table table;
  table.rows = rows.size();
  std::vector<std::string> ids, modalities;
  const torch::Tensor present = present_of(tensors, rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ids.push_back(data.ids[static_cast<std::size_t>(rows[i])]);
    modalities.push_back(names_there(present[static_cast<std::int64_t>(i)], tensors.shapes()));
  }
  table.columns.push_back(text_column("id", ids));
  add_outcomes(table, ensemble, tensors, rows);
  switch (target.kind) {
    case TargetKind::binary:
      table.columns.push_back(number_column("probability", numbers_of(prediction.mean.col(0))));
      break;
    case TargetKind::multiclass: {
      std::vector<std::string> best;
      for (const int top : top_class(prediction.mean)) best.push_back(target.classes[static_cast<std::size_t>(top)]);
      table.columns.push_back(text_column("class", best));
      [[fallthrough]];
    }
    case TargetKind::multilabel:
      for (Eigen::Index j = 0; j < prediction.mean.cols(); ++j)
        table.columns.push_back(number_column("p_" + output_names(target)[static_cast<std::size_t>(j)],
                                              numbers_of(prediction.mean.col(j))));
      break;
    case TargetKind::regression:
      for (Eigen::Index j = 0; j < prediction.mean.cols(); ++j) {
        const std::string& name = target.names[static_cast<std::size_t>(j)];
        table.columns.push_back(number_column(name, numbers_of(prediction.mean.col(j))));
        table.columns.push_back(number_column(name + "_sd", numbers_of(prediction.deviation.col(j))));
        if (!ensemble.calibrated()) continue;
        const PredictionIntervals intervals = ensemble.intervals(prediction, j, there);
        table.columns.push_back(number_column(name + "_low", numbers_of(intervals.low)));
        table.columns.push_back(number_column(name + "_high", numbers_of(intervals.high)));
      }
      break;
  }
  if (target.kind != TargetKind::regression && ensemble.members().size() > 1)
    table.columns.push_back(number_column("disagreement", numbers_of(prediction.disagreement)));
  if (ensemble.calibrated() && (target.kind == TargetKind::binary || target.kind == TargetKind::multiclass))
    add_sets(table, ensemble, prediction, there);
  table.columns.push_back(text_column("modalities", modalities));
  return table;
}

Json explain_predictions(const train::FusionEnsemble& ensemble, const train::FusionTensors& tensors,
                         const fusion::PreparedData& data, const std::vector<std::int64_t>& rows) {
  const train::FusionPrediction whole = ensemble.predict(tensors, rows);
  const fusion::PreparedTarget& target = ensemble.target();
  const auto& shapes = tensors.shapes();
  const torch::Tensor present = present_of(tensors, rows);
  // What is followed: the event, the class or label that is likeliest with everything there, or the first number.
  std::vector<Eigen::Index> followed(rows.size(), 0);
  if (target.kind == TargetKind::multiclass || target.kind == TargetKind::multilabel)
    for (std::size_t i = 0; i < rows.size(); ++i) whole.mean.row(static_cast<Eigen::Index>(i)).maxCoeff(&followed[i]);
  std::vector<train::FusionPrediction> without;
  for (std::size_t m = 0; m < shapes.size(); ++m) {
    torch::Tensor less = present.clone();
    less.select(1, static_cast<std::int64_t>(m)).zero_();
    without.push_back(ensemble.predict(tensors, rows, less));
  }
  std::vector<std::vector<torch::Tensor>> weights(rows.size());  // per row and layer: R x N
  const torch::Tensor wanted = train::row_tensor(rows);
  const bool disjoint = ensemble.options().router == deep::FusionRouter::disjoint;
  std::size_t row = 0;
  train::fusion_outputs(
      *ensemble.members().front(), tensors, wanted, {}, 512,
      [&](const torch::Tensor& some, const deep::FusionResult& result) {
        for (std::int64_t b = 0; b < some.size(0); ++b, ++row)
          for (const deep::FusionRouting& layer : result.layers)
            if (layer.weights.defined())
              weights[row].push_back(
                  train::of_all_experts(layer.weights.narrow(0, b, 1), disjoint)[0].mean(1).to(at::kDouble));
      });
  Json out = Json::array();
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto r = static_cast<Eigen::Index>(i);
    const Eigen::Index j = followed[i];
    const std::string what =
        target.kind == TargetKind::binary ? target.names.front() : output_names(target)[static_cast<std::size_t>(j)];
    Json entry = {{"id", data.ids[static_cast<std::size_t>(rows[i])]},
                  {"of", what},
                  {target.kind == TargetKind::regression ? "mean" : "probability", whole.mean(r, j)},
                  {"deviation", whole.deviation(r, j)}};
    Json modalities = Json::array();
    for (std::size_t m = 0; m < shapes.size(); ++m) {
      const bool here = present[static_cast<std::int64_t>(i)][static_cast<std::int64_t>(m)].item<float>() > 0;
      Json one = {{"modality", shapes[m].name}, {"present", here}};
      if (here) {
        one["without"] = without[m].mean(r, j);
        one["change"] = leaning(whole, r, j) - leaning(without[m], r, j);
      }
      modalities.push_back(std::move(one));
    }
    entry["modalities"] = std::move(modalities);
    Json layers = Json::array();
    for (const torch::Tensor& layer : weights[i]) {
      Json routers = Json::array();
      for (std::int64_t k = 0; k < layer.size(0); ++k) {
        Json experts = Json::array();
        for (std::int64_t e = 0; e < layer.size(1); ++e) {
          const double weight = layer[k][e].item<double>();
          if (weight > 0) experts.push_back({{"expert", e + 1}, {"weight", weight}});
        }
        const bool joint = layer.size(0) == 1 && shapes.size() != 1;
        routers.push_back(
            {{"router", joint ? "joint" : shapes[static_cast<std::size_t>(k)].name}, {"experts", std::move(experts)}});
      }
      layers.push_back(std::move(routers));
    }
    entry["layers"] = std::move(layers);
    out.push_back(std::move(entry));
  }
  return out;
}

std::string explanations_text(const Json& explanations) {
  std::string out;
  for (const Json& entry : explanations) {
    const bool number = entry.contains("mean");
    out += fmt::format("{}: {} {} {:.4f}\n", entry["id"].get<std::string>(), number ? "mean of" : "probability of",
                       entry["of"].get<std::string>(), entry[number ? "mean" : "probability"].get<double>());
    out += fmt::format("  {:<20} {:>8} {:>12} {:>18}  experts (weight)\n", "modality", "present", "without it",
                       number ? "it adds" : "it adds (log-odds)");
    for (const Json& modality : entry["modalities"]) {
      const std::string name = modality["modality"].get<std::string>();
      std::string experts;
      for (const Json& layer : entry["layers"])
        for (const Json& router : layer)
          if (router["router"] == name)
            for (const Json& expert : router["experts"])
              experts += fmt::format("{}E{} ({:.2f})", experts.empty() ? "" : ", ", expert["expert"].get<int>(),
                                     expert["weight"].get<double>());
      const bool here = modality["present"].get<bool>();
      out += fmt::format("  {:<20} {:>8} {:>12} {:>18}  {}\n", name, here ? "yes" : "no",
                         here ? fmt::format("{:.4f}", modality["without"].get<double>()) : "-",
                         here ? fmt::format("{:+.3f}", modality["change"].get<double>()) : "-", experts);
    }
    for (const Json& layer : entry["layers"])
      for (const Json& router : layer)
        if (router["router"] == "joint") {
          std::string experts;
          for (const Json& expert : router["experts"])
            experts += fmt::format("{}E{} ({:.2f})", experts.empty() ? "" : ", ", expert["expert"].get<int>(),
                                   expert["weight"].get<double>());
          out += "  joint router: " + experts + "\n";
        }
    out += "\n";
  }
  return out;
}

}  // namespace clearway::cli
