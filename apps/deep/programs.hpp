// What the commands that need torch do. Two implementations: hand_over.cpp in clearway, the others in
// clearway-train.
#pragma once

#include "../run_output.hpp"
#include "fuse_requests.hpp"
#include "requests.hpp"

namespace clearway::cli {

ExitCode train(TrainRequest& request, Context& context);
ExitCode evaluate(EvaluateRequest& request, Context& context);
ExitCode generate(GenerateRequest& request, Context& context);
ExitCode study_collapse(CollapseRequest& request, Context& context);
ExitCode fuse_train(FuseTrainRequest& request, Context& context);
ExitCode fuse_evaluate(FuseEvaluateRequest& request, Context& context);
ExitCode fuse_predict(FusePredictRequest& request, Context& context);
ExitCode fuse_sweep(FuseSweepRequest& request, Context& context);
ExitCode study_teacher(const Command& command, const RunOutput& output, TeacherRequest& request, Context& context);

}  // namespace clearway::cli
