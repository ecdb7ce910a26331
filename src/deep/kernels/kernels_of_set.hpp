// Every kernel, written once over vectors of CLEARWAY_LANES floats and blocks of CLEARWAY_ROWS rows. Each instruction set
// includes this file in one source of its own (portable.cpp, avx2.cpp ...); all of it has internal linkage.
#pragma once

#include "kernels/attention_of_set.hpp"
#include "kernels/feed_forward_of_set.hpp"
#include "kernels/layer_norm_of_set.hpp"
#include "kernels/optimiser_of_set.hpp"
#include "kernels/packing_of_set.hpp"

namespace clearway::kernels {
namespace {

constexpr KernelTable table_of_set(const char* name) {
  return {
    name, kRows, pack, pack_transposed, pack_rows, round_row, hidden<false>, output<false>, gradient, weights,
        column_sums, combine, dot, sum_of_squares, adamw, attention_forward, attention_backward, layer_norm_forward,
        layer_norm_backward,
#if CLEARWAY_BF16
        pack_pairs, row_to_pairs, hidden<true>, output<true>
#else
        nullptr, nullptr, nullptr, nullptr
#endif
  };
}

}  // namespace
}  // namespace clearway::kernels
