// Which kernels this processor can run.
#pragma once

#include <span>

#include "kernels/kernel_table.hpp"

namespace clearway::kernels {

/// Tables that this processor can run; the first is portable.
std::span<const KernelTable* const> available_kernels();

/// The fastest of them.
const KernelTable& kernels();

}  // namespace clearway::kernels
