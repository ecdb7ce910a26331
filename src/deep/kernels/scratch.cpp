#include "kernels/scratch.hpp"

#include <cstdlib>
#include <mutex>
#include <new>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace clearway::kernels {
namespace {

constexpr std::size_t kHugePage = std::size_t{1} << 21;

struct Block {
  float* data;
  std::size_t bytes;
};

struct Pool {
  std::mutex mutex;
  std::vector<Block> free;
};

/// Never destroyed: tensors that a program keeps to its end give their memory back after static objects are gone.
Pool& pool() {
  static Pool& instance = *new Pool;
  return instance;
}

}  // namespace

Scratch::Scratch(std::size_t floats) {
  const std::size_t wanted = floats * sizeof(float);
  {
    Pool& shared = pool();
    const std::lock_guard lock(shared.mutex);
    std::size_t best = shared.free.size();
    for (std::size_t i = 0; i < shared.free.size(); ++i)
      if (shared.free[i].bytes >= wanted &&
          (best == shared.free.size() || shared.free[i].bytes < shared.free[best].bytes))
        best = i;
    // A much larger block is left for those who need it.
    if (best < shared.free.size() && shared.free[best].bytes <= 2 * wanted + kHugePage) {
      data_ = shared.free[best].data;
      bytes_ = shared.free[best].bytes;
      shared.free[best] = shared.free.back();
      shared.free.pop_back();
      return;
    }
    // None fits: the largest that is too small makes room, so that growing sizes do not pile up.
    std::size_t largest = shared.free.size();
    for (std::size_t i = 0; i < shared.free.size(); ++i)
      if (shared.free[i].bytes < wanted &&
          (largest == shared.free.size() || shared.free[i].bytes > shared.free[largest].bytes))
        largest = i;
    if (largest < shared.free.size()) {
      std::free(shared.free[largest].data);
      shared.free[largest] = shared.free.back();
      shared.free.pop_back();
    }
  }
  const std::size_t unit = wanted >= kHugePage ? kHugePage : 64;
  bytes_ = (wanted + unit) / unit * unit;
  data_ = static_cast<float*>(std::aligned_alloc(unit, bytes_));
  if (!data_) throw std::bad_alloc();
#if defined(__linux__)
  if (unit == kHugePage) madvise(data_, bytes_, MADV_HUGEPAGE);  // fewer page faults; no harm where it is refused
#endif
}

Scratch::~Scratch() {
  Pool& shared = pool();
  const std::lock_guard lock(shared.mutex);
  shared.free.push_back({data_, bytes_});
}

}  // namespace clearway::kernels
