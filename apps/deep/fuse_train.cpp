// clearway fuse train: specification, samples, members, calibration, measures.
#include <fmt/format.h>

#include <algorithm>

#include "../interruptible.hpp"
#include "build_information.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/io/csv.hpp"
#include "fuse_measures.hpp"
#include "fuse_predictions.hpp"
#include "fuse_run.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {
namespace {

/// Everything that config.json holds, under its own names.
Json config_json(const FuseTrainRequest& request, const fusion::FusionSpec& spec, std::uint64_t seed,
                 const std::string& samples) {
  Json out = {{"clearway", std::string(kVersion)}, {"command", "fuse train"}, {"seed", seed}};
  out["split_seed"] = spec.split.seed;
  out["samples"] = samples;
  out["level"] = request.level;
  out["risk"] = request.risk;
  out["spec"] = fusion::to_json(spec);
  out["fusion"] = options_to_json(request.model);
  out["train"] = options_to_json(request.training);
  return out;
}

/// Options and specification of the run that is resumed: nothing may change.
fusion::FusionSpec take_over(FuseTrainRequest& request, const RunFolder& folder, Context& context) {
  const std::string where = folder.path() + "/config.json";
  const Json config = fused_config(folder);
  const auto refuse = [&](std::string_view name, const auto&, const OptionInfo&) {
    if (context.options.given(name) && name != "out" && name != "resume")
      user_error("--{} cannot change when a run is resumed: it would be another run", name);
  };
  deep::FusionOptions::visit(request.model, refuse);
  train::FusionTrainingOptions::visit(request.training, refuse);
  FuseTrainRequest::visit(request, refuse);
  options_from_json(config.at("fusion"), request.model, where + ": fusion");
  options_from_json(config.at("train"), request.training, where + ": train");
  request.level = config.at("level").get<double>();
  request.risk = config.at("risk").get<double>();
  context.common.seed = seed_of_resumed(config, context);
  return fusion::spec_from_json(config.at("spec"), where + ": spec");
}

void print_notes(const Context& context, const std::vector<std::string>& notes) {
  for (const std::string& note : notes) context.console.note("note: " + note);
}

}  // namespace

ExitCode fuse_train(FuseTrainRequest& request, Context& context) {
  std::optional<RunFolder> folder;
  fusion::FusionSpec spec;
  if (request.resume) {
    if (request.out.empty()) user_error("--resume needs --out, the folder of the run");
    if (!request.spec.empty()) user_error("spec: a run that is resumed has its own specification; leave it out");
    folder.emplace(RunFolder::open(request.out));
    spec = take_over(request, *folder, context);
  } else {
    if (request.spec.empty())
      user_error("spec is missing: the JSON file that says where samples are (clearway fuse init)");
    spec = with_modalities(fusion::read_spec(request.spec), request.modalities);
    if (!spec.target) user_error("{}: target is missing: what is to be predicted", spec.origin);
    options_from_section(spec.fusion, request.model, context.options, spec.origin + ": fusion");
    options_from_section(spec.train, request.training, context.options, spec.origin + ": train");
  }
  const auto seed = static_cast<std::uint64_t>(context.common.seed);
  prepare_torch(context.common.threads);
  const auto progress = quiet_progress(context.console);
  const auto stop = stop_after_interrupt(context.console);
  fusion::ReadOptions reading;
  reading.threads = resolve_threads(context.common.threads);
  reading.progress = [&](double share) { progress(share, "reading samples"); };
  const fusion::RawData raw = fusion::read_samples(spec, reading);
  print_notes(context, raw.report.notes());
  if (request.risk > 0 && raw.target.kind != fusion::TargetKind::binary &&
      raw.target.kind != fusion::TargetKind::multiclass)
    user_error("risk must be 0 for a target of the kind {}, not {}: only an event or a class can abstain",
               enum_name(raw.target.kind), request.risk);
  const fusion::FusionSplit split = fusion::split_samples(spec, raw, spec.split.seed);
  if (request.resume) check_split(*folder, folder->read_json("config.json"), raw.ids, split);
  const auto preparation = fusion::Preparation::fit(spec, raw, split.train);
  for (const fusion::ModalityPreparation& modality : preparation.modalities())
    if (!modality.learned)
      context.console.warn(
          fmt::format("no training sample has the modality '{}': it cannot be learned, and counts as absent everywhere",
                      modality.spec.name));
  const fusion::PreparedData data = preparation.apply(raw);
  const train::FusionTensors tensors(data);
  if (!request.out.empty() && !folder) {
    folder.emplace(RunFolder::create(request.out, request.force));
    folder->write_json("config.json", config_json(request, spec, seed, split_mark(raw.ids, split)));
  }
  FusionTrainingPlan plan;
  plan.model = request.model;
  plan.training = request.training;
  plan.seed = seed;
  plan.folder = folder ? folder->path() : "";
  plan.resume = request.resume;
  plan.stop = stop;
  plan.progress = progress;
  const FusionTrainingResult result = train_ensemble(plan, data, tensors, split);
  if (result.interrupted) {
    context.console.note(
        folder ? fmt::format("interrupted; go on with clearway fuse train --out {} --resume", folder->path())
               : "interrupted");
    return ExitCode::interrupted;
  }
  if (result.diverged) {
    context.console.warn("the loss is not finite any more; try a smaller --learning-rate");
    return ExitCode::not_converged;
  }
  train::FusionEnsemble& ensemble = *result.ensemble;
  const auto valid = rows_with_outcome(tensors, split.valid);
  ensemble.calibrate(tensors, valid, request.level, request.risk);
  print_notes(context, ensemble.notes());
  const auto test = rows_with_outcome(tensors, split.test);
  FuseMeasureOptions options;
  options.seed = seed;
  options.threads = resolve_threads(context.common.threads);
  Json summary = {
      {"samples", {{"train", split.train.size()}, {"valid", split.valid.size()}, {"test", split.test.size()}}},
      {"method", std::string(enum_name(request.model.method))},
      {"parameters", ensemble.members().front()->parameter_count()},
      {"members", ensemble.members().size()},
      {"epochs", result.epochs},
      {"stopped", result.stopped},
      {"seconds", result.seconds}};
  std::string text =
      fmt::format("{} train, {} valid, {} test samples; {} modalities; {} parameters, {} {}, {} epochs, {:.1f} CPU s\n",
                  split.train.size(), split.valid.size(), split.test.size(), tensors.shapes().size(),
                  ensemble.members().front()->parameter_count(), ensemble.members().size(),
                  ensemble.members().size() == 1 ? "member" : "members", result.epochs, result.seconds);
  if (!test.empty()) {
    const Json measures = measure_fused({ensemble, tensors, test, data.groups}, options);
    summary["test"] = measures;
    text += fused_text(measures);
  }
  if (folder) {
    if (!test.empty()) folder->write("predictions.csv", csv_text(predictions_table(ensemble, tensors, data, test)));
    folder->write_json("summary.json", summary);
    folder->write("summary.txt", text);
    // Last: a run that has it is finished.
    folder->write_json("model.json", {{"clearway", std::string(kVersion)},
                                      {"spec", fusion::to_json(spec)},
                                      {"preparation", preparation.to_json()},
                                      {"fusion", options_to_json(request.model)},
                                      {"members", ensemble.members().size()},
                                      {"calibration", ensemble.calibration_json()}});
  }
  context.console.print(context.common.json ? json_text(summary) : context.common.quiet ? "" : text);
  return ExitCode::success;
}

}  // namespace clearway::cli
