#include "fuse_measures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "clearway/base/errors.hpp"
#include "clearway/core/prediction_scores.hpp"
#include "clearway/train/fusion_usage.hpp"
#include "clearway/train/tensor_rows.hpp"

namespace clearway::cli {
namespace {

using fusion::TargetKind;

constexpr Eigen::Index kSmallestGroup = 20;  ///< samples below which a group gets no score of its own
constexpr std::size_t kPatterns = 12;        ///< sets of present modalities that are shown

std::vector<std::int64_t> group_numbers(const FuseMeasured& measured) {
  std::map<std::string, std::int64_t> number;
  std::vector<std::int64_t> out;
  for (const std::int64_t row : measured.rows) {
    const std::string& group = measured.groups[static_cast<std::size_t>(row)];
    out.push_back(number.try_emplace(group, static_cast<std::int64_t>(number.size())).first->second);
  }
  return out;
}

BootstrapOptions bootstrap_options(const FuseMeasureOptions& options, const std::vector<std::int64_t>& groups) {
  BootstrapOptions out;
  out.replications = static_cast<int>(options.replicates);
  out.seed = options.seed;
  out.threads = options.threads;
  out.group = groups;
  return out;
}

Json interval_json(const ScoreInterval& interval) {
  return {{"value", json_number_or_null(interval.estimate)},
          {"low", json_number_or_null(interval.low)},
          {"high", json_number_or_null(interval.high)}};
}

double value_of(const train::FusionScore& score, Eigen::Index rows) {
  return score.score(std::vector<double>(static_cast<std::size_t>(rows), 1.0));
}

Json scores_json(const std::vector<train::FusionScore>& scores, Eigen::Index rows, const BootstrapOptions& bootstrap) {
  Json out = Json::array();
  for (const train::FusionScore& score : scores) {
    Json entry = {{"score", score.name}, {"larger_is_better", score.larger_is_better}};
    // Drawing with replacement adds to a calibration error: its percentile interval may lie above the value.
    if (bootstrap.replications >= 2 && score.name != "ece")
      entry.update(interval_json(bootstrap_score(score.score, rows, bootstrap)));
    else
      entry["value"] = json_number_or_null(value_of(score, rows));
    out.push_back(std::move(entry));
  }
  return out;
}

/// A score by name, on some rows; null where it does not exist.
Json score_of_group(const train::FusionPrediction& prediction, const Matrix& target,
                    const std::vector<Eigen::Index>& rows, std::string_view name) {
  const train::FusionPrediction some = prediction.rows(rows);
  Matrix truth(static_cast<Eigen::Index>(rows.size()), target.cols());
  for (std::size_t i = 0; i < rows.size(); ++i) truth.row(static_cast<Eigen::Index>(i)) = target.row(rows[i]);
  for (const train::FusionScore& score : train::fusion_scores(some, truth))
    if (score.name == name) return json_number_or_null(value_of(score, truth.rows()));
  return nullptr;
}

/// n, share, rate of events, leading score and calibration error of samples that have something in common.
Json group_json(const train::FusionPrediction& prediction, const Matrix& target,
                const std::vector<Eigen::Index>& rows) {
  Json out = {{"samples", rows.size()},
              {"share", static_cast<double>(rows.size()) / static_cast<double>(target.rows())}};
  if (prediction.kind == TargetKind::binary) {
    double events = 0;
    for (const Eigen::Index row : rows) events += target(row, 0);
    out["event_rate"] = events / static_cast<double>(rows.size());
  }
  const bool enough = static_cast<Eigen::Index>(rows.size()) >= kSmallestGroup;
  const std::string_view lead = train::leading_score(prediction.kind);
  out[std::string(lead)] = enough ? score_of_group(prediction, target, rows, lead) : Json();
  if (prediction.kind != TargetKind::regression)
    out["ece"] = enough ? score_of_group(prediction, target, rows, "ece") : Json();
  return out;
}

Json coverage_json(const std::vector<GroupCoverage>& groups) {
  Json out = Json::array();
  for (const GroupCoverage& group : groups)
    out.push_back({{"modalities", group.group},
                   {"samples", group.rows},
                   {"coverage", group.coverage},
                   {"low", group.low},
                   {"high", group.high}});
  return out;
}

Json conformal_json(const FuseMeasured& measured, const train::FusionPrediction& prediction, const Matrix& target,
                    const std::vector<int>& there) {
  Json out = {{"level", measured.ensemble.level()}};
  if (prediction.kind == TargetKind::multilabel) return nullptr;
  if (prediction.kind == TargetKind::regression) {
    Json outputs = Json::array();
    for (Eigen::Index j = 0; j < target.cols(); ++j) {
      const PredictionIntervals intervals = measured.ensemble.intervals(prediction, j, there);
      const Flags covered =
          target.col(j).array() >= intervals.low.array() && target.col(j).array() <= intervals.high.array();
      const IntervalScores scores = interval_scores(intervals.low, intervals.high, target.col(j));
      outputs.push_back({{"coverage", scores.coverage},
                         {"low", scores.low},
                         {"high", scores.high},
                         {"mean_width", json_number_or_null(scores.mean_width)},
                         {"by_modalities", coverage_json(coverage_by_group(covered, there))}});
    }
    out["outputs"] = std::move(outputs);
    return out;
  }
  std::vector<int> truth;
  for (const double value : target.col(0)) truth.push_back(static_cast<int>(value));
  const Flags sets = measured.ensemble.sets(prediction, there);
  const SetScores scores = set_scores(sets, truth);
  out.update(Json{{"coverage", scores.coverage},
                  {"low", scores.low},
                  {"high", scores.high},
                  {"mean_size", scores.mean_size},
                  {"empty", scores.empty},
                  {"single", scores.single},
                  {"by_modalities", coverage_json(coverage_by_group(covered_classes(sets, truth), there))}});
  return out;
}

/// Reliability, ROC and precision-recall of an event, for pictures; curves are thinned to at most 200 points.
Json curves_json(const Vector& p, const Vector& y) {
  Json out = Json::object();
  Json bins = Json::array();
  for (const ReliabilityBin& bin : expected_calibration_error(p, y).bins)
    bins.push_back({{"predicted", bin.mean_predicted},
                    {"observed", bin.observed_rate},
                    {"low", bin.low},
                    {"high", bin.high},
                    {"samples", bin.count}});
  out["reliability"] = std::move(bins);
  if (y.minCoeff() == y.maxCoeff()) return out;
  const auto thin = [](const auto& points, auto&& add) {
    const std::size_t step = std::max<std::size_t>(1, points.size() / 200);
    for (std::size_t i = 0; i < points.size(); i += step) add(points[i]);
    if ((points.size() - 1) % step != 0) add(points.back());
  };
  Json roc = Json::array(), pr = Json::array();
  thin(roc_curve(p, y), [&](const RocPoint& point) {
    roc.push_back(Json::array({point.false_positive_rate, point.true_positive_rate}));
  });
  thin(precision_recall_curve(p, y), [&](const PrecisionRecallPoint& point) {
    pr.push_back(Json::array({point.recall, point.precision}));
  });
  out["roc"] = std::move(roc);
  out["precision_recall"] = std::move(pr);
  return out;
}

std::string pattern_name(const torch::Tensor& present, const std::vector<fusion::ModalityShape>& shapes) {
  std::string there, absent;
  for (std::size_t m = 0; m < shapes.size(); ++m) {
    const bool here = present[static_cast<std::int64_t>(m)].item<float>() > 0;
    std::string& list = here ? there : absent;
    list += (list.empty() ? "" : "+") + shapes[m].name;
  }
  return absent.empty() ? "all" : there.empty() ? "none" : "without " + absent;
}

std::string with_interval(const Json& entry) {
  const auto number = [&](const char* key) {
    return entry.contains(key) && entry[key].is_number() ? fmt::format("{:.4f}", entry[key].get<double>())
                                                         : std::string("-");
  };
  return entry.contains("low") ? fmt::format("{} [{}, {}]", number("value"), number("low"), number("high"))
                               : number("value");
}

}  // namespace

std::vector<std::int64_t> rows_with_outcome(const train::FusionTensors& samples, std::vector<std::int64_t> rows) {
  if (!samples.target().defined()) user_error("the samples have no outcomes to compare with");
  const torch::Tensor known = samples.target().reshape({samples.samples(), -1}).isfinite().any(1).contiguous();
  const bool* ok = known.data_ptr<bool>();
  std::erase_if(rows, [&](std::int64_t row) { return !ok[row]; });
  return rows;
}

Json measure_fused(const FuseMeasured& measured, const FuseMeasureOptions& options) {
  const auto& [ensemble, samples, rows, groups] = measured;
  if (rows.empty()) user_error("there are no samples with a known outcome to measure");
  const std::vector<std::int64_t> numbers = group_numbers(measured);
  const BootstrapOptions bootstrap = bootstrap_options(options, numbers);
  const Matrix target = ensemble.targets(samples, rows);
  const auto n = target.rows();
  const train::FusionPrediction prediction = ensemble.predict(samples, rows);
  const TargetKind kind = prediction.kind;
  const auto scores = train::fusion_scores(prediction, target, ensemble.thresholds());
  Json out = {{"samples", n}, {"kind", std::string(enum_name(kind))}, {"members", ensemble.members().size()}};
  out["scores"] = scores_json(scores, n, bootstrap);
  if (ensemble.calibrated() && kind != TargetKind::regression) {
    const auto raw = train::fusion_scores(ensemble.predict(samples, rows, {}, true), target);
    Json before = Json::object();
    for (const train::FusionScore& score : raw)
      if (score.name == "ece" || score.name == "log_loss" || score.name == "brier")
        before[score.name] = json_number_or_null(value_of(score, n));
    out["before_calibration"] = std::move(before);
  }
  const std::vector<int> there = train::modalities_there(samples, rows);
  if (ensemble.calibrated()) out["conformal"] = conformal_json(measured, prediction, target, there);

  std::map<int, std::vector<Eigen::Index>> by_count;
  std::map<std::string, std::vector<Eigen::Index>> by_pattern;
  const torch::Tensor present = samples.present().index_select(0, train::row_tensor(rows)).contiguous();
  for (Eigen::Index i = 0; i < n; ++i) {
    by_count[there[static_cast<std::size_t>(i)]].push_back(i);
    by_pattern[pattern_name(present[i], samples.shapes())].push_back(i);
  }
  out["by_modalities"] = Json::array();
  for (const auto& [count, members] : by_count) {
    Json entry = {{"modalities", count}};
    entry.update(group_json(prediction, target, members));
    out["by_modalities"].push_back(std::move(entry));
  }
  std::vector<std::pair<std::string, std::vector<Eigen::Index>>> patterns(by_pattern.begin(), by_pattern.end());
  std::stable_sort(patterns.begin(), patterns.end(),
                   [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
  out["patterns"] = patterns.size();
  out["by_pattern"] = Json::array();
  for (std::size_t i = 0; i < std::min(kPatterns, patterns.size()); ++i) {
    Json entry = {{"present", patterns[i].first}};
    entry.update(group_json(prediction, target, patterns[i].second));
    out["by_pattern"].push_back(std::move(entry));
  }

  out["without"] = Json::array();
  for (std::size_t m = 0; m < samples.shapes().size(); ++m) {
    torch::Tensor less = present.clone();
    less.select(1, static_cast<std::int64_t>(m)).zero_();
    const auto other = train::fusion_scores(ensemble.predict(samples, rows, less), target);
    Json entry = {{"modality", samples.shapes()[m].name},
                  {"present", present.select(1, static_cast<std::int64_t>(m)).mean().item<double>()},
                  {"score", scores.front().name}};
    if (bootstrap.replications >= 2) {
      const ScoreDifference change = bootstrap_difference(other.front().score, scores.front().score, n, bootstrap);
      entry["without"] = json_number_or_null(change.first);
      entry["change"] = interval_json(change.difference);
    } else {
      entry["without"] = json_number_or_null(value_of(other.front(), n));
    }
    out["without"].push_back(std::move(entry));
  }
  if (kind == TargetKind::binary) out["curves"] = curves_json(prediction.mean.col(0), target.col(0));
  const auto usage = train::fusion_usage(*ensemble.members().front(), samples, rows,
                                         kind == TargetKind::binary ? Vector(target.col(0)) : Vector());
  out["usage"] = train::fusion_usage_json(usage, samples.shapes());
  out["usage_text"] = train::fusion_usage_text(usage);
  return out;
}

std::string fused_text(const Json& m) {
  std::string out = fmt::format("{} samples\n\n{:<20} {}\n", m["samples"].get<std::int64_t>(), "score",
                                m["scores"][0].contains("low") ? "value [95 % bootstrap interval]" : "value");
  for (const Json& score : m["scores"])
    out += fmt::format("{:<20} {}\n", score["score"].get<std::string>(), with_interval(score));
  if (m.contains("before_calibration")) {
    out += "before calibration: ";
    std::string list;
    for (const auto& [name, value] : m["before_calibration"].items())
      if (value.is_number()) list += fmt::format("{}{} {:.4f}", list.empty() ? "" : ", ", name, value.get<double>());
    out += list + "\n";
  }
  if (m.contains("conformal") && m["conformal"].is_object()) {
    const Json& c = m["conformal"];
    const auto line = [&](const Json& one, const std::string& size) {
      return fmt::format("conformal, level {:.0f} %: coverage {:.1f} % [{:.1f}, {:.1f}], {}\n",
                         100 * c["level"].get<double>(), 100 * one["coverage"].get<double>(),
                         100 * one["low"].get<double>(), 100 * one["high"].get<double>(), size);
    };
    if (c.contains("outputs"))
      for (const Json& one : c["outputs"])
        out +=
            line(one, one["mean_width"].is_number() ? fmt::format("mean width {:.3f}", one["mean_width"].get<double>())
                                                    : "some intervals are infinite");
    else
      out += line(c, fmt::format("{:.2f} classes in a set, {:.0f} % of the sets have one", c["mean_size"].get<double>(),
                                 100 * c["single"].get<double>()));
  }
  const std::string lead = m["scores"][0]["score"].get<std::string>();
  const auto number = [](const Json& entry, const char* key, const char* form) {
    return entry.contains(key) && entry[key].is_number() ? fmt::format(fmt::runtime(form), entry[key].get<double>())
                                                         : std::string("-");
  };
  const auto group_lines = [&](const char* title, const Json& list, auto&& name) {
    out += fmt::format("\n{:<40} {:>7} {:>7} {:>8} {:>12} {:>7}\n", title, "samples", "share", "events", lead, "ece");
    for (const Json& entry : list)
      out += fmt::format("{:<40} {:>7} {:>7} {:>8} {:>12} {:>7}\n", name(entry), entry["samples"].get<std::int64_t>(),
                         number(entry, "share", "{:.3f}"), number(entry, "event_rate", "{:.3f}"),
                         number(entry, lead.c_str(), "{:.4f}"), number(entry, "ece", "{:.3f}"));
  };
  group_lines("modalities that are there", m["by_modalities"],
              [](const Json& entry) { return std::to_string(entry["modalities"].get<std::int64_t>()); });
  group_lines(fmt::format("which ({} sets in all)", m["patterns"].get<std::int64_t>()).c_str(), m["by_pattern"],
              [](const Json& entry) {
                const std::string name = entry["present"].get<std::string>();
                return name.size() > 40 ? name.substr(0, 37) + "..." : name;
              });
  out += fmt::format("\n{:<20} {:>8} {:>12}  {}\n", "without modality", "present", lead, "change");
  for (const Json& entry : m["without"])
    out += fmt::format("{:<20} {:>8} {:>12}  {}\n", entry["modality"].get<std::string>(),
                       number(entry, "present", "{:.3f}"), number(entry, "without", "{:.4f}"),
                       entry.contains("change") ? with_interval(entry["change"]) : "");
  const std::string usage = m["usage_text"].get<std::string>();
  if (!usage.empty()) out += "\nexperts\n" + usage;
  return out;
}

Json compare_fused(const FuseMeasured& first, const FuseMeasured& second, const FuseMeasureOptions& options) {
  const std::vector<std::int64_t> numbers = group_numbers(first);
  const BootstrapOptions bootstrap = bootstrap_options(options, numbers);
  const Matrix target = first.ensemble.targets(first.samples, first.rows);
  const auto own =
      train::fusion_scores(first.ensemble.predict(first.samples, first.rows), target, first.ensemble.thresholds());
  const auto other =
      train::fusion_scores(second.ensemble.predict(second.samples, second.rows), target, second.ensemble.thresholds());
  Json out = Json::array();
  for (std::size_t i = 0; i < std::min(own.size(), other.size()); ++i) {
    if (bootstrap.replications < 2) {
      const double one = value_of(own[i], target.rows()), two = value_of(other[i], target.rows());
      out.push_back({{"score", own[i].name},
                     {"first", json_number_or_null(one)},
                     {"second", json_number_or_null(two)},
                     {"value", json_number_or_null(one - two)}});
      continue;
    }
    const ScoreDifference change = bootstrap_difference(own[i].score, other[i].score, target.rows(), bootstrap);
    Json entry = {{"score", own[i].name},
                  {"first", json_number_or_null(change.first)},
                  {"second", json_number_or_null(change.second)},
                  {"p_value", json_number_or_null(change.p_value)}};
    entry.update(interval_json(change.difference));
    out.push_back(std::move(entry));
  }
  return out;
}

std::string fused_differences_text(const Json& differences) {
  std::string out =
      fmt::format("{:<20} {:>8} {:>8}  {:<30} {:>7}\n", "score", "first", "second", "difference [95 %]", "p");
  for (const Json& entry : differences) {
    const auto number = [&](const char* key) {
      return entry.contains(key) && entry[key].is_number() ? fmt::format("{:.4f}", entry[key].get<double>())
                                                           : std::string("-");
    };
    out += fmt::format("{:<20} {:>8} {:>8}  {:<30} {:>7}\n", entry["score"].get<std::string>(), number("first"),
                       number("second"), with_interval(entry), number("p_value"));
  }
  return out;
}

}  // namespace clearway::cli
