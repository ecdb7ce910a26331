// What a report shows of a training run: curves of metrics.jsonl, routing per layer over time and at the end.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "run_report.hpp"

namespace clearway::cli {

namespace {

/// Heat maps have at most so many steps; every so-many-th line of metrics is drawn.
constexpr std::size_t kMostSteps = 60;

struct Series {
  report::Numbers steps;
  report::Numbers values;
};

std::map<std::string, Series> series_of(const std::vector<Json>& lines) {
  std::map<std::string, Series> all;
  for (const Json& line : lines)
    for (const auto& [name, value] : line.items())
      if (name != "step" && name != "time" && value.is_number()) {
        all[name].steps.push_back(number_of(line, "step"));
        all[name].values.push_back(value.get<double>());
      }
  return all;
}

report::Layer line_of(const std::string& name, int group, const Series& series) {
  return {.mark = report::Mark::line, .name = name, .group = group, .x = series.steps, .y = series.values};
}

/// Layers of measures "layer0/entropy", "layer1/entropy", ... by measure.
std::map<std::string, std::map<int, const Series*>> by_measure(const std::map<std::string, Series>& all) {
  std::map<std::string, std::map<int, const Series*>> measures;
  for (const auto& [name, series] : all) {
    const std::size_t slash = name.find('/');
    if (!name.starts_with("layer") || slash == std::string::npos) continue;
    measures[name.substr(slash + 1)][std::stoi(name.substr(5, slash - 5))] = &series;
  }
  return measures;
}

void add_curve(report::Section& section, const std::map<std::string, Series>& all, const std::string& id,
               const std::string& title, const std::string& unit, bool log,
               const std::vector<std::pair<const char*, const char*>>& names) {
  report::XyFigure xy{{"step"}, {unit, log}, {{"", {}}}};
  xy.zoom = true;
  for (const auto& [key, name] : names)
    if (const auto found = all.find(key); found != all.end())
      xy.panels.front().layers.push_back(
          line_of(name, static_cast<int>(xy.panels.front().layers.size()), found->second));
  if (xy.panels.front().layers.empty()) return;
  section.blocks.emplace_back(report::Figure{id, title, "", std::move(xy)});
}

/// "load0", "load1", ...: the number of the expert, or -1.
int load_number(const std::string& measure) {
  if (!measure.starts_with("load") || measure.size() < 5) return -1;
  if (!std::all_of(measure.begin() + 4, measure.end(), [](char c) { return c >= '0' && c <= '9'; })) return -1;
  return std::stoi(measure.substr(4));
}

void add_load_maps(report::Section& section, const std::map<std::string, std::map<int, const Series*>>& measures) {
  std::map<int, std::map<int, const Series*>> loads;  // by layer and expert
  for (const auto& [measure, layers] : measures)
    if (const int expert = load_number(measure); expert >= 0)
      for (const auto& [layer, series] : layers) loads[layer][expert] = series;
  for (const auto& [layer, experts] : loads) {
    report::HeatFigure heat{{"step"}, {"expert"}, {}, {}, {}, "share of the assignments"};
    const report::Numbers& steps = experts.begin()->second->steps;
    const std::size_t stride = (steps.size() + kMostSteps - 1) / kMostSteps;
    for (std::size_t i = 0; i < steps.size(); i += stride) heat.columns.push_back(fmt::format("{:g}", steps[i]));
    heat.low = 0;
    for (const auto& [expert, series] : experts) {
      if (series->values.size() != steps.size()) continue;
      heat.rows.push_back(fmt::format("expert {}", expert + 1));
      heat.values.emplace_back();
      for (std::size_t i = 0; i < steps.size(); i += stride) heat.values.back().push_back(series->values[i]);
    }
    section.blocks.emplace_back(report::Figure{
        fmt::format("load-layer-{}", layer), fmt::format("Load of the experts over time, sparse layer {}", layer),
        fmt::format("Balanced would be {:.3g} everywhere.", 1.0 / static_cast<double>(experts.size())),
        std::move(heat)});
  }
}

void add_routing_curves(report::Section& section, const std::map<std::string, std::map<int, const Series*>>& measures) {
  report::XyFigure xy{{"step"}, {""}, {}};
  xy.shared_y = false;
  for (const auto& [key, title] : {std::pair{"load_entropy", "load entropy (1: balanced)"},
                                   {"largest_share", "largest share times experts (1: balanced)"},
                                   {"dead_experts", "dead experts"},
                                   {"router_entropy", "router entropy"},
                                   {"margin", "router margin"},
                                   {"similarity", "similarity of the experts (CKA)"},
                                   {"agreement", "agrees with competition"}}) {
    const auto found = measures.find(key);
    if (found == measures.end()) continue;
    report::Panel panel{title, {}};
    for (const auto& [layer, series] : found->second)
      panel.layers.push_back(line_of(fmt::format("layer {}", layer), layer, *series));
    xy.panels.push_back(std::move(panel));
  }
  if (!xy.panels.empty())
    section.blocks.emplace_back(
        report::Figure{"routing", "Routing over time", "docs/train.md says how each is computed.", std::move(xy)});
}

void add_final_layers(report::Section& section, const Json& layers) {
  if (!layers.is_array() || layers.empty()) return;
  report::Table table{"Routing at the end", {"layer"}, {}};
  std::vector<std::string> keys;
  for (const auto& [name, value] : layers[0].items())
    if (value.is_number()) keys.push_back(name);
  table.columns.insert(table.columns.end(), keys.begin(), keys.end());
  for (std::string& name : table.columns) std::replace(name.begin(), name.end(), '_', ' ');
  report::HeatFigure loads{{"expert"}, {"layer"}, {}, {}, {}, "share of the assignments"};
  loads.low = 0;
  std::size_t number = 0;
  for (const Json& layer : layers) {
    std::vector<Json> row{number};
    for (const std::string& key : keys) row.push_back(layer.value(key, Json(nullptr)));
    table.rows.push_back(std::move(row));
    report::Numbers load = numbers_of(layer.value("load", Json::array()));
    if (loads.columns.empty())
      for (std::size_t k = 0; k < load.size(); ++k) loads.columns.push_back(fmt::format("{}", k + 1));
    if (!load.empty() && load.size() == loads.columns.size()) {
      loads.rows.push_back(fmt::format("layer {}", number));
      loads.values.push_back(std::move(load));
    }
    ++number;
  }
  section.blocks.emplace_back(std::move(table));
  if (!loads.rows.empty())
    section.blocks.emplace_back(
        report::Figure{"final-load", "Load of the experts at the end", "Measured on held-out text.", std::move(loads)});
  number = 0;
  for (const Json& layer : layers) {
    const Json matrix = layer.value("similarity_matrix", Json::array());
    if (!matrix.empty()) {
      report::HeatFigure heat{{"expert"}, {"expert"}, {}, {}, {}, "linear CKA of the responses"};
      heat.low = 0;
      heat.high = 1;
      for (std::size_t k = 0; k < matrix.size(); ++k) {
        heat.rows.push_back(fmt::format("expert {}", k + 1));
        heat.columns.push_back(fmt::format("{}", k + 1));
        heat.values.push_back(numbers_of(matrix[k]));
      }
      section.blocks.emplace_back(report::Figure{fmt::format("similarity-layer-{}", number),
                                                 fmt::format("How alike the experts are, sparse layer {}", number),
                                                 "1: two experts say the same.", std::move(heat)});
    }
    ++number;
  }
}

/// Of what clearway generate --show-experts --json prints.
report::RoutedText routed_text(const std::string& path) {
  const Json document = read_json(path);
  report::RoutedText text{"Where the tokens went", "", {}, {}};
  if (!document.is_object() || !document.contains("experts") || !document["experts"].is_array())
    user_error("{}: holds no \"experts\": make it by clearway generate --show-experts --json", path);
  for (const Json& tokens : document["experts"]) {
    const std::string where = fmt::format("{}: experts[{}]", path, text.layers.size());
    report::RoutedText::Layer layer{fmt::format("sparse layer {}", text.layers.size()), {}};
    std::vector<std::string> words;
    const Json list = {{"tokens", tokens}};
    JsonObject row(list, where);
    for (JsonObject& token : row.objects("tokens")) {
      words.push_back(token.text("token"));
      layer.experts.push_back(static_cast<int>(token.integer("expert", 0, 1000000)));
    }
    if (!text.layers.empty() && words != text.tokens) user_error("{}: has other tokens than the first layer", where);
    text.tokens = std::move(words);
    text.layers.push_back(std::move(layer));
  }
  text.note = "Each token is underlined in the colour of its first expert; point at it to see the number.";
  return text;
}

}  // namespace

std::vector<report::Section> training_sections(const ReportedRun& run, const ReportOptions& options) {
  report::Section overview{.title = "Training"};
  overview.blocks.emplace_back(fact_table("Run", run.summary,
                                          {{"task", "task"},
                                           {"router", "router"},
                                           {"parameters", "parameters"},
                                           {"vocabulary", "vocabulary"},
                                           {"steps", "steps"},
                                           {"stopped", "ended because"},
                                           {"loss", "loss of the last step"},
                                           {"best_step", "best step"},
                                           {"best", "best"},
                                           {"metric", "measured as"},
                                           {"tokens_per_second", "tokens per second"},
                                           {"seconds", "seconds"}}));
  if (run.summary.is_object() && run.summary.contains("test") && run.summary["test"].is_object()) {
    report::Table test{"Test", {"", ""}, {}};
    for (const auto& [name, value] : run.summary["test"].items())
      if (!value.is_structured()) test.rows.push_back({name, value});
    overview.blocks.emplace_back(std::move(test));
  }
  const std::vector<Json> lines = lines_of(run.folder, "metrics.jsonl");
  if (lines.empty()) overview.text.emplace_back("The run folder holds no metrics.jsonl, so that there are no curves.");
  const std::map<std::string, Series> all = series_of(lines);
  add_curve(overview, all, "loss", "Loss", "nats per token", false,
            {{"train/loss", "training"}, {"valid/loss", "validation"}});
  add_curve(overview, all, "accuracy", "Accuracy", "share", false,
            {{"train/accuracy", "training"}, {"valid/accuracy", "validation"}});
  add_curve(overview, all, "tokens-per-second", "Tokens per second", "tokens/s", false,
            {{"train/tokens_per_second", "training"}});
  add_curve(overview, all, "learning-rate", "Learning rate", "", false, {{"train/learning_rate", "learning rate"}});
  add_curve(overview, all, "gradient-norm", "Norm of the gradient", "", true,
            {{"train/gradient_norm", "gradient norm"}});
  add_curve(overview, all, "auxiliary", "Auxiliary loss", "", false, {{"train/auxiliary", "auxiliary loss"}});

  report::Section routing{.title = "Routing"};
  const auto measures = by_measure(all);
  add_routing_curves(routing, measures);
  add_load_maps(routing, measures);
  if (run.summary.is_object()) add_final_layers(routing, run.summary.value("layers", Json::array()));
  if (!options.routing.empty()) routing.blocks.emplace_back(routed_text(options.routing));
  std::vector<report::Section> sections{std::move(overview)};
  if (!routing.blocks.empty()) sections.push_back(std::move(routing));
  return sections;
}

}  // namespace clearway::cli
