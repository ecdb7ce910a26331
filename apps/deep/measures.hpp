// What train, evaluate and the study print and keep of a trained transformer.
#pragma once

#include <string>
#include <vector>

#include "clearway/io/json.hpp"
#include "clearway/train/corpus.hpp"
#include "clearway/train/routing_diagnostics.hpp"

namespace clearway::cli {

/// Bits, perplexities and the number of tokens.
Json score_json(const train::TextScore& score, const train::EncodedText& text);
/// One line for people.
std::string score_text_lines(const Json& score, bool bits);
/// Diagnoses on the first 16 windows of a text; empty for a text shorter than one, or a model without sparse layers.
std::vector<train::LayerDiagnostics> diagnose_text(deep::LanguageModel& model, const train::EncodedText& text,
                                                   const torch::Device& device);
Json layers_json(const std::vector<train::LayerDiagnostics>& layers);
/// A table for people; empty without layers.
std::string layers_table(const Json& layers);

}  // namespace clearway::cli
