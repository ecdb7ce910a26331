#include "clearway/stat/study_selection.hpp"

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "clearway/base/parallel.hpp"
#include "study_statistics.hpp"
#include "text_table.hpp"

namespace clearway {
namespace {

constexpr SelectionCriterion kCounted[] = {SelectionCriterion::bic, SelectionCriterion::aic, SelectionCriterion::aicc,
                                           SelectionCriterion::sabic, SelectionCriterion::icl};

int chosen_by(const SelectionResult& result, SelectionCriterion criterion) {
  for (const CriterionChoice& choice : result.choices)
    if (choice.criterion == criterion) return result.candidates[choice.candidate].experts;
  return 0;
}

std::string percent(double share) {
  return fmt::format("{:.0f} %", 100 * share);
}

/// "98 %" of a requirement and whether it is met; "-" without one.
std::string requirement(const SelectionTally& tally) {
  return tally.required > 0 ? fmt::format(">= {}", percent(tally.required)) : std::string("-");
}

double share_right(const SelectionTally& tally, int true_experts) {
  return static_cast<double>(tally.count(true_experts)) / static_cast<double>(tally.chosen.size());
}

std::string interval(const SelectionTally& tally, int true_experts) {
  const auto [low, high] = detail::wilson_interval(tally.count(true_experts), static_cast<int>(tally.chosen.size()));
  return fmt::format("{:.0f} to {:.0f} %", 100 * low, 100 * high);
}

std::string setting(const SelectionStudy& study) {
  return fmt::format("{} draws of the scenario {}, {} rows, {} true experts, 1 to {} fitted", study.options.trials,
                     enum_name(study.options.scenario), study.options.rows, study.true_experts, study.options.largest);
}

}  // namespace

int SelectionTally::count(int experts) const {
  return static_cast<int>(std::count(chosen.begin(), chosen.end(), experts));
}

bool SelectionStudy::all_met() const {
  return std::all_of(tallies.begin(), tallies.end(),
                     [&](const SelectionTally& tally) { return share_right(tally, true_experts) >= tally.required; });
}

SelectionStudy run_selection_study(const SelectionStudyOptions& options, const ProgressCallback& progress) {
  check_options(options);
  SelectionStudy study;
  study.options = options;
  const auto trials = static_cast<std::size_t>(options.trials);
  for (const SelectionCriterion criterion : kCounted)
    study.tallies.push_back({std::string(enum_name(criterion)), std::vector<int>(trials),
                             criterion == SelectionCriterion::bic ? options.required_bic : 0.0});
  study.tallies.push_back({"dendrogram, shares", std::vector<int>(trials), options.required_dendrogram});
  study.tallies.push_back({"dendrogram, intercepts (as published)", std::vector<int>(trials), 0.0});
  std::vector<int> repairs(trials), truths(trials);
  std::mutex mutex;
  int finished = 0;
  parallel_for(trials, options.threads, [&](std::size_t trial) {
    ScenarioOptions scenario;
    scenario.scenario = options.scenario;
    scenario.rows = options.rows;
    scenario.seed = options.seed + static_cast<std::int64_t>(trial);
    const Problem problem = make_problem(scenario);
    truths[trial] = problem.truth.expert_count();
    SelectionOptions selection;
    selection.experts = fmt::format("1:{}", options.largest);
    selection.folds = 0;
    selection.fit.seed = scenario.seed;
    selection.fit.threads = 1;
    const CandidateFamily family{problem.truth.gate.spec(), problem.truth.experts.front().spec(), &problem.data};
    const SelectionResult result = select_model({family}, selection);
    for (std::size_t i = 0; i < std::size(kCounted); ++i)
      study.tallies[i].chosen[trial] = chosen_by(result, kCounted[i]);
    repairs[trial] = result.monotone_repairs;
    if (result.dendrogram) {
      study.tallies[std::size(kCounted)].chosen[trial] = result.dendrogram->chosen;
      study.tallies[std::size(kCounted) + 1].chosen[trial] =
          model_dendrogram(result.dendrogram->levels.front(), problem.data, DendrogramWeights::intercepts).chosen;
    }
    const std::lock_guard lock(mutex);
    if (progress) progress(++finished / static_cast<double>(trials), fmt::format("{} draws", finished));
  });
  study.true_experts = truths.front();
  for (const int count : repairs) study.monotone_repairs += count;
  return study;
}

std::string selection_study_text(const SelectionStudy& study) {
  detail::TextTable table(110);
  for (int k = 1; k <= study.options.largest; ++k) table.column(fmt::format("K={}", k));
  table.column("right");
  table.column("95 % interval");
  table.column("required");
  for (const SelectionTally& tally : study.tallies) {
    table.begin_row(tally.criterion);
    for (int k = 1; k <= study.options.largest; ++k) table.cell(std::to_string(tally.count(k)));
    table.cell(percent(share_right(tally, study.true_experts)));
    table.cell(interval(tally, study.true_experts));
    table.cell(requirement(tally));
  }
  return setting(study) + "\n\nchosen\n" + table.text() +
         fmt::format("\nFits repeated because the likelihood fell along the number of experts: {}.\n",
                     study.monotone_repairs);
}

std::string selection_study_markdown(const SelectionStudy& study) {
  std::string out = "| criterion |";
  for (int k = 1; k <= study.options.largest; ++k) out += fmt::format(" K={} |", k);
  out += " right | 95 % interval | required | verdict |\n|---|";
  for (int k = 0; k < study.options.largest + 4; ++k) out += "---|";
  out += "\n";
  for (const SelectionTally& tally : study.tallies) {
    out += fmt::format("| {} |", tally.criterion);
    for (int k = 1; k <= study.options.largest; ++k) out += fmt::format(" {} |", tally.count(k));
    const bool met = share_right(tally, study.true_experts) >= tally.required;
    out += fmt::format(" {} | {} | {} | {} |\n", percent(share_right(tally, study.true_experts)),
                       interval(tally, study.true_experts), requirement(tally),
                       tally.required > 0 ? (met ? "met" : "NOT met") : "-");
  }
  return out + fmt::format("\n{}.\n", setting(study));
}

std::string selection_study_csv(const SelectionStudy& study) {
  std::string out = "trial,criterion,chosen\n";
  for (const SelectionTally& tally : study.tallies)
    for (std::size_t trial = 0; trial < tally.chosen.size(); ++trial)
      out += fmt::format("{},\"{}\",{}\n", trial + 1, tally.criterion, tally.chosen[trial]);
  return out;
}

std::string selection_study_json(const SelectionStudy& study) {
  nlohmann::ordered_json json;
  json["scenario"] = std::string(enum_name(study.options.scenario));
  json["rows"] = study.options.rows;
  json["trials"] = study.options.trials;
  json["true_experts"] = study.true_experts;
  json["monotone_repairs"] = study.monotone_repairs;
  json["all_met"] = study.all_met();
  json["criteria"] = nlohmann::ordered_json::array();
  for (const SelectionTally& tally : study.tallies) {
    nlohmann::ordered_json counts = nlohmann::ordered_json::object();
    for (int k = 1; k <= study.options.largest; ++k) counts[std::to_string(k)] = tally.count(k);
    json["criteria"].push_back({{"criterion", tally.criterion},
                                {"chosen", counts},
                                {"right", share_right(tally, study.true_experts)},
                                {"required", tally.required}});
  }
  return json.dump(2) + "\n";
}

}  // namespace clearway
