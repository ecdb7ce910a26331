// What a feed-forward expert needs beyond products: hidden units, their gradients, sums of columns and the weighted sum of
// experts. Common text of the instruction sets, included by kernels_of_set.hpp.
#pragma once

#include "kernels/product_of_set.hpp"

namespace clearway::kernels {
namespace {

/// Hidden unit from pre-activations.
template <Activation kActivation>
CLEARWAY_INLINE Vector activate(Vector value, Vector gate) {
  if constexpr (kActivation == Activation::relu) return at_least(value, Vector{});
  if constexpr (kActivation == Activation::gelu) return value * normal_distribution(value);
  if constexpr (kActivation == Activation::silu) return value * sigmoid(value);
  if constexpr (kActivation == Activation::swiglu) return value * (gate * sigmoid(gate));
}

/// Hidden unit and its derivatives by the pre-activations.
template <Activation kActivation>
CLEARWAY_INLINE Vector activate(Vector value, Vector gate, Vector (&slope)[2]) {
  if constexpr (kActivation == Activation::relu) {
    slope[0] = value > Vector{} ? splat(1) : Vector{};
    return at_least(value, Vector{});
  }
  if constexpr (kActivation == Activation::gelu) {
    const Vector share = normal_distribution(value);
    slope[0] = share + value * normal_density(value);
    return value * share;
  }
  if constexpr (kActivation == Activation::silu) {
    const Vector share = sigmoid(value);
    slope[0] = share + value * share * (1.0f - share);
    return value * share;
  }
  if constexpr (kActivation == Activation::swiglu) {
    const Vector share = sigmoid(gate), swish = gate * share;
    slope[0] = swish;
    slope[1] = value * (share + swish * (1.0f - share));
    return value * swish;
  }
}

template <bool kPairs>
CLEARWAY_INLINE void store_hidden(float* row, std::size_t column, Vector value) {
#if CLEARWAY_BF16
  if constexpr (kPairs) {
    const __m256bh words = _mm512_cvtneps_pbh((__m512)value);
    __builtin_memcpy(row + column / 2, &words, sizeof words);
    return;
  }
#endif
  store(row + column, value);
}

template <Activation kActivation, bool kPairs>
void hidden_of(const HiddenProduct* products, std::size_t panels) {
  static constexpr int kFactors = kActivation == Activation::swiglu ? 2 : 1;
  const auto factor_of = [](const HiddenProduct& p, int i) { return p.factor[i]; };
  const auto finish = [](const HiddenProduct& p, std::size_t first, std::size_t height, const auto& tile) {
    for (std::size_t c = 0; c < kPanel; c += kLanes) {
      Vector bias[kFactors];
      for (int i = 0; i < kFactors; ++i) bias[i] = load_part(p.bias[i], c, p.columns);
      for (std::size_t m = 0; m < height; ++m) {
        const std::size_t at = (first + m) * kPanel + c;
        Vector pre[2] = {};
        for (int i = 0; i < kFactors; ++i) {
          pre[i] = load(tile[i] + m * kPanel + c) + bias[i];
          if (p.saved[i]) store(p.saved[i] + at, pre[i]);
        }
        Vector unit = activate<kActivation>(pre[0], pre[1]);
        if (p.mask) unit *= load(p.mask + at);
        if (p.round) unit = rounded_to_bfloat16(unit);
        store_hidden<kPairs>(p.hidden + (first + m) * kPanel, c, unit);
      }
    }
  };
  for_tiles<kPairs, kFactors>(products, panels, factor_of, finish);
}

template <bool kPairs>
void hidden(const HiddenProduct* products, std::size_t panels) {
  switch (products->activation) {
    case Activation::relu:
      return hidden_of<Activation::relu, kPairs>(products, panels);
    case Activation::gelu:
      return hidden_of<Activation::gelu, kPairs>(products, panels);
    case Activation::silu:
      return hidden_of<Activation::silu, kPairs>(products, panels);
    case Activation::swiglu:
      return hidden_of<Activation::swiglu, kPairs>(products, panels);
  }
}

template <bool kPairs>
void output(const OutputProduct* products, std::size_t panels) {
  const auto factor_of = [](const OutputProduct& p, int) { return p.factor; };
  const auto finish = [](const OutputProduct& p, std::size_t first, std::size_t height, const auto& tile) {
    for (std::size_t m = 0; m < height; ++m) {
      float* out = p.out[first + m] + p.offset;
      const float* sum = tile[0] + m * kPanel;
      if (p.columns == kPanel) {
        CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) {
          const Vector value = p.bias ? load(sum + c) + load(p.bias + c) : load(sum + c);
          store(out + c, p.accumulate ? load(out + c) + value : value);
        }
      } else {
        for (std::size_t c = 0; c < p.columns; ++c) {
          const float value = p.bias ? sum[c] + p.bias[c] : sum[c];
          out[c] = p.accumulate ? out[c] + value : value;
        }
      }
    }
  };
  for_tiles<kPairs, 1>(products, panels, factor_of, finish);
}

template <Activation kActivation>
void gradient_of(const GradientProduct* products, std::size_t panels) {
  static constexpr int kFactors = kActivation == Activation::swiglu ? 2 : 1;
  const auto factor_of = [](const GradientProduct& p, int) { return p.factor; };
  const auto finish = [](const GradientProduct& p, std::size_t first, std::size_t height, const auto& tile) {
    for (std::size_t m = 0; m < height; ++m) {
      const std::size_t row = first + m;
      const Vector weight = splat(p.weight ? p.weight[row] : 1.0f);
      Vector along{};
      CLEARWAY_UNROLL for (std::size_t c = 0; c < kPanel; c += kLanes) {
        const std::size_t at = row * kPanel + c;
        const Vector value = load(p.saved[0] + at), gate = kFactors == 2 ? load(p.saved[1] + at) : Vector{};
        Vector slope[2] = {};
        Vector unit = activate<kActivation>(value, gate, slope);
        Vector g = load(tile[0] + m * kPanel + c);
        if (p.mask) {
          const Vector mask = load(p.mask + at);
          unit *= mask;
          along += g * unit;
          g *= mask;
        } else {
          along += g * unit;
        }
        g *= weight;
        for (int i = 0; i < kFactors; ++i) store(p.gradient[i] + at, g * slope[i]);
        if (p.hidden) store(p.hidden + at, unit * weight);
      }
      if (p.weight_gradient) p.weight_gradient[row] += lane_sum(along);
    }
  };
  for_tiles<false, 1>(products, panels, factor_of, finish);
}

void gradient(const GradientProduct* products, std::size_t panels) {
  switch (products->activation) {
    case Activation::relu:
      return gradient_of<Activation::relu>(products, panels);
    case Activation::gelu:
      return gradient_of<Activation::gelu>(products, panels);
    case Activation::silu:
      return gradient_of<Activation::silu>(products, panels);
    case Activation::swiglu:
      return gradient_of<Activation::swiglu>(products, panels);
  }
}

void column_sums(const LeftRows& rows, const float* weight, std::size_t count, std::size_t columns, bool accumulate,
                 float* sums) {
  for (std::size_t r = 0; r < count; ++r) {
    const float* row = rows.pointers ? rows.pointers[r] : rows.base + r * kPanel;
    const float factor = weight ? weight[r] : 1.0f;
    if (!accumulate && r == 0)
      for (std::size_t c = 0; c < columns; ++c) sums[c] = factor * row[c];
    else
      for (std::size_t c = 0; c < columns; ++c) sums[c] += factor * row[c];
  }
}

void combine(const float* y, const float* weight, const std::int64_t* slots, std::size_t count, std::size_t width,
             float* out) {
  std::size_t c = 0;
  for (; c + kLanes <= width; c += kLanes) {
    Vector sum{};
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<std::size_t>(slots[i]);
      const Vector value = load(y + slot * width + c);
      sum = weight ? sum + value * weight[slot] : sum + value;
    }
    store(out + c, sum);
  }
  for (; c < width; ++c) {
    float sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
      const auto slot = static_cast<std::size_t>(slots[i]);
      sum += (weight ? weight[slot] : 1.0f) * y[slot * width + c];
    }
    out[c] = sum;
  }
}

}  // namespace
}  // namespace clearway::kernels
