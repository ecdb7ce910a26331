// What the commands on sparse transformers do. Two implementations: hand_over.cpp in clearway, the others in
// clearway-train.
#pragma once

#include "../run_output.hpp"
#include "requests.hpp"

namespace clearway::cli {

ExitCode train(TrainRequest& request, Context& context);
ExitCode evaluate(EvaluateRequest& request, Context& context);
ExitCode generate(GenerateRequest& request, Context& context);
ExitCode study_collapse(CollapseRequest& request, Context& context);
ExitCode study_teacher(const Command& command, const RunOutput& output, TeacherRequest& request, Context& context);

}  // namespace clearway::cli
