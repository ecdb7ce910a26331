// Several processes on one machine: sums, exchanges, and what happens when one is gone.
#include <chrono>
#include <cstdlib>
#include <thread>

#include "processes.hpp"

namespace clearway::train {
namespace {

using testing_processes::Child;
using testing_processes::in_processes;
using testing_processes::Numbers;
using testing_processes::start_processes;

void expect_says(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

TEST(Communicator, SumsAndHandsOut) {
  for (const int size : {2, 3}) {
    const auto found = in_processes(size, [](Communicator& all) {
      torch::Tensor sum = at::full({5}, 1.5F * static_cast<float>(all.rank() + 1));
      all.all_reduce(sum);
      torch::Tensor counts = at::full({2}, all.rank(), at::kLong);
      all.all_reduce(counts);
      torch::Tensor flags = at::full({3}, all.rank() == 1, at::kBool);
      all.broadcast(flags, 1);
      all.barrier();
      return Numbers{sum[4].item<double>(), counts[1].item<double>(), flags[2].item<double>()};
    });
    for (const Numbers& numbers : found)
      EXPECT_EQ(numbers, (Numbers{0.75 * size * (size + 1), size * (size - 1) / 2.0, 1}));
  }
}

// Process r sends r + 2 s rows to process s, or none at all; every row says where it is from and where to.
TEST(Communicator, ExchangesUnevenAndEmptyRows) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kLong}) {
    const auto found = in_processes(3, [&](Communicator& all) {
      Numbers out;
      for (const bool nothing_from_1 : {false, true}) {
        std::vector<std::int64_t> counts, received;
        std::vector<torch::Tensor> rows;
        for (int to = 0; to < all.size(); ++to) {
          counts.push_back(nothing_from_1 && all.rank() == 1 ? 0 : all.rank() + 2 * to);
          rows.push_back(at::full({counts.back(), 4}, 10 * all.rank() + to, at::kFloat).to(type));
        }
        const torch::Tensor came = all.exchange_rows(at::cat(rows), counts, received);
        std::int64_t row = 0;
        for (int from = 0; from < all.size(); ++from) {
          const std::int64_t wanted = nothing_from_1 && from == 1 ? 0 : from + 2 * all.rank();
          bool right = received[static_cast<std::size_t>(from)] == wanted;
          for (std::int64_t i = 0; i < wanted; ++i, ++row)
            right = right && came[row].eq(10 * from + all.rank()).all().item<bool>();
          out.push_back(right ? 1 : 0);
        }
        out.push_back(came.size(0) == row && came.scalar_type() == type ? 1 : 0);
        // Back again, knowing what comes.
        std::vector<std::int64_t> back = counts;
        out.push_back(all.exchange_rows(came, received, back).equal(at::cat(rows)) ? 1 : 0);
      }
      std::vector<std::int64_t> none(3), nothing;
      out.push_back(all.exchange_rows(at::empty({0, 4}), none, nothing).size(0) == 0 ? 1 : 0);
      return out;
    });
    for (const Numbers& numbers : found) EXPECT_EQ(numbers, Numbers(11, 1.0));
  }
}

TEST(Communicator, SaysThatAProcessEnded) {
  auto processes = start_processes(2, [](Communicator& all) {
    if (all.rank() == 1) _exit(7);
    for (int i = 0; i < 3; ++i) all.barrier();
    return Numbers{};
  });
  expect_says(processes[0]->error(), "process 0 of 2: another process ended while");
}

TEST(Communicator, DoesNotWaitForEver) {
  auto processes = start_processes(
      2,
      [](Communicator& all) {
        if (all.rank() == 1) std::this_thread::sleep_for(std::chrono::seconds(3));
        if (all.rank() == 0) all.barrier();
        return Numbers{};
      },
      2);
  expect_says(processes[0]->error(), "another process did not answer within 2 s");
}

TEST(Communicator, NamesThoseThatDidNotCome) {
  Child alone([] {
    join_processes({.rank = 0, .size = 3, .timeout = 1});
    return Numbers{};
  });
  expect_says(alone.error(), "processes that did not come: 1, 2");
  Child lost([] {
    join_processes({.rank = 1, .size = 2, .port = 1, .timeout = 1});
    return Numbers{};
  });
  expect_says(lost.error(), "process 0 did not answer at 127.0.0.1, port 1 within 1 s");
  Child nowhere([] {
    join_processes({.rank = 1, .size = 2, .address = "no such machine", .port = 1, .timeout = 1});
    return Numbers{};
  });
  expect_says(nowhere.error(), "'no such machine' is not the name of a machine");
}

TEST(Communicator, RefusesTwoOfOneRankAndOtherNumbers) {
  for (const bool same_rank : {true, false}) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    Child first([&] {
      JoinCallbacks callbacks;
      callbacks.listening = [&](int port) {
        for (int i = 0; i < 2; ++i)
          if (write(ends[1], &port, sizeof port) < 0) _exit(1);
      };
      join_processes({.rank = 0, .size = same_rank ? 3 : 2, .timeout = 1}, callbacks);
      return Numbers{};
    });
    const auto other = [&](int size) {
      return std::make_unique<Child>([&ends, size] {
        ProcessPlace place{.rank = 1, .size = size, .timeout = 1};
        if (read(ends[0], &place.port, sizeof place.port) < 0) _exit(1);
        join_processes(place);
        return Numbers{};
      });
    };
    if (same_rank) {
      const auto a = other(3), b = other(3);
      expect_says(a->error() + b->error(), "RANK 1 is given to two processes");
    } else {
      expect_says(other(4)->error(), "WORLD_SIZE is 4 here, and 2 for process 0");
    }
    close(ends[0]);
    close(ends[1]);
  }
}

class Environment : public testing::Test {
 protected:
  void SetUp() override { set({}); }
  void TearDown() override { set({}); }
  static void set(const std::vector<std::pair<const char*, const char*>>& values) {
    for (const char* name : {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}) unsetenv(name);
    for (const auto& [name, value] : values) setenv(name, value, 1);
  }
  static std::string problem() {
    try {
      place_from_environment();
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(Environment, IsReadAsTorchrunSetsIt) {
  EXPECT_FALSE(place_from_environment().has_value());
  set({{"MASTER_PORT", "nonsense"}});  // of no group
  EXPECT_FALSE(place_from_environment().has_value());
  set({{"RANK", "3"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "node0"}, {"MASTER_PORT", "29500"}});
  const auto place = place_from_environment();
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->rank, 3);
  EXPECT_EQ(place->size, 4);
  EXPECT_EQ(place->address, "node0");
  EXPECT_EQ(place->port, 29500);
}

TEST_F(Environment, IsChecked) {
  set({{"RANK", "0"}});
  expect_says(problem(), "WORLD_SIZE is not set");
  set({{"WORLD_SIZE", "2"}});
  expect_says(problem(), "RANK is not set");
  set({{"RANK", "2"}, {"WORLD_SIZE", "2"}});
  EXPECT_EQ(problem(), "RANK must be a whole number between 0 and 1, not '2'");
  set({{"RANK", "one"}, {"WORLD_SIZE", "2"}});
  EXPECT_EQ(problem(), "RANK must be a whole number between 0 and 1, not 'one'");
  set({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "node0"}});
  expect_says(problem(), "MASTER_PORT is not set");
  set({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "node0"}, {"MASTER_PORT", "70000"}});
  EXPECT_EQ(problem(), "MASTER_PORT must be a whole number between 1 and 65535, not '70000'");
  set({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "29500"}});
  expect_says(problem(), "MASTER_ADDR is not set");
}

}  // namespace
}  // namespace clearway::train
