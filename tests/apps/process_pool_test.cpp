// Jobs in processes of their own: results, mistakes, deaths, an early end.
#include "deep/process_pool.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <map>
#include <stdexcept>

#include "io/temporary_folder.hpp"

namespace clearway::cli {
namespace {

using testing_io::message_of;

const std::function<bool()> kNever = [] { return false; };

void sleep_long() {
  ::usleep(60'000'000);
}
bool has_children() {
  return ::waitpid(-1, nullptr, WNOHANG) == 0;
}

TEST(ProcessPool, HandsOverEveryResultOnce) {
  for (const std::size_t at_once : {1U, 3U, 50U}) {
    std::map<std::size_t, std::string> found;
    const bool all = run_in_processes(
        20, at_once,
        [](std::size_t i) {
          if (i % 5 == 0) ::usleep(20'000);                     // later than those behind it
          return std::string(i == 7 ? 300'000 : i, 'x') + "|";  // one more than a pipe holds
        },
        [&](std::size_t i, const std::string& text) { EXPECT_TRUE(found.emplace(i, text).second); }, kNever);
    EXPECT_TRUE(all);
    ASSERT_EQ(found.size(), 20U);
    for (const auto& [i, text] : found) EXPECT_EQ(text, std::string(i == 7 ? 300'000 : i, 'x') + "|");
    EXPECT_FALSE(has_children());
  }
}

TEST(ProcessPool, NothingToDo) {
  EXPECT_TRUE(run_in_processes(
      0, 2, [](std::size_t) { return std::string(); }, [](std::size_t, const std::string&) { FAIL(); }, kNever));
  EXPECT_EQ(message_of([] {
              run_in_processes(
                  1, 0, [](std::size_t) { return std::string(); }, [](std::size_t, const std::string&) {}, kNever);
            }),
            "processes must be at least 1, not 0");
}

/// What the whole says when job 1 of three does this; the results of the others that ran come before.
template <class Problem>
std::string said_for(const std::function<std::string()>& deed, int* results = nullptr) {
  int count = 0;
  const std::string message = message_of<Problem>([&] {
    run_in_processes(
        3, 2, [&](std::size_t i) { return i == 1 ? deed() : std::string("fine"); },
        [&](std::size_t, const std::string&) { ++count; }, kNever);
  });
  EXPECT_FALSE(has_children());
  if (results != nullptr) *results = count;
  return message;
}

TEST(ProcessPool, MistakesAndFailuresComeThrough) {
  int results = 0;
  EXPECT_EQ(
      said_for<std::invalid_argument>([]() -> std::string { throw std::invalid_argument("top-k is 7"); }, &results),
      "top-k is 7");
  EXPECT_GE(results, 1) << "what others computed is kept";
  EXPECT_EQ(said_for<std::runtime_error>([]() -> std::string { throw std::runtime_error("the disk is full"); }),
            "the disk is full");
  EXPECT_EQ(said_for<std::runtime_error>([]() -> std::string { throw 7; }),
            "a process of the study ended without a result");
}

TEST(ProcessPool, ADeathHasAName) {
  const auto killed = [](int signal) {
    return said_for<std::runtime_error>([signal]() -> std::string {
      ::signal(signal, SIG_DFL);
      ::raise(signal);
      return "never";
    });
  };
  EXPECT_EQ(killed(SIGKILL), std::string("a process of the study was killed: ") + ::strsignal(SIGKILL));
  EXPECT_EQ(killed(SIGTERM), std::string("a process of the study was killed: ") + ::strsignal(SIGTERM));
  EXPECT_EQ(said_for<std::runtime_error>([]() -> std::string { ::_exit(3); }),
            "a process of the study ended without a result");
}

TEST(ProcessPool, StopEndsEarly) {
  int results = 0, asked = 0;
  const bool all = run_in_processes(
      10, 2,
      [](std::size_t i) {
        if (i > 0) sleep_long();
        return std::string("done");
      },
      [&](std::size_t, const std::string&) { ++results; },
      [&] {
        ++asked;
        return results > 0;
      });
  EXPECT_FALSE(all);
  EXPECT_EQ(results, 1);
  EXPECT_GT(asked, 1);
  EXPECT_FALSE(has_children()) << "those that slept were ended";
}

TEST(ProcessPool, NoProcessOutlivesAnException) {
  EXPECT_THROW(run_in_processes(
                   2, 2,
                   [](std::size_t i) {
                     if (i == 1) sleep_long();
                     return std::string("done");
                   },
                   [](std::size_t, const std::string&) { throw std::runtime_error("the disk is full"); }, kNever),
               std::runtime_error);
  EXPECT_FALSE(has_children());
}

// A process that is killed while it writes leaves a beginning: no result.
TEST(ProcessPool, HalfAResultIsNone) {
  const std::string message = message_of<std::runtime_error>([] {
    run_in_processes(
        1, 1,
        [](std::size_t) {
          // Somebody else ends this process while its result, more than the pipe holds, waits to be read.
          const pid_t self = ::getpid();
          if (::fork() == 0) {
            ::usleep(100'000);
            ::kill(self, SIGKILL);
            ::_exit(0);
          }
          return std::string(10'000'000, 'x');
        },
        [](std::size_t, const std::string&) { ADD_FAILURE() << "half a result"; },
        [] {
          ::usleep(300'000);  // the reader is slow
          return false;
        });
  });
  EXPECT_NE(message.find("was killed"), std::string::npos) << message;
}

}  // namespace
}  // namespace clearway::cli
