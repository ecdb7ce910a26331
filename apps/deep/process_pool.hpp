// Independent jobs, each in a process of its own: a model trains on one core, and torch's random generator is one per process.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

namespace clearway::cli {

/// Runs job(i) for i = 0 .. count - 1 in children of this process, at most `at_once` at a time, and calls done(i, text) here as
/// each ends, in any order. A job that throws, or whose process dies, ends the whole with an exception once the others that run
/// have ended; `stop`, asked several times a second, lets no further job begin and ends those that run. Returns whether all were done.
/// Call it before any thread of torch or OpenMP has run in this process: threads do not survive a fork.
bool run_in_processes(std::size_t count, std::size_t at_once, const std::function<std::string(std::size_t)>& job,
                      const std::function<void(std::size_t, const std::string&)>& done,
                      const std::function<bool()>& stop);

}  // namespace clearway::cli
