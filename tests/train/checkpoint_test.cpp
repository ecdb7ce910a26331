// Checkpoints: everything comes back bit for bit, and no crash, however timed, leaves a mixed one.
#include "clearway/train/checkpoint.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "clearway/io/file.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

namespace fs = std::filesystem;
using testing_io::message_of;
using testing_io::TemporaryFolder;

/// Every part of it says which step it belongs to.
Checkpoint checkpoint_of(std::int64_t step, std::int64_t numbers = 100) {
  Checkpoint checkpoint;
  checkpoint.model["w"] = at::full({numbers}, static_cast<double>(step), at::kDouble);
  checkpoint.optimizer["w.first"] = at::full({numbers}, static_cast<double>(step), at::kDouble);
  checkpoint.state.step = step;
  return checkpoint;
}

/// The step of a checkpoint whose parts all belong together.
std::int64_t step_of(const Checkpoint& checkpoint) {
  const auto step = static_cast<double>(checkpoint.state.step);
  EXPECT_TRUE((checkpoint.model.at("w") == step).all().item<bool>());
  EXPECT_TRUE((checkpoint.optimizer.at("w.first") == step).all().item<bool>());
  return checkpoint.state.step;
}

std::set<std::string> names_in(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

TEST(Checkpoint, EverythingComesBack) {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(RunFolder::create(folder / "run"));
  EXPECT_FALSE(checkpoints.has("last"));
  Checkpoint saved = checkpoint_of(7);
  saved.state.data_position = 11;
  saved.state.best_metric = 0.1;
  saved.state.best_step = 5;
  saved.state.generators["data"] = std::string("\0\xFF\x80", 3);
  saved.state.more["patience"] = 3;
  checkpoints.save(saved, true);
  for (const auto* which : {"last", "best"}) {
    const Checkpoint back = checkpoints.load(which);
    EXPECT_EQ(step_of(back), 7);
    EXPECT_EQ(back.state.data_position, 11);
    EXPECT_EQ(back.state.best_metric, 0.1);
    EXPECT_EQ(back.state.best_step, 5);
    EXPECT_EQ(back.state.generators, saved.state.generators);
    EXPECT_EQ(back.state.more, saved.state.more);
    EXPECT_EQ(back.model.size(), 1u);
  }
  saved.state.best_metric.reset();
  checkpoints.save(saved, false);  // the same step again: a run that was resumed there
  EXPECT_EQ(checkpoints.load_state("last").best_metric, std::nullopt);
  EXPECT_EQ(checkpoints.load_state("best").best_metric, 0.1);
}

TEST(Checkpoint, OnlyLastAndBestAreKept) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create(folder / "run");
  CheckpointFolder checkpoints(run);
  for (std::int64_t step = 1; step <= 4; ++step) checkpoints.save(checkpoint_of(step), step == 2);
  EXPECT_EQ(step_of(checkpoints.load("last")), 4);
  EXPECT_EQ(step_of(checkpoints.load("best")), 2);
  EXPECT_EQ(names_in(run.checkpoints()), (std::set<std::string>{"best", "last", "step-00000002", "step-00000004"}));
  EXPECT_TRUE(fs::exists(run.checkpoints() + "/last/model.safetensors"));  // as a user finds it
}

TEST(Checkpoint, WhatACrashLeavesIsIgnoredAndRemoved) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create(folder / "run");
  CheckpointFolder checkpoints(run);
  checkpoints.save(checkpoint_of(1), true);
  const std::string path = run.checkpoints();
  fs::create_directory(path + "/step-00000002.tmp");  // while it was written
  write_file(path + "/step-00000002.tmp/model.safetensors", "half");
  fs::create_directory(path + "/step-00000003");  // whole, but before the link was replaced
  write_file(path + "/step-00000003/state.json", "{}");
  fs::create_directory_symlink("step-00000003", path + "/last.tmp");
  EXPECT_EQ(step_of(checkpoints.load("last")), 1);
  checkpoints.save(checkpoint_of(2), false);
  EXPECT_EQ(step_of(checkpoints.load("last")), 2);
  EXPECT_EQ(step_of(checkpoints.load("best")), 1);
  EXPECT_EQ(names_in(path), (std::set<std::string>{"best", "last", "step-00000001", "step-00000002"}));
}

TEST(Checkpoint, AFullDiskLeavesTheOldOne) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create(folder / "run");
  CheckpointFolder checkpoints(run);
  checkpoints.save(checkpoint_of(1), true);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit before {};
  getrlimit(RLIMIT_FSIZE, &before);
  struct rlimit small = before;
  small.rlim_cur = 500;  // bytes of a file: the tensors need 800
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string message = message_of<std::runtime_error>([&] { checkpoints.save(checkpoint_of(2), true); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_NE(message.find("model.safetensors: cannot be written: File too large"), std::string::npos) << message;
  EXPECT_EQ(step_of(checkpoints.load("last")), 1);
  EXPECT_EQ(step_of(checkpoints.load("best")), 1);
  checkpoints.save(checkpoint_of(2), false);
  EXPECT_EQ(names_in(run.checkpoints()), (std::set<std::string>{"best", "last", "step-00000001", "step-00000002"}));
}

TEST(Checkpoint, KilledAtAnyTimeItIsWhole) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create(folder / "run");
  CheckpointFolder checkpoints(run);
  checkpoints.save(checkpoint_of(0), true);
  std::int64_t reached = 0;
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      try {
        for (std::int64_t step = reached + 1;; ++step) checkpoints.save(checkpoint_of(step), step % 3 == 0);
      } catch (...) {
        _exit(1);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(3000 + 1700 * round));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));  // and not a failure of its own
    const std::int64_t last = step_of(checkpoints.load("last"));
    const std::int64_t best = step_of(checkpoints.load("best"));
    EXPECT_GE(last, reached);
    EXPECT_EQ(best % 3, 0);
    // `best` is the newest multiple of 3; it may be one step ahead of `last`, never behind.
    EXPECT_TRUE(best == last - last % 3 || best == last + 1) << best << " " << last;
    reached = std::max(last, best);
  }
  checkpoints.save(checkpoint_of(reached + 1), true);
  EXPECT_EQ(names_in(run.checkpoints()).size(), 3u);
}

TEST(Checkpoint, TorchGoesOnWithTheSameNumbers) {
  const TemporaryFolder folder;
  CheckpointFolder checkpoints(RunFolder::create(folder / "run"));
  torch::manual_seed(3);
  (void)at::randn({5});  // an odd number: half of a pair of normals is in store
  Checkpoint checkpoint = checkpoint_of(1);
  checkpoint.state.generators["torch"] = torch_generator_state();
  checkpoints.save(checkpoint, false);
  const torch::Tensor expected = at::randn({7});
  (void)at::rand({100});
  set_torch_generator_state(checkpoints.load_state("last").generators.at("torch"));
  EXPECT_TRUE(at::equal(at::randn({7}), expected));
  EXPECT_EQ(message_of([] { set_torch_generator_state("short"); }),
            fmt::format("the state of torch's generator must have {} bytes, not 5", torch_generator_state().size()));
}

TEST(Checkpoint, EveryRefusalIsNamed) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create(folder / "run");
  CheckpointFolder checkpoints(run);
  EXPECT_EQ(message_of([&] { (void)checkpoints.load("last"); }), run.checkpoints() + ": there is no last checkpoint");
  EXPECT_THROW((void)checkpoints.load("first"), std::logic_error);
  checkpoints.save(checkpoint_of(1), false);
  EXPECT_EQ(message_of([&] { (void)checkpoints.load("best"); }), run.checkpoints() + ": there is no best checkpoint");
  const std::string state = checkpoints.file("last", "state.json");
  write_file(state, "{\"step\":1}");
  EXPECT_EQ(message_of([&] { (void)checkpoints.load("last"); }), state + ": data_position is missing");
  write_file(state,
             R"({"step":1,"data_position":0,"best_metric":null,"best_step":0,"generators":{"a":"?"},"more":{}})");
  EXPECT_EQ(message_of([&] { (void)checkpoints.load("last"); }),
            state + ": generators: a: is not base64: its length is not a multiple of 4");
  fs::resize_file(checkpoints.file("last", "model.safetensors"), 20);
  EXPECT_NE(message_of([&] { (void)checkpoints.load("last"); }).find("model.safetensors: is cut off"),
            std::string::npos);
}

}  // namespace
}  // namespace clearway::train
