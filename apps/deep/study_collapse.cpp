// clearway study collapse: train every router with every seed, and tabulate.
//
// The folder grows run by run (runs.jsonl) and is taken up again where it stopped.
#include <torch/types.h>

#include <algorithm>
#include <ctime>
#include <filesystem>

#include "../interruptible.hpp"
#include "build_information.hpp"
#include "clearway/train/language_task.hpp"
#include "clearway/train/loop.hpp"
#include "clearway/train/study_collapse.hpp"
#include "measures.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {
namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

class CollapseStudy {
 public:
  CollapseStudy(CollapseRequest& request, Context& context) : request_(request), context_(context) {}

  ExitCode run() {
    TrainRequest& training = request_.train;
    if (training.corpus.train.empty()) user_error("--data is missing: the text to train on");
    for (const std::string& router : request_.routers) enum_value<deep::RouterKind>("routers", router);
    for (const char* name :
         {"task", "device", "processes", "expert-parallel", "from", "resume", "tensorboard", "patience"})
      if (context_.options.given(name))
        user_error(
            "--{} does not apply: the study trains language models from nothing, to the end, in one process on the CPU",
            name);
    if (request_.routers.empty()) user_error("routers must name at least one router");
    prepare_torch(context_.common.threads);
    apply_size(training.model, context_.options);
    const auto kind = training.tokenizer.kind;
    const train::CorpusText text = train::read_corpus(training.corpus, kind);
    tokenizer_ = train::make_tokenizer(training.tokenizer, text.train.text, text.train.source);
    train_text_ = train::encode_text(text.train, *tokenizer_);
    valid_text_ = train::encode_text(text.valid, *tokenizer_);
    test_text_ = train::encode_text(text.test, *tokenizer_);
    if (test_text_.tokens.size() < 2) user_error("there is no test text to compare routers on; raise --test-share");
    open_folder();
    const auto stop = stop_after_interrupt(context_.console);
    const std::size_t total = request_.routers.size() * static_cast<std::size_t>(request_.seeds);
    for (std::int64_t i = 0; i < request_.seeds; ++i)
      for (const std::string& router : request_.routers) {
        const std::int64_t seed = context_.common.seed + i;
        if (done(router, seed)) continue;
        train::CollapseRun result;
        if (!one_run(router, seed, static_cast<double>(runs_.size()) / static_cast<double>(total),
                     1.0 / static_cast<double>(total), stop, result))
          return finish(true);
        runs_.push_back(result);
        if (lines_) lines_->write(json_text(train::collapse_run_json(result), -1));
      }
    return finish(false);
  }

 private:
  bool done(const std::string& router, std::int64_t seed) const {
    return std::any_of(runs_.begin(), runs_.end(),
                       [&](const auto& run) { return run.router == router && run.seed == seed; });
  }

  /// Makes the folder, or takes up a study of equal options.
  void open_folder() {
    const RunPlace& place = request_.train.place;
    if (place.out.empty()) return;
    Json config = {{"clearway", std::string(kVersion)}, {"command", "study collapse"}};
    config.update(context_.options.json());
    for (const char* key :
         {"json", "quiet", "color", "config", "out", "force", "report", "resume", "threads", "routers", "seeds"})
      config.erase(key);
    std::error_code none;
    if (!place.force && std::filesystem::is_regular_file(std::filesystem::path(place.out) / "config.json", none)) {
      folder_.emplace(RunFolder::open(place.out));
      Json before = folder_->read_json("config.json");
      for (const auto& [key, value] : config.items())
        if (key != "clearway" && before.contains(key) && before[key] != value)
          user_error("{}: holds a study with another '{}'; choose another folder, or --force to replace it", place.out,
                     key);
    } else {
      folder_.emplace(RunFolder::create(place.out, place.force));
      folder_->write_json("config.json", config);
    }
    const std::string path = folder_->file("runs.jsonl");
    if (std::filesystem::exists(path))
      for (const Json& line : read_json_lines(path)) runs_.push_back(train::collapse_run_from_json(line, path));
    if (!runs_.empty()) context_.console.note(fmt::format("{} runs are there already; going on", runs_.size()));
    lines_.emplace(path);
  }

  std::shared_ptr<deep::LanguageModel> make_model(const std::string& router, std::int64_t seed,
                                                  std::int64_t steps) const {
    ModelRequest model = request_.train.model;
    model.router.router = enum_value<deep::RouterKind>("routers", router);
    torch::manual_seed(static_cast<std::uint64_t>(seed));
    return std::make_shared<deep::LanguageModel>(model.model, mixture_options(model), tokenizer_->size(), steps);
  }

  static std::int64_t evaluations(const deep::LanguageModel& model) {
    std::int64_t out = 0;
    for (const auto& layer : model.mixtures()) out += layer->experts().evaluations();
    return out;
  }

  /// Cost of a step of a router in the unit of the budget, from a short training of its own.
  double cost_per_step(const std::string& router) {
    const auto found = cost_.find(router);
    if (found != cost_.end()) return found->second;
    train::LoopOptions loop = request_.train.loop;
    loop.steps = std::clamp<std::int64_t>(loop.steps / 10, 10, 200);
    loop.evaluate_every = loop.log_every = loop.steps + 1;
    const auto model = make_model(router, 0, loop.steps);
    train::EncodedText nothing;
    train::LanguageTask task(model, train_text_, nothing, task_options(0), true, torch::Device(torch::kCPU));
    const double start = cpu_seconds();
    train::run_training(task, loop, request_.train.rate, nullptr, false);
    const double seconds = cpu_seconds() - start;
    const double cost = (request_.budget == Budget::seconds ? seconds : static_cast<double>(evaluations(*model))) /
                        static_cast<double>(loop.steps);
    return cost_[router] = cost;
  }

  std::int64_t steps_of(const std::string& router) {
    const std::int64_t steps = request_.train.loop.steps;
    if (request_.budget == Budget::steps) return steps;
    return train::steps_of_equal_cost(steps, cost_per_step(request_.routers.front()), cost_per_step(router));
  }

  train::LanguageTaskOptions task_options(std::int64_t seed) const {
    train::LanguageTaskOptions options;
    options.batch = request_.train.loop.batch;
    options.sampling = request_.train.sampling;
    options.seed = static_cast<std::uint64_t>(seed);
    options.evaluation_batches = request_.train.evaluation_batches;
    return options;
  }

  bool one_run(const std::string& router, std::int64_t seed, double begin, double share,
               const std::function<bool()>& stop, train::CollapseRun& out) {
    train::LoopOptions loop = request_.train.loop;
    loop.steps = steps_of(router);
    loop.evaluate_every = loop.log_every = loop.steps + 1;
    const auto model = make_model(router, seed, loop.steps);
    train::EncodedText nothing;  // the last weights are compared, not the best: nothing is selected
    train::LanguageTask task(model, train_text_, nothing, task_options(seed), true, torch::Device(torch::kCPU));
    train::LoopCallbacks callbacks;
    callbacks.stop = stop;
    const auto draw = quiet_progress(context_.console);
    callbacks.progress = [&](double fraction, const std::string& what) {
      draw(begin + share * fraction, fmt::format("{}, seed {}: {}", router, seed, what));
    };
    const double start = cpu_seconds();
    const train::LoopResult result = train::run_training(task, loop, request_.train.rate, nullptr, false, callbacks);
    if (result.reason == train::StopReason::interrupted) return false;
    out.seconds = cpu_seconds() - start;
    out.router = router;
    out.seed = seed;
    out.steps = result.steps;
    const double layers = static_cast<double>(std::max<std::size_t>(1, model->mixtures().size()));
    out.evaluations_per_token =
        static_cast<double>(evaluations(*model)) / std::max(1.0, static_cast<double>(result.scored) * layers);
    const torch::NoGradGuard off;
    model->eval();
    const auto context = model->options().context;
    out.bits = train::score_text(*model, test_text_.tokens, 32, context).bits_per_token();
    out.layers =
        diagnose_text(*model, valid_text_.tokens.size() >= 2 ? valid_text_ : test_text_, torch::Device(torch::kCPU));
    for (const auto& layer : model->mixtures()) layer->decide_by_response(true);
    out.bits_by_competition = train::score_text(*model, test_text_.tokens, 32, context).bits_per_token();
    return true;
  }

  ExitCode finish(bool interrupted) {
    const auto rows = train::collapse_table(runs_, request_.routers);
    const std::string text = train::collapse_text(rows);
    const Json summary = {{"rows", train::collapse_json(rows)}, {"runs", runs_.size()}};
    if (folder_) {
      folder_->write("summary.txt", text);
      folder_->write("collapse.md", train::collapse_markdown(rows));
      folder_->write_json("summary.json", summary);
    }
    context_.console.print(context_.common.json ? json_text(summary) : text);
    return interrupted ? ExitCode::interrupted : ExitCode::success;
  }

  CollapseRequest& request_;
  Context& context_;
  std::unique_ptr<train::Tokenizer> tokenizer_;
  train::EncodedText train_text_, valid_text_, test_text_;
  std::optional<RunFolder> folder_;
  std::optional<AppendingFile> lines_;
  std::vector<train::CollapseRun> runs_;
  std::map<std::string, double> cost_;
};

}  // namespace

ExitCode study_collapse(CollapseRequest& request, Context& context) {
  return CollapseStudy(request, context).run();
}

}  // namespace clearway::cli
