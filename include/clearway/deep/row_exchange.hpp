// Rows that travel between processes: what a sparse layer needs whose experts live in several of them.
//
// Expert parallelism (Lepikhin et al. 2021, GShard, arXiv 2006.16668): process r holds experts r N/P .. (r+1) N/P - 1;
// tokens go to the processes that hold their experts, and the responses come back. Both ways are one all-to-all exchange,
// which permutes rows; so its derivative is the exchange that takes them back.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

namespace clearway::deep {

/// All processes call exchange_rows() equally often and in the same order.
class RowExchange {
 public:
  RowExchange() = default;
  RowExchange(const RowExchange&) = delete;
  RowExchange& operator=(const RowExchange&) = delete;
  virtual ~RowExchange() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Rows of `tensor`, `counts[r]` for process r in order; returns what the others sent, in order of their ranks, and how
  /// many rows each sent. Any number type. `received` that is not empty says beforehand what comes, and saves asking.
  virtual torch::Tensor exchange_rows(const torch::Tensor& tensor, const std::vector<std::int64_t>& counts,
                                      std::vector<std::int64_t>& received) = 0;
};

/// exchange_rows() through which gradients flow back to the rows' senders.
torch::Tensor exchange_with_gradient(RowExchange& exchange, const torch::Tensor& rows,
                                     const std::vector<std::int64_t>& counts, std::vector<std::int64_t>& received);

/// The rows of all processes, in order of ranks; each has as many.
torch::Tensor rows_of_all(RowExchange& exchange, const torch::Tensor& own);

}  // namespace clearway::deep
