// clearway evaluate: a text, or labelled texts, measured.
#include <fmt/format.h>

#include <cmath>

#include "../interruptible.hpp"
#include "clearway/train/classification_task.hpp"
#include "clearway/train/language_task.hpp"
#include "measures.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {
namespace {

Json evaluate_classifier(const EvaluateRequest& request, Context& context, TrainedRun& run,
                         const torch::Device& device) {
  train::ClassificationOptions texts;
  options_from_config(run.config, texts, request.run + "/config.json");
  const auto labels = run.config.at("labels").get<std::vector<std::string>>();
  // The training set tells which labels there are.
  if (!request.data.empty()) texts.test = request.data;
  if (texts.test.empty()) user_error("--data is missing: the run has no test data of its own");
  const train::ClassificationData data = train::read_classification(texts);
  if (data.labels != labels) user_error("{}: its labels are not those that the run was trained with", texts.train);
  auto classifier = std::make_shared<train::TextClassifier>(run.model, static_cast<std::int64_t>(labels.size()));
  const train::CheckpointFolder checkpoints(run.folder);
  const std::string file = checkpoints.file(run.which, "model.safetensors");
  train::load_into(*classifier, checkpoints.load_model(run.which), file);
  require_finite(*classifier, file);
  classifier->to(device);
  classifier->eval();
  const auto encoded =
      train::encode_texts(data.test, *run.tokenizer, std::min(texts.longest, run.model->options().context), texts.keep);
  const auto score = train::score_texts(*classifier, encoded, static_cast<std::int64_t>(labels.size()), 32, device);
  (void)context;
  return {{"data", texts.test},
          {"texts", score.texts},
          {"accuracy", score.accuracy},
          {"log_loss", score.log_loss},
          {"macro_f1", score.macro_f1}};
}

}  // namespace

ExitCode evaluate(EvaluateRequest& request, Context& context) {
  prepare_torch(context.common.threads);
  const torch::Device device = device_of(request.device);
  const std::string asked = context.options.given("checkpoint") ? request.which : "";
  TrainedRun run = open_trained_run(request.run, asked, device);
  warn_of_last(run, asked, context);
  Json out;
  if (run.request.task == TaskKind::classify) {
    out = evaluate_classifier(request, context, run, device);
    context.console.print(context.common.json
                              ? json_text(out)
                              : fmt::format("accuracy {:.4f}, log loss {:.4f}, macro F1 {:.4f} on {} texts\n",
                                            out["accuracy"].get<double>(), out["log_loss"].get<double>(),
                                            out["macro_f1"].get<double>(), out["texts"].get<std::int64_t>()));
    return ExitCode::success;
  }
  train::TextPart part;
  if (request.data.empty()) {
    train::CorpusOptions corpus;
    options_from_config(run.config, corpus, request.run + "/config.json");
    part = train::read_corpus(corpus, run.tokenizer->kind()).test;
    if (part.text.empty()) user_error("--data is missing: the run has no test text of its own");
  } else {
    part = {read_file(request.data), request.data};
  }
  const train::EncodedText text = train::encode_text(part, *run.tokenizer);
  if (text.tokens.size() < 2)
    user_error("{}: must have at least 2 tokens, one to predict and one before it, not {}", part.source,
               text.tokens.size());
  const auto progress = context.console.progress();
  if (request.by_competition)
    for (const auto& layer : run.model->mixtures()) layer->decide_by_response(true);
  const auto context_length = run.model->options().context;
  if (request.stride > context_length)
    user_error("stride must be at most the context, {}, not {}", context_length, request.stride);
  const auto score =
      train::score_text(*run.model, text.tokens, 32, request.stride > 0 ? request.stride : context_length, 0,
                        [&](double fraction) { progress(fraction, "measuring"); });
  if (!std::isfinite(score.nats))
    world_error("{}: the loss on {} is not finite: weights of checkpoint '{}' are too large", request.run, part.source,
                run.which);
  out = {{"data", part.source}, {"checkpoint", run.which}, {"step", run.state.step}};
  out.update(score_json(score, text));
  for (const auto& layer : run.model->mixtures()) layer->decide_by_response(false);
  add_layers(out, *run.model, text, device);
  context.console.print(context.common.json
                            ? json_text(out)
                            : score_text_lines(out, measured_in_bits(run.tokenizer->kind())) + layers_table(out));
  return ExitCode::success;
}

}  // namespace clearway::cli
