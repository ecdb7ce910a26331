// `clearway train --processes`: several processes learn what one learns, and say why they do not.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "clearway/base/random.hpp"
#include "program.hpp"

namespace clearway::golden {
namespace {

/// A text of letters each of which depends on the one before.
std::string letters(std::size_t count) {
  RandomStream random(11);
  std::string out;
  std::uint64_t now = 0;
  for (std::size_t i = 0; i < count; ++i) {
    out.push_back(static_cast<char>('a' + now));
    now = (5 * now + random.index(3)) % 26;
  }
  return out;
}

const std::string kTrain =
    "train --data text.txt --size custom --layers 2 --width 16 --heads 2 --context 16 --experts 4 --top-k 2 "
    "--log-every 1 --threads 1 --out ";

/// The values of one name in metrics.jsonl.
std::vector<double> curve(const Workplace& place, const std::string& run, const std::string& name) {
  std::istringstream lines(place.read(run + "/metrics.jsonl"));
  std::vector<double> out;
  for (std::string line; std::getline(lines, line);) {
    const auto entry = nlohmann::json::parse(line);
    if (entry.contains(name)) out.push_back(entry.at(name).get<double>());
  }
  return out;
}

void expect_equal_curves(const std::vector<double>& a, const std::vector<double>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6 * std::abs(a[i])) << i;
}

// The same parts of the same batches: data-parallel sums are the same floats, expert-parallel ones differ in roundings.
TEST(TrainProcesses, LearnWhatOneLearns) {
  const Workplace place;
  place.write("text.txt", letters(6000));
  const Outcome one = place.run(kTrain + "one --steps 8 --evaluate-every 4 --batch 8 --accumulate 2");
  ASSERT_EQ(one.code, 0) << one.err;
  const Outcome two = place.run(kTrain + "two --steps 8 --evaluate-every 4 --batch 4 --processes 2");
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_NE(two.out.find("2 processes: "), std::string::npos) << two.out;
  const Outcome spread =
      place.run(kTrain + "spread --steps 5 --evaluate-every 4 --batch 4 --processes 2 --expert-parallel");
  ASSERT_EQ(spread.code, 0) << spread.err;
  const Outcome other = place.run("train --out spread --resume --steps 8 --seed 9");
  EXPECT_EQ(other.code, 2);
  EXPECT_NE(other.err.find("--seed cannot change when a run is resumed"), std::string::npos) << other.err;
  // In one process now; --batch is that of a step all the same.
  const Outcome resumed = place.run("train --out spread --resume --steps 8 --accumulate 2 --threads 1");
  ASSERT_EQ(resumed.code, 0) << resumed.err;
  for (const char* name : {"train/loss", "valid/loss", "train/gradient_norm"}) {
    const auto wanted = curve(place, "one", name);
    ASSERT_GE(wanted.size(), 2U);
    expect_equal_curves(wanted, curve(place, "two", name));
  }
  const auto wanted = curve(place, "one", "train/loss"), found = curve(place, "spread", "train/loss");
  ASSERT_EQ(found.size(), 8U);
  expect_equal_curves({wanted.begin(), wanted.begin() + 5}, {found.begin(), found.begin() + 5});
}

TEST(TrainProcesses, SayWhatIsWrong) {
  const Workplace place;
  place.write("text.txt", letters(3000));
  const auto expect_refusal = [&](const std::string& more, const std::map<std::string, std::string>& environment,
                                  const std::string& message) {
    const Outcome outcome = place.run(kTrain + "run --steps 2 " + more, "", environment);
    EXPECT_EQ(outcome.code, 2) << more;
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
  };
  expect_refusal("", {{"RANK", "2"}, {"WORLD_SIZE", "2"}}, "RANK must be a whole number between 0 and 1, not '2'");
  expect_refusal("--processes 2",
                 {{"RANK", "0"}, {"WORLD_SIZE", "3"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", "9"}},
                 "--processes 2 does not fit WORLD_SIZE 3");
  EXPECT_FALSE(place.exists("run"));
  expect_refusal("--processes 2 --expert-parallel --router compete", {}, "router 'compete' asks all experts");
}

}  // namespace
}  // namespace clearway::golden
