// Run folders never lose what is in a folder; files appear whole or not at all.
#include "clearway/io/run_folder.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "temporary_folder.hpp"

namespace clearway {
namespace {

namespace fs = std::filesystem;
using testing_io::message_of;
using testing_io::TemporaryFolder;

TEST(RunFolder, WritesAndReadsBack) {
  const TemporaryFolder folder;
  const RunFolder run = RunFolder::create(folder / "deep/run");
  run.write("summary.txt", "fine\n");
  run.write_json("config.json", Json{{"seed", 1}});
  EXPECT_TRUE(run.has("summary.txt"));
  EXPECT_FALSE(run.has("model.json"));
  const RunFolder again = RunFolder::open(folder / "deep/run");
  EXPECT_EQ(again.read("summary.txt"), "fine\n");
  EXPECT_EQ(again.read_json("config.json")["seed"], 1);
  EXPECT_EQ(message_of([&] { (void)again.read("model.json"); }), again.file("model.json") + ": there is no such file");
  EXPECT_THROW(run.write("sumary.txt", "typing slip in our own code"), std::logic_error);
}

TEST(RunFolder, NeverOverwritesUnlessForced) {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  RunFolder::create(path);
  RunFolder::create(path);  // still empty: a run that failed before it wrote anything is no obstacle

  const RunFolder run = RunFolder::create(path);
  run.write_json("config.json", Json::object());
  run.write_json("model.json", Json::object());
  write_file(path + "/notes.txt", "mine");
  EXPECT_EQ(message_of([&] { RunFolder::create(path); }),
            path + ": the folder already holds a run; choose another folder, or replace it with --force");
  EXPECT_TRUE(run.has("model.json"));
  RunFolder::create(path, true);
  EXPECT_FALSE(run.has("model.json"));                // nothing of the old run is left to be mistaken for the new one
  EXPECT_EQ(read_file(path + "/notes.txt"), "mine");  // and nothing else is touched
}

TEST(RunFolder, ForceRemovesCheckpointsAndNothingElse) {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  const RunFolder run = RunFolder::create(path);
  run.write_json("config.json", Json::object());
  fs::create_directories(run.checkpoints() + "/step-00000001");
  write_file(run.checkpoints() + "/step-00000001/state.json", "{}");
  fs::create_directory_symlink("step-00000001", run.checkpoints() + "/last");
  fs::create_directories(folder / "elsewhere");
  write_file(folder / "elsewhere/state.json", "{}");
  fs::create_directory_symlink(folder / "elsewhere", run.checkpoints() + "/best");
  RunFolder::create(path, true);
  EXPECT_FALSE(fs::exists(run.checkpoints()));
  EXPECT_TRUE(fs::exists(folder / "elsewhere/state.json"));  // a link is removed, not what it points to

  run.write_json("config.json", Json::object());
  fs::create_directories(run.checkpoints());
  write_file(run.checkpoints() + "/notes.txt", "mine");
  RunFolder::create(path, true);
  EXPECT_EQ(read_file(run.checkpoints() + "/notes.txt"), "mine");
}

TEST(RunFolder, AFolderThatHoldsNoRunIsNeverTouched) {
  const TemporaryFolder folder;
  write_file(folder / "thesis.tex", "years of work");
  write_file(folder / "summary.txt", "not ours");
  for (const bool force : {false, true})
    EXPECT_EQ(message_of([&] { RunFolder::create(folder.path(), force); }),
              folder.path() + ": the folder holds other files and no run; choose another folder");
  EXPECT_EQ(read_file(folder / "summary.txt"), "not ours");
  EXPECT_EQ(message_of([&] { RunFolder::create(folder / "thesis.tex", true); }),
            folder / "thesis.tex" + ": is a file, not a folder for a run");
  EXPECT_EQ(message_of([&] { RunFolder::create(""); }), "the name of a run folder is empty");
  EXPECT_EQ(message_of([&] { RunFolder::open(folder / "none"); }), folder / "none" + ": there is no such run folder");
  EXPECT_EQ(message_of([&] { RunFolder::open(folder / "thesis.tex"); }),
            folder / "thesis.tex" + ": is a file, not a run folder");
  EXPECT_EQ(message_of([&] { RunFolder::open(folder.path()); }),
            folder.path() + ": holds no run (neither config.json nor model.json)");
}

TEST(JsonLines, OneObjectPerLine) {
  const TemporaryFolder folder;
  {
    JsonLines lines(folder / "h.jsonl");
    lines.write(Json{{"step", 1}, {"loss", 0.1}});
    EXPECT_EQ(read_file(folder / "h.jsonl"), "{\"step\":1,\"loss\":0.1}\n");  // visible at once
    lines.write(Json{{"text", "a\nb"}});
    EXPECT_THROW(lines.write(Json{{"loss", std::nan("")}}), std::invalid_argument);
  }
  const auto objects = read_json_lines(folder / "h.jsonl");
  ASSERT_EQ(objects.size(), 2u);
  EXPECT_EQ(objects[0]["loss"], 0.1);
  EXPECT_EQ(objects[1]["text"], "a\nb");
  write_file(folder / "bad.jsonl", "{}\n{]\n");
  EXPECT_EQ(
      message_of([&] { (void)read_json_lines(folder / "bad.jsonl"); }).find(folder / "bad.jsonl" + ": entry 2: line 1"),
      0u);
  EXPECT_EQ(message_of<std::runtime_error>([&] { JsonLines lines(folder / "no/h.jsonl"); }),
            folder / "no/h.jsonl" + ": cannot be created: No such file or directory");
}

TEST(AtomicFile, AppearsOnlyWhenComplete) {
  const TemporaryFolder folder;
  const std::string path = folder / "f";
  {
    AtomicFile file(path);
    file.write("half");
    EXPECT_FALSE(fs::exists(path));
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));  // given up: nothing remains
  write_file(path, "old");
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  {
    AtomicFile file(path);
    file.write("new");
    EXPECT_EQ(read_file(path), "old");
    file.commit(true);
  }
  EXPECT_EQ(read_file(path), "new");
  EXPECT_EQ(fs::status(path).permissions(), static_cast<fs::perms>(0640));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(AtomicFile, LinksAndDevicesStayWhatTheyAre) {
  const TemporaryFolder folder;
  write_file(folder / "target", "old");
  fs::create_symlink(folder / "target", folder / "link");
  write_file(folder / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(read_file(folder / "target"), "new");
  write_file("/dev/null", "gone");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  EXPECT_EQ(message_of([&] { write_file(folder.path(), "x"); }), folder.path() + ": is a folder, not a file");
  EXPECT_EQ(message_of([&] { write_file("", "x"); }), "a file name is empty");
  EXPECT_EQ(message_of<std::runtime_error>([&] { write_file(folder / "no/x", "x"); }),
            folder / "no/x" + ": cannot be created: No such file or directory");
  EXPECT_EQ(message_of<std::runtime_error>([&] { write_file("/dev/full", "x"); }),
            "/dev/full: cannot be written: No space left on device");
}

TEST(ReadFile, LimitsAndMessages) {
  const TemporaryFolder folder;
  write_file(folder / "f", std::string(200000, 'x'));
  EXPECT_EQ(read_file(folder / "f").size(), 200000u);
  EXPECT_EQ(message_of([&] { (void)read_file(folder / "f", 1000); }),
            folder / "f" + ": is larger than 1000 bytes, too large for this kind of file");
}

}  // namespace
}  // namespace clearway
