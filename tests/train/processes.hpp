// Several processes on the loopback interface for a test: each is forked, runs a function and hands back numbers.
#pragma once

#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "clearway/train/communicator.hpp"

namespace clearway::train::testing_processes {

using Numbers = std::vector<double>;

/// A pipe through which a forked process sends numbers or a message.
class Child {
 public:
  explicit Child(const std::function<Numbers()>& work) {
    int ends[2];
    if (pipe(ends) != 0) throw std::runtime_error("no pipe");
    process_ = fork();
    if (process_ == 0) {
      close(ends[0]);
      char kind = 'n';
      std::string bytes;
      try {
        const Numbers numbers = work();
        bytes.assign(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double));
      } catch (const std::exception& error) {
        kind = 'e';
        bytes = error.what();
      }
      bytes.insert(bytes.begin(), kind);
      for (std::size_t at = 0; at < bytes.size();) {
        const ssize_t count = write(ends[1], bytes.data() + at, bytes.size() - at);
        if (count <= 0) break;
        at += static_cast<std::size_t>(count);
      }
      _exit(0);
    }
    close(ends[1]);
    pipe_ = ends[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() { wait(); }

  /// Waits for the end.
  void wait() {
    if (process_ <= 0) return;
    char buffer[4096];
    for (ssize_t count = 0; (count = read(pipe_, buffer, sizeof buffer)) > 0;)
      said_.append(buffer, static_cast<std::size_t>(count));
    close(pipe_);
    waitpid(process_, &status_, 0);
    process_ = 0;
  }
  Numbers numbers() {
    wait();
    EXPECT_TRUE(!said_.empty() && said_[0] == 'n') << said_;
    Numbers out(said_.size() / sizeof(double));
    if (!out.empty()) std::memcpy(out.data(), said_.data() + 1, out.size() * sizeof(double));
    return out;
  }
  /// What it failed with; empty when it did not fail.
  std::string error() {
    wait();
    return said_.empty() || said_[0] != 'e' ? "" : said_.substr(1);
  }

 private:
  pid_t process_ = -1;
  int pipe_ = -1, status_ = 0;
  std::string said_;
};

/// Starts `size` processes that meet; the caller's own process stays free of torch's threads.
inline std::vector<std::unique_ptr<Child>> start_processes(int size, const std::function<Numbers(Communicator&)>& work,
                                                           double timeout = 60) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  std::vector<std::unique_ptr<Child>> out;
  for (int rank = 0; rank < size; ++rank)
    out.push_back(std::make_unique<Child>([=] {
      at::set_num_threads(1);
      ProcessPlace place{.rank = rank, .size = size, .timeout = timeout};
      JoinCallbacks callbacks;
      callbacks.listening = [&](int port) {
        for (int other = 1; other < size; ++other)
          if (write(ends[1], &port, sizeof port) != sizeof port) throw std::runtime_error("pipe");
      };
      if (rank > 0 && read(ends[0], &place.port, sizeof place.port) != sizeof place.port)
        throw std::runtime_error("pipe");
      const auto communicator = join_processes(place, callbacks);
      return work(*communicator);
    }));
  close(ends[0]);
  close(ends[1]);
  return out;
}

/// What each of them found.
inline std::vector<Numbers> in_processes(int size, const std::function<Numbers(Communicator&)>& work) {
  std::vector<Numbers> out;
  for (auto& child : start_processes(size, work)) out.push_back(child->numbers());
  return out;
}

}  // namespace clearway::train::testing_processes
