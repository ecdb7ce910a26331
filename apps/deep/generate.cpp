// clearway generate: continue a text.
#include "clearway/train/generate.hpp"

#include <algorithm>

#include "../interruptible.hpp"
#include "clearway/train/routing_diagnostics.hpp"
#include "programs.hpp"
#include "trained_run.hpp"

namespace clearway::cli {

namespace {

/// JSON holds text: bytes that are none, as half a character from a model of bytes, become U+FFFD.
Json as_text(const std::string& bytes) {
  return Json::parse(Json(bytes).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

ExitCode generate(GenerateRequest& request, Context& context) {
  prepare_torch(context.common.threads);
  const std::string asked = context.options.given("checkpoint") ? request.which : "";
  TrainedRun run = open_trained_run(request.run, asked, torch::Device(torch::kCPU));
  warn_of_last(run, asked, context);
  if (run.request.task != TaskKind::language) user_error("{}: is a classifier, not a language model", request.run);
  train::TokenIds beginning = run.tokenizer->encode(request.prompt, "prompt");
  const auto unknown = std::count(beginning.begin(), beginning.end(), run.tokenizer->unknown());
  if (unknown > 0)
    context.console.warn(
        fmt::format("{} of {} tokens of the prompt are unknown to the vocabulary", unknown, beginning.size()));
  if (beginning.empty()) {
    const std::int32_t end = run.tokenizer->line_end();
    beginning.push_back(end >= 0 ? end : 0);
  }
  RandomStream random(static_cast<std::uint64_t>(context.common.seed));
  const auto stop = stop_after_interrupt(context.console);
  const train::TokenIds added = train::continue_text(*run.model, beginning, request.tokens,
                                                     {.temperature = request.temperature,
                                                      .likeliest = request.likeliest,
                                                      .nucleus = request.nucleus,
                                                      .cache = request.cache},
                                                     random, [&](std::int32_t) { return !stop(); });
  const std::string text = train::continuation_text(*run.tokenizer, request.prompt, beginning, added);
  Json experts = Json::array();
  if (request.show_experts && !run.model->mixtures().empty()) {
    train::TokenIds all = beginning;
    all.insert(all.end(), added.begin(), added.end());
    const auto seen = std::min(all.size(), static_cast<std::size_t>(run.model->options().context));
    const std::vector<std::int64_t> window(all.end() - static_cast<std::ptrdiff_t>(seen), all.end());
    const torch::Tensor tokens =
        at::from_blob(const_cast<std::int64_t*>(window.data()), {1, static_cast<std::int64_t>(seen)}, at::kLong)
            .clone();
    const torch::Tensor first = train::first_experts(*run.model, tokens);
    for (std::int64_t layer = 0; layer < first.size(0); ++layer) {
      Json row = Json::array();
      for (std::size_t t = 0; t < seen; ++t)
        row.push_back({{"token", as_text(run.tokenizer->symbol(static_cast<std::int32_t>(window[t])))},
                       {"expert", first[layer][static_cast<std::int64_t>(t)].item<std::int64_t>()}});
      experts.push_back(std::move(row));
    }
  }
  if (context.common.json) {
    Json out = {{"prompt", as_text(request.prompt)}, {"text", as_text(text)}, {"tokens", added.size()}};
    if (request.show_experts) out["experts"] = experts;
    context.console.print(json_text(out));
  } else {
    std::string out = request.prompt + text + "\n";
    std::size_t layer = 0;
    for (const Json& row : experts) {
      out += fmt::format("\nsparse layer {}: token:expert\n", layer++);
      for (const Json& cell : row)
        out += fmt::format("{}:{} ", cell["token"].get<std::string>(), cell["expert"].get<std::int64_t>());
      out += "\n";
    }
    context.console.print(out);
  }
  return stop() ? ExitCode::interrupted : ExitCode::success;
}

}  // namespace clearway::cli
