// Sums over rows that do not depend on the number of threads.
//
// The rows are cut into chunks whose number depends on the problem only; each chunk is summed by one task into its own
// accumulator, and the accumulators are added in order. Inside a chunk the caller works on blocks of at most 256 rows,
// so that temporaries stay in cache.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "clearway/base/parallel.hpp"
#include "clearway/core/types.hpp"

namespace clearway::detail {

inline constexpr Eigen::Index kBlockRows = 256;

/// Number of chunks for a sum over `rows` rows whose accumulator holds `accumulator_size` numbers: at most 64, and
/// fewer when the accumulators would take more than 128 MiB.
inline std::size_t chunk_count(Eigen::Index rows, Eigen::Index accumulator_size) {
  constexpr Eigen::Index kChunkRows = 2048;
  constexpr Eigen::Index kMostNumbers = Eigen::Index{1} << 24;
  const Eigen::Index by_rows = (rows + kChunkRows - 1) / kChunkRows;
  const Eigen::Index by_memory = kMostNumbers / std::max<Eigen::Index>(accumulator_size, 1);
  return static_cast<std::size_t>(std::clamp<Eigen::Index>(std::min(by_rows, by_memory), 1, 64));
}

/// Calls body(first, count) for every block of rows of chunk `chunk` out of `chunks`.
template <class Body>
void for_each_block(Eigen::Index rows, std::size_t chunk, std::size_t chunks, Body&& body) {
  const auto boundary = [&](std::size_t c) {
    const Eigen::Index blocks = (rows + kBlockRows - 1) / kBlockRows;
    return std::min(rows, blocks * static_cast<Eigen::Index>(c) / static_cast<Eigen::Index>(chunks) * kBlockRows);
  };
  const Eigen::Index end = boundary(chunk + 1);
  for (Eigen::Index first = boundary(chunk); first < end; first += kBlockRows)
    body(first, std::min(kBlockRows, end - first));
}

/// sum over all blocks of body(accumulator, first, count), where `zero` is a zero accumulator with operator +=.
template <class Sum, class Body>
Sum sum_over_rows(Eigen::Index rows, int threads, Eigen::Index accumulator_size, const Sum& zero, Body&& body) {
  const std::size_t chunks = chunk_count(rows, accumulator_size);
  if (chunks == 1) {
    Sum total = zero;
    for_each_block(rows, 0, 1, [&](Eigen::Index first, Eigen::Index count) { body(total, first, count); });
    return total;
  }
  std::vector<Sum> parts(chunks, zero);
  parallel_for(chunks, threads, [&](std::size_t chunk) {
    for_each_block(rows, chunk, chunks,
                   [&](Eigen::Index first, Eigen::Index count) { body(parts[chunk], first, count); });
  });
  for (std::size_t chunk = 1; chunk < chunks; ++chunk) parts[0] += parts[chunk];
  return parts[0];
}

/// Calls body(first, count) for every block of rows, in parallel; the blocks must not share what they write.
template <class Body>
void for_all_rows(Eigen::Index rows, int threads, Body&& body) {
  const std::size_t chunks = chunk_count(rows, 1);
  parallel_for(chunks, threads, [&](std::size_t chunk) { for_each_block(rows, chunk, chunks, body); });
}

}  // namespace clearway::detail
