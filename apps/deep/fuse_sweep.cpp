// clearway fuse sweep: every combination of some options, on the same re-splits, with modalities taken away at test time.
//
// The folder grows run by run (runs.jsonl) and is taken up again where it stopped.
#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "../interruptible.hpp"
#include "build_information.hpp"
#include "clearway/base/hash.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/random.hpp"
#include "clearway/base/text.hpp"
#include "clearway/core/prediction_scores.hpp"
#include "clearway/train/fusion_sweep.hpp"
#include "clearway/train/tensor_rows.hpp"
#include "fuse_measures.hpp"
#include "fuse_run.hpp"
#include "process_pool.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {
namespace {

/// Which modalities stay when those that are there, but for static ones, are taken away with this chance: rows x M. It depends on
/// the sample, the modality's name and the seed, so that all variants lose the same.
torch::Tensor with_missing(const fusion::PreparedData& data, const train::FusionTensors& tensors,
                           const std::vector<std::int64_t>& rows, double rate, std::uint64_t seed) {
  torch::Tensor present = tensors.present().index_select(0, train::row_tensor(rows)).contiguous();
  if (rate <= 0) return present;
  const auto width = static_cast<std::size_t>(present.size(1));
  float* numbers = present.data_ptr<float>();
  for (std::size_t m = 0; m < width; ++m) {
    if (tensors.shapes()[m].kind == fusion::ModalityKind::fixed) continue;
    const std::uint64_t name = fnv1a(data.modalities[m].shape.name);
    RandomStream random(seed, name + static_cast<std::uint64_t>(std::llround(rate * 1e6)));
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (random.uniform() < rate) numbers[i * width + m] = 0;
  }
  return present;
}

train::NamedScores scores_at(const train::FusionEnsemble& ensemble, const train::FusionTensors& tensors,
                             const std::vector<std::int64_t>& rows, const torch::Tensor& present) {
  const train::FusionPrediction prediction = ensemble.predict(tensors, rows, present);
  const Matrix target = ensemble.targets(tensors, rows);
  const std::vector<double> once(rows.size(), 1.0);
  train::NamedScores out;
  const auto add = [&](const std::string& name, double value) {
    if (std::isfinite(value)) out.emplace_back(name, value);
  };
  for (const train::FusionScore& score : train::fusion_scores(prediction, target, ensemble.thresholds()))
    add(score.name, score.score(once));
  const std::vector<int> there = train::modalities_there(tensors, rows, present);
  if (prediction.kind == fusion::TargetKind::binary || prediction.kind == fusion::TargetKind::multiclass) {
    std::vector<int> truth;
    for (const double value : target.col(0)) truth.push_back(static_cast<int>(value));
    add("coverage", set_scores(ensemble.sets(prediction, there), truth).coverage);
  } else if (prediction.kind == fusion::TargetKind::regression) {
    const PredictionIntervals intervals = ensemble.intervals(prediction, 0, there);
    add("coverage", interval_scores(intervals.low, intervals.high, target.col(0)).coverage);
  }
  return out;
}

fusion::PreparedData with_modalities(fusion::PreparedData data, const std::vector<std::string>& names) {
  std::erase_if(data.modalities, [&](const fusion::PreparedModality& modality) {
    return std::find(names.begin(), names.end(), modality.shape.name) == names.end();
  });
  return data;
}

class FuseSweep {
 public:
  FuseSweep(FuseSweepRequest& request, Context& context)
      : request_(request), context_(context), rates_(train::missing_rates(request.missing)) {}

  ExitCode run() {
    std::error_code none;
    const bool trained = std::filesystem::is_directory(request_.spec, none);
    return trained ? of_run() : of_spec();
  }

 private:
  /// A run that is there already: its test samples lose modalities, each rate drawn as often as there are splits.
  ExitCode of_run() {
    for (const char* name : {"vary", "out", "force", "processes", "level"})
      if (context_.options.given(name)) user_error("--{} does not apply to a run that is trained already", name);
    const auto refuse = [&](std::string_view name, const auto&, const OptionInfo&) {
      if (context_.options.given(name)) user_error("--{} does not apply to a run that is trained already", name);
    };
    prepare_torch(context_.common.threads);
    deep::FusionOptions::visit(request_.model, refuse);
    train::FusionTrainingOptions::visit(request_.training, refuse);
    FusedRun run = open_fused_run(request_.spec);
    const FusedSamples samples = read_fused_samples(run, "", false);
    const auto rows = rows_with_outcome(*samples.tensors, run.split.test);
    if (rows.empty()) user_error("{}: has no test samples to take modalities from", request_.spec);
    variants_ = {{request_.spec, {}}};
    kind_ = run.ensemble->target().kind;
    for (std::int64_t draw = 0; draw < request_.splits; ++draw) {
      train::FusionSweepRun one;
      one.variant = request_.spec;
      one.split = draw;
      one.parameters = run.ensemble->members().front()->parameter_count();
      for (const double rate : rates_)
        one.rates.emplace_back(rate,
                               scores_at(*run.ensemble, *samples.tensors, rows,
                                         with_missing(samples.data, *samples.tensors, rows, rate, seed_of(draw))));
      runs_.push_back(std::move(one));
    }
    return finish(false);
  }

  ExitCode of_spec() {
    fusion::FusionSpec spec = fusion::read_spec(request_.spec);
    if (!spec.target) user_error("{}: target is missing: what is to be predicted", spec.origin);
    options_from_section(spec.fusion, request_.model, context_.options, spec.origin + ": fusion");
    options_from_section(spec.train, request_.training, context_.options, spec.origin + ": train");
    variants_ = train::fusion_variants(request_.vary);
    std::vector<Plan> plans;
    for (const train::FusionVariant& variant : variants_) plans.push_back(plan_of(variant, spec));
    prepare_torch(1);  // a core per process
    stop_ = stop_after_interrupt(context_.console);
    const auto progress = quiet_progress(context_.console);
    open_folder(spec);
    fusion::ReadOptions reading;
    reading.threads = resolve_threads(context_.common.threads);
    reading.progress = [&](double share) { progress(share, "reading samples"); };
    const fusion::RawData raw = fusion::read_samples(spec, reading);
    for (const std::string& note : raw.report.notes()) context_.console.note("note: " + note);
    kind_ = raw.target.kind;
    if (!spec.split.column.empty() && request_.splits > 1)
      context_.console.note(
          fmt::format("note: the column '{}' says which samples are tested, so that splits differ by seed only and "
                      "intervals of differences are no statement about other samples",
                      spec.split.column));
    const std::size_t total = variants_.size() * static_cast<std::size_t>(request_.splits);
    for (std::int64_t split = 0; split < request_.splits; ++split) {
      std::vector<std::size_t> waiting;
      for (std::size_t v = 0; v < variants_.size(); ++v)
        if (!done(variants_[v].name, split)) waiting.push_back(v);
      if (waiting.empty()) continue;
      const fusion::FusionSplit rows = fusion::split_samples(spec, raw, seed_of(split));
      const auto preparation = fusion::Preparation::fit(spec, raw, rows.train);
      const fusion::PreparedData data = preparation.apply(raw);
      const auto job = [&](std::size_t i) {
        return json_text(train::fusion_run_json(one_run(plans[waiting[i]], data, rows, split)), -1);
      };
      const auto result = [&](std::size_t, const std::string& text) {
        runs_.push_back(train::fusion_run_from_json(parse_json(text, "a run"), "a run"));
        if (lines_) lines_->write(text);
        progress(static_cast<double>(runs_.size()) / static_cast<double>(total),
                 fmt::format("{} of {} runs", runs_.size(), total));
      };
      const auto at_once = static_cast<std::size_t>(request_.processes > 0 ? request_.processes
                                                                           : resolve_threads(context_.common.threads));
      if (!run_in_processes(waiting.size(), at_once, job, result, stop_)) return finish(true);
    }
    return finish(false);
  }

  struct Plan {
    std::string name;
    deep::FusionOptions model;
    train::FusionTrainingOptions training;
    std::vector<std::string> modalities;
  };

  Plan plan_of(const train::FusionVariant& variant, const fusion::FusionSpec& spec) const {
    Plan plan{variant.name, request_.model, request_.training, {}};
    std::vector<std::string> used;
    train::apply_variant(variant, plan.model, used);
    train::apply_variant(variant, plan.training, used);
    for (const auto& [name, value] : variant.settings) {
      if (std::find(used.begin(), used.end(), name) != used.end()) continue;
      if (name != "modalities") {
        std::vector<std::string> known{"modalities"};
        const auto collect = [&](std::string_view option, const auto&, const OptionInfo&) {
          known.emplace_back(option);
        };
        deep::FusionOptions::visit(plan.model, collect);
        train::FusionTrainingOptions::visit(plan.training, collect);
        user_error("vary: there is no option '{}'{}", name, did_you_mean(name, known));
      }
      for (std::size_t begin = 0; begin <= value.size();) {
        const std::size_t plus = std::min(value.find('+', begin), value.size());
        plan.modalities.push_back(value.substr(begin, plus - begin));
        begin = plus + 1;
      }
      cli::with_modalities(spec, plan.modalities);  // refuses names that are not there
    }
    return plan;
  }

  /// In a process of its own.
  train::FusionSweepRun one_run(const Plan& plan, const fusion::PreparedData& all, const fusion::FusionSplit& rows,
                                std::int64_t split) const {
    const fusion::PreparedData fewer =
        plan.modalities.empty() ? fusion::PreparedData() : with_modalities(all, plan.modalities);
    const fusion::PreparedData& data = plan.modalities.empty() ? all : fewer;
    const train::FusionTensors tensors(data);
    const auto test = rows_with_outcome(tensors, rows.test);
    if (test.empty()) user_error("split: no sample is left for test, so that there is nothing to compare by");
    FusionTrainingPlan training;
    training.model = plan.model;
    training.training = plan.training;
    training.seed = seed_of(split);
    const FusionTrainingResult trained = train_ensemble(training, data, tensors, rows);
    if (trained.diverged) world_error("{}: the loss is not finite any more; try a smaller --learning-rate", plan.name);
    trained.ensemble->calibrate(tensors, rows_with_outcome(tensors, rows.valid), request_.level, 0);
    train::FusionSweepRun out;
    out.variant = plan.name;
    out.split = split;
    out.test_share = static_cast<double>(test.size()) / static_cast<double>(rows.train.size());
    out.parameters = trained.ensemble->members().front()->parameter_count() * plan.training.members;
    out.epochs = trained.epochs;
    out.seconds = trained.seconds;
    for (const double rate : rates_)
      out.rates.emplace_back(
          rate, scores_at(*trained.ensemble, tensors, test, with_missing(data, tensors, test, rate, seed_of(split))));
    return out;
  }

  std::uint64_t seed_of(std::int64_t split) const {
    return static_cast<std::uint64_t>(context_.common.seed) + 1000 * static_cast<std::uint64_t>(split);
  }

  bool done(const std::string& variant, std::int64_t split) const {
    return std::any_of(runs_.begin(), runs_.end(),
                       [&](const auto& run) { return run.variant == variant && run.split == split; });
  }

  /// Makes the folder, or takes up a study of equal options; variants and splits may be added.
  void open_folder(const fusion::FusionSpec& spec) {
    if (request_.out.empty()) return;
    const Json config = {{"clearway", std::string(kVersion)},
                         {"command", "fuse sweep"},
                         {"seed", context_.common.seed},
                         {"missing", request_.missing},
                         {"level", request_.level},
                         {"spec", fusion::to_json(spec)},
                         {"fusion", options_to_json(request_.model)},
                         {"train", options_to_json(request_.training)}};
    std::error_code none;
    if (!request_.force &&
        std::filesystem::is_regular_file(std::filesystem::path(request_.out) / "config.json", none)) {
      folder_.emplace(RunFolder::open(request_.out));
      const Json before = folder_->read_json("config.json");
      for (const auto& [key, value] : config.items())
        if (key != "clearway" && (!before.contains(key) || before[key] != value))
          user_error("{}: holds a study with another '{}'; choose another folder, or --force to replace it",
                     request_.out, key);
    } else {
      folder_.emplace(RunFolder::create(request_.out, request_.force));
      folder_->write_json("config.json", config);
    }
    const std::string path = folder_->file("runs.jsonl");
    if (std::filesystem::exists(path)) {
      // A crash may have torn the last line: its run is done again.
      const std::string bytes = read_file(path);
      const std::size_t whole = bytes.rfind('\n') + 1;  // 0 without any
      if (whole < bytes.size()) write_file(path, std::string_view(bytes).substr(0, whole));
      for (const Json& line : read_json_lines(path)) runs_.push_back(train::fusion_run_from_json(line, path));
    }
    if (!runs_.empty()) context_.console.note(fmt::format("{} runs are there already; going on", runs_.size()));
    lines_.emplace(path);
  }

  ExitCode finish(bool interrupted) {
    const auto rows = train::fusion_sweep_table(runs_, variants_);
    const std::string text = train::fusion_sweep_text(rows, kind_);
    const Json summary = {
        {"kind", std::string(enum_name(kind_))}, {"rows", train::fusion_sweep_json(rows)}, {"runs", runs_.size()}};
    if (folder_) {
      folder_->write("summary.txt", text);
      folder_->write("sweep.md", train::fusion_sweep_markdown(rows, kind_));
      folder_->write_json("summary.json", summary);
    }
    context_.console.print(context_.common.json ? json_text(summary) : text);
    return interrupted ? ExitCode::interrupted : ExitCode::success;
  }

  FuseSweepRequest& request_;
  Context& context_;
  std::vector<double> rates_;
  fusion::TargetKind kind_ = fusion::TargetKind::binary;
  std::vector<train::FusionVariant> variants_;
  std::vector<train::FusionSweepRun> runs_;
  std::optional<RunFolder> folder_;
  std::optional<AppendingFile> lines_;
  std::function<bool()> stop_;
};

}  // namespace

ExitCode fuse_sweep(FuseSweepRequest& request, Context& context) {
  return FuseSweep(request, context).run();
}

}  // namespace clearway::cli
