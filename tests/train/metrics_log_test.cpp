// The record of a run: a resumed run leaves the bytes of an uninterrupted one; TensorBoard's copy says the same.
#include "clearway/train/metrics_log.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "io/temporary_folder.hpp"

namespace clearway::train {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

void write_steps(MetricsLog& log, std::int64_t first, std::int64_t last) {
  for (std::int64_t step = first; step <= last; ++step)
    log.write(step, {{"loss", 1.0 / static_cast<double>(step)}, {"bad", std::nan("")}},
              1000.5 + static_cast<double>(step));
}

TEST(MetricsLog, AResumedRunLeavesTheRecordOfAnUninterruptedOne) {
  const TemporaryFolder folder;
  {
    MetricsLog log(folder / "whole", 0, folder / "whole.events");
    write_steps(log, 1, 6);
  }
  EXPECT_EQ(read_file(folder / "whole").substr(0, 51), "{\"step\":1,\"time\":1001.5,\"loss\":1.0,\"bad\":null}\n{\"st");
  {
    MetricsLog log(folder / "cut", 0, folder / "cut.events");
    write_steps(log, 1, 5);
  }
  AppendingFile(folder / "cut").write("{\"step\":6,\"ti");  // the crash
  {
    MetricsLog log(folder / "cut", 3, folder / "cut.events");
    write_steps(log, 4, 6);
  }
  EXPECT_EQ(read_file(folder / "cut"), read_file(folder / "whole"));
  // But for the first record, which has the time at which the file was made, the copies are equal.
  const std::size_t first = tf_record(version_event(0)).size();
  EXPECT_EQ(read_file(folder / "cut.events").substr(first), read_file(folder / "whole.events").substr(first));
  {
    MetricsLog log(folder / "cut");  // a new run
  }
  EXPECT_EQ(read_file(folder / "cut"), "");
}

TEST(MetricsLog, TensorBoardSeesWhatTheRecordHas) {
  const char* python = "/usr/bin/python3";
  if (std::system((std::string(python) + " -c '' 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "no " << python;
  const TemporaryFolder folder;
  MetricsLog log(folder / "metrics.jsonl", 0, folder / "events");
  write_steps(log, 1, 2);
  const std::string script = CLEARWAY_SOURCE "/tests/io/decode_events.py";
  ASSERT_EQ(std::system((std::string(python) + " " + script + " " + folder / "events" + " >" + folder / "out").c_str()),
            0);
  const std::string out = read_file(folder / "out");
  EXPECT_EQ(out.substr(out.find('\n') + 1), "1001.5 step 1 loss 1\n1002.5 step 2 loss 0.5\n");
}

TEST(MetricsLog, EveryRefusalIsNamed) {
  const TemporaryFolder folder;
  const auto error_of = [&](const std::string& text) {
    write_file(folder / "m", text);
    return message_of([&] { MetricsLog log(folder / "m", 9); });
  };
  const std::string m = folder / "m";
  EXPECT_EQ(error_of("{\"step\":1,\"time\":2}\n"), "no exception");
  EXPECT_EQ(error_of("{\"step\":1,\"time\":2}\n{\"time\":2}\n"), m + ": entry 2: step is missing");
  EXPECT_EQ(error_of("{\"step\":-1,\"time\":2}\n"), m + ": entry 1: step must be at least 0, not -1");
  EXPECT_EQ(error_of("[]\n").find(m + ": entry 1"), 0u);
  EXPECT_EQ(error_of("hello\n").find(m + ": entry 1: line 1"), 0u);
  EXPECT_EQ(read_file(m), "hello\n");  // a file of other things is left alone
  MetricsLog log(folder / "n");
  EXPECT_THROW(log.write(1, {{"step", 1}}), std::logic_error);
  EXPECT_THROW(log.write(1, {{"a", 1}, {"a", 1}}), std::logic_error);
}

}  // namespace
}  // namespace clearway::train
