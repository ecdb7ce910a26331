#include "measures.hpp"

#include <fmt/format.h>

namespace clearway::cli {
namespace {

constexpr std::int64_t kDiagnosedRows = 16;

/// The windows that layers are diagnosed on.
train::TokenBatch diagnosed_batch(const deep::LanguageModel& model, const train::EncodedText& text) {
  const auto length = model.options().context;
  if (train::evaluation_batches(text.tokens.size(), kDiagnosedRows, length, length) == 0) return {};
  return train::evaluation_batch(text.tokens, kDiagnosedRows, length, length, 0);
}

}  // namespace

Json score_json(const train::TextScore& score, const train::EncodedText& text) {
  return {{"tokens", score.scored},
          {"loss", score.nats_per_token()},
          {"bits_per_token", score.bits_per_token()},
          {"bits_per_byte", score.bits_per_byte(text)},
          {"perplexity", json_number_or_null(score.perplexity())},
          {"word_perplexity", json_number_or_null(score.word_perplexity(text))},
          {"unknown", text.unknown},
          {"unknown_share",
           text.tokens.empty() ? 0.0 : static_cast<double>(text.unknown) / static_cast<double>(text.tokens.size())}};
}

std::string score_text_lines(const Json& score, bool bits) {
  const double share = score["unknown_share"].get<double>();
  const double first = score[bits ? "bits_per_token" : "perplexity"].get<double>();
  std::string out =
      bits ? fmt::format("{:.4f} bits per character", first) : fmt::format("perplexity {:.2f} per token", first);
  out += fmt::format(", {:.4f} bits per byte{}, on {} {}\n", score["bits_per_byte"].get<double>(),
                     share > 0 ? " (not comparable)" : "", score["tokens"].get<std::int64_t>(),
                     bits ? "characters" : "tokens");
  if (share > 0)
    out += fmt::format(
        "{:.3g} % of the tokens are <unk>, whose bytes nobody predicts: compare with this vocabulary only\n",
        100 * share);
  return out;
}

std::vector<train::LayerDiagnostics> diagnose_text(deep::LanguageModel& model, const train::EncodedText& text,
                                                   const torch::Device& device) {
  const train::TokenBatch batch = diagnosed_batch(model, text);
  if (model.mixtures().empty() || batch.rows == 0) return {};
  const torch::Tensor tokens =
      at::from_blob(const_cast<std::int64_t*>(batch.tokens.data()), {batch.rows, batch.length}, at::kLong)
          .clone()
          .to(device);
  return train::diagnose_routing(model, tokens);
}

namespace {

Json layers_json(const std::vector<train::LayerDiagnostics>& layers) {
  Json out = Json::array();
  for (const auto& layer : layers) {
    Json similarities = Json::array();
    for (Eigen::Index i = 0; i < layer.similarities.rows(); ++i) {
      Json row = Json::array();
      for (Eigen::Index j = 0; j < layer.similarities.cols(); ++j)
        row.push_back(json_number_or_null(layer.similarities(i, j)));
      similarities.push_back(std::move(row));
    }
    out.push_back({{"load", layer.load},
                   {"load_entropy", layer.load_entropy},
                   {"largest_share", layer.largest_share},
                   {"dead_experts", layer.dead_experts},
                   {"router_entropy", layer.router_entropy},
                   {"margin", layer.margin},
                   {"information", layer.information},
                   {"response_similarity", layer.response_similarity},
                   {"similarity", layer.similarity},
                   {"agreement", layer.agreement},
                   {"overlap", layer.overlap},
                   {"affinity_contrast", layer.affinity_contrast},
                   {"similarity_matrix", std::move(similarities)}});
  }
  return out;
}

}  // namespace

void add_layers(Json& out, deep::LanguageModel& model, const train::EncodedText& text, const torch::Device& device) {
  const auto layers = diagnose_text(model, text, device);
  const train::TokenBatch batch = diagnosed_batch(model, text);
  out["layers"] = layers_json(layers);
  out["layer_tokens"] = layers.empty() ? 0 : batch.rows * batch.length;
}

std::string layers_table(const Json& measured) {
  const Json& layers = measured.at("layers");
  if (layers.empty()) return {};
  std::string out = fmt::format("\nsparse layers, on {} tokens\n", measured.at("layer_tokens").get<std::int64_t>());
  out += "layer  load entropy  largest  dead  router entropy  margin    CKA  agrees with competition\n";
  std::size_t i = 0;
  for (const Json& layer : layers)
    out +=
        fmt::format("{:>5}  {:>12.3f}  {:>7.2f}  {:>4}  {:>14.3f}  {:>6.3f}  {:>5.3f}  {:>23.3f}\n", i++,
                    layer["load_entropy"].get<double>(), layer["largest_share"].get<double>(),
                    layer["dead_experts"].get<int>(), layer["router_entropy"].get<double>(),
                    layer["margin"].get<double>(), layer["similarity"].get<double>(), layer["agreement"].get<double>());
  return out;
}

}  // namespace clearway::cli
