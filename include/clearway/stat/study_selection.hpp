// How often each criterion chooses the right number of experts: the published model of two crossing lines (scenario
// lambda; Nguyen, Nguyen and Ho, NeurIPS 2023) or any other scenario, many draws, every number of experts fitted.
#pragma once

#include <string>
#include <vector>

#include "clearway/stat/scenario.hpp"
#include "clearway/stat/selection.hpp"

namespace clearway {

struct SelectionStudyOptions {
  ScenarioKind scenario = ScenarioKind::lambda;
  std::int64_t rows = 10000;
  int largest = 4;
  int trials = 100;
  double required_bic = 0.98;
  double required_dendrogram = 0.90;
  std::int64_t seed = 1;
  int threads = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("scenario", self.scenario, OptionInfo{.help = "named problem that is drawn"});
    field("rows", self.rows, OptionInfo{.help = "rows of a draw", .minimum = 50});
    field("largest", self.largest, OptionInfo{.help = "largest number of experts fitted", .minimum = 2, .maximum = 50});
    field("trials", self.trials, OptionInfo{.help = "draws", .minimum = 1, .maximum = 100000});
    field("required-bic", self.required_bic,
          OptionInfo{.help = "share of draws that BIC must get right", .minimum = 0, .maximum = 1});
    field("required-dendrogram", self.required_dendrogram,
          OptionInfo{.help = "share of draws that the dendrogram must get right", .minimum = 0, .maximum = 1});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads, OptionInfo{.help = "threads; 0 uses all cores", .minimum = 0});
  }
};

/// The number of experts that one criterion chose in every draw; 0 where it chose none.
struct SelectionTally {
  std::string criterion;
  std::vector<int> chosen;
  double required = 0;  ///< share that must be right; 0: for information

  int count(int experts) const;
};

struct SelectionStudy {
  SelectionStudyOptions options;
  int true_experts = 0;
  std::vector<SelectionTally> tallies;
  int monotone_repairs = 0;
  bool all_met() const;
};

/// Results do not depend on the number of threads.
SelectionStudy run_selection_study(const SelectionStudyOptions& options, const ProgressCallback& progress = {});

std::string selection_study_text(const SelectionStudy& study);
std::string selection_study_markdown(const SelectionStudy& study);
std::string selection_study_csv(const SelectionStudy& study);
std::string selection_study_json(const SelectionStudy& study);

}  // namespace clearway
