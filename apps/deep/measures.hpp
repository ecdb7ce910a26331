// What train, evaluate and the study print and keep of a trained transformer.
#pragma once

#include <string>
#include <vector>

#include "clearway/io/json.hpp"
#include "clearway/train/corpus.hpp"
#include "clearway/train/routing_diagnostics.hpp"

namespace clearway::cli {

/// Bits, perplexities, the number of tokens and how many of the text's are unknown.
Json score_json(const train::TextScore& score, const train::EncodedText& text);
/// One line for people, and a second one where tokens are unknown: what is predicted then is less than the bytes.
std::string score_text_lines(const Json& score, bool bits);
/// Diagnoses on the first 16 windows of a text; empty for a text shorter than one, or a model without sparse layers.
std::vector<train::LayerDiagnostics> diagnose_text(deep::LanguageModel& model, const train::EncodedText& text,
                                                   const torch::Device& device);
/// The same under "layers", and under "layer_tokens" the number of tokens that it rests on.
void add_layers(Json& out, deep::LanguageModel& model, const train::EncodedText& text, const torch::Device& device);
/// A table of what add_layers() wrote, for people; empty without layers.
std::string layers_table(const Json& measured);

}  // namespace clearway::cli
