// clearway generate, evaluate and study collapse as a user sees them, on models trained for seconds.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "program.hpp"

namespace clearway::golden {
namespace {

using nlohmann::json;

const std::string kShape =
    "--size custom --layers 2 --width 16 --heads 2 --context 16 --experts 4 --top-k 2 --threads 1 --quiet ";

std::string repeated(const std::string& line, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += line;
  return out;
}

void train(const Workplace& place, const std::string& run, const std::string& text, const std::string& more) {
  place.write("text.txt", text);
  const Outcome outcome = place.run("train --data text.txt " + kShape + more + " --out " + run);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
}

TEST(Generate, BytesAndCharacters) {
  const Workplace place;
  train(place, "run", repeated("la caf\xc3\xa9 noire et le th\xc3\xa9 vert\n", 60), "--steps 30 --evaluate-every 30");
  const Outcome once = place.run({"generate", "run", "--prompt", "caf\xc3\xa9", "--tokens", "40", "--seed", "3"});
  ASSERT_EQ(once.code, 0) << once.err;
  EXPECT_TRUE(once.out.starts_with("caf\xc3\xa9")) << once.out;
  EXPECT_EQ(once.out.size(), 5 + 40 + 1U);  // a token is a byte; the prompt before, a line end behind
  EXPECT_EQ(place.run({"generate", "run", "--prompt", "caf\xc3\xa9", "--tokens", "40", "--seed", "3"}).out, once.out);
  EXPECT_NE(place.run({"generate", "run", "--prompt", "caf\xc3\xa9", "--tokens", "40", "--seed", "4"}).out, once.out);
  // Half a character is no text: JSON holds the sign for it and stays JSON.
  const Outcome half = place.run({"generate", "run", "--prompt", "caf\xc3", "--tokens", "3", "--json"});
  ASSERT_EQ(half.code, 0) << half.err;
  const json object = json::parse(half.out);
  EXPECT_EQ(object.at("prompt"), "caf\xef\xbf\xbd");
  EXPECT_EQ(object.at("tokens"), 3);
  // Without a prompt it begins behind the end of a line; the likeliest text needs no seed.
  const Outcome likeliest = place.run("generate run --temperature 0 --tokens 25 --seed 1");
  ASSERT_EQ(likeliest.code, 0) << likeliest.err;
  EXPECT_EQ(place.run("generate run --temperature 0 --tokens 25 --seed 2").out, likeliest.out);
  EXPECT_EQ(place.run("generate run --temperature 9 --likeliest 1 --tokens 25 --seed 2").out, likeliest.out);
  const Outcome seen = place.run({"generate", "run", "--prompt", "le", "--tokens", "2", "--show-experts", "--json"});
  const json experts = json::parse(seen.out).at("experts");
  ASSERT_EQ(experts.size(), 2U);  // sparse layers
  ASSERT_EQ(experts[0].size(), 4U);
  EXPECT_EQ(experts[0][0].at("token"), "l");
  for (const json& cell : experts[1]) {
    EXPECT_GE(cell.at("expert").get<int>(), 0);
    EXPECT_LT(cell.at("expert").get<int>(), 4);
  }
}

TEST(Generate, Words) {
  const Workplace place;
  train(place, "run", repeated("the film was fine\nthe play was dull\n", 60),
        "--tokenizer word --steps 60 --evaluate-every 60 --learning-rate 0.02 --warmup 5");
  // Two in three words are followed by one alone.
  const Outcome known = place.run({"generate", "run", "--prompt", "the film", "--tokens", "1", "--temperature", "0"});
  ASSERT_EQ(known.code, 0) << known.err;
  EXPECT_EQ(known.out, "the film was\n");
  EXPECT_EQ(place.run({"generate", "run", "--prompt", "the film ", "--tokens", "1", "--temperature", "0"}).out,
            "the film was\n");
  const Outcome unknown = place.run({"generate", "run", "--prompt", "the opera", "--tokens", "1"});
  EXPECT_EQ(unknown.code, 0);
  EXPECT_TRUE(unknown.out.starts_with("the opera ")) << unknown.out;
  EXPECT_NE(unknown.err.find("1 of 2 tokens of the prompt are unknown to the vocabulary"), std::string::npos);
}

TEST(Generate, SaysWhatIsWrong) {
  const Workplace place;
  train(place, "run", repeated("to be or not to be ", 60), "--tokenizer text8 --steps 2");
  const auto expect_refusal = [&](const std::vector<std::string>& more, const std::string& message) {
    std::vector<std::string> words = {"generate", "run"};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = place.run(words);
    EXPECT_EQ(outcome.code, 2) << message;
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find(message), std::string::npos) << outcome.err;
  };
  expect_refusal({"--prompt", "to Be"}, "prompt: line 1: text8 has spaces and the letters a to z only, not 'B'");
  expect_refusal({"--temperature", "-1"}, "temperature must be at least 0, not -1");
  expect_refusal({"--tokens", "0"}, "tokens must be at least 1, not 0");
  expect_refusal({"--nucleus", "0"}, "nucleus must be above 0");
  expect_refusal({"--checkpoint", "first"}, "checkpoint must be best or last, not 'first'");
  EXPECT_EQ(place.run("generate nowhere").code, 2);
  EXPECT_EQ(place.run("generate").code, 2);
}

// A key that is no option leaves the option that was meant at its default: 4 heads fit the shapes of 2.
TEST(TrainedRun, AKeyThatIsNoOptionIsRefused) {
  const Workplace place;
  train(place, "run", repeated("to be or not to be\n", 60), "--steps 2 --evaluate-every 2");
  const std::string own = place.read("run/config.json");
  json config = json::parse(own);
  config["headz"] = config.at("heads");
  config.erase("heads");
  place.write("run/config.json", config.dump());
  for (const char* words : {"evaluate run", "generate run --tokens 2", "train --out run --resume --steps 4",
                            "train --data text.txt --from run --steps 1"}) {
    const Outcome outcome = place.run(words);
    EXPECT_EQ(outcome.code, 2) << words;
    EXPECT_NE(outcome.err.find("config.json: unknown key 'headz' (did you mean 'heads'?)"), std::string::npos)
        << outcome.err;
  }
  // A run of before an option was has no key for it.
  config = json::parse(own);
  config.erase("embedding_deviation");
  config.erase("tensorboard");
  place.write("run/config.json", config.dump());
  EXPECT_EQ(place.run("evaluate run").code, 0);
}

// The loss of nothing is no number, and neither is that of weights which are none.
TEST(Evaluate, WhatCannotBeMeasuredIsSaid) {
  const Workplace place;
  train(place, "run", repeated("to be or not to be\n", 60), "--steps 2 --evaluate-every 2");
  for (const auto& [text, tokens] : {std::pair{"", "0"}, std::pair{"t", "1"}}) {
    place.write("short.txt", text);
    const Outcome outcome = place.run("evaluate run --data short.txt");
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find(std::string("short.txt: must have at least 2 tokens, one to predict and one before it, "
                                           "not ") +
                               tokens),
              std::string::npos)
        << outcome.err;
  }
  place.write("short.txt", "to");
  EXPECT_EQ(place.run("evaluate run --data short.txt").code, 0);
  // The last number of the file belongs to a parameter: all bits set are NaN.
  const std::string weights = "run/checkpoints/best/model.safetensors";
  std::string bytes = place.read(weights);
  for (std::size_t i = bytes.size() - 4; i < bytes.size(); ++i) bytes[i] = '\xff';
  place.write(weights, bytes);
  for (const char* words : {"evaluate run --data short.txt", "generate run --tokens 2"}) {
    const Outcome outcome = place.run(words);
    EXPECT_EQ(outcome.code, 1) << words;
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find("holds numbers that are not finite"), std::string::npos) << outcome.err;
  }
}

// Half of the words are unknown: bits per byte flatter, and it is said. Layers are measured on 16 windows of 16 tokens.
TEST(Evaluate, SaysWhatIsUnknownAndWhatLayersRestOn) {
  const Workplace place;
  train(place, "run", repeated("a b\n", 200), "--tokenizer word --steps 2 --evaluate-every 2");
  place.write("other.txt", repeated("a opera\n", 100) + "a\n");  // 302 tokens, 100 of them unknown
  const Outcome text = place.run("evaluate run --data other.txt");
  ASSERT_EQ(text.code, 0) << text.err;
  EXPECT_NE(text.out.find("bits per byte (not comparable)"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("33.1 % of the tokens are <unk>"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("sparse layers, on 256 tokens"), std::string::npos) << text.out;
  const json object = json::parse(place.run("evaluate run --data other.txt --json").out);
  EXPECT_DOUBLE_EQ(object.at("unknown_share"), 100 / 302.0);
  EXPECT_EQ(object.at("layer_tokens"), 256);
  const Outcome known = place.run("evaluate run --data text.txt");
  EXPECT_EQ(known.out.find("<unk>"), std::string::npos) << known.out;
  EXPECT_EQ(known.out.find("not comparable"), std::string::npos) << known.out;
  // The summary of a training whose test text has words that were never learned.
  place.write("text.txt", repeated("a b\n", 200));
  const Outcome trained =
      place.run("train --data text.txt --valid-data text.txt --test-data other.txt --tokenizer word " + kShape +
                "--steps 2 --out other");
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_NE(place.read("other/summary.txt").find("33.1 % of the tokens are <unk>"), std::string::npos);
  EXPECT_DOUBLE_EQ(json::parse(place.read("other/summary.json")).at("test").at("unknown_share"), 100 / 302.0);
}

// 3 x 4e6 x 4e6 numbers are more bytes than a process can address.
TEST(Train, AModelThatDoesNotFit) {
  const Workplace place;
  place.write("text.txt", repeated("aaaaaaa\n", 20));
  const Outcome outcome = place.run(
      "train --data text.txt --tokenizer character --size custom --layers 1 --sparse-every 0 --width 4000000 --heads 4 "
      "--context 2 --steps 1 --threads 1");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(outcome.err.find("out of memory: the model or its batch does not fit"), std::string::npos) << outcome.err;
  EXPECT_EQ(outcome.err.find("frame #"), std::string::npos) << outcome.err;
}

// What is measured "by competition" of a run whose router learned it is the plain measure of a policy that always competes.
TEST(Evaluate, ByCompetitionIsThePolicyThatAlwaysCompetes) {
  const Workplace place;
  train(place, "run", repeated("the quick brown fox jumps over the lazy dog\n", 80),
        "--router compete --competition-rate 0.5 --steps 20 --evaluate-every 20");
  const auto measure = [&](const std::string& more) {
    const Outcome outcome = place.run("evaluate run --threads 1 --json " + more);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return json::parse(outcome.out).at("loss").get<double>();
  };
  const double routed = measure(""), competed = measure("--by-competition");
  json config = json::parse(place.read("run/config.json"));
  ASSERT_EQ(config.at("competition"), "scheduled");
  config["competition"] = "oracle";
  place.write("run/config.json", config.dump());
  EXPECT_DOUBLE_EQ(measure(""), competed);
  EXPECT_GT(std::abs(routed - competed), 1e-4);
}

/// Steps and expert evaluations per token and layer of every run.
std::map<std::string, std::pair<double, double>> runs_of(const Workplace& place, const std::string& study) {
  std::map<std::string, std::pair<double, double>> out;
  std::istringstream lines(place.read(study + "/runs.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const json run = json::parse(line);
    out[run.at("router")] = {run.at("steps"), run.at("evaluations_per_token")};
  }
  return out;
}

const std::string kStudy = "study collapse --data text.txt --seeds 1 --batch 4 --steps 24 " + kShape;

// Costs that do not depend on chance: 2, 1, 4 and, for competition in every step, all 4 of the experts.
TEST(StudyCollapse, EqualExpertEvaluations) {
  const Workplace place;
  place.write("text.txt", repeated("the quick brown fox jumps over the lazy dog\n", 80));
  const Outcome outcome =
      place.run(kStudy + "--routers smoe,switch,dense,compete --competition always --budget flops --out study");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto runs = runs_of(place, "study");
  ASSERT_EQ(runs.size(), 4U);
  const double budget = 24 * 2;
  const std::map<std::string, double> cost = {{"smoe", 2}, {"switch", 1}, {"dense", 4}, {"compete", 4}};
  for (const auto& [router, run] : runs) {
    const auto [steps, evaluations] = run;
    EXPECT_NEAR(evaluations, cost.at(router), 1e-9) << router;
    EXPECT_NEAR(steps * evaluations, budget, evaluations / 2) << router;
  }
  // Equal steps are another budget.
  ASSERT_EQ(place.run(kStudy + "--routers smoe,switch --budget steps --out steps").code, 0);
  for (const auto& [router, run] : runs_of(place, "steps")) EXPECT_EQ(run.first, 24) << router;
}

// How many steps seconds are is the clock's affair (study_collapse_test.cpp has the arithmetic); the first router has its own.
TEST(StudyCollapse, EqualSeconds) {
  const Workplace place;
  place.write("text.txt", repeated("the quick brown fox jumps over the lazy dog\n", 80));
  const Outcome outcome = place.run(kStudy + "--routers smoe,dense --budget seconds --out study");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto runs = runs_of(place, "study");
  EXPECT_EQ(runs.at("smoe").first, 24);
  EXPECT_GE(runs.at("dense").first, 1);
  EXPECT_NE(outcome.out.find("dense"), std::string::npos);
}

}  // namespace
}  // namespace clearway::golden
