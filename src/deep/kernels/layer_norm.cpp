#include "kernels/layer_norm.hpp"

#include <algorithm>

#include "clearway/base/parallel.hpp"
#include "kernels/instruction_sets.hpp"
#include "kernels/scratch.hpp"

namespace clearway::kernels {
namespace {

constexpr std::size_t kBlock = 512;                             // rows
constexpr std::size_t kThreadedNumbers = std::size_t{1} << 22;  // below, threads cost more than they give

/// Calls body(block, first row, rows).
template <class Body>
void for_blocks(std::size_t rows, std::size_t width, int threads, const Body& body) {
  parallel_for((rows + kBlock - 1) / kBlock, rows * width < kThreadedNumbers ? 1 : std::max(1, threads),
               [&](std::size_t i) { body(i, i * kBlock, std::min(kBlock, rows - i * kBlock)); });
}

}  // namespace

void layer_norm(const LayerNormRows& call, int threads, const KernelTable* table) {
  const KernelTable& chosen = table ? *table : kernels();
  for_blocks(call.rows, call.width, threads, [&](std::size_t, std::size_t first, std::size_t rows) {
    LayerNormRows block = call;
    block.rows = rows;
    block.x += first * call.width;
    block.y += first * call.width;
    if (call.mean) block.mean += first, block.slope += first;
    chosen.layer_norm_forward(block);
  });
}

void layer_norm_backward(const LayerNormRowsBackward& call, int threads, const KernelTable* table) {
  const KernelTable& chosen = table ? *table : kernels();
  const std::size_t blocks = (call.rows + kBlock - 1) / kBlock, d = call.width;
  const Scratch parts(2 * blocks * d + 1);
  for_blocks(call.rows, d, threads, [&](std::size_t i, std::size_t first, std::size_t rows) {
    LayerNormRowsBackward block = call;
    block.rows = rows;
    block.x += first * d;
    block.dy += first * d;
    block.dx += first * d;
    block.mean += first;
    block.slope += first;
    block.dweight = parts.data() + 2 * i * d;
    block.dbias = block.dweight + d;
    chosen.layer_norm_backward(block);
  });
  for (std::size_t c = 0; c < d; ++c) {
    call.dweight[c] = call.dbias[c] = 0;
    for (std::size_t i = 0; i < blocks; ++i) {
      call.dweight[c] += parts.data()[2 * i * d + c];
      call.dbias[c] += parts.data()[(2 * i + 1) * d + c];
    }
  }
}

}  // namespace clearway::kernels
