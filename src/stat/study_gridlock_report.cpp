// Tables, CSV and JSON of the gridlock study, and the sentences that say what is seen in them.
#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "clearway/stat/study_gridlock.hpp"
#include "study_statistics.hpp"

namespace clearway {
namespace {

constexpr std::array kMethods{StudyMethod::oracle, StudyMethod::spectral, StudyMethod::em_zero, StudyMethod::em_random};
constexpr std::array kTraceColumns{0, 1, 2, 3, 5, 8, 12, 20};

double cell_median(const GridlockStudy& study, int cell, double StudyTrial::*member) {
  std::vector<double> values;
  for (const StudyTrial& trial : study.trials)
    if (trial.cell == cell) values.push_back(trial.*member);
  return detail::median(std::move(values));
}

std::string number(double value, int decimals = 4) {
  return std::isnan(value) ? std::string("-") : fmt::format("{:.{}f}", value, decimals);
}

std::string local_share(const StudySummary& summary) {
  return summary.available == 0 ? std::string("no answer")
                                : fmt::format("{}/{}", summary.local_optima, summary.available);
}

std::string cell_title(const StudyCell& cell) {
  return fmt::format("{} (g {}, {} experts, {} inputs, {} rows, noise {})", cell.name,
                     enum_name(cell.problem.expert.kind), cell.problem.experts, cell.problem.dim, cell.problem.rows,
                     cell.problem.noise);
}

void append_cell_table(const GridlockStudy& study, bool main, std::string& text) {
  text += fmt::format("{:<26}{:<10}{:>2}{:>8}  {:>9}{:>9}  {:>9}{:>9}  {:>11}{:>11}{:>11}  {:>5}{:>5}{:>5}\n", "cell",
                      "g", "k", "rows", "spectral", "gate EM", "final", "oracle", "local:spec", "local:zero",
                      "local:rand", "it:s", "it:z", "it:r");
  for (std::size_t c = 0; c < study.cells.size(); ++c) {
    const StudyCell& cell = study.cells[c];
    if (cell.main != main) continue;
    const int index = static_cast<int>(c);
    const StudySummary oracle = summarise(study, index, StudyMethod::oracle);
    const StudySummary spectral = summarise(study, index, StudyMethod::spectral);
    const StudySummary zero = summarise(study, index, StudyMethod::em_zero);
    const StudySummary random = summarise(study, index, StudyMethod::em_random);
    text += fmt::format("{:<26}{:<10}{:>2}{:>8}  {:>9}{:>9}  {:>9}{:>9}  {:>11}{:>11}{:>11}  {:>5}{:>5}{:>5}\n",
                        cell.name, enum_name(cell.problem.expert.kind), cell.problem.experts, cell.problem.rows,
                        number(cell_median(study, index, &StudyTrial::spectral_error)),
                        number(cell_median(study, index, &StudyTrial::gate_error_before_polish)),
                        number(spectral.regressor_error), number(oracle.regressor_error), local_share(spectral),
                        local_share(zero), local_share(random), number(spectral.iterations, 0),
                        number(zero.iterations, 0), number(random.iterations, 0));
  }
}

void append_traces(const GridlockStudy& study, std::string& text) {
  text += "\nMedian regressor error before iteration";
  for (const int column : kTraceColumns)
    if (column <= study.options.trace) text += fmt::format("{:>9}", column);
  text += "\n";
  for (std::size_t c = 0; c < study.cells.size(); ++c) {
    if (!study.cells[c].main) continue;
    for (const StudyMethod method : kMethods) {
      if (method == StudyMethod::oracle) continue;
      const StudySummary summary = summarise(study, static_cast<int>(c), method);
      text += fmt::format("  {:<10} {} experts  {:<14}", enum_name(study.cells[c].problem.expert.kind),
                          study.cells[c].problem.experts, enum_name(method));
      for (const int column : kTraceColumns)
        if (column < static_cast<int>(summary.trace.size()))
          text += fmt::format("{:>9.4f}", summary.trace[static_cast<std::size_t>(column)]);
      text += "\n";
    }
  }
}

struct Totals {
  int runs = 0;
  int local = 0;
  void add(const StudySummary& summary) {
    runs += summary.available;
    local += summary.local_optima;
  }
  std::string words() const {
    const auto [low, high] = detail::wilson_interval(local, runs);
    return fmt::format("{} of {} climbs ({:.1f} %, 95 % interval {:.1f} to {:.1f} %)", local, runs,
                       runs > 0 ? 100.0 * local / runs : 0.0, 100.0 * low, 100.0 * high);
  }
};

void append_findings(const GridlockStudy& study, std::string& text) {
  Totals spectral, zero, random;
  for (std::size_t c = 0; c < study.cells.size(); ++c) {
    if (!study.cells[c].main) continue;
    spectral.add(summarise(study, static_cast<int>(c), StudyMethod::spectral));
    zero.add(summarise(study, static_cast<int>(c), StudyMethod::em_zero));
    random.add(summarise(study, static_cast<int>(c), StudyMethod::em_random));
  }
  text += "\nWhat is seen (assumptions kept)\n";
  text += fmt::format("  spectral start   ended in a local optimum in {}\n", spectral.words());
  text += fmt::format("  EM, gate 0       ended in a local optimum in {}\n", zero.words());
  text += fmt::format("  EM, random gate  ended in a local optimum in {}\n", random.words());
  text +=
      "  Whoever reaches the optimum reaches the same one: the spectral start saves iterations and restarts, it does\n"
      "  not give a better estimate. EM with its gate at 0 and its noise estimated is a strong rival.\n";
}

void append_limits(const GridlockStudy& study, std::string& text) {
  text += "\nWhere an assumption is broken\n";
  append_cell_table(study, false, text);
  text += "\n";
  for (std::size_t c = 0; c < study.cells.size(); ++c) {
    const StudyCell& cell = study.cells[c];
    if (cell.main) continue;
    const int index = static_cast<int>(c);
    const StudySummary spectral = summarise(study, index, StudyMethod::spectral);
    const StudySummary zero = summarise(study, index, StudyMethod::em_zero);
    const std::string seen = spectral.available == 0
                                 ? std::string("the spectral method gave no answer")
                                 : fmt::format("spectral error {}, after joint EM {} (oracle {})",
                                               number(cell_median(study, index, &StudyTrial::spectral_error), 3),
                                               number(spectral.regressor_error),
                                               number(summarise(study, index, StudyMethod::oracle).regressor_error));
    text += fmt::format("  {}\n    {} Seen: {}; EM with gate 0 missed the optimum in {} of {}.\n", cell_title(cell),
                        cell.expectation, seen, zero.local_optima, zero.available);
  }
}

nlohmann::ordered_json json_number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

nlohmann::ordered_json summary_json(const StudySummary& summary) {
  nlohmann::ordered_json json;
  json["runs"] = summary.runs;
  json["available"] = summary.available;
  json["local_optima"] = summary.local_optima;
  json["local_optima_interval"] = {summary.local_low, summary.local_high};
  json["iterations"] = json_number(summary.iterations);
  json["regressor_error"] = json_number(summary.regressor_error);
  json["regressor_error_q10"] = json_number(summary.regressor_q10);
  json["regressor_error_q90"] = json_number(summary.regressor_q90);
  json["gate_error"] = json_number(summary.gate_error);
  json["sigma_error"] = json_number(summary.sigma_error);
  json["trace"] = nlohmann::ordered_json::array();
  for (const double value : summary.trace) json["trace"].push_back(json_number(value));
  return json;
}

}  // namespace

std::string study_text(const GridlockStudy& study) {
  std::string text = fmt::format(
      "Spectral start and EM against EM from random starts ({} trials per cell, {} random starts each)\n"
      "Columns: regressor error straight from the tensors; gate error after EM for the gate alone; regressor error "
      "after\n"
      "joint EM and of EM from the truth (medians); climbs that ended in a local optimum; iterations of joint EM "
      "(medians)."
      "\n\n",
      study.options.trials, study.options.starts);
  append_cell_table(study, true, text);
  append_traces(study, text);
  append_findings(study, text);
  if (study.options.limits) append_limits(study, text);
  return text;
}

std::string study_trials_csv(const GridlockStudy& study) {
  std::string text =
      "cell,g,experts,dim,rows,noise,trial,seed,method,start,available,spectral_error,gate_error_before_polish,"
      "mean_log_likelihood,gap,local_optimum,converged,iterations,regressor_error,gate_error,sigma_error\n";
  const auto cell_text = [](double value) { return std::isfinite(value) ? fmt::format("{}", value) : std::string(); };
  for (const StudyTrial& trial : study.trials) {
    const StudyCell& cell = study.cells[static_cast<std::size_t>(trial.cell)];
    for (const StudyRun& run : trial.runs) {
      const bool own = run.method == StudyMethod::spectral;
      text += fmt::format("{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n", cell.name,
                          enum_name(cell.problem.expert.kind), cell.problem.experts, cell.problem.dim,
                          cell.problem.rows, cell.problem.noise, trial.trial, trial.seed, enum_name(run.method),
                          run.start, run.available ? 1 : 0, own ? cell_text(trial.spectral_error) : std::string(),
                          own ? cell_text(trial.gate_error_before_polish) : std::string(),
                          cell_text(run.mean_log_likelihood), cell_text(run.gap), run.local_optimum ? 1 : 0,
                          run.converged ? 1 : 0, run.iterations, cell_text(run.regressor_error),
                          cell_text(run.gate_error), cell_text(run.sigma_error));
    }
  }
  return text;
}

std::string study_trace_csv(const GridlockStudy& study) {
  std::string text = "cell,g,experts,rows,method,iteration,median_regressor_error\n";
  for (std::size_t c = 0; c < study.cells.size(); ++c) {
    const StudyCell& cell = study.cells[c];
    for (const StudyMethod method : kMethods) {
      const StudySummary summary = summarise(study, static_cast<int>(c), method);
      for (std::size_t iteration = 0; iteration < summary.trace.size(); ++iteration)
        text +=
            fmt::format("{},{},{},{},{},{},{}\n", cell.name, enum_name(cell.problem.expert.kind), cell.problem.experts,
                        cell.problem.rows, enum_name(method), iteration, summary.trace[iteration]);
    }
  }
  return text;
}

std::string study_json(const GridlockStudy& study) {
  nlohmann::ordered_json json;
  json["study"] = "gridlock";
  json["trials"] = study.options.trials;
  json["starts"] = study.options.starts;
  json["seed"] = study.options.seed;
  json["cells"] = nlohmann::ordered_json::array();
  for (std::size_t c = 0; c < study.cells.size(); ++c) {
    const StudyCell& cell = study.cells[c];
    const int index = static_cast<int>(c);
    nlohmann::ordered_json entry;
    entry["cell"] = cell.name;
    entry["main"] = cell.main;
    entry["g"] = std::string(enum_name(cell.problem.expert.kind));
    entry["experts"] = cell.problem.experts;
    entry["dim"] = cell.problem.dim;
    entry["rows"] = cell.problem.rows;
    entry["noise"] = cell.problem.noise;
    entry["trials"] = cell.trials;
    if (!cell.expectation.empty()) entry["expectation"] = cell.expectation;
    entry["spectral_error"] = json_number(cell_median(study, index, &StudyTrial::spectral_error));
    entry["gate_error_before_polish"] = json_number(cell_median(study, index, &StudyTrial::gate_error_before_polish));
    for (const StudyMethod method : kMethods)
      entry["methods"][std::string(enum_name(method))] = summary_json(summarise(study, index, method));
    json["cells"].push_back(std::move(entry));
  }
  return json.dump(2) + "\n";
}

}  // namespace clearway
