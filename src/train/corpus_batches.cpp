#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/base/random.hpp"
#include "clearway/train/corpus.hpp"

namespace clearway::train {

namespace {

void check_shape(std::int64_t rows, std::int64_t length) {
  if (rows < 1) user_error("a batch must have at least 1 row, not {}", rows);
  if (length < 1) user_error("the rows of a batch must have at least 1 token, not {}", length);
}

TokenBatch empty_batch(std::int64_t rows, std::int64_t length) {
  TokenBatch batch;
  batch.rows = rows;
  batch.length = length;
  batch.tokens.assign(static_cast<std::size_t>(rows * length), 0);
  batch.targets.assign(static_cast<std::size_t>(rows * length), kNotScored);
  return batch;
}

/// Fills a row from the tokens that begin at `start`; all of them are there, and one behind.
void fill_row(TokenBatch& batch, std::int64_t row, std::span<const std::int32_t> tokens, std::int64_t start) {
  for (std::int64_t i = 0; i < batch.length; ++i) {
    const auto at = static_cast<std::size_t>(row * batch.length + i);
    batch.tokens[at] = tokens[static_cast<std::size_t>(start + i)];
    batch.targets[at] = tokens[static_cast<std::size_t>(start + i + 1)];
  }
}

/// Windows that score `targets` tokens.
std::int64_t evaluation_windows(std::int64_t targets, std::int64_t length, std::int64_t stride) {
  if (targets < 1) return 0;
  return 1 + (std::max<std::int64_t>(0, targets - length) + stride - 1) / stride;
}

void check_stride(std::int64_t length, std::int64_t stride) {
  if (stride < 1 || stride > length) user_error("the stride must be from 1 to {}, not {}", length, stride);
}

}  // namespace

TokenBatch training_batch(std::span<const std::int32_t> tokens, Sampling sampling, std::int64_t rows,
                          std::int64_t length, std::uint64_t seed, std::int64_t step) {
  check_shape(rows, length);
  const auto count = static_cast<std::int64_t>(tokens.size());
  const std::int64_t per_row = sampling == Sampling::streams ? count / rows : count;
  if (per_row < length + 1)
    user_error("the training text has {} tokens, too few for {} tokens and the next{}", count, length,
               sampling == Sampling::streams ? fmt::format(" in each of {} streams", rows) : std::string());
  TokenBatch batch = empty_batch(rows, length);
  if (sampling == Sampling::streams) {
    const std::int64_t blocks = (per_row - 1) / length;
    for (std::int64_t row = 0; row < rows; ++row) fill_row(batch, row, tokens, row * per_row + step % blocks * length);
  } else {
    RandomStream random(seed, static_cast<std::uint64_t>(step));
    for (std::int64_t row = 0; row < rows; ++row)
      fill_row(batch, row, tokens, static_cast<std::int64_t>(random.index(static_cast<std::uint64_t>(count - length))));
  }
  return batch;
}

std::int64_t steps_per_epoch(std::size_t tokens, std::int64_t rows, std::int64_t length) {
  check_shape(rows, length);
  return std::max<std::int64_t>(1, (static_cast<std::int64_t>(tokens) / rows - 1) / length);
}

std::int64_t evaluation_batches(std::size_t tokens, std::int64_t rows, std::int64_t length, std::int64_t stride) {
  check_shape(rows, length);
  check_stride(length, stride);
  const std::int64_t windows = evaluation_windows(static_cast<std::int64_t>(tokens) - 1, length, stride);
  return (windows + rows - 1) / rows;
}

TokenBatch evaluation_batch(std::span<const std::int32_t> tokens, std::int64_t rows, std::int64_t length,
                            std::int64_t stride, std::int64_t batch) {
  if (batch < 0 || batch >= evaluation_batches(tokens.size(), rows, length, stride))
    throw std::logic_error(fmt::format("there is no evaluation batch {}", batch));
  const auto last = static_cast<std::int64_t>(tokens.size()) - 1;  // the last target
  const std::int64_t first_window = batch * rows;
  const std::int64_t windows = evaluation_windows(last, length, stride) - first_window;
  TokenBatch out = empty_batch(std::min(rows, windows), length);
  for (std::int64_t row = 0; row < out.rows; ++row) {
    const std::int64_t window = first_window + row;
    const std::int64_t start = window * stride;
    const std::int64_t scored_before = window == 0 ? 0 : start - stride + length;
    for (std::int64_t i = 0; i < length && start + i <= last; ++i) {
      const auto at = static_cast<std::size_t>(row * length + i);
      out.tokens[at] = tokens[static_cast<std::size_t>(start + i)];
      const std::int64_t target = start + i + 1;
      if (target > scored_before && target <= last) out.targets[at] = tokens[static_cast<std::size_t>(target)];
    }
  }
  return out;
}

}  // namespace clearway::train
