// Memory for intermediate results that is kept between calls: a layer asks for the same sizes at every step, and fresh
// pages from the system cost more than some of the arithmetic.
#pragma once

#include <cstddef>

namespace clearway::kernels {

/// At least `floats` floats, aligned to 64 bytes, contents undefined. Taken from and returned to a pool that all threads
/// share; what the pool keeps is bounded by the largest use at one time.
class Scratch {
 public:
  explicit Scratch(std::size_t floats);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  float* data() const { return data_; }

 private:
  float* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace clearway::kernels
