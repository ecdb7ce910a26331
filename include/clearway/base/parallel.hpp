// A parallel loop over tasks, on C++ threads that sleep when idle (nothing spins).
//
// Results must not depend on the number of threads: every task writes only to its own slot, takes its own random
// stream, and sums over tasks are taken afterwards in task order.
#pragma once

#include <cstddef>
#include <functional>

namespace clearway {

/// Number of threads to use for a request: the request itself when positive, else OMP_NUM_THREADS when set, else the
/// number of cores; never less than 1.
int resolve_threads(int requested);

/// Calls body(task) for task = 0 .. tasks-1 on up to `threads` threads (after resolve_threads). Tasks are handed out
/// in order. The first exception (by task number) is rethrown after all workers stopped. Runs inline for one thread.
/// Nested calls run inline, so that nothing oversubscribes the machine.
void parallel_for(std::size_t tasks, int threads, const std::function<void(std::size_t)>& body);

}  // namespace clearway
