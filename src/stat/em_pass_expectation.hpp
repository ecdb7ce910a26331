// The expectation kernel of em_pass: residuals, densities, responsibilities and the weights of the later products, for
// one block of rows. Templates over the vector width W; U vectors of rows are carried together to hide latency.
#pragma once

#include "clearway/stat/tiled_matrix.hpp"
#include "em_pass_densities.hpp"
#include "em_pass_kernels.hpp"
#include "simd.hpp"

namespace clearway::detail {

/// Residuals y - x'b_k and gate scores z'w_k of G experts from k0 on, for U * W rows. The next tile is fetched meanwhile:
/// memory would otherwise rest during the exponentials (a fifth of the time at d = 50, n = 1e5).
template <int W, int G, int U>
CLEARWAY_INLINE void residuals_and_scores(const ExpectationBlock& b, const double* x, const double* z, const double* y,
                                          std::size_t k0, double* residual, double* score) {
  using Real = typename Simd<W>::Real;
  Real mean[G][U] = {};
  Real gate[G][U] = {};
  const double* cb = b.coefficients + k0;
  const double* cg = b.gate + k0;
  const std::size_t K = b.experts;
  if (x == z) {
    for (std::size_t j = 0; j < b.p; ++j, cb += K, cg += K) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) {
        __builtin_prefetch(x + (b.p + j) * kTile + u * W);
        const Real column = load<W>(x + j * kTile + u * W);
#pragma GCC unroll 4
        for (int k = 0; k < G; ++k) {
          mean[k][u] += column * cb[k];
          gate[k][u] += column * cg[k];
        }
      }
    }
  } else {
    for (std::size_t j = 0; j < b.p; ++j, cb += K) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) {
        __builtin_prefetch(x + (b.p + j) * kTile + u * W);
        const Real column = load<W>(x + j * kTile + u * W);
#pragma GCC unroll 4
        for (int k = 0; k < G; ++k) mean[k][u] += column * cb[k];
      }
    }
    for (std::size_t j = 0; j < b.q; ++j, cg += K) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) {
        __builtin_prefetch(z + (b.q + j) * kTile + u * W);
        const Real column = load<W>(z + j * kTile + u * W);
#pragma GCC unroll 4
        for (int k = 0; k < G; ++k) gate[k][u] += column * cg[k];
      }
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < G; ++k)
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) {
      store<W>(residual + (k0 + k) * kTile + u * W, load<W>(y + u * W) - mean[k][u]);
      store<W>(score + (k0 + k) * kTile + u * W, gate[k][u]);
    }
}

/// The same for all experts, four at a time.
template <int W, int U>
CLEARWAY_INLINE void all_scores(const ExpectationBlock& b, const double* x, const double* z, const double* y,
                                double* residual, double* score) {
  std::size_t k = 0;
  for (; k + 4 <= b.experts; k += 4) residuals_and_scores<W, 4, U>(b, x, z, y, k, residual, score);
  switch (b.experts - k) {
    case 3:
      residuals_and_scores<W, 3, U>(b, x, z, y, k, residual, score);
      break;
    case 2:
      residuals_and_scores<W, 2, U>(b, x, z, y, k, residual, score);
      break;
    case 1:
      residuals_and_scores<W, 1, U>(b, x, z, y, k, residual, score);
      break;
    default:
      break;
  }
}

/// The case weights of W rows; 0 for padding.
template <int W>
CLEARWAY_INLINE typename Simd<W>::Real case_weight(const ExpectationBlock& b, std::size_t row) {
  if (b.weights) return load<W>(b.weights + row);
  if (row + W <= b.rows) return splat<W>(1.0);
  double weight[W];
  for (std::size_t i = 0; i < W; ++i) weight[i] = row + i < b.rows ? 1.0 : 0.0;
  return load<W>(weight);
}

/// Writes the responsibilities of W rows for one component, of those rows that exist.
template <int W>
CLEARWAY_INLINE void write_responsibility(const ExpectationBlock& b, std::size_t row, std::size_t component,
                                          const typename Simd<W>::Real& r) {
  double* out = b.responsibilities + component * b.responsibilities_stride + row;
  if (row + W <= b.rows) {
    store<W>(out, r);
  } else {
    double lanes[W];
    store<W>(lanes, r);
    for (std::size_t i = 0; row + i < b.rows; ++i) out[i] = lanes[i];
  }
}

template <int W>
struct RowSums {
  typename Simd<W>::Real log_likelihood{}, noise{}, entropy{};
};

/// Densities and responsibilities of W rows, whose residuals and gate scores are given (the scores are overwritten).
/// `record` is the record of the tile, moved to these rows; it may hold `residual` and `score` themselves. Without
/// Linear, FamilyRows has stored the terms of the experts, and `residual` holds -eta.
template <int W, bool Linear>
CLEARWAY_INLINE void finish_rows(const ExpectationBlock& b, std::size_t row, const double* residual, double* score,
                                 double* record, RowSums<W>& sums) {
  using Real = typename Simd<W>::Real;
  const std::size_t K = b.experts;
  double* const density = b.lanes + 2 * K * kTile;
  // Joint log densities, up to the log-sum of the gate; -1e300 keeps rows finite whose squared residuals overflow.
  const Real lowest = splat<W>(-1e300);
  Real gate_top = lowest, top = lowest;
  for (std::size_t k = 0; k < K; ++k) {
    const Real g = load<W>(score + k * kTile);
    Real a;
    if constexpr (Linear) {
      const Real u = load<W>(residual + k * kTile) * b.inverse_sigma[k];
      a = larger<W>(g + b.log_normaliser[k] - 0.5 * (u * u), lowest);
    } else {
      a = larger<W>(g + load<W>(density + k * kTile), lowest);
    }
    store<W>(density + k * kTile, a);
    gate_top = larger<W>(gate_top, g);
    top = larger<W>(top, a);
  }
  Real gate_sum{};
  for (std::size_t k = 0; k < K; ++k) {
    const Real e = exponential<W>(load<W>(score + k * kTile) - gate_top);
    store<W>(score + k * kTile, e);
    gate_sum += e;
  }
  Real gate_log_sum{}, noise_log{}, noise{};
  if (b.has_noise) {
    gate_log_sum = gate_top + logarithm<W>(gate_sum);
    noise_log = larger<W>(gate_log_sum + b.noise, lowest);
    top = larger<W>(top, noise_log);
    noise_log = noise_log - top;
    noise = exponential<W>(noise_log);
  }
  Real expert_sum{}, spread{};  // spread: sum of f log f, for the entropy
  for (std::size_t k = 0; k < K; ++k) {
    const Real a = load<W>(density + k * kTile) - top;
    const Real f = exponential<W>(a);
    store<W>(density + k * kTile, f);
    expert_sum += f;
    if (b.entropy_part) spread += f * a;
  }
  const Real weight = case_weight<W>(b, row);
  const Real total = expert_sum + noise;
  const Real inverse_gate = 1.0 / gate_sum;
  const Real log_density =
      b.has_noise ? (top - gate_log_sum) + logarithm<W>(total) : (top - gate_top) + logarithm<W>(total * inverse_gate);
  sums.log_likelihood += weight * log_density;
  if (!b.responsibilities && b.form == RecordForm::none && !b.entropy_part) return;

  const Real inverse = 1.0 / total;
  if (b.has_noise) {
    sums.noise += weight * (noise * inverse);
    if (b.responsibilities) write_responsibility<W>(b, row, K, noise * inverse);
  }
  if (b.entropy_part) {
    if (b.has_noise) spread += noise * noise_log;
    sums.entropy += weight * (logarithm<W>(total) - spread * inverse);
  }
  if (b.responsibilities)
    for (std::size_t k = 0; k < K; ++k) write_responsibility<W>(b, row, k, load<W>(density + k * kTile) * inverse);
  if (b.form == RecordForm::none) return;

  if (b.form == RecordForm::raw) {
    for (std::size_t k = 0; k < K; ++k) {
      store<W>(record + (2 * K + k) * kTile, load<W>(score + k * kTile) * inverse_gate);
      store<W>(record + (K + k) * kTile, load<W>(residual + k * kTile));
      store<W>(record + k * kTile, load<W>(density + k * kTile) * inverse);
    }
    store<W>(record + 3 * K * kTile, noise * inverse);
    if constexpr (!Linear) {
      const TermGroups groups(K);
      for (std::size_t i = 0; i < 3 * K; ++i)
        store<W>(record + (3 * K + 1 + i) * kTile, load<W>(b.lanes + (groups.score + i) * kTile));
    }
    return;
  }
  const Real weighted_inverse = weight * inverse;
  const Real share = expert_sum * weighted_inverse;  // w s
  if (b.information_part) {                          // w s pi_k (delta_kl - pi_l), k <= l < K - 1
    double* out = record + 3 * K * kTile;
    for (std::size_t k = 0; k + 1 < K; ++k) {
      const Real pi = load<W>(score + k * kTile) * inverse_gate;
      const Real left = share * pi;
      store<W>(out, left * (1.0 - pi));
      out += kTile;
      for (std::size_t l = k + 1; l + 1 < K; ++l, out += kTile)
        store<W>(out, left * (load<W>(score + l * kTile) * -inverse_gate));
    }
  }
  for (std::size_t k = 0; k < K; ++k) {
    const Real r = load<W>(density + k * kTile) * weighted_inverse;
    if (b.gradient_part)
      store<W>(record + (2 * K + k) * kTile, r - share * (load<W>(score + k * kTile) * inverse_gate));
    if (b.experts_part) {
      store<W>(b.lanes + k * kTile, load<W>(b.lanes + k * kTile) + r);
      if constexpr (Linear) {
        const Real e = load<W>(residual + k * kTile);
        const Real re = r * e;
        store<W>(record + k * kTile, r);
        store<W>(record + (K + k) * kTile, re);
        store<W>(b.lanes + (K + k) * kTile, load<W>(b.lanes + (K + k) * kTile) + re * e);
      } else {
        const TermGroups groups(K);
        store<W>(record + k * kTile, r * load<W>(b.lanes + (groups.information + k) * kTile));
        store<W>(record + (K + k) * kTile, r * load<W>(b.lanes + (groups.score + k) * kTile));
        store<W>(b.lanes + (K + k) * kTile,
                 load<W>(b.lanes + (K + k) * kTile) + r * load<W>(b.lanes + (groups.square + k) * kTile));
      }
    }
  }
}

/// One block of rows. Working memory `lanes`: sums of r (K groups), of r e^2 (K), densities (K), residuals (K), scores
/// (K), and the terms of families other than linear Gaussian (3 K).
template <int W, bool Linear>
CLEARWAY_INLINE void expectation(const ExpectationBlock& b) {
  constexpr int kVectors = static_cast<int>(kTile) / W;
  constexpr int U = W == 8 ? kVectors : 1;
  const std::size_t K = b.experts;
  double* const residual = b.lanes + 3 * K * kTile;
  double* const score = b.lanes + 4 * K * kTile;
  for (std::size_t i = 0; i < 2 * K * kTile; ++i) b.lanes[i] = 0.0;
  RowSums<W> sums;
  const std::size_t tiles = (b.rows + kTile - 1) / kTile;
  for (std::size_t t = 0; t < tiles; ++t) {
    const double* x = b.x + t * b.p * kTile;
    const double* z = b.z + t * b.q * kTile;
    // The residual of zero (or of minus the offset) is minus the linear predictor.
    const double* y = Linear ? b.y + t * kTile : b.minus_offset ? b.minus_offset + t * kTile : kZeros;
    for (int v = 0; v < kVectors; v += U)
      all_scores<W, U>(b, x + v * W, z + v * W, y + v * W, residual + v * W, score + v * W);
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (!Linear) FamilyRows<W>(b, t * kTile + v * W, residual + v * W).store_terms();
      finish_rows<W, Linear>(b, t * kTile + v * W, residual + v * W, score + v * W,
                             b.record + t * b.record_stride + v * W, sums);
    }
  }
  b.scalars[0] += lane_sum<W>(sums.log_likelihood);
  b.scalars[1] += lane_sum<W>(sums.noise);
  b.scalars[2] += lane_sum<W>(sums.entropy);
  if (b.experts_part)
    for (std::size_t k = 0; k < K; ++k)
      for (std::size_t i = 0; i < kTile; ++i) {
        b.counts[k] += b.lanes[k * kTile + i];
        b.squares[k] += b.lanes[(K + k) * kTile + i];
      }
}

}  // namespace clearway::detail
