// Causal attention of one head, forward and backward, over the tile products of product_of_set.hpp. Common text of
// the instruction sets, included by kernels_of_set.hpp.
//
// Keys and values are packed once per head: keys transposed (right factor of scores), values as panels (right factor of
// outputs), both filled up with zeros to whole panels. Blocks of rows then walk over the panels that one of their queries
// sees; what lies above the diagonal is never computed. A row's result does not depend on the block it is in: hidden weights
// are exact zeros at the end of a row's sums.
#pragma once

#include "kernels/attention_head.hpp"
#include "kernels/packing_of_set.hpp"
#include "kernels/product_of_set.hpp"

namespace clearway::kernels {
namespace {

static_assert(kAttentionPanel == kPanel && kRows <= kAttentionMostRows);

CLEARWAY_INLINE std::size_t whole_panels(std::size_t columns) {
  return (columns + kPanel - 1) / kPanel;
}

/// to = scale * from, its pairs (i, i + D/2) turned by the angles of a position; by their negatives for `direction` -1.
CLEARWAY_INLINE void turn_row(const float* __restrict from, const float* __restrict cosine,
                              const float* __restrict sine, float direction, float scale, std::size_t width,
                              float* __restrict to) {
  std::size_t i = 0;
  if (!cosine) {
    for (; i + kLanes <= width; i += kLanes) store(to + i, scale * load(from + i));
    for (; i < width; ++i) to[i] = scale * from[i];
    return;
  }
  const std::size_t half = width / 2;
  for (; i + kLanes <= half; i += kLanes) {
    const Vector a = load(from + i), b = load(from + half + i);
    const Vector c = scale * load(cosine + i), s = scale * direction * load(sine + i);
    store(to + i, a * c - b * s);
    store(to + half + i, a * s + b * c);
  }
  for (; i < half; ++i) {
    const float a = from[i], b = from[half + i], c = scale * cosine[i], s = scale * direction * sine[i];
    to[i] = a * c - b * s;
    to[half + i] = a * s + b * c;
  }
}

/// The gradient by a row before it was turned to `position`, from that by the turned one.
CLEARWAY_INLINE void turn_back(const AttentionHead& head, std::size_t position, float scale, const float* from,
                               float* to) {
  const std::size_t at = position * (head.width / 2);
  turn_row(from, head.cosine ? head.cosine + at : nullptr, head.cosine ? head.sine + at : nullptr, -1, scale,
           head.width, to);
}

/// Row `r` of panels with `rows` rows each, from a contiguous row; zeros beyond its width.
CLEARWAY_INLINE void row_to_panels(const float* from, std::size_t width, std::size_t rows, std::size_t r,
                                   float* panels) {
  for (std::size_t c = 0; c < width; c += kPanel) {
    float* to = panels + c * rows + r * kPanel;
    for (std::size_t i = 0; i < kPanel; i += kLanes) store(to + i, load_part(from + c, i, width - c));
  }
}
CLEARWAY_INLINE void row_of_panels(const float* panels, std::size_t width, std::size_t rows, std::size_t r, float* to) {
  for (std::size_t c = 0; c < width; c += kPanel) {
    const std::size_t there = width - c < kPanel ? width - c : kPanel;
    __builtin_memcpy(to + c, panels + c * rows + r * kPanel, there * sizeof(float));
  }
}

/// Panels of `padded` rows of which `count` are there: scaled and turned as their positions, counted from `first`, say.
void turned_panels(const AttentionHead& head, HeadRows rows, std::size_t count, std::size_t padded, std::size_t first,
                   float scale, bool turns, float* row, float* panels) {
  const std::size_t half = head.width / 2;
  const bool turned = turns && head.cosine;
  for (std::size_t r = 0; r < count; ++r) {
    const float* from = rows.data + r * rows.stride;
    if (turned || scale != 1.0f) {
      const std::size_t at = (first + r) * half;
      turn_row(from, turned ? head.cosine + at : nullptr, turned ? head.sine + at : nullptr, 1, scale, head.width, row);
      from = row;
    }
    row_to_panels(from, head.width, padded, r, panels);
  }
  for (std::size_t r = count; r < padded; ++r)
    for (std::size_t c = 0; c < head.width; c += kPanel)
      for (std::size_t i = 0; i < kPanel; i += kLanes) store(panels + c * padded + r * kPanel + i, Vector{});
}

/// 32 rows of panels of `rows` rows, the first one `row`, as one transposed panel: width x 32.
CLEARWAY_INLINE void transpose_rows(const float* panels, std::size_t rows, std::size_t row, std::size_t width,
                                    float* to) {
  for (std::size_t c = 0; c < width; c += kPanel)
    pack_transposed(panels + c * rows + row * kPanel, kPanel, width - c < kPanel ? width - c : kPanel, kPanel, false,
                    to + c * kPanel);
}

/// Scores of a row, in panels `chunk` apart, become exp(score - largest), and 0 where they are not seen. Returns the
/// logarithm of the sum of exp(score); 1 / sum of what is left goes to `factor`.
CLEARWAY_INLINE float weigh_row(float* row, std::size_t chunk, std::size_t panels, std::size_t seen, float& factor) {
  const std::size_t whole = seen / kPanel;
  const Vector lowest = splat(-__builtin_inff());
  Vector high[2] = {lowest, lowest};
  for (std::size_t j = 0; j < whole; ++j)
    CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) high[c / kLanes % 2] =
        at_least(load(row + j * chunk + c), high[c / kLanes % 2]);
  for (std::size_t j = whole; j * kPanel < seen; ++j)
    for (std::size_t c = 0; c < kPanel; c += kLanes)
      high[0] = at_least(seen_part(load(row + j * chunk + c), j * kPanel + c, seen, lowest), high[0]);
  const float largest = lane_max(at_least(high[0], high[1]));
  Vector sum[2] = {};
  for (std::size_t j = 0; j < whole; ++j) CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) {
      float* at = row + j * chunk + c;
      const Vector weight = exponential(load(at) - largest);
      sum[c / kLanes % 2] += weight;
      store(at, weight);
    }
  for (std::size_t j = whole; j < panels; ++j)
    for (std::size_t c = 0; c < kPanel; c += kLanes) {
      float* at = row + j * chunk + c;
      const Vector weight = seen_part(exponential(load(at) - largest), j * kPanel + c, seen, Vector{});
      sum[0] += weight;
      store(at, weight);
    }
  const float total = lane_sum(sum[0] + sum[1]);
  factor = 1.0f / total;
  return largest + __builtin_logf(total);
}

/// Which rows a block has, and what they see.
struct RowBlock {
  std::size_t first, height, visible;  // visible: keys that the last row sees
  RowBlock(const AttentionHead& head, std::size_t block, std::size_t blocks, std::size_t begin, std::size_t count)
      : first(begin + block * count / blocks),
        height(begin + (block + 1) * count / blocks - first),
        visible(head.keys - head.queries + first + height) {}
};

void attention_forward(const AttentionHead& head) {
  const std::size_t d = whole_panels(head.width) * kPanel, s = whole_panels(head.keys) * kPanel;
  const std::size_t earlier = head.keys - head.queries;
  float* const keys = head.space;  // one panel's rows, and then the rows of a block of queries
  float* const keys_by_column = keys + d * kPanel;
  float* const values = keys_by_column + d * s;
  float* const queries = values + d * s;
  float* const weights = queries + d * kRows;
  float* const row = weights + kRows * s;
  for (std::size_t key = 0; key < head.keys; key += kPanel) {
    const std::size_t count = head.keys - key < kPanel ? head.keys - key : kPanel;
    turned_panels(head, {head.k.data + key * head.k.stride, head.k.stride}, count, kPanel, key, 1, true, row, keys);
    transpose_rows(keys, kPanel, 0, head.width, keys_by_column + key * d);
  }
  turned_panels(head, head.v, head.keys, s, 0, 1, false, row, values);

  const float* rows[kRows];
  alignas(64) float tile[kRows * kPanel];
  const std::size_t blocks = (head.queries + kRows - 1) / kRows;
  for (std::size_t i = 0; i < blocks; ++i) {
    const RowBlock b(head, i, blocks, 0, head.queries);
    const std::size_t panels = whole_panels(b.visible), chunk = b.height * kPanel;
    const TileProduct product = tile_product_of<false, false>(b.height);
    turned_panels(head, {head.q.data + b.first * head.q.stride, head.q.stride}, b.height, b.height, earlier + b.first,
                  head.scale, true, row, queries);
    for (std::size_t m = 0; m < b.height; ++m) rows[m] = queries + m * kPanel;
    for (std::size_t j = 0; j < panels; ++j)
      product(rows, chunk, {keys_by_column + j * kPanel * d, kPanel}, head.width, weights + j * chunk);
    float factor[kRows];
    for (std::size_t m = 0; m < b.height; ++m) {
      const float log_total = weigh_row(weights + m * kPanel, chunk, panels, earlier + b.first + m + 1, factor[m]);
      if (head.log_total) head.log_total[b.first + m] = log_total;
      rows[m] = weights + m * kPanel;
    }
    for (std::size_t c = 0; c < head.width; c += kPanel) {
      product(rows, chunk, {values + c * s, kPanel}, b.visible, tile);
      const std::size_t there = head.width - c < kPanel ? head.width - c : kPanel;
      for (std::size_t m = 0; m < b.height; ++m) {
        float* const to = head.out.data + (b.first + m) * head.out.stride + c;
        if (there == kPanel)
          CLEARWAY_UNROLL for (std::size_t v = 0; v < kPanel; v += kLanes)
              store(to + v, load(tile + m * kPanel + v) * factor[m]);
        else
          for (std::size_t v = 0; v < there; ++v) to[v] = tile[m * kPanel + v] * factor[m];
      }
    }
  }
}

/// Weights of a row again, from its scores, and the gradient by the scores, from that by the weights.
CLEARWAY_INLINE void slope_row(float* weight, float* slope, std::size_t chunk, std::size_t panels, std::size_t seen,
                               float log_total, float own) {
  const std::size_t whole = seen / kPanel;
  for (std::size_t j = 0; j < panels; ++j) CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) {
      float *at = weight + j * chunk + c, *by = slope + j * chunk + c;
      Vector p = exponential(load(at) - log_total);
      if (j >= whole) p = seen_part(p, j * kPanel + c, seen, Vector{});
      Vector ds = p * (load(by) - own);
      if (j >= whole) ds = seen_part(ds, j * kPanel + c, seen, Vector{});
      store(at, p);
      store(by, ds);
    }
}

/// left^T right over `count` rows, added to 32 x width numbers that lie in panels of `rows` rows.
CLEARWAY_INLINE void add_product(const float* left, const float* right, std::size_t right_rows, std::size_t count,
                                 std::size_t width, std::size_t rows, float* out) {
  WeightProduct p;
  p.left = left;
  p.count = count;
  p.stride = kPanel;
  p.accumulate = true;
  for (std::size_t c = 0; c < width; c += kPanel) {
    p.right = right + c * right_rows;
    p.out = out + c * rows;
    weights(p);
  }
}

void attention_backward(const AttentionHeadBackward& call) {
  const AttentionHead& head = call.forward;
  const std::size_t d = whole_panels(head.width) * kPanel, s = whole_panels(head.keys) * kPanel;
  const std::size_t earlier = head.keys - head.queries, most = attention_rows(head.queries, head.keys);
  float* const keys = head.space;
  float* const keys_by_column = keys + d * s;
  float* const values_by_column = keys_by_column + d * s;
  float* const dk = values_by_column + d * s;
  float* const dv = dk + d * s;
  float* const row = dv + d * s;
  float* const tile = row + d;
  float* const queries = tile + d * kRows;
  float* const given = queries + most * d;
  float* const weight = given + most * d;
  float* const slope = weight + most * s;
  float* const own = slope + most * s;
  turned_panels(head, head.k, head.keys, s, 0, 1, true, row, keys);
  turned_panels(head, head.v, head.keys, s, 0, 1, false, row, dv);  // for transposing only
  for (std::size_t key = 0; key < head.keys; key += kPanel) {
    transpose_rows(keys, s, key, head.width, keys_by_column + key * d);
    transpose_rows(dv, s, key, head.width, values_by_column + key * d);
  }
  for (std::size_t i = 0; i < d * s; i += kLanes) store(dk + i, Vector{}), store(dv + i, Vector{});

  const float* rows[kRows];
  const std::size_t parts = (head.queries + most - 1) / most;
  for (std::size_t part = 0; part < parts; ++part) {
    const std::size_t begin = part * head.queries / parts, count = (part + 1) * head.queries / parts - begin;
    const std::size_t chunk = count * kPanel;
    turned_panels(head, {head.q.data + begin * head.q.stride, head.q.stride}, count, count, earlier + begin, head.scale,
                  true, row, queries);
    turned_panels(head, {call.out_gradient.data + begin * call.out_gradient.stride, call.out_gradient.stride}, count,
                  count, 0, 1, false, row, given);
    for (std::size_t r = 0; r < count; ++r)
      own[r] = dot(call.out.data + (begin + r) * call.out.stride,
                   call.out_gradient.data + (begin + r) * call.out_gradient.stride, head.width);
    const std::size_t blocks = (count + kRows - 1) / kRows;
    for (std::size_t i = 0; i < blocks; ++i) {
      const RowBlock b(head, i, blocks, begin, count);
      const std::size_t panels = whole_panels(b.visible), at = (b.first - begin) * kPanel;
      const TileProduct product = tile_product_of<false, false>(b.height);
      for (std::size_t m = 0; m < b.height; ++m) rows[m] = queries + at + m * kPanel;
      for (std::size_t j = 0; j < panels; ++j)
        product(rows, chunk, {keys_by_column + j * kPanel * d, kPanel}, head.width, weight + j * chunk + at);
      for (std::size_t m = 0; m < b.height; ++m) rows[m] = given + at + m * kPanel;
      for (std::size_t j = 0; j < panels; ++j)
        product(rows, chunk, {values_by_column + j * kPanel * d, kPanel}, head.width, slope + j * chunk + at);
      for (std::size_t m = 0; m < b.height; ++m) {
        slope_row(weight + at + m * kPanel, slope + at + m * kPanel, chunk, panels, earlier + b.first + m + 1,
                  call.log_total[b.first + m], own[b.first - begin + m]);
        rows[m] = slope + at + m * kPanel;
      }
      for (std::size_t c = 0; c < head.width; c += kPanel)
        product(rows, chunk, {keys + c * s, kPanel}, b.visible, tile + c * kRows);
      for (std::size_t m = 0; m < b.height; ++m) {
        row_of_panels(tile, head.width, kRows, m, row);
        turn_back(head, earlier + b.first + m, head.scale, row, call.dq.data + (b.first + m) * call.dq.stride);
      }
    }
    // A panel of keys is seen from row `first` of the part on.
    for (std::size_t key = 0; key < earlier + begin + count; key += kPanel) {
      const std::size_t first = key > earlier + begin ? key - earlier - begin : 0, at = key * count + first * kPanel;
      add_product(weight + at, given + first * kPanel, count, count - first, head.width, s, dv + key * kPanel);
      add_product(slope + at, queries + first * kPanel, count, count - first, head.width, s, dk + key * kPanel);
    }
  }
  for (std::size_t key = 0; key < head.keys; ++key) {
    row_of_panels(dk, head.width, s, key, row);
    turn_back(head, key, 1, row, call.dk.data + key * call.dk.stride);
    row_of_panels(dv, head.width, s, key, call.dv.data + key * call.dv.stride);
  }
}

}  // namespace
}  // namespace clearway::kernels
