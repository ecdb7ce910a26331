// The inner loops of em_pass on raw memory, compiled once per instruction set and chosen when the program runs.
#pragma once

#include <cstddef>

#include "clearway/stat/specification.hpp"

namespace clearway::detail {

/// What the expectation kernel leaves per row, in the record of a tile: groups of TiledMatrix::kTile doubles. Written for
/// linear Gaussian experts; other families have score and information (em_pass_densities.hpp) where e and 1 stand here.
enum class RecordForm {
  none,      ///< nothing: the log-likelihood only
  weighted,  ///< K of w r | K of w r e (experts) | K of w (r - s pi) (gate_gradient) | w s pi (delta - pi)
             ///< (information)
  raw,       ///< K of r | K of e | K of pi | rho: without case weights; other families have -eta in the place of e and
             ///< then K each of score, information and square
};

/// One block of rows for the expectation kernel.
struct ExpectationBlock {
  const double* x = nullptr;        ///< first tile of x, p columns
  const double* z = nullptr;        ///< first tile of z, q columns; equal to x when they are the same matrix
  const double* y = nullptr;        ///< responses, padded to whole tiles
  const double* weights = nullptr;  ///< case weights padded with zeros; null: all one
  std::size_t rows = 0;             ///< rows of the block that exist (the rest of the last tile is padding)
  std::size_t p = 0, q = 0, experts = 0;
  const double* coefficients = nullptr;    ///< p x K, row by row
  const double* gate = nullptr;            ///< q x K, row by row
  ExpertKind family = ExpertKind::linear;  ///< linear, or any other that pass_supports() names
  const double* minus_offset = nullptr;    ///< other families: minus the offset, padded; null: none
  const double* trials = nullptr;          ///< binomial: number of trials, padded; null: all one
  const double* row_constants = nullptr;   ///< row_constants(), padded; null for Gaussian kinds
  double index_limit = 0.0;                ///< index_limit()
  double leak = 0.0;                       ///< leaky relu; 0 for relu
  int degree = 1;                          ///< polynomial
  const double* inverse_sigma = nullptr;   ///< K
  const double* shape = nullptr;           ///< K, gamma
  const double* log_normaliser = nullptr;  ///< K: log(1 - eps) + log_normaliser()
  bool has_noise = false;
  double noise = 0.0;  ///< log eps + log u
  RecordForm form = RecordForm::none;
  bool experts_part = false, gradient_part = false, information_part = false, entropy_part = false;
  double* record = nullptr;  ///< per tile `record_stride` doubles; at least 2 K groups even for RecordForm::none
  std::size_t record_stride = 0;
  double* responsibilities = nullptr;  ///< column-major n x K (K + 1 with noise) at the first row, or null
  std::size_t responsibilities_stride = 0;
  double* lanes = nullptr;    ///< working memory: expectation_lanes() groups
  double* scalars = nullptr;  ///< adds: log-likelihood, noise mass, entropy
  double* counts = nullptr;   ///< adds K: sum w r
  double* squares = nullptr;  ///< adds K: sum w r e^2, or of the squares of the family
};

/// Groups of working memory of the expectation kernel for K experts.
constexpr std::size_t expectation_lanes(std::size_t K) {
  return 8 * K;
}

/// out[m * out_stride + pair] += sum over rows of weight_m a_i b_j, for `weights` groups of a record and all pairs (i,
/// j): i < a_cols and j < b_cols row by row, or i <= j < b_cols when symmetric (then a = b). Without a (null): a_i = 1,
/// one i.
struct ProductsBlock {
  const double* a = nullptr;
  const double* b = nullptr;
  std::size_t a_cols = 1, b_cols = 0;
  bool symmetric = false;
  const double* record = nullptr;  ///< first weight group of the first tile
  std::size_t record_stride = 0;
  std::size_t weights = 0;
  std::size_t tiles = 0;
  double* out = nullptr;
  std::size_t out_stride = 0;
};

struct EmKernels {
  void (*expectation)(const ExpectationBlock&);
  void (*products)(const ProductsBlock&);
  void (*exponential)(const double* in, double* out, std::size_t count);  ///< for tests; count: whole tiles
  void (*logarithm)(const double* in, double* out, std::size_t count);    ///< for tests; count: whole tiles
  const char* name;
};

/// The kernels for the best instruction set of this machine.
const EmKernels& em_kernels();
/// All the kernels this machine can run, the baseline first.
std::size_t em_kernels_available();
const EmKernels& em_kernels(std::size_t index);

}  // namespace clearway::detail
