// The single-index families of em_pass: log density, score and information of every expert for W rows at once, from the
// linear predictor eta = x'b_k + offset. With p = logistic(eta), m the mean function and ratio = y exp(-eta):
//
//   family              log f - log_normaliser            score      information  square
//   poisson             y eta - exp(eta) + c              y - mu     mu           0         c = -log y!
//   bernoulli/binomial  y eta - n log(1 + exp(eta)) + c   y - n p    n p (1 - p)  0         c = log C(n, y)
//   gamma (shape a)     -a square + c                     ratio - 1  1            ratio - log ratio - 1, c = -log y
//   Gaussian            -(e / sigma)^2 / 2                m' e       m'^2         e^2, e = y - m
//
// Score and information (expected, for Gaussian kinds that of Gauss and Newton) are those of eta times the dispersion
// (sigma^2, 1 / a), which cancels in a scoring step (McCullagh and Nelder 1989, section 2.5); the mean square is what
// the dispersion is estimated from. c is computed once per data set (em_pass_families.hpp).
#pragma once

#include "clearway/stat/tiled_matrix.hpp"
#include "em_pass_kernels.hpp"
#include "simd.hpp"

namespace clearway::detail {

inline constexpr std::size_t kTile = TiledMatrix::kTile;
alignas(64) inline constexpr double kZeros[kTile] = {};

/// Where the terms of an expert lie in the working memory `lanes`, in groups of kTile; the last three are neighbours.
struct TermGroups {
  std::size_t density, score, information, square;

  explicit TermGroups(std::size_t K) : density(2 * K), score(5 * K), information(6 * K), square(7 * K) {}
};

/// What logarithm and logistic function need, from one exponential: exp(-|eta|), p and p (1 - p).
template <int W>
struct Logistic {
  typename Simd<W>::Real small, p, slope;

  CLEARWAY_INLINE explicit Logistic(const typename Simd<W>::Real& eta) {
    small = exponential<W>(eta < 0.0 ? eta : -eta);
    const typename Simd<W>::Real inverse = 1.0 / (1.0 + small);
    p = eta < 0.0 ? small * inverse : inverse;
    slope = small * inverse * inverse;
  }
};

/// Terms of the experts for W rows.
template <int W>
class FamilyRows {
  using Real = typename Simd<W>::Real;

 public:
  /// `minus_eta` holds the linear predictors of these rows, negated, kTile apart from expert to expert.
  CLEARWAY_INLINE FamilyRows(const ExpectationBlock& b, std::size_t row, const double* minus_eta)
      : b_(b), groups_(b.experts), minus_eta_(minus_eta), y_(load<W>(b.y + row)) {
    c_ = b.row_constants ? load<W>(b.row_constants + row) : Real{};
    trials_ = b.trials ? load<W>(b.trials + row) : splat<W>(1.0);
  }

  CLEARWAY_INLINE void store_terms() const {
    switch (b_.family) {
      case ExpertKind::poisson:
        for (std::size_t k = 0; k < b_.experts; ++k) poisson(k);
        break;
      case ExpertKind::bernoulli:
      case ExpertKind::binomial:
        for (std::size_t k = 0; k < b_.experts; ++k) binomial(k);
        break;
      case ExpertKind::gamma:
        for (std::size_t k = 0; k < b_.experts; ++k) gamma(k);
        break;
      case ExpertKind::sigmoid:
        for (std::size_t k = 0; k < b_.experts; ++k) {
          const Logistic<W> l(eta(k));
          gaussian(k, l.p, l.slope);
        }
        break;
      case ExpertKind::tanh:  // tanh(eta) = 2 logistic(2 eta) - 1
        for (std::size_t k = 0; k < b_.experts; ++k) {
          const Logistic<W> l(2.0 * eta(k));
          gaussian(k, 2.0 * l.p - 1.0, 4.0 * l.slope);
        }
        break;
      case ExpertKind::polynomial:
        for (std::size_t k = 0; k < b_.experts; ++k) polynomial(k);
        break;
      default:  // relu and leaky relu
        for (std::size_t k = 0; k < b_.experts; ++k) {
          const Real index = eta(k);
          const Real slope = index > 0.0 ? splat<W>(1.0) : splat<W>(b_.leak);
          gaussian(k, slope * index, slope);
        }
        break;
    }
  }

 private:
  /// The linear predictor, kept where exponentials and powers stay finite.
  CLEARWAY_INLINE Real eta(std::size_t k) const {
    const Real low = splat<W>(-b_.index_limit), high = splat<W>(b_.index_limit);
    const Real value = larger<W>(-load<W>(minus_eta_ + k * kTile), low);
    return value < high ? value : high;
  }
  CLEARWAY_INLINE void keep(std::size_t k, const Real& density, const Real& score, const Real& information,
                            const Real& square) const {
    store<W>(b_.lanes + (groups_.density + k) * kTile, density + b_.log_normaliser[k]);
    store<W>(b_.lanes + (groups_.score + k) * kTile, score);
    store<W>(b_.lanes + (groups_.information + k) * kTile, information);
    store<W>(b_.lanes + (groups_.square + k) * kTile, square);
  }
  CLEARWAY_INLINE void gaussian(std::size_t k, const Real& mean, const Real& slope) const {
    const Real e = y_ - mean;
    const Real u = e * b_.inverse_sigma[k];
    keep(k, -0.5 * (u * u), slope * e, slope * slope, e * e);
  }
  CLEARWAY_INLINE void poisson(std::size_t k) const {
    const Real index = eta(k);
    const Real mean = exponential<W>(index);
    keep(k, (y_ * index - mean) + c_, y_ - mean, mean, Real{});
  }
  CLEARWAY_INLINE void binomial(std::size_t k) const {
    const Real index = eta(k);
    const Logistic<W> l(index);
    const Real top = larger<W>(index, Real{});
    keep(k, (y_ * index - trials_ * (top + logarithm<W>(1.0 + l.small))) + c_, y_ - trials_ * l.p, trials_ * l.slope,
         Real{});
  }
  CLEARWAY_INLINE void gamma(std::size_t k) const {
    const Real log_ratio = -c_ - eta(k);
    const Real high = splat<W>(b_.index_limit);
    const Real ratio = exponential<W>(log_ratio < high ? log_ratio : high);
    const Real square = (ratio - 1.0) - log_ratio;
    keep(k, c_ - b_.shape[k] * square, ratio - 1.0, splat<W>(1.0), square);
  }
  CLEARWAY_INLINE void polynomial(std::size_t k) const {
    const Real index = eta(k);
    Real power = splat<W>(1.0);
    for (int i = 1; i < b_.degree; ++i) power *= index;
    gaussian(k, power * index, static_cast<double>(b_.degree) * power);
  }

  const ExpectationBlock& b_;
  TermGroups groups_;
  const double* minus_eta_;
  Real y_, c_, trials_;
};

}  // namespace clearway::detail
