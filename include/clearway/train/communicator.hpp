// What processes that train one model say to each other.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace clearway::train {

class Communicator {
 public:
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Sums a float or int64 CPU tensor over all processes, in place; the same bits everywhere.
  virtual void all_reduce(torch::Tensor& tensor) = 0;
  /// Overwrites a tensor with that of process `root`.
  virtual void broadcast(torch::Tensor& tensor, int root) = 0;
  /// Rows of `tensor`, `counts[r]` for process r in order; returns what the others sent, in order of their ranks, and how
  /// many rows each sent. Any number type.
  virtual torch::Tensor exchange_rows(const torch::Tensor& tensor, const std::vector<std::int64_t>& counts,
                                      std::vector<std::int64_t>& received) = 0;
  virtual void barrier() = 0;
};

}  // namespace clearway::train
