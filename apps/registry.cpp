#include "registry.hpp"

namespace clearway::cli {

std::vector<std::unique_ptr<Command>> all_commands() {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(make_fit_command());
  commands.push_back(make_predict_command());
  commands.push_back(make_bootstrap_command());
  commands.push_back(make_test_command());
  commands.push_back(make_diagnose_command());
  commands.push_back(make_select_command());
  commands.push_back(make_simulate_command());
  commands.push_back(make_compare_command());
  commands.push_back(make_report_command());
  commands.push_back(make_study_gridlock_command());
  commands.push_back(make_study_acceptance_command());
  commands.push_back(make_study_identifiability_command());
  commands.push_back(make_study_rates_command());
  commands.push_back(make_study_selection_command());
  commands.push_back(make_study_coverage_command());
  commands.push_back(make_train_command());
  commands.push_back(make_evaluate_command());
  commands.push_back(make_generate_command());
  commands.push_back(make_study_collapse_command());
  commands.push_back(make_study_teacher_command());
  commands.push_back(make_fuse_init_command());
  commands.push_back(make_fuse_synthetic_command());
  commands.push_back(make_fuse_train_command());
  commands.push_back(make_fuse_evaluate_command());
  commands.push_back(make_fuse_predict_command());
  commands.push_back(make_fuse_sweep_command());
  commands.push_back(make_help_command());
  commands.push_back(make_document_command());
  return commands;
}

}  // namespace clearway::cli
