// Kernels for any processor: vectors of four floats.
#define CLEARWAY_LANES 4
#define CLEARWAY_ROWS 6
#define CLEARWAY_BF16 0
#include "kernels/kernels_of_set.hpp"

namespace clearway::kernels {
constinit const KernelTable kPortableKernels = table_of_set("portable");
}
