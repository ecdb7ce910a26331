#include "em_pass_kernels.hpp"

#include "em_pass_expectation.hpp"
#include "em_pass_products.hpp"

// Several instruction sets side by side: g++ for any x86-64 processor, without sanitizers. Elsewhere (another compiler,
// another processor, -march=native) the baseline alone, as wide as the compiler's flags allow.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__AVX__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define CLEARWAY_MANY_TARGETS 1
#else
#define CLEARWAY_MANY_TARGETS 0
#endif
#if defined(__AVX512F__)
#define CLEARWAY_BASELINE_WIDTH 8
#elif defined(__AVX__)
#define CLEARWAY_BASELINE_WIDTH 4
#else
#define CLEARWAY_BASELINE_WIDTH 2
#endif

namespace clearway::detail {
namespace {

template <int W>
CLEARWAY_INLINE void exponentials(const double* in, double* out, std::size_t count) {
  for (std::size_t i = 0; i < count; i += W) store<W>(out + i, exponential<W>(load<W>(in + i)));
}

template <int W>
CLEARWAY_INLINE void logarithms(const double* in, double* out, std::size_t count) {
  for (std::size_t i = 0; i < count; i += W) store<W>(out + i, logarithm<W>(load<W>(in + i)));
}

// The four kernels for one instruction set; the templates are forced inline and so compiled for it.
#define CLEARWAY_KERNELS(suffix, attributes, width)                                                                 \
  attributes void expectation_##suffix(const ExpectationBlock& block) {                                             \
    block.family == ExpertKind::linear ? expectation<width, true>(block) : expectation<width, false>(block);        \
  }                                                                                                                 \
  attributes void products_##suffix(const ProductsBlock& block) {                                                   \
    products<width>(block);                                                                                         \
  }                                                                                                                 \
  attributes void exponential_##suffix(const double* in, double* out, std::size_t n) {                              \
    exponentials<width>(in, out, n);                                                                                \
  }                                                                                                                 \
  attributes void logarithm_##suffix(const double* in, double* out, std::size_t n) {                                \
    logarithms<width>(in, out, n);                                                                                  \
  }                                                                                                                 \
  constexpr EmKernels k_##suffix{expectation_##suffix, products_##suffix, exponential_##suffix, logarithm_##suffix, \
                                 #suffix};

CLEARWAY_KERNELS(baseline, , CLEARWAY_BASELINE_WIDTH)
#if CLEARWAY_MANY_TARGETS
CLEARWAY_KERNELS(avx2, __attribute__((target("arch=x86-64-v3"))), 4)
CLEARWAY_KERNELS(avx512, __attribute__((target("arch=x86-64-v4"))), 8)
#endif

}  // namespace

std::size_t em_kernels_available() {
#if CLEARWAY_MANY_TARGETS
  if (__builtin_cpu_supports("x86-64-v4")) return 3;
  if (__builtin_cpu_supports("x86-64-v3")) return 2;
#endif
  return 1;
}

const EmKernels& em_kernels(std::size_t index) {
#if CLEARWAY_MANY_TARGETS
  if (index == 2) return k_avx512;
  if (index == 1) return k_avx2;
#endif
  (void)index;
  return k_baseline;
}

const EmKernels& em_kernels() {
  static const EmKernels& best = em_kernels(em_kernels_available() - 1);
  return best;
}

}  // namespace clearway::detail
