// Kernels for x86-64 with AVX-512 and its products of bfloat16.
#define CLEARWAY_LANES 16
#define CLEARWAY_ROWS 12
#define CLEARWAY_BF16 1
#include "kernels/kernels_of_set.hpp"

namespace clearway::kernels {
constinit const KernelTable kAvx512Bf16Kernels = table_of_set("avx512_bf16");
}
