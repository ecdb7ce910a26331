// What processes that train one model say to each other.
#pragma once

#include <torch/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include "clearway/deep/row_exchange.hpp"

namespace clearway::train {

/// Another process is gone, or did not answer in time.
struct LostProcess : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Collective: every process calls the same functions in the same order. All throw LostProcess.
class Communicator : public deep::RowExchange {
 public:
  /// Sums a float, double or int64 CPU tensor over all processes, in place; the same bits everywhere.
  virtual void all_reduce(torch::Tensor& tensor) = 0;
  /// Overwrites a tensor with that of process `root`.
  virtual void broadcast(torch::Tensor& tensor, int root) = 0;
  virtual void barrier() = 0;
  /// Spent in calls so far, waiting for others included.
  virtual double seconds() const { return 0; }
};

/// Which of the processes this one is, and where they meet.
struct ProcessPlace {
  int rank = 0;
  int size = 1;
  std::string address = "127.0.0.1";  ///< of the machine of process 0
  int port = 0;                       ///< there; 0, for process 0 alone: any that is free
  double timeout = 600;               ///< seconds to wait for another process, when joining and in every call
};

/// From RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT, as torchrun sets them; nothing where neither RANK nor WORLD_SIZE is
/// set. Throws std::invalid_argument for missing or impossible values.
std::optional<ProcessPlace> place_from_environment();

/// What process 0 does while it waits for the others.
struct JoinCallbacks {
  std::function<void(int port)> listening;  ///< called once: others may join at this port
  std::function<void()> waiting;            ///< called often; what it throws ends the waiting
};

/// Meets the other processes, over TCP (c10d's Gloo). The network interface is the one that leads to the address, unless
/// GLOO_SOCKET_IFNAME names another. Throws LostProcess when some do not come in time, and std::invalid_argument when the
/// processes do not agree on their number or two have the same rank.
std::unique_ptr<Communicator> join_processes(const ProcessPlace& place, const JoinCallbacks& callbacks = {});

}  // namespace clearway::train
