// What a report shows of fusion: scores, calibration, what is missing and what it costs, experts; sweeps; explanations.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "clearway/base/errors.hpp"
#include "run_report.hpp"

namespace clearway::cli {

namespace {

namespace fs = std::filesystem;

/// The key of an object that is a list, or an empty one.
const Json& list_of(const Json& object, const char* key) {
  static const Json none = Json::array();
  if (!object.is_object()) return none;
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : none;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Json value_of(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : Json();
}

report::Numbers column(const Json& list, const char* key) {
  report::Numbers out;
  for (const Json& entry : list) out.push_back(number_of(entry, key));
  return out;
}

/// The first and second number of every pair of a list.
std::pair<report::Numbers, report::Numbers> pairs(const Json& list) {
  std::pair<report::Numbers, report::Numbers> out;
  for (const Json& pair : list) {
    const report::Numbers numbers = numbers_of(pair);
    if (numbers.size() != 2) continue;
    out.first.push_back(numbers[0]);
    out.second.push_back(numbers[1]);
  }
  return out;
}

report::Section scores_section(const ReportedRun& run, const Json& measures) {
  report::Section section{.title = "Scores on the test samples"};
  section.blocks.emplace_back(fact_table("Run", run.summary,
                                         {{"method", "method"},
                                          {"parameters", "parameters of a member"},
                                          {"members", "members"},
                                          {"epochs", "epochs"},
                                          {"stopped", "stopped"},
                                          {"seconds", "CPU seconds of training"}}));
  report::Table table{"Scores", {"score", "value", "low", "high"}, {}, "95 % bootstrap intervals over subjects"};
  report::IntervalFigure figure{{"score"}, {}};
  for (const Json& score : list_of(measures, "scores")) {
    const std::string name = text_of(score, "score");
    table.rows.push_back({name, value_of(score, "value"), value_of(score, "low"), value_of(score, "high")});
    figure.items.push_back(
        {"", name, number_of(score, "value"), number_of(score, "low"), number_of(score, "high"), 0, ""});
  }
  section.blocks.emplace_back(std::move(table));
  section.blocks.emplace_back(
      report::Figure{"scores", "Scores", "Points with 95 % bootstrap intervals.", std::move(figure)});
  return section;
}

report::Section calibration_section(const Json& measures) {
  report::Section section{.title = "Ranking, calibration, coverage"};
  const Json curves = value_of(measures, "curves");
  if (!list_of(curves, "roc").empty()) {
    const auto [x, y] = pairs(list_of(curves, "roc"));
    report::XyFigure roc{{"false positive rate"}, {"true positive rate"}, {{"", {}}}};
    roc.panels.front().layers.push_back({.mark = report::Mark::line, .name = "ROC", .group = 0, .x = x, .y = y});
    roc.diagonal = true;
    section.blocks.emplace_back(report::Figure{"roc", "ROC curve", "The diagonal is chance.", std::move(roc)});
  }
  if (!list_of(curves, "precision_recall").empty()) {
    const auto [x, y] = pairs(list_of(curves, "precision_recall"));
    report::XyFigure pr{{"recall"}, {"precision"}, {{"", {}}}};
    pr.panels.front().layers.push_back({.mark = report::Mark::line, .name = "precision", .group = 0, .x = x, .y = y});
    section.blocks.emplace_back(report::Figure{"precision-recall", "Precision and recall", "", std::move(pr)});
  }
  if (const Json& bins = list_of(curves, "reliability"); !bins.empty()) {
    report::XyFigure reliability{{"predicted probability"}, {"observed rate"}, {{"", {}}}};
    reliability.panels.front().layers.push_back({.mark = report::Mark::intervals,
                                                 .name = "bins of equal size",
                                                 .group = 0,
                                                 .x = column(bins, "predicted"),
                                                 .y = column(bins, "observed"),
                                                 .low = column(bins, "low"),
                                                 .high = column(bins, "high")});
    reliability.diagonal = true;
    section.blocks.emplace_back(report::Figure{
        "reliability", "Reliability", "Rates of the event with 95 % intervals; on the diagonal they are what was said.",
        std::move(reliability)});
  }
  const Json conformal = value_of(measures, "conformal");
  const Json& by_count = list_of(conformal, "by_modalities");
  if (!by_count.empty()) {
    report::Table table{"Coverage of conformal sets", {"modalities", "samples", "coverage", "low", "high"}, {}};
    report::IntervalFigure figure{{"coverage"}, {}};
    figure.reference = number_of(conformal, "level");
    table.rows.push_back({"all", value_of(measures, "samples"), value_of(conformal, "coverage"),
                          value_of(conformal, "low"), value_of(conformal, "high")});
    figure.items.push_back({"", "all samples", number_of(conformal, "coverage"), number_of(conformal, "low"),
                            number_of(conformal, "high"), 0, ""});
    for (const Json& group : by_count) {
      const int count = static_cast<int>(number_of(group, "modalities"));
      table.rows.push_back({count, value_of(group, "samples"), value_of(group, "coverage"), value_of(group, "low"),
                            value_of(group, "high")});
      figure.items.push_back({"modalities that are there", std::to_string(count), number_of(group, "coverage"),
                              number_of(group, "low"), number_of(group, "high"), 1, ""});
    }
    section.blocks.emplace_back(std::move(table));
    section.blocks.emplace_back(report::Figure{"coverage", "Coverage by number of modalities",
                                               "The line is the level that was asked for.", std::move(figure)});
  }
  return section;
}

report::Section missing_section(const Json& measures, const std::string& lead) {
  report::Section section{.title = "What is missing"};
  report::Table patterns{"Sets of modalities", {"which", "samples", "share", "event rate", lead, "ece"}, {}};
  for (const Json& group : list_of(measures, "by_pattern"))
    patterns.rows.push_back({text_of(group, "present"), value_of(group, "samples"), value_of(group, "share"),
                             value_of(group, "event_rate"), value_of(group, lead.c_str()), value_of(group, "ece")});
  section.blocks.emplace_back(std::move(patterns));
  report::Table counts{"Number of modalities", {"modalities", "samples", "share", "event rate", lead, "ece"}, {}};
  for (const Json& group : list_of(measures, "by_modalities"))
    counts.rows.push_back({value_of(group, "modalities"), value_of(group, "samples"), value_of(group, "share"),
                           value_of(group, "event_rate"), value_of(group, lead.c_str()), value_of(group, "ece")});
  section.blocks.emplace_back(std::move(counts));
  report::Table without{
      "Without one modality", {"modality", "present", lead + " without", "change", "low", "high"}, {}};
  report::IntervalFigure figure{{"change of " + lead}, {}};
  figure.reference = 0;
  for (const Json& entry : list_of(measures, "without")) {
    const Json change = value_of(entry, "change");
    without.rows.push_back({text_of(entry, "modality"), value_of(entry, "present"), value_of(entry, "without"),
                            value_of(change, "value"), value_of(change, "low"), value_of(change, "high")});
    figure.items.push_back({"", text_of(entry, "modality"), number_of(change, "value"), number_of(change, "low"),
                            number_of(change, "high"), 0, ""});
  }
  section.blocks.emplace_back(std::move(without));
  section.blocks.emplace_back(report::Figure{
      "without", "What each modality is worth",
      "Change when it is taken away from all test samples, with paired 95 % intervals.", std::move(figure)});
  return section;
}

report::HeatFigure heat(const Json& matrix, const Json& rows, const std::string& y, const std::string& value) {
  report::HeatFigure out{{"expert"}, {y}, {}, {}, {}, value};
  for (const Json& name : rows) out.rows.push_back(name.get<std::string>());
  for (const Json& line : matrix) out.values.push_back(numbers_of(line));
  const std::size_t width = out.values.empty() ? 0 : out.values.front().size();
  for (std::size_t e = 0; e < width; ++e) out.columns.push_back("E" + std::to_string(e + 1));
  out.low = 0;
  return out;
}

std::optional<report::Section> experts_section(const Json& measures) {
  const Json usage = value_of(measures, "usage");
  const Json& layers = list_of(usage, "layers");
  if (layers.empty()) return std::nullopt;
  report::Section section{.title = "Experts"};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    const Json& layer = layers[i];
    const std::string where = "Layer " + std::to_string(i + 1);
    const std::string id = "experts-" + std::to_string(i + 1);
    section.blocks.emplace_back(
        report::Figure{id, where + ": which experts each router asks",
                       "Mean weight over the decisions of samples that have the modality.",
                       heat(list_of(layer, "mass"), list_of(layer, "routers"), "router", "mean weight")});
    // Presence is experts x modalities; modalities are rows here as in the figure above.
    const Json& presence = list_of(layer, "presence");
    Json turned = Json::array();
    for (std::size_t m = 0; m < list_of(usage, "modalities").size(); ++m) {
      Json line = Json::array();
      for (const Json& expert : presence) line.push_back(m < expert.size() ? expert[m] : Json());
      turned.push_back(std::move(line));
    }
    section.blocks.emplace_back(
        report::Figure{id + "-presence", where + ": whose samples experts see",
                       "How often a modality is there among the samples of an expert, weighted by its weight.",
                       heat(turned, list_of(usage, "modalities"), "modality", "share of samples")});
    report::Table table{where, {"expert", "samples by weight", "event rate"}, {}};
    const Json& samples = list_of(layer, "samples");
    const Json& events = list_of(layer, "event_rate");
    for (std::size_t e = 0; e < samples.size(); ++e)
      table.rows.push_back({"E" + std::to_string(e + 1), samples[e], e < events.size() ? events[e] : Json()});
    table.note = fmt::format("Load entropy {:.3f}; information between modality and expert {:.3f} of 1; {} dead",
                             number_of(layer, "load_entropy"), number_of(layer, "information"),
                             list_of(layer, "dead_experts").size());
    section.blocks.emplace_back(std::move(table));
  }
  return section;
}

std::optional<report::Section> training_of_members(const ReportedRun& run) {
  report::XyFigure figure{{"step"}, {"loss"}, {{"", {}}}};
  figure.zoom = true;
  for (int member = 0; member < 20; ++member) {
    const fs::path path = fs::path(run.folder.path()) / "members" / std::to_string(member + 1) / "metrics.jsonl";
    std::error_code none;
    if (!fs::is_regular_file(path, none)) break;
    for (const auto& [key, name] : {std::pair{"train/loss", "training"}, std::pair{"valid/loss", "validation"}}) {
      report::Layer layer{.mark = report::Mark::line,
                          .name = fmt::format("{}, member {}", name, member + 1),
                          .group = member,
                          .x = {},
                          .dashed = std::string_view(key) == "train/loss"};
      for (const Json& line : read_json_lines(path.string())) {
        if (!line.contains(key)) continue;
        layer.x.push_back(number_of(line, "step"));
        layer.y.push_back(number_of(line, key));
      }
      if (!layer.x.empty()) figure.panels.front().layers.push_back(std::move(layer));
    }
  }
  if (figure.panels.front().layers.empty()) return std::nullopt;
  report::Section section{.title = "Training"};
  section.blocks.emplace_back(report::Figure{
      "training-loss", "Loss", "Dashed: the last batch of an epoch; solid: validation samples.", std::move(figure)});
  return section;
}

/// Explanations of chosen samples, as fuse predict --explain --json prints them.
report::Section explained_section(const std::string& path) {
  report::Section section{.title = "Chosen samples"};
  const Json all = read_json(path);
  if (!all.is_array()) user_error("{}: must be what clearway fuse predict --explain ID --json prints: a list", path);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Json& entry = all[i];
    if (!entry.is_object() || !entry.contains("id") || !entry.contains("modalities"))
      user_error(
          "{}: entry {} has no id and modalities; the file must be what clearway fuse predict --explain ID --json "
          "prints",
          path, i + 1);
    const std::string id = text_of(entry, "id");
    const bool number = entry.contains("mean");
    std::map<std::string, std::string> experts;
    for (const Json& layer : list_of(entry, "layers"))
      for (const Json& router : layer)
        for (const Json& expert : list_of(router, "experts")) {
          std::string& text = experts[text_of(router, "router")];
          text += fmt::format("{}E{:.0f} ({:.2f})", text.empty() ? "" : ", ", number_of(expert, "expert"),
                              number_of(expert, "weight"));
        }
    report::Table table{
        fmt::format("{}: {} {:.4g}", id, text_of(entry, "of"), number_of(entry, number ? "mean" : "probability")),
        {"modality", "present", "without it", number ? "it adds" : "it adds (log-odds)", "experts"},
        {}};
    report::IntervalFigure figure{{number ? "it adds" : "it adds (log-odds)"}, {}};
    figure.reference = 0;
    figure.bars = true;
    for (const Json& modality : list_of(entry, "modalities")) {
      const std::string name = text_of(modality, "modality");
      const auto found = experts.find(name);
      table.rows.push_back({name, value_of(modality, "present"), value_of(modality, "without"),
                            value_of(modality, "change"), found == experts.end() ? "" : found->second});
      const double change = number_of(modality, "change");
      if (std::isfinite(change)) figure.items.push_back({"", name, change, report::kUnknown, report::kUnknown, 0, ""});
    }
    section.blocks.emplace_back(std::move(table));
    if (!figure.items.empty())
      section.blocks.emplace_back(report::Figure{"explained-" + std::to_string(i + 1),
                                                 "What each modality changed: " + id, "", std::move(figure)});
  }
  return section;
}

}  // namespace

std::vector<report::Section> fusion_sections(const ReportedRun& run, const ReportOptions& options) {
  std::vector<report::Section> sections;
  const Json measures = value_of(run.summary, "test");
  if (measures.is_object()) {
    const Json& scores = list_of(measures, "scores");
    const std::string lead = scores.empty() ? std::string("score") : text_of(scores[0], "score");
    sections.push_back(scores_section(run, measures));
    sections.push_back(calibration_section(measures));
    sections.push_back(missing_section(measures, lead));
    if (auto experts = experts_section(measures)) sections.push_back(std::move(*experts));
  } else {
    sections.push_back({.title = "Scores", .text = {"The run has no measures of test samples (summary.json)."}});
  }
  if (!options.explained.empty()) sections.push_back(explained_section(options.explained));
  if (auto training = training_of_members(run)) sections.push_back(std::move(*training));
  std::erase_if(sections, [](const report::Section& s) { return s.blocks.empty() && s.text.empty(); });
  return sections;
}

std::vector<report::Section> fusion_sweep_sections(const ReportedRun& run) {
  report::Section section{.title = "Variants side by side"};
  const Json& rows = list_of(run.summary, "rows");
  if (rows.empty()) return {report::Section{.title = "Variants", .text = {"The study has no finished runs yet."}}};
  const Json& first = list_of(rows[0], "cells");
  const std::string lead = first.empty() ? std::string() : text_of(first[0], "score");
  report::XyFigure decay{{"modalities taken away"}, {lead}, {{"", {}}}};
  report::IntervalFigure differences{{"difference of " + lead}, {}};
  differences.reference = 0;
  report::Table table{"All scores",
                      {"variant", "score", "missing", "runs", "mean", "deviation", "difference", "low", "high"},
                      {},
                      "Means over re-splits; differences to the first variant, paired by split."};
  for (std::size_t v = 0; v < rows.size(); ++v) {
    const std::string name = text_of(rows[v], "variant");
    report::Layer line{.mark = report::Mark::intervals, .name = name, .group = static_cast<int>(v), .x = {}};
    for (const Json& cell : list_of(rows[v], "cells")) {
      table.rows.push_back({name, text_of(cell, "score"), value_of(cell, "missing"), value_of(cell, "runs"),
                            value_of(cell, "mean"), value_of(cell, "deviation"), value_of(cell, "difference"),
                            value_of(cell, "low"), value_of(cell, "high")});
      if (text_of(cell, "score") != lead) continue;
      const double mean = number_of(cell, "mean"), spread = number_of(cell, "deviation");
      line.x.push_back(number_of(cell, "missing"));
      line.y.push_back(mean);
      line.low.push_back(mean - spread);
      line.high.push_back(mean + spread);
      if (v > 0 && number_of(cell, "missing") == number_of(first[0], "missing"))
        differences.items.push_back({"", name, number_of(cell, "difference"), number_of(cell, "low"),
                                     number_of(cell, "high"), static_cast<int>(v), ""});
    }
    if (line.x.size() > 1) {
      report::Layer joined = line;
      joined.mark = report::Mark::line;
      joined.low.clear();
      joined.high.clear();
      decay.panels.front().layers.push_back(std::move(joined));
    } else {
      decay.panels.front().layers.push_back(std::move(line));
    }
  }
  section.blocks.emplace_back(report::Figure{"decay", lead + " with more and more modalities missing",
                                             "Means over re-splits.", std::move(decay)});
  if (!differences.items.empty())
    section.blocks.emplace_back(report::Figure{"differences", "Differences to the first variant",
                                               "With 95 % intervals that allow for overlapping test sets.",
                                               std::move(differences)});
  section.blocks.emplace_back(std::move(table));
  return {section};
}

}  // namespace clearway::cli
