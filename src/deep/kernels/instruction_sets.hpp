// Which kernels this processor can run.
#pragma once

#include <span>

#include "kernels/kernel_table.hpp"

namespace clearway::kernels {

/// Tables that this processor can run, the fastest last; portable is always there.
std::span<const KernelTable* const> available_kernels();

/// The fastest of them.
inline const KernelTable& kernels() {
  return *available_kernels().back();
}

}  // namespace clearway::kernels
