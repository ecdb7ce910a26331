#include "measures.hpp"

#include <fmt/format.h>

namespace clearway::cli {

Json score_json(const train::TextScore& score, const train::EncodedText& text) {
  return {{"tokens", score.scored},
          {"loss", score.nats_per_token()},
          {"bits_per_token", score.bits_per_token()},
          {"bits_per_byte", score.bits_per_byte(text)},
          {"perplexity", json_number_or_null(score.perplexity())},
          {"word_perplexity", json_number_or_null(score.word_perplexity(text))}};
}

std::string score_text_lines(const Json& score, bool bits) {
  if (bits)
    return fmt::format("{:.4f} bits per character, {:.4f} bits per byte, on {} characters\n",
                       score["bits_per_token"].get<double>(), score["bits_per_byte"].get<double>(),
                       score["tokens"].get<std::int64_t>());
  return fmt::format("perplexity {:.2f} per token, {:.4f} bits per byte, on {} tokens\n",
                     score["perplexity"].get<double>(), score["bits_per_byte"].get<double>(),
                     score["tokens"].get<std::int64_t>());
}

std::vector<train::LayerDiagnostics> diagnose_text(deep::LanguageModel& model, const train::EncodedText& text,
                                                   const torch::Device& device) {
  constexpr std::int64_t kRows = 16;
  const auto length = model.options().context;
  if (model.mixtures().empty() || train::evaluation_batches(text.tokens.size(), kRows, length, length) == 0) return {};
  const auto batch = train::evaluation_batch(text.tokens, kRows, length, length, 0);
  const torch::Tensor tokens =
      at::from_blob(const_cast<std::int64_t*>(batch.tokens.data()), {batch.rows, batch.length}, at::kLong)
          .clone()
          .to(device);
  return train::diagnose_routing(model, tokens);
}

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

std::string layers_table(const Json& layers) {
  if (layers.empty()) return {};
  std::string out = "\nlayer  load entropy  largest  dead  router entropy  margin    CKA  agrees with competition\n";
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
