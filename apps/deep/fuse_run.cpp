#include "fuse_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "clearway/base/errors.hpp"
#include "clearway/base/hash.hpp"
#include "clearway/base/text.hpp"
#include "clearway/train/checkpoint.hpp"
#include "clearway/train/loop.hpp"
#include "clearway/train/tensor_rows.hpp"

namespace clearway::cli {
namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

train::LoopOptions loop_options(const train::FusionTrainingOptions& training, std::int64_t per_epoch) {
  train::LoopOptions loop;
  loop.steps = training.epochs * per_epoch;
  loop.batch = training.batch;
  loop.clip = training.clip;
  loop.weight_decay = training.weight_decay;
  loop.beta2 = 0.99;
  loop.evaluate_every = loop.log_every = per_epoch;
  loop.patience = training.patience;
  return loop;
}

train::LearningRateOptions rate_options(const train::FusionTrainingOptions& training, std::int64_t steps) {
  train::LearningRateOptions rate;
  rate.peak = training.learning_rate;
  rate.warmup = std::llround(training.warmup * static_cast<double>(steps));
  rate.schedule = train::RateSchedule::cosine;
  rate.final_share = 0.05;
  return rate;
}

}  // namespace

fusion::FusionSpec with_modalities(fusion::FusionSpec spec, const std::vector<std::string>& names) {
  if (names.empty()) return spec;
  std::vector<std::string> known;
  for (const auto& modality : spec.modalities) known.push_back(modality.name);
  for (const std::string& name : names)
    if (std::find(known.begin(), known.end(), name) == known.end())
      user_error("modalities: {} has no modality '{}'{}; it has {}", spec.origin, name, did_you_mean(name, known),
                 short_list(known));
  std::erase_if(spec.modalities, [&](const fusion::ModalitySpec& modality) {
    return std::find(names.begin(), names.end(), modality.name) == names.end();
  });
  return spec;
}

std::string member_folder(const std::string& run, std::int64_t member) {
  return (std::filesystem::path(run) / "members" / std::to_string(member + 1)).string();
}

Json fused_config(const RunFolder& folder) {
  if (!folder.has("config.json")) user_error("{}: is no run of clearway fuse train", folder.path());
  Json config = folder.read_json("config.json");
  if (!config.is_object() || config.value("command", Json()) != "fuse train")
    user_error("{}: is no run of clearway fuse train", folder.path());
  return config;
}

std::string split_mark(const std::vector<std::string>& ids, const fusion::FusionSplit& split) {
  std::uint64_t mark = fnv1a("");
  for (const auto* rows : {&split.train, &split.valid, &split.test}) {
    std::vector<std::string> names;
    for (const std::int64_t row : *rows) names.push_back(ids[static_cast<std::size_t>(row)]);
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) mark = fnv1a("\n", fnv1a(name, mark));
    mark = fnv1a(std::string_view("\0", 1), mark);
  }
  return fmt::format("{:016x}", mark);
}

void check_split(const RunFolder& folder, const Json& config, const std::vector<std::string>& ids,
                 const fusion::FusionSplit& split) {
  const Json mark = config.value("samples", Json());
  if (mark.is_string() && mark != split_mark(ids, split))
    user_error(
        "{}: its files do not hold the samples any more that it was trained on, so that its test samples are unknown; "
        "bring them back, or name samples with --data",
        folder.path());
}

namespace {

/// The members of a run that this one replaces.
void remove_members(const std::string& run) {
  const std::filesystem::path members = std::filesystem::path(run) / "members";
  std::error_code problem;
  std::vector<std::filesystem::path> old;
  for (const auto& entry : std::filesystem::directory_iterator(members, problem)) {
    const std::string config = (entry.path() / "config.json").string();
    if (!std::filesystem::is_regular_file(config, problem)) continue;
    const Json json = read_json(config);
    if (json.is_object() && json.value("command", Json()) == "fuse train, member") old.push_back(entry.path());
  }
  for (const auto& path : old) {
    std::filesystem::remove_all(path, problem);
    if (problem) world_error("{}: cannot be removed: {}", path.string(), problem.message());
  }
}

}  // namespace

FusedRun open_fused_run(const std::string& path) {
  RunFolder folder = RunFolder::open(path);
  Json config = fused_config(folder);
  if (!folder.has("model.json"))
    user_error("{}: the run is not finished; go on with clearway fuse train --out {} --resume", path, path);
  const std::string where = path + "/model.json";
  const Json model = folder.read_json("model.json");
  JsonObject object(model, where);
  fusion::FusionSpec spec = fusion::spec_from_json(object.at("spec"), where + ": spec");
  fusion::Preparation preparation = fusion::Preparation::from_json(object.at("preparation"), where + ": preparation");
  deep::FusionOptions options;
  options_from_json(object.at("fusion"), options, where + ": fusion");
  auto ensemble = std::make_shared<train::FusionEnsemble>(options, preparation.shapes(), preparation.target());
  const std::int64_t members = object.integer("members", 1, 1000);
  for (std::int64_t i = 0; i < members; ++i) {
    const RunFolder own = RunFolder::open(member_folder(path, i));
    const train::CheckpointFolder checkpoints(own);
    auto member = ensemble->new_model(0);
    const char* which = checkpoints.has("best") ? "best" : "last";
    train::load_into(*member, checkpoints.load_model(which), checkpoints.file(which, "model.safetensors"));
    member->eval();
    ensemble->add(std::move(member));
  }
  ensemble->load_calibration(object.at("calibration"), where + ": calibration");
  object.at("clearway");
  object.finish();
  fusion::FusionSplit split;
  return {std::move(folder),      std::move(config), std::move(spec),
          std::move(preparation), std::move(split),  std::move(ensemble)};
}

FusedSamples read_fused_samples(FusedRun& run, const std::string& other, bool prediction) {
  FusedSamples out;
  out.own = other.empty();
  fusion::FusionSpec spec = run.spec;
  if (!out.own) {
    std::vector<std::string> names;
    for (const auto& modality : run.spec.modalities) names.push_back(modality.name);
    spec = with_modalities(fusion::read_spec(other), names);
    // In the order of the run, whatever that of the other specification.
    const auto place = [&](const fusion::ModalitySpec& modality) {
      return std::find(names.begin(), names.end(), modality.name) - names.begin();
    };
    std::stable_sort(spec.modalities.begin(), spec.modalities.end(),
                     [&](const auto& a, const auto& b) { return place(a) < place(b); });
  }
  fusion::ReadOptions options;
  // A run's own samples are read as they were for training: with others among them the split would be another one.
  options.prediction = prediction && !out.own;
  out.raw = fusion::read_samples(spec, options);
  out.data = run.preparation.apply(out.raw);
  out.tensors = std::make_shared<train::FusionTensors>(out.data);
  if (out.own) {
    run.split = fusion::split_samples(spec, out.raw, run.config.value("split_seed", spec.split.seed));
    check_split(run.folder, run.config, out.raw.ids, run.split);
  }
  return out;
}

void warn_of_samples(const FusedRun& run, const FusedSamples& samples, const Console& console) {
  if (!samples.own) {
    for (const std::string& note : samples.raw.report.notes()) console.note("note: " + note);
    for (const std::string& warning : samples.raw.report.warnings()) console.warn(warning);
  }
  const std::vector<std::string> names = run.preparation.not_learned(samples.raw);
  if (!names.empty())
    console.warn(fmt::format("no training sample of {} had the modality '{}', which counts as absent",
                             run.folder.path(), fmt::join(names, "', '")));
}

FusionTrainingResult train_ensemble(const FusionTrainingPlan& plan, const fusion::PreparedData& data,
                                    const train::FusionTensors& tensors, const fusion::FusionSplit& split) {
  FusionTrainingResult out;
  out.ensemble = std::make_shared<train::FusionEnsemble>(plan.model, tensors.shapes(), data.target);
  if (!plan.folder.empty() && !plan.resume) remove_members(plan.folder);
  const double start = cpu_seconds();
  for (std::int64_t i = 0; i < plan.training.members; ++i) {
    const std::uint64_t seed = plan.seed + static_cast<std::uint64_t>(i);
    const auto model = out.ensemble->new_model(seed);
    train::FusionTask task(model, tensors, data.target.kind, split.train, split.valid, plan.training, seed);
    const train::LoopOptions loop = loop_options(plan.training, task.steps_per_epoch());
    std::optional<RunFolder> folder;
    bool resume = false;
    if (!plan.folder.empty()) {
      const std::string path = member_folder(plan.folder, i);
      std::error_code none;
      const bool there = plan.resume && std::filesystem::is_regular_file(path + "/config.json", none);
      folder.emplace(there ? RunFolder::open(path) : RunFolder::create(path, plan.resume));
      resume = there && train::CheckpointFolder(*folder).has("last");
      if (!there)
        folder->write_json("config.json", Json{{"command", "fuse train, member"}, {"member", i + 1}, {"seed", seed}});
    }
    train::LoopCallbacks callbacks;
    callbacks.stop = plan.stop;
    const auto members = static_cast<double>(plan.training.members);
    if (plan.progress)
      callbacks.progress = [&](double fraction, const std::string& what) {
        plan.progress((static_cast<double>(i) + fraction) / members,
                      plan.training.members > 1 ? fmt::format("member {}, {}", i + 1, what) : what);
      };
    const train::LoopResult result = train::run_training(task, loop, rate_options(plan.training, loop.steps),
                                                         folder ? &*folder : nullptr, resume, callbacks);
    out.epochs += result.steps / task.steps_per_epoch();
    out.stopped = train::to_text(result.reason);
    out.interrupted = result.reason == train::StopReason::interrupted;
    out.diverged = out.diverged || result.reason == train::StopReason::diverged;
    if (out.interrupted || out.diverged) break;
    if (folder) {
      const train::CheckpointFolder checkpoints(*folder);
      if (checkpoints.has("best"))
        train::load_into(*model, checkpoints.load_model("best"), checkpoints.file("best", "model.safetensors"));
    } else {
      task.restore_best();
    }
    // The last step of all may have been the one that diverged: nobody looked at a loss behind it.
    if (!train::fusion_outputs(*model, tensors, train::row_tensor(split.valid)).isfinite().all().item<bool>()) {
      out.diverged = true;
      break;
    }
    model->eval();
    out.ensemble->add(model);
  }
  out.seconds = cpu_seconds() - start;
  return out;
}

}  // namespace clearway::cli
