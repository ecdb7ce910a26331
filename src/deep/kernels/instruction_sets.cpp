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

}  // namespace clearway::kernels
