#include "kernels/instruction_sets.hpp"

#include <vector>

namespace clearway::kernels {

std::span<const KernelTable* const> available_kernels() {
  static const std::vector<const KernelTable*> tables = [] {
    std::vector<const KernelTable*> found{&kPortableKernels};
#if CLEARWAY_X86_KERNELS
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found.push_back(&kAvx2Kernels);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl")) {
      found.push_back(&kAvx512Kernels);
      if (__builtin_cpu_supports("avx512bf16")) found.push_back(&kAvx512Bf16Kernels);
    }
#endif
    return found;
  }();
  return tables;
}

const KernelTable& kernels() {
  static const KernelTable& fastest = []() -> const KernelTable& {
    const std::span<const KernelTable* const> tables = available_kernels();
#if CLEARWAY_X86_KERNELS
    // Zen 4 and 5 multiply a vector of pairs in the time of a vector of floats. Intel's processors take four times as
    // long (measured on Sapphire Rapids; they have AMX for this), so that rounding and then multiplying floats is faster.
    if (tables.back() == &kAvx512Bf16Kernels && !__builtin_cpu_is("amd")) return *tables[tables.size() - 2];
#endif
    return *tables.back();
  }();
  return fastest;
}

}  // namespace clearway::kernels
