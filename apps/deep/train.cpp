// clearway train: data, model, loop, report.
#include <sys/resource.h>
#include <torch/types.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "../interruptible.hpp"
#include "build_information.hpp"
#include "clearway/base/hash.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/progress.hpp"
#include "clearway/base/text.hpp"
#include "clearway/train/classification_task.hpp"
#include "clearway/train/communicator.hpp"
#include "clearway/train/language_task.hpp"
#include "clearway/train/loop.hpp"
#include "companions.hpp"
#include "measures.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {
namespace {

/// Largest memory that this process had, in MiB.
double peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) / 1024;
}

/// Every struct of a request that config.json holds.
template <class Do>
void for_all_options(TrainRequest& request, Do&& apply) {
  apply(request.corpus);
  apply(request.texts);
  apply(request.tokenizer);
  apply(request);
  apply(request.model);
  apply(request.loop);
  apply(request.rate);
}

/// Options of the run that is resumed, but for those given now. However many processes there were and are, the batch of a
/// step stays what it was.
void take_over_options(TrainRequest& request, const RunFolder& folder, const OptionList& options,
                       std::int64_t processes) {
  const Json before = config_of_trained_run(folder);
  static constexpr std::array<std::string_view, 6> kMayChange{"steps",    "evaluate-every",     "log-every",
                                                              "patience", "evaluation-batches", "accumulate"};
  for_all_options(request, [&](auto& part) {
    Json config = before;
    using Part = std::remove_reference_t<decltype(part)>;
    Part::visit(part, [&](std::string_view name, const auto&, const OptionInfo&) {
      if (!options.given(name)) return;
      if (std::find(kMayChange.begin(), kMayChange.end(), name) == kMayChange.end())
        user_error("--{} cannot change when a run is resumed: it would be another run; options that may are {}", name,
                   fmt::join(kMayChange, ", "));
      config.erase(snake_case(name));
    });
    options_from_config(config, part, folder.path() + "/config.json");
  });
  const std::int64_t rows = request.loop.batch * before.value("processes", std::int64_t{1});
  if (rows % processes != 0)
    user_error("{}: the batch of a step has {} rows, which {} processes cannot share equally", folder.path(), rows,
               processes);
  request.loop.batch = rows / processes;
}

class Training {
 public:
  Training(TrainRequest& request, Context& context) : request_(request), context_(context) {}

  ExitCode run() {
    RunPlace& place = request_.place;
    find_place();
    if (place.resume) {
      if (place.out.empty()) user_error("--resume needs --out, the folder of the run");
      folder_.emplace(RunFolder::open(place.out));
      take_over_options(request_, *folder_, context_.options, place_.size);
      context_.common.seed = seed_of_resumed(folder_->read_json("config.json"), context_);
    }
    if (request_.corpus.train.empty() && request_.texts.train.empty())
      user_error("--data is missing: the text to train on");
    prepare_torch(own_threads());
    torch::manual_seed(static_cast<std::uint64_t>(context_.common.seed));
    device_ = device_of(place.device);
    if (!place.resume) apply_size(request_.model, context_.options);
    request_.model.task == TaskKind::language ? prepare_language() : prepare_classification();
    if (!place.out.empty() && !place.resume && leads()) {
      folder_.emplace(RunFolder::create(place.out, place.force));
      write_config();
    }
    train::LoopCallbacks callbacks;
    callbacks.stop = stop_after_interrupt(context_.console);
    callbacks.progress = quiet_progress(context_.console);
    train::LoopResult result;
    try {
      join(callbacks.stop);
      result = train::run_training(*task_, request_.loop, request_.rate, folder_ ? &*folder_ : nullptr, place.resume,
                                   callbacks, communicator_.get(),
                                   folder_ && place.tensorboard ? folder_->file("events.out.tfevents.clearway") : "");
      for (const auto& mixture : model_->mixtures()) mixture->gather();
    } catch (const train::LostProcess&) {
      companions_.check_after_loss();
      throw;
    }
    callbacks.progress = nullptr;
    if (!leads()) return ExitCode::success;
    const ExitCode code = report(result);
    companions_.finish();
    return code;
  }

 private:
  bool leads() const { return place_.rank == 0; }

  /// Which of several processes this is: the environment's affair, or --processes makes it the first of some.
  void find_place() {
    const RunPlace& asked = request_.place;
    if (const auto found = train::place_from_environment()) {
      if (asked.processes > 1 && asked.processes != found->size)
        user_error("--processes {} does not fit WORLD_SIZE {}; leave it out where something else starts the processes",
                   asked.processes, found->size);
      place_ = *found;
    } else {
      place_.size = static_cast<int>(asked.processes);
      starts_others_ = place_.size > 1;
    }
    place_.timeout = asked.process_timeout;
  }

  /// --threads, or this process's share of the cores.
  int own_threads() const {
    const char* set = std::getenv("OMP_NUM_THREADS");
    if (context_.common.threads > 0 || (set != nullptr && *set != '\0')) return context_.common.threads;
    const char* local = std::getenv("LOCAL_WORLD_SIZE");
    const int sharing = starts_others_ ? place_.size : local != nullptr ? std::max(1, std::atoi(local)) : 1;
    return std::max(1, resolve_threads(0) / sharing);
  }

  /// Meets the other processes, if there are any, and shares out batches and experts.
  void join(const std::function<bool()>& stop) {
    if (place_.size == 1) return;
    train::JoinCallbacks callbacks;
    callbacks.listening = [&](int port) {
      if (starts_others_) companions_.start(place_.size, port);
    };
    callbacks.waiting = [&] {
      companions_.check();
      if (stop()) throw Interrupted();
    };
    communicator_ = train::join_processes(place_, callbacks);
    Json options = context_.options.json();
    for (const char* key : {"data", "valid_data", "test_data", "out", "from", "threads", "device", "quiet", "json"})
      options.erase(key);
    const std::int64_t own = static_cast<std::int64_t>(
        fnv1a(json_text(options) + fmt::format(" {} {}", train_text_.tokens.size(), train_texts_.texts.size())));
    torch::Tensor common = at::full({1}, own, at::kLong);
    communicator_->broadcast(common, 0);
    const bool differs = common.item<std::int64_t>() != own;
    torch::Tensor odd = at::full({1}, differs ? 1 : 0, at::kLong);
    communicator_->all_reduce(odd);  // so that none is left waiting
    const auto others = odd.item<std::int64_t>();
    if (differs)
      user_error("process {} of {} was started with other options or other data than process 0", place_.rank,
                 place_.size);
    if (others > 0)
      user_error("{} of the other processes were started with other options or other data than process 0", others);
    if (auto* language = dynamic_cast<train::LanguageTask*>(task_.get()))
      language->set_load_reduction([all = communicator_.get()](torch::Tensor& numbers) { all->all_reduce(numbers); });
    if (request_.place.expert_parallel)
      for (const auto& mixture : model_->mixtures()) mixture->spread(*communicator_);
  }

  void prepare_language() {
    const train::TokenizerKind kind = request_.tokenizer.kind;
    const train::CorpusText text = train::read_corpus(request_.corpus, kind);
    find_tokenizer(text.train.source, [&] { return text.train.text; });
    train_text_ = train::encode_text(text.train, *tokenizer_);
    valid_text_ = train::encode_text(text.valid, *tokenizer_);
    test_text_ = train::encode_text(text.test, *tokenizer_);
    warn_of_no_validation(valid_text_.tokens.size() >= 2, "name a text with --valid-data, or raise --valid-share");
    warn_of_unknown(train_text_.unknown, static_cast<std::int64_t>(train_text_.tokens.size()));
    make_model();
    model_->to(device_);
    train::LanguageTaskOptions options;
    options.batch = request_.loop.batch;
    options.sampling = request_.sampling;
    options.seed = static_cast<std::uint64_t>(context_.common.seed);
    options.evaluation_batches = request_.evaluation_batches;
    options.processes = place_.size;
    task_ = std::make_unique<train::LanguageTask>(model_, train_text_, valid_text_, options, measured_in_bits(kind),
                                                  device_);
  }

  void prepare_classification() {
    const train::CorpusOptions plain;
    for (const auto& [name, share, usual] : {std::tuple{"valid", request_.corpus.valid_share, plain.valid_share},
                                             std::tuple{"test", request_.corpus.test_share, plain.test_share}})
      if (share != usual && share != 0)
        user_error("--{}-share cuts a text; labelled texts are not cut: name those to hold out with --{}-data", name,
                   name);
    const train::ClassificationData data = train::read_classification(request_.texts);
    warn_of_no_validation(!data.valid.texts.empty(),
                          "labelled texts are not cut by shares: name some with --valid-data");
    labels_ = data.labels;
    find_tokenizer(data.train.source, [&] {
      std::string all;
      for (const std::string& text : data.train.texts) all += text + "\n";
      return all;
    });
    make_model();
    const std::int64_t longest = std::min(request_.texts.longest, request_.model.model.context);
    train_texts_ = train::encode_texts(data.train, *tokenizer_, longest, request_.texts.keep);
    valid_texts_ = train::encode_texts(data.valid, *tokenizer_, longest, request_.texts.keep);
    test_texts_ = train::encode_texts(data.test, *tokenizer_, longest, request_.texts.keep);
    std::int64_t unknown = 0, tokens = 0;
    for (const train::TokenIds& text : train_texts_.texts) {
      unknown += std::count(text.begin(), text.end(), tokenizer_->unknown());
      tokens += static_cast<std::int64_t>(text.size());
    }
    warn_of_unknown(unknown, tokens);
    const auto full =
        std::count_if(train_texts_.texts.begin(), train_texts_.texts.end(),
                      [&](const train::TokenIds& text) { return static_cast<std::int64_t>(text.size()) == longest; });
    if (20 * full > static_cast<std::int64_t>(train_texts_.texts.size()) && leads())
      context_.console.warn(fmt::format(
          "{} of {} texts fill all {} tokens that the model sees, and longer ones lose their {} (--context, "
          "--longest, --tokenizer word)",
          full, train_texts_.texts.size(), longest, request_.texts.keep == train::Truncation::head ? "tail" : "head"));
    classifier_ = std::make_shared<train::TextClassifier>(model_, static_cast<std::int64_t>(labels_.size()));
    classifier_->to(device_);
    task_ = std::make_unique<train::ClassificationTask>(
        classifier_, train_texts_, valid_texts_, static_cast<std::int64_t>(labels_.size()),
        request_.loop.batch * place_.size, static_cast<std::uint64_t>(context_.common.seed), device_);
  }

  /// The vocabulary of the run that is resumed or begun with, or one of its own from the text that `text` gives.
  template <class Text>
  void find_tokenizer(const std::string& source, Text&& text) {
    const std::string& from = request_.place.from;
    if (!request_.place.resume && from.empty()) {
      tokenizer_ = train::make_tokenizer(request_.tokenizer, text(), source);
      return;
    }
    const RunFolder before = RunFolder::open(request_.place.resume ? request_.place.out : from);
    tokenizer_ = train::tokenizer_from_json(before.read_json("vocabulary.json"), before.file("vocabulary.json"));
    if (request_.place.resume) return;
    train::TokenizerOptions own = request_.tokenizer;
    options_from_config(config_of_trained_run(before), own, before.file("config.json"));
    const Json of_run = options_to_json(own), asked = options_to_json(request_.tokenizer);
    train::TokenizerOptions::visit(own, [&](std::string_view name, const auto&, const OptionInfo&) {
      const std::string key = snake_case(name);
      if (context_.options.given(name) && asked.at(key) != of_run.at(key))
        user_error("--{} cannot change with --from: the symbols are those of {}", name, from);
    });
    request_.tokenizer = own;
  }

  /// Without validation no step is the best one; whoever asked for none knows.
  void warn_of_no_validation(bool has_some, std::string_view remedy) {
    const bool wanted = !(context_.options.given("valid-share") && request_.corpus.valid_share == 0);
    if (!has_some && wanted && leads())
      context_.console.warn(
          fmt::format("there is nothing to validate with: no best step is chosen, the last one is kept; {}", remedy));
  }

  /// Another run's vocabulary may not fit a text.
  void warn_of_unknown(std::int64_t unknown, std::int64_t tokens) {
    if (!request_.place.from.empty() && !request_.place.resume && unknown > 0 && leads())
      context_.console.warn(fmt::format("{} of {} tokens to train on are unknown to the vocabulary of {}", unknown,
                                        tokens, request_.place.from));
  }

  /// A new model, or with --from one with the weights of another run and its shape; options that are given change what
  /// is no matter of shape.
  void make_model() {
    const std::string& from = request_.place.from;
    const bool begins_elsewhere = !from.empty() && !request_.place.resume;
    train::NamedTensors weights;
    if (begins_elsewhere) {
      const TrainedRun before = open_trained_run(from, "", torch::Device(torch::kCPU));
      if (leads()) warn_of_last(before, "", context_);
      if (before.request.task != TaskKind::language)
        user_error("--from {}: is a classifier; begin with the run of a language model", from);
      if (context_.options.given("size") && request_.model.size != before.request.size)
        user_error("--size cannot change with --from: the shape is that of {}", from);
      weights = train::module_tensors(*before.model);
      Json shape = options_to_json(before.request);
      const Json asked = options_to_json(request_.model);
      ModelRequest::visit(request_.model, [&](std::string_view name, const auto&, const OptionInfo&) {
        const std::string key = snake_case(name);
        if (key == "task" || context_.options.given(name)) shape[key] = asked.at(key);
      });
      options_from_json(shape, request_.model, "from");
    }
    model_ = std::make_shared<deep::LanguageModel>(request_.model.model, mixture_options(request_.model),
                                                   tokenizer_->size(), request_.loop.steps);
    if (!begins_elsewhere) return;
    const torch::NoGradGuard off;
    const auto parameters = model_->named_parameters();
    for (const auto& [name, tensor] : train::module_tensors(*model_)) {
      const auto found = weights.find(name);
      if (found != weights.end() && found->second.sizes() == tensor.sizes())
        tensor.copy_(found->second);
      else if (parameters.contains(name))  // tables of schedules belong to a training, not to the weights
        user_error("--from {}: its weights do not fit the options given: '{}' is {}", from, name,
                   found == weights.end() ? "not there" : "of another size");
    }
  }

  void write_config() {
    Json config = {{"clearway", std::string(kVersion)}, {"command", "train"}};
    config.update(context_.options.json());
    for (const char* key : {"json", "quiet", "color", "config", "out", "force", "report", "resume", "threads"})
      config.erase(key);
    config["processes"] = place_.size;
    folder_->write_json("vocabulary.json", tokenizer_->to_json());
    if (!labels_.empty()) config["labels"] = labels_;
    folder_->write_json("config.json", config);
  }

  ExitCode report(const train::LoopResult& result) {
    Json summary = {
        {"task", std::string(enum_name(request_.model.task))},
        {"router", std::string(enum_name(request_.model.router.router))},
        {"parameters", model_->parameter_count()},
        {"vocabulary", tokenizer_->size()},
        {"steps", result.steps},
        {"stopped", std::string(train::to_text(result.reason))},
        {"loss", json_number_or_null(result.last_loss)},
        {"best_step", result.best_step},
        {"best", result.best_metric ? json_number_or_null(*result.best_metric) : Json()},
        {"metric", task_->metric()},
        {"seconds", result.seconds},
        {"tokens_per_second", result.training_seconds > 0
                                  ? static_cast<double>(result.scored * place_.size) / result.training_seconds
                                  : 0.0}};
    if (place_.size > 1) {
      summary["processes"] = place_.size;
      summary["communication_share"] =
          result.training_seconds > 0 ? result.communication_seconds / result.training_seconds : 0.0;
    }
    if (result.reason != train::StopReason::interrupted && result.reason != train::StopReason::diverged)
      measure(summary);
    summary["peak_memory_mib"] = peak_memory();
    const std::string text = summary_text(summary, result);
    if (folder_) {
      folder_->write_json("summary.json", summary);
      folder_->write("summary.txt", text);
    }
    context_.console.print(context_.common.json ? json_text(summary) : context_.common.quiet ? "" : text);
    switch (result.reason) {
      case train::StopReason::interrupted:
        return ExitCode::interrupted;
      case train::StopReason::diverged:
        context_.console.warn("the loss is not finite any more; try a smaller --learning-rate or --clip 1");
        return ExitCode::not_converged;
      default:
        return ExitCode::success;
    }
  }

  /// The final measure, on the best weights where a run folder kept them.
  void measure(Json& summary) {
    const torch::NoGradGuard off;
    task_->model().eval();
    if (folder_) {
      const train::CheckpointFolder checkpoints(*folder_);
      if (checkpoints.has("best"))
        train::load_into(task_->model(), checkpoints.load_model("best"), checkpoints.file("best", "model.safetensors"));
    }
    if (classifier_) {
      if (test_texts_.texts.empty()) return;
      const auto score = train::score_texts(*classifier_, test_texts_, static_cast<std::int64_t>(labels_.size()),
                                            request_.loop.batch, device_);
      summary["test"] = {{"texts", score.texts},
                         {"accuracy", score.accuracy},
                         {"log_loss", score.log_loss},
                         {"macro_f1", score.macro_f1}};
      return;
    }
    if (test_text_.tokens.size() >= 2) {
      const auto score = train::score_text(*model_, test_text_.tokens, 32, model_->options().context);
      summary["test"] = score_json(score, test_text_);
    }
    add_layers(summary, *model_, valid_text_.tokens.size() >= 2 ? valid_text_ : train_text_, device_);
  }

  std::string summary_text(const Json& summary, const train::LoopResult& result) const {
    std::string out = fmt::format("{} parameters, {} symbols, router {}: {} steps in {}, {:.0f} {}/s, {:.0f} MiB\n",
                                  summary["parameters"].get<std::int64_t>(), tokenizer_->size(),
                                  enum_name(request_.model.router.router), result.steps,
                                  duration_in_words(result.seconds), summary["tokens_per_second"].get<double>(),
                                  classifier_ ? "texts" : "tokens", summary["peak_memory_mib"].get<double>());
    if (summary.contains("processes"))
      out += fmt::format("{} processes: {:.0f} % of the training time went into communication and waiting\n",
                         summary["processes"].get<int>(), 100 * summary["communication_share"].get<double>());
    out += fmt::format("stopped: {}\n", train::to_text(result.reason));
    if (result.best_metric)
      out += fmt::format("best {}: {:.4f} at step {}\n", task_->metric(), *result.best_metric, result.best_step);
    if (summary.contains("test")) {
      const Json& test = summary["test"];
      if (classifier_)
        out += fmt::format("test: accuracy {:.4f}, log loss {:.4f}, macro F1 {:.4f} on {} texts\n",
                           test["accuracy"].get<double>(), test["log_loss"].get<double>(),
                           test["macro_f1"].get<double>(), test["texts"].get<std::int64_t>());
      else
        out += "test: " + score_text_lines(test, measured_in_bits(tokenizer_->kind()));
    }
    return summary.contains("layers") ? out + layers_table(summary) : out;
  }

  TrainRequest& request_;
  Context& context_;
  std::optional<RunFolder> folder_;
  torch::Device device_ = torch::Device(torch::kCPU);
  std::unique_ptr<train::Tokenizer> tokenizer_;
  train::EncodedText train_text_, valid_text_, test_text_;
  train::EncodedTexts train_texts_, valid_texts_, test_texts_;
  std::vector<std::string> labels_;
  std::shared_ptr<deep::LanguageModel> model_;
  std::shared_ptr<train::TextClassifier> classifier_;
  std::unique_ptr<train::TrainingTask> task_;
  train::ProcessPlace place_;
  bool starts_others_ = false;
  Companions companions_;
  std::unique_ptr<train::Communicator> communicator_;  // goes before companions_, so that they see that it is over
};

}  // namespace

ExitCode train(TrainRequest& request, Context& context) {
  return Training(request, context).run();
}

}  // namespace clearway::cli
