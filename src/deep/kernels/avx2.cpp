// Kernels for x86-64 with AVX2 and FMA.
#define CLEARWAY_LANES 8
#define CLEARWAY_ROWS 6
#define CLEARWAY_BF16 0
#include "kernels/kernels_of_set.hpp"

namespace clearway::kernels {
constinit const KernelTable kAvx2Kernels = table_of_set("avx2");
}
