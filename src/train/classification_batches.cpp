#include <algorithm>
#include <numeric>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "clearway/train/classification_data.hpp"

namespace clearway::train {

namespace {

/// The texts order[first], ..., as many as a batch of `rows` still finds.
ClassificationBatch batch_of(const EncodedTexts& set, const std::vector<std::size_t>& order, std::int64_t rows,
                             std::int64_t batch) {
  const auto first = static_cast<std::size_t>(batch * rows);
  const std::size_t count = std::min(static_cast<std::size_t>(rows), order.size() - first);
  ClassificationBatch out;
  out.rows = static_cast<std::int64_t>(count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t text = order[first + i];
    out.lengths.push_back(static_cast<std::int64_t>(set.texts[text].size()));
    out.labels.push_back(set.labels[text]);
    out.length = std::max(out.length, out.lengths.back());
  }
  out.tokens.assign(static_cast<std::size_t>(out.rows * out.length), 0);
  out.mask.assign(out.tokens.size(), 0);
  for (std::size_t i = 0; i < count; ++i) {
    const TokenIds& text = set.texts[order[first + i]];
    const auto at = static_cast<std::ptrdiff_t>(i) * out.length;
    std::copy(text.begin(), text.end(), out.tokens.begin() + at);
    std::fill_n(out.mask.begin() + at, text.size(), std::uint8_t{1});
  }
  return out;
}

}  // namespace

EncodedTexts encode_texts(const LabelledTexts& set, const Tokenizer& tokenizer, std::int64_t longest, Truncation keep) {
  if (longest < 1) user_error("longest must be at least 1, not {}", longest);
  EncodedTexts encoded;
  encoded.labels = set.labels;
  encoded.texts = tokenizer.encode_all(set.texts, set.source);
  for (TokenIds& ids : encoded.texts) {
    const auto excess = static_cast<std::int64_t>(ids.size()) - longest;
    if (excess > 0 && keep == Truncation::head) ids.resize(static_cast<std::size_t>(longest));
    if (excess > 0 && keep == Truncation::tail) ids.erase(ids.begin(), ids.begin() + excess);
    if (ids.empty()) ids.push_back(0);
  }
  return encoded;
}

std::int64_t batches_per_epoch(const EncodedTexts& set, std::int64_t rows) {
  if (rows < 1) user_error("a batch must have at least 1 row, not {}", rows);
  return (static_cast<std::int64_t>(set.texts.size()) + rows - 1) / rows;
}

ClassificationBatch training_batch(const EncodedTexts& set, std::int64_t rows, std::uint64_t seed, std::int64_t step) {
  const std::int64_t batches = batches_per_epoch(set, rows);
  if (batches == 0) user_error("there are no texts to train on");
  const auto order = RandomStream(seed, static_cast<std::uint64_t>(step / batches)).permutation(set.texts.size());
  return batch_of(set, order, rows, step % batches);
}

ClassificationBatch evaluation_batch(const EncodedTexts& set, std::int64_t rows, std::int64_t batch) {
  if (batch < 0 || batch >= batches_per_epoch(set, rows))
    throw std::logic_error(fmt::format("there is no evaluation batch {}", batch));
  std::vector<std::size_t> order(set.texts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  return batch_of(set, order, rows, batch);
}

}  // namespace clearway::train
