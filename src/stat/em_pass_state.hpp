// The working memory of EmPass and the walk over the rows: blocks that fit in the second-level cache, runs of blocks
// ("chunks") that are summed apart and then in order, so that threads never change a sum.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "clearway/stat/em_pass.hpp"
#include "em_pass_kernels.hpp"

namespace clearway {

namespace detail {

/// Doubles on a 64-byte boundary, grown when needed, never shrunk.
class AlignedBuffer {
 public:
  double* resize(std::size_t size);
  double* data() { return data_.get(); }

 private:
  struct Free {
    void operator()(double* pointer) const;
  };
  std::unique_ptr<double[], Free> data_;
  std::size_t size_ = 0;
};

/// Number of pairs (i, j), i <= j < n.
constexpr std::size_t pair_count(std::size_t n) {
  return n * (n + 1) / 2;
}

}  // namespace detail

struct EmPass::State {
  EmData data;
  std::size_t n = 0, p = 0, q = 0, experts = 0;
  const detail::EmKernels* kernels = nullptr;

  // Of families other than linear Gaussian.
  TiledMatrix minus_offset, row_constants;

  // Parameters as the kernels read them. Dispersion: sigma or shape.
  std::vector<double> coefficients, gate, dispersion, inverse_sigma, log_normaliser;
  bool has_noise = false;
  double noise = 0.0;

  std::vector<detail::AlignedBuffer> scratch;  // one per worker
  std::vector<double> sums;                    // one row of sums per chunk

  /// Checks shapes and values and packs the parameters.
  void pack(const EmParameters& parameters);
  /// The kernel's view of rows [first, first + rows) with the packed parameters; record and sums are left to the
  /// caller.
  detail::ExpectationBlock block(std::size_t first, std::size_t rows) const;

  /// What a walk over the rows needs. Sizes "at most" are those with every part asked for: they alone decide how the rows
  /// are cut, so that a sum does not depend on what else is computed.
  struct Walk {
    std::size_t sums = 0;  ///< sums per chunk
    std::size_t sums_at_most = 0;
    std::size_t row = 0;  ///< scratch doubles per row
    std::size_t row_at_most = 0;
    std::size_t extra = 0;  ///< scratch doubles beside them
    double row_cost = 0.0;  ///< multiplications per row, to judge whether threads pay
  };
  /// Calls body(first_row, rows, scratch, out) for blocks of rows, `out` being sums that start at zero; returns the total
  /// over all blocks.
  using BlockBody = std::function<void(std::size_t first, std::size_t rows, double* scratch, double* out)>;
  const double* sum_blocks(const Walk& walk, int threads, const BlockBody& body);
};

}  // namespace clearway
