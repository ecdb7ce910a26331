// The other processes of a training on this machine: started by the first, with the same words, and ended with it.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace clearway::cli {

class Companions {
 public:
  Companions() = default;
  Companions(const Companions&) = delete;
  Companions& operator=(const Companions&) = delete;
  /// Waits a little for those that are about to end, and ends the others.
  ~Companions();

  /// Starts ranks 1 .. processes-1, which find their place by RANK and the like. They print nothing, what they say on
  /// standard error is kept, and Ctrl-C is the first process's affair.
  void start(int processes, int port);
  /// Throws std::runtime_error, naming rank and reason, when one has failed.
  void check();
  /// The same, when the connection to one is lost: gives all of them the time to end.
  void check_after_loss();
  /// Waits for all to end; throws like check().
  void finish();

 private:
  struct Process {
    int rank = 0;
    pid_t id = 0;
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> errors{nullptr, std::fclose};
    std::optional<int> status;  ///< of waitpid, once it ended
  };
  /// Whether all ended by now, or within the seconds.
  bool all_ended(double seconds);

  std::vector<Process> processes_;
};

}  // namespace clearway::cli
