// The one place that knows every subcommand. To add one: its make_ function below and one line in registry.cpp.
#pragma once

#include <memory>
#include <vector>

#include "command.hpp"

namespace clearway::cli {

std::unique_ptr<Command> make_fit_command();
std::unique_ptr<Command> make_predict_command();
std::unique_ptr<Command> make_select_command();
std::unique_ptr<Command> make_simulate_command();
std::unique_ptr<Command> make_compare_command();
std::unique_ptr<Command> make_bootstrap_command();
std::unique_ptr<Command> make_test_command();
std::unique_ptr<Command> make_diagnose_command();
std::unique_ptr<Command> make_report_command();
std::unique_ptr<Command> make_study_gridlock_command();
std::unique_ptr<Command> make_study_acceptance_command();
std::unique_ptr<Command> make_study_identifiability_command();
std::unique_ptr<Command> make_study_rates_command();
std::unique_ptr<Command> make_study_selection_command();
std::unique_ptr<Command> make_study_coverage_command();
std::unique_ptr<Command> make_train_command();
std::unique_ptr<Command> make_evaluate_command();
std::unique_ptr<Command> make_generate_command();
std::unique_ptr<Command> make_study_collapse_command();
std::unique_ptr<Command> make_study_teacher_command();
std::unique_ptr<Command> make_fuse_init_command();
std::unique_ptr<Command> make_fuse_synthetic_command();
std::unique_ptr<Command> make_fuse_train_command();
std::unique_ptr<Command> make_fuse_evaluate_command();
std::unique_ptr<Command> make_fuse_predict_command();
std::unique_ptr<Command> make_fuse_sweep_command();
std::unique_ptr<Command> make_help_command();
std::unique_ptr<Command> make_document_command();

/// Every subcommand, in the order of help.
std::vector<std::unique_ptr<Command>> all_commands();

}  // namespace clearway::cli
