// The array verbs of core/array.hpp for torch::Tensor: gates, likelihoods and mixtures of core run on tensors, with
// gradients by autograd. The law tests hold Eigen and torch together (tests/deep/gate_parity_test.cpp).
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "clearway/core/array.hpp"

namespace clearway {

template <>
struct ArrayVerbs<torch::Tensor> {
  using Scalar = double;  ///< of constants; the tensor's own number type decides the arithmetic
  using A = torch::Tensor;
  using Index = std::int64_t;

  static Index rows(const A& a) { return a.defined() && a.dim() > 0 ? a.size(0) : 0; }
  static Index cols(const A& a) { return a.defined() && a.dim() > 1 ? a.size(1) : 0; }

  static A affine(const A& x, const A& w, const A& b) { return at::addmm(b, x, w.t()); }
  static A matmul(const A& a, const A& b) { return at::mm(a, b); }
  /// cdist in the mode that takes differences: no cancellation, and memory n x k instead of n x d x k.
  static A squared_distances(const A& x, const A& c) { return at::cdist(x, c, 2.0, 2).square(); }

  static A sum_rows(const A& a) { return a.sum(1, true); }
  static A logsumexp_rows(const A& a) { return a.logsumexp(1, true); }
  static A add_row(const A& a, const A& r) { return a + r; }
  static A mul_row(const A& a, const A& r) { return a * r; }
  static A add_col(const A& a, const A& c) { return a + c; }
  static A mul_col(const A& a, const A& c) { return a * c; }
  static A row(const A& a, Index i) { return a.narrow(0, i, 1); }
  static A columns(const A& a, Index first, Index count) { return a.narrow(1, first, count); }
  template <class Range>
  static A hstack(const Range& parts) {
    return at::cat(std::vector<A>(parts.begin(), parts.end()), 1);
  }
  static A filled(const A& like, Index rows, Index cols, double value) {
    return at::full({rows, cols}, value, like.options().requires_grad(false));
  }

  static A lower_triangle(const A& packed, Index d) {
    std::vector<Index> place;
    std::vector<char> diagonal;
    for (Index j = 0; j < d; ++j)
      for (Index i = j; i < d; ++i) {
        place.push_back(i * d + j);
        diagonal.push_back(i == j);
      }
    const A index = at::tensor(place, at::kLong).to(packed.device());
    const A on_diagonal = at::tensor(std::vector<Index>(diagonal.begin(), diagonal.end())).to(packed.device()).ne(0);
    const A flat = packed.reshape({-1});
    // The logarithms are replaced before exp, too, so that no overflow off the diagonal reaches a gradient.
    const A scales = at::where(on_diagonal, flat, at::zeros_like(flat)).exp();
    return at::zeros({d * d}, flat.options()).scatter(0, index, at::where(on_diagonal, scales, flat)).reshape({d, d});
  }

  static A log_sigmoid(const A& a) { return at::log_sigmoid(a); }
  static A normal_cdf(const A& a) { return at::erfc(a * -0.70710678118654752440) * 0.5; }
  static A log_gamma(const A& a) { return at::lgamma(a); }
  static A log_normal_cdf(const A& a) { return at::special_log_ndtr(a); }
  static A maximum(const A& a, double low) { return at::where(a.gt(low), a, at::full_like(a, low)); }
  static A at_least(const A& a, double low) { return a.ge(low).to(a.scalar_type()); }

  static A keep_top(const A& a, Index count) {
    // A stable sort, because topk leaves open which of two equal elements comes first.
    const A order = std::get<1>(a.detach().sort(true, 1, true)).narrow(1, 0, count);
    const A kept = at::zeros_like(a, at::kBool).scatter_(1, order, true);
    return at::where(kept, a, at::full_like(a, -std::numeric_limits<double>::infinity()));
  }
};

}  // namespace clearway
