// The arithmetic of feed-forward experts, attention, norms and AdamW as a table of functions, one table per instruction set. Each table is compiled
// in its own file with its own flags; instruction_sets.cpp picks one when the program runs.
//
// Numbers lie in panels: a matrix of n rows and c columns is cut into strips of 32 columns, each strip n x 32 without
// gaps, the last one filled up with zeros. A panel serves as right factor (its rows are read as vectors), as left factor
// (its rows are read number by number) and, transposed, as left factor of weight gradients: nothing is packed twice.
//
// Products of bfloat16 work in pairs: what is said of one float then holds for one 32-bit word with two neighbours.
// No include of the standard library's templates here: a copy compiled for a newer processor might be linked for all.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_head.hpp"

namespace clearway::kernels {

inline constexpr std::size_t kPanel = 32;  ///< columns of a panel

enum class Activation : int { relu, gelu, silu, swiglu };

/// Left factor of a product: row r begins at pointers[r], or at base + r * kPanel without pointers. Numbers 0..31 of a row
/// are neighbours; the next 32 begin `chunk` further on (32 in an ordinary row).
struct LeftRows {
  const float* const* pointers = nullptr;
  const float* base = nullptr;
  std::size_t chunk = kPanel;
};

/// Right factor, `depth` rows of 32 columns, row k at data + k * stride.
struct RightPanel {
  const float* data = nullptr;
  std::size_t stride = kPanel;
};

/// hidden = act(rows w + bias) for one panel of hidden units; swiglu has two factors (value, gate).
struct HiddenProduct {
  LeftRows rows;
  std::size_t count = 0;  ///< rows
  std::size_t depth = 0;
  RightPanel factor[2];
  const float* bias[2] = {nullptr, nullptr};  ///< `columns` numbers each, or null
  std::size_t columns = kPanel;               ///< that are there; the others become 0
  float* saved[2] = {nullptr, nullptr};       ///< pre-activations, panels of count rows, or null
  const float* mask = nullptr;                ///< factors of hidden units (dropout), panel like saved, or null
  float* hidden = nullptr;  ///< float panel; with `pairs` 16 words per row, rows still kPanel words apart
  Activation activation = Activation::relu;
  bool round = false;  ///< hidden units are rounded to bfloat16 (and stay float)
};

/// out[r] (+)= rows w + bias for one panel of outputs.
struct OutputProduct {
  LeftRows rows;
  std::size_t count = 0;
  std::size_t depth = 0;
  RightPanel factor;
  const float* bias = nullptr;
  std::size_t columns = kPanel;
  float* const* out = nullptr;  ///< pointer per row
  std::size_t offset = 0;       ///< first column within the rows of out
  bool accumulate = false;
};

/// Backward through the activation: g = rows w is the gradient at the hidden units of one panel, before gate weights.
struct GradientProduct {
  LeftRows rows;
  std::size_t count = 0;
  std::size_t depth = 0;
  RightPanel factor;
  const float* saved[2] = {nullptr, nullptr};  ///< pre-activations
  const float* mask = nullptr;
  const float* weight = nullptr;            ///< gate weight per row, null for 1
  float* weight_gradient = nullptr;         ///< per row, += <g, act(pre)>, or null
  float* gradient[2] = {nullptr, nullptr};  ///< of pre-activations, times the weight; panels
  float* hidden = nullptr;                  ///< hidden units times the weight; panel, or null
  Activation activation = Activation::relu;
};

/// out (+)= left^T right, both panels of count rows; out has rows x columns numbers, rows `stride` apart.
struct WeightProduct {
  const float* left = nullptr;
  const float* right = nullptr;
  std::size_t count = 0;
  std::size_t rows = kPanel, columns = kPanel;
  float* out = nullptr;
  std::size_t stride = 0;
  bool accumulate = false;
  bool stream = false;  ///< out is not read soon: write past the caches where that is possible
};

/// One step of AdamW on `count` numbers; see clearway/train/adamw.hpp.
struct AdamWStep {
  float* parameter = nullptr;
  const float* gradient = nullptr;
  float *mean = nullptr, *square = nullptr;
  std::size_t count = 0;
  float keep = 1;              ///< 1 - rate * decay
  float beta1 = 0, beta2 = 0;  ///< as in the paper
  float rest1 = 0, rest2 = 0;  ///< 1 - beta, rounded once from double
  float rate = 0;              ///< rate / (1 - beta1^t)
  float root_correction = 1;   ///< 1 / sqrt(1 - beta2^t)
  float epsilon = 0;
};

/// Layer norm of `rows` rows of `width` numbers without gaps; see layer_norm.hpp.
struct LayerNormRows {
  std::size_t rows = 0, width = 0;
  const float *x = nullptr, *weight = nullptr, *bias = nullptr;
  float epsilon = 0;
  float* y = nullptr;
  float *mean = nullptr, *slope = nullptr;  ///< of every row, for the backward pass; or null
};
struct LayerNormRowsBackward {
  std::size_t rows = 0, width = 0;
  const float *x = nullptr, *weight = nullptr, *mean = nullptr, *slope = nullptr, *dy = nullptr;
  float *dx = nullptr, *dweight = nullptr, *dbias = nullptr;  ///< all overwritten
};

struct KernelTable {
  const char* name;
  std::size_t row_block;  ///< rows that a product takes at once

  /// Panels (depth x 32 each) from columns 0..columns-1 of depth rows that are `stride` apart. round: to bfloat16.
  void (*pack)(const float* from, std::size_t stride, std::size_t depth, std::size_t columns, bool round,
               float* panels);
  /// panel[k][c] = from[c * stride + k].
  void (*pack_transposed)(const float* from, std::size_t stride, std::size_t depth, std::size_t columns, bool round,
                          float* panel);
  /// Panels of count rows from row pointers: `columns` numbers each.
  void (*pack_rows)(const float* const* rows, std::size_t count, std::size_t columns, float* panels);

  /// Row of numbers, each rounded to bfloat16.
  void (*round_row)(const float* from, std::size_t count, float* to);

  // Products of the same rows with several panels.
  void (*hidden)(const HiddenProduct*, std::size_t panels);
  void (*output)(const OutputProduct*, std::size_t panels);
  void (*gradient)(const GradientProduct*, std::size_t panels);
  void (*weights)(const WeightProduct&);
  /// sums[c] (+)= sum over rows of weight[r] * rows[r][c] for c < columns; weight null for 1.
  void (*column_sums)(const LeftRows& rows, const float* weight, std::size_t count, std::size_t columns,
                      bool accumulate, float* sums);
  /// out = sum over i of weight[slots[i]] * y[slots[i] * width ...], in that order; weight null for 1.
  void (*combine)(const float* y, const float* weight, const std::int64_t* slots, std::size_t count, std::size_t width,
                  float* out);
  float (*dot)(const float* a, const float* b, std::size_t count);
  double (*sum_of_squares)(const float* a, std::size_t count);
  void (*adamw)(const AdamWStep&);
  void (*attention_forward)(const AttentionHead&);
  void (*attention_backward)(const AttentionHeadBackward&);
  void (*layer_norm_forward)(const LayerNormRows&);
  void (*layer_norm_backward)(const LayerNormRowsBackward&);  ///< at least one row

  // Products of bfloat16 pairs; null where the processor has none: round then, and use the functions above.
  /// As pack; panels of (depth + 1) / 2 rows of words.
  void (*pack_pairs)(const float* from, std::size_t stride, std::size_t depth, std::size_t columns, float* panels);
  /// Row of count numbers to (count + 1) / 2 words.
  void (*row_to_pairs)(const float* from, std::size_t count, float* words);
  void (*hidden_pairs)(const HiddenProduct*, std::size_t panels);
  void (*output_pairs)(const OutputProduct*, std::size_t panels);
};

extern const KernelTable kPortableKernels;
#if CLEARWAY_X86_KERNELS
extern const KernelTable kAvx2Kernels;
extern const KernelTable kAvx512Kernels;
extern const KernelTable kAvx512Bf16Kernels;
#endif

}  // namespace clearway::kernels
