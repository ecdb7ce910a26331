#include "clearway/base/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace clearway {

namespace {

thread_local bool inside_parallel_for = false;

/// Marks the current thread as a worker, so that nested loops run inline.
class InsideMark {
 public:
  InsideMark() : before_(inside_parallel_for) { inside_parallel_for = true; }
  ~InsideMark() { inside_parallel_for = before_; }
  InsideMark(const InsideMark&) = delete;
  InsideMark& operator=(const InsideMark&) = delete;

 private:
  bool before_;
};

/// The positive number that OMP_NUM_THREADS starts with ("4" or "4,2"), else 0.
int threads_of_environment() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return 0;
  int value = 0;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  return error == std::errc() && (*end == '\0' || *end == ',') && value > 0 ? value : 0;
}

}  // namespace

int resolve_threads(int requested) {
  if (requested > 0) return requested;
  if (const int wished = threads_of_environment(); wished > 0) return wished;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void parallel_for(std::size_t tasks, int threads, const std::function<void(std::size_t)>& body) {
  if (tasks == 0) return;
  const std::size_t workers = std::min(tasks, static_cast<std::size_t>(resolve_threads(threads)));
  if (workers == 1 || inside_parallel_for) {
    for (std::size_t task = 0; task < tasks; ++task) body(task);
    return;
  }

  std::atomic<std::size_t> next{0};
  std::mutex failure_mutex;
  std::exception_ptr failure;
  std::size_t failed_task = tasks;

  // Tasks are started in order, so every task before a failing one has been started too: the failure of the smallest
  // number is always seen, whichever worker is fastest.
  const auto work = [&] {
    const InsideMark mark;
    for (;;) {
      const std::size_t task = next.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks) return;
      try {
        body(task);
      } catch (...) {
        next.store(tasks, std::memory_order_relaxed);  // hand out nothing more
        const std::lock_guard lock(failure_mutex);
        if (task < failed_task) {
          failed_task = task;
          failure = std::current_exception();
        }
      }
    }
  };

  {
    std::vector<std::jthread> helpers;
    helpers.reserve(workers - 1);
    try {
      for (std::size_t i = 1; i < workers; ++i) helpers.emplace_back(work);
    } catch (const std::system_error&) {
      // The system gives no more threads: those that we have do all the work.
    }
    work();
  }  // joins
  if (failure) std::rethrow_exception(failure);
}

}  // namespace clearway
