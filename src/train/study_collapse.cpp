#include "clearway/train/study_collapse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "clearway/base/errors.hpp"
#include "clearway/train/paired_difference.hpp"

namespace clearway::train {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

/// Every number of a layer's diagnosis with its name, for JSON and means.
template <class Layer, class Field>
void visit_layer(Layer& layer, Field&& field) {
  field("load_entropy", layer.load_entropy);
  field("largest_share", layer.largest_share);
  field("router_entropy", layer.router_entropy);
  field("margin", layer.margin);
  field("information", layer.information);
  field("response_similarity", layer.response_similarity);
  field("similarity", layer.similarity);
  field("agreement", layer.agreement);
  field("overlap", layer.overlap);
  field("affinity_contrast", layer.affinity_contrast);
}

std::string interval(const CollapseRow& row) {
  if (!std::isfinite(row.low)) return "too few seeds";
  return fmt::format("{:+.4f} [{:+.4f}, {:+.4f}]", row.difference, row.low, row.high);
}

}  // namespace

std::int64_t steps_of_equal_cost(std::int64_t steps, double reference, double cost) {
  if (!(reference > 0) || !(cost > 0))
    world_error("a budget needs what a step costs, and {} was measured; raise --steps",
                !(reference > 0) ? reference : cost);
  return std::max<std::int64_t>(1, std::llround(static_cast<double>(steps) * reference / cost));
}

Json collapse_run_json(const CollapseRun& run) {
  Json layers = Json::array();
  for (const LayerDiagnostics& layer : run.layers) {
    Json one = {{"load", layer.load}, {"dead_experts", layer.dead_experts}};
    visit_layer(layer, [&](const char* name, double value) { one[name] = value; });
    layers.push_back(std::move(one));
  }
  return {{"router", run.router},
          {"seed", run.seed},
          {"steps", run.steps},
          {"bits", json_number_or_null(run.bits)},
          {"bits_by_competition", json_number_or_null(run.bits_by_competition)},
          {"evaluations_per_token", run.evaluations_per_token},
          {"seconds", run.seconds},
          {"layers", std::move(layers)}};
}

CollapseRun collapse_run_from_json(const Json& json, const std::string& source) {
  JsonObject object(json, source);
  CollapseRun run;
  run.router = object.text("router");
  run.seed = object.integer("seed", 0, std::numeric_limits<std::int64_t>::max());
  run.steps = object.integer("steps", 0, std::numeric_limits<std::int64_t>::max());
  run.bits = object.at("bits").is_null() ? kMissing : object.number("bits");
  run.bits_by_competition =
      object.at("bits_by_competition").is_null() ? kMissing : object.number("bits_by_competition");
  run.evaluations_per_token = object.number("evaluations_per_token");
  run.seconds = object.number("seconds");
  for (JsonObject& layer : object.objects("layers")) {
    LayerDiagnostics& out = run.layers.emplace_back();
    out.load = layer.numbers("load");
    out.dead_experts = static_cast<int>(layer.integer("dead_experts", 0, 1 << 30));
    visit_layer(out, [&](const char* name, double& value) { value = layer.number(name); });
    layer.finish();
  }
  object.finish();
  return run;
}

std::vector<CollapseRow> collapse_table(const std::vector<CollapseRun>& runs, const std::vector<std::string>& routers) {
  std::vector<CollapseRow> rows;
  const auto find = [&](const std::string& router, std::int64_t seed) {
    return std::find_if(runs.begin(), runs.end(),
                        [&](const CollapseRun& run) { return run.router == router && run.seed == seed; });
  };
  for (const std::string& router : routers) {
    CollapseRow row;
    row.router = router;
    std::vector<double> bits, differences;
    double layers = 0;
    for (const CollapseRun& run : runs) {
      if (run.router != router) continue;
      ++row.runs;
      bits.push_back(run.bits);
      const auto reference = find(routers.front(), run.seed);
      if (reference != runs.end()) differences.push_back(run.bits - reference->bits);
      row.bits_by_competition += run.bits_by_competition;
      row.steps += static_cast<double>(run.steps);
      row.evaluations_per_token += run.evaluations_per_token;
      row.seconds += run.seconds;
      for (const LayerDiagnostics& layer : run.layers) {
        ++layers;
        row.layer.dead_experts += layer.dead_experts;
        auto& sum = row.layer;
        std::vector<double*> into;
        visit_layer(sum, [&](const char*, double& value) { into.push_back(&value); });
        std::size_t i = 0;
        visit_layer(layer, [&](const char*, double value) { *into[i++] += value; });
      }
    }
    if (row.runs == 0) continue;
    const double count = row.runs;
    row.bits_by_competition /= count;
    row.steps /= count;
    row.evaluations_per_token /= count;
    row.seconds /= count;
    if (layers > 0) visit_layer(row.layer, [&](const char*, double& value) { value /= layers; });
    const Moments own = moments(bits);
    const PairedDifference paired = paired_difference(differences);
    row.bits = own.mean;
    row.deviation = own.deviation;
    row.difference = paired.mean;
    row.low = paired.low;
    row.high = paired.high;
    row.within_noise = paired.within_noise;
    rows.push_back(row);
  }
  return rows;
}

std::string collapse_text(const std::vector<CollapseRow>& rows) {
  std::string out = fmt::format("{:<14} {:>4} {:>8} {:>7}  {:<30} {:>8} {:>9} {:>8} {:>7} {:>5} {:>7} {:>6} {:>6}\n",
                                "router", "runs", "bits", "sd", "difference to the first [95 %]", "by comp.",
                                "eval/tok", "CPU s", "load H", "dead", "H(p|x)", "CKA", "agree");
  for (const CollapseRow& row : rows)
    out += fmt::format(
        "{:<14} {:>4} {:>8.4f} {:>7.4f}  {:<30} {:>8.3f} {:>9.2f} {:>8.1f} {:>7.3f} {:>5} {:>7.3f} {:>6.3f} {:>6.3f}\n",
        row.router, row.runs, row.bits, row.deviation, &row == &rows.front() ? "-" : interval(row),
        row.bits_by_competition, row.evaluations_per_token, row.seconds, row.layer.load_entropy, row.layer.dead_experts,
        row.layer.router_entropy, row.layer.similarity, row.layer.agreement);
  out += "\n";
  for (std::size_t i = 1; i < rows.size(); ++i) {
    const CollapseRow& row = rows[i];
    if (!std::isfinite(row.low))
      out += fmt::format("{}: too few seeds to tell it from {}\n", row.router, rows.front().router);
    else if (row.within_noise)
      out += fmt::format("{}: no difference to {} beyond the noise of {} seeds\n", row.router, rows.front().router,
                         row.runs);
    else
      out += fmt::format("{}: {} than {} by {:.4f} bits, beyond the noise\n", row.router,
                         row.difference > 0 ? "worse" : "better", rows.front().router, std::abs(row.difference));
  }
  return out;
}

std::string collapse_markdown(const std::vector<CollapseRow>& rows) {
  std::string out =
      "| router | seeds | test bits per character | paired difference [95 %] | by competition | steps | "
      "evaluations/token | CPU s "
      "| load entropy | dead | router entropy | CKA | agreement "
      "|\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const CollapseRow& row : rows)
    out += fmt::format(
        "| {} | {} | {:.4f} +- {:.4f} | {}{} | {:.3f} | {:.0f} | {:.2f} | {:.0f} | {:.3f} | {} | {:.3f} | {:.3f} | "
        "{:.3f} |\n",
        row.router, row.runs, row.bits, row.deviation, &row == &rows.front() ? "-" : interval(row),
        &row != &rows.front() && row.within_noise ? " (noise)" : "", row.bits_by_competition, row.steps,
        row.evaluations_per_token, row.seconds, row.layer.load_entropy, row.layer.dead_experts,
        row.layer.router_entropy, row.layer.similarity, row.layer.agreement);
  return out;
}

Json collapse_json(const std::vector<CollapseRow>& rows) {
  Json out = Json::array();
  for (const CollapseRow& row : rows) {
    Json one = {{"router", row.router},
                {"runs", row.runs},
                {"bits", json_number_or_null(row.bits)},
                {"deviation", row.deviation},
                {"difference", json_number_or_null(row.difference)},
                {"low", json_number_or_null(row.low)},
                {"high", json_number_or_null(row.high)},
                {"within_noise", row.within_noise},
                {"bits_by_competition", json_number_or_null(row.bits_by_competition)},
                {"steps", row.steps},
                {"evaluations_per_token", row.evaluations_per_token},
                {"seconds", row.seconds},
                {"dead_experts", row.layer.dead_experts}};
    visit_layer(row.layer, [&](const char* name, double value) { one[name] = value; });
    out.push_back(std::move(one));
  }
  return out;
}

}  // namespace clearway::train
