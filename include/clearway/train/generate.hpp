// Text from a language model, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "clearway/base/random.hpp"
#include "clearway/deep/transformer.hpp"
#include "clearway/train/tokenizer.hpp"

namespace clearway::train {

struct SamplingOptions {
  double temperature = 1;      ///< scores are divided by it; 0: always the likeliest
  std::int64_t likeliest = 0;  ///< draw among so many only; 0: all
  double nucleus = 1;          ///< draw among the likeliest that together have this probability (Holtzman et al. 2020)
  bool cache = true;           ///< keep keys and values of the tokens read, where experts do not depend on other tokens
};

/// Draws a token. scores: V. Ties go to the smaller number.
std::int32_t draw_token(const torch::Tensor& scores, const SamplingOptions& options, RandomStream& random);

/// First token of the window in which a model without memory sees a text of `count` tokens: 0 as long as they fit into the
/// context; then the window begins anew with the last half of a context whenever it is full, with a cache or without.
std::int64_t window_begin(std::int64_t count, std::int64_t context);

/// Continues a text by `count` tokens and returns them. The model sees the tokens from window_begin() on, or its memory's.
/// `each` is told every token as it comes, and ends the text by returning false. Throws std::invalid_argument for an empty
/// beginning.
TokenIds continue_text(deep::LanguageModel& model, TokenIds beginning, std::int64_t count,
                       const SamplingOptions& options, RandomStream& random,
                       const std::function<bool(std::int32_t)>& each = {});

/// What comes behind the prompt on the page: `added` in words, with the space that parts it from the prompt's last word where
/// symbols are words and the prompt does not end with white space. `beginning` are the prompt's tokens.
std::string continuation_text(const Tokenizer& tokenizer, std::string_view prompt,
                              std::span<const std::int32_t> beginning, std::span<const std::int32_t> added);

}  // namespace clearway::train
