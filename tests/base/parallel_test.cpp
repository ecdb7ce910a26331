#include "clearway/base/parallel.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "clearway/base/random.hpp"

namespace clearway {
namespace {

TEST(ParallelFor, RunsEveryTaskOnce) {
  for (const std::size_t tasks : {0u, 1u, 2u, 7u, 1000u})
    for (const int threads : {1, 2, 3, 16}) {
      std::vector<std::atomic<int>> runs(tasks);
      parallel_for(tasks, threads, [&](std::size_t task) { runs[task].fetch_add(1); });
      for (const auto& count : runs) EXPECT_EQ(count.load(), 1);
    }
}

TEST(ParallelFor, ResultsDoNotDependOnTheNumberOfThreads) {
  const auto sums = [](int threads) {
    std::vector<double> out(50);
    parallel_for(out.size(), threads, [&](std::size_t task) {
      RandomStream random(9, task);
      for (int i = 0; i < 100; ++i) out[task] += random.normal();
    });
    return out;
  };
  const auto one = sums(1);
  EXPECT_EQ(one, sums(2));
  EXPECT_EQ(one, sums(5));
}

TEST(ParallelFor, TheFirstExceptionByTaskNumberWins) {
  for (const int threads : {1, 2, 8})
    for (int repeat = 0; repeat < 20; ++repeat) {
      try {
        parallel_for(64, threads, [](std::size_t task) {
          if (task == 5) std::this_thread::sleep_for(std::chrono::milliseconds(1));  // later ones fail before it
          if (task >= 5) throw std::runtime_error("task " + std::to_string(task));
        });
        FAIL() << "no exception";
      } catch (const std::runtime_error& error) {
        EXPECT_STREQ(error.what(), "task 5");
      }
    }
}

TEST(ParallelFor, NestedCallsRunInline) {
  std::atomic<int> inner{0};
  std::atomic<int> strays{0};
  parallel_for(4, 4, [&](std::size_t) {
    const auto here = std::this_thread::get_id();
    parallel_for(10, 4, [&](std::size_t) {
      inner.fetch_add(1);
      if (std::this_thread::get_id() != here) strays.fetch_add(1);
    });
  });
  EXPECT_EQ(inner.load(), 40);
  EXPECT_EQ(strays.load(), 0);
}

TEST(ParallelFor, UsesSeveralThreadsWhenAsked) {
  // Two tasks that wait for each other finish only when both run at once.
  std::atomic<int> arrived{0};
  parallel_for(2, 2, [&](std::size_t) {
    arrived.fetch_add(1);
    arrived.notify_all();
    for (int seen = arrived.load(); seen < 2; seen = arrived.load()) arrived.wait(seen);
  });
  EXPECT_EQ(arrived.load(), 2);
}

TEST(ResolveThreads, RequestThenEnvironmentThenCores) {
  EXPECT_EQ(resolve_threads(3), 3);
  const char* before = std::getenv("OMP_NUM_THREADS");
  const std::string saved = before == nullptr ? "" : before;
  setenv("OMP_NUM_THREADS", "5", 1);
  EXPECT_EQ(resolve_threads(0), 5);
  EXPECT_EQ(resolve_threads(2), 2);
  setenv("OMP_NUM_THREADS", "6,2", 1);
  EXPECT_EQ(resolve_threads(0), 6);
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  for (const char* useless : {"", "0", "-3", "many", "4x"}) {
    setenv("OMP_NUM_THREADS", useless, 1);
    EXPECT_EQ(resolve_threads(0), cores) << useless;
  }
  unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(resolve_threads(-1), cores);
  if (before != nullptr) setenv("OMP_NUM_THREADS", saved.c_str(), 1);
}

}  // namespace
}  // namespace clearway
