// Kernels for x86-64 with AVX-512 (F, BW, DQ, VL).
#define CLEARWAY_LANES 16
#define CLEARWAY_ROWS 12
#define CLEARWAY_BF16 0
#include "kernels/kernels_of_set.hpp"

namespace clearway::kernels {
constinit const KernelTable kAvx512Kernels = table_of_set("avx512");
}
