// Wrong use of the program: one line on standard error that names the thing, the value and the rule; exit code 2;
// nothing on standard output.
#include <gtest/gtest.h>

#include <algorithm>

#include "program.hpp"

namespace clearway::golden {
namespace {

struct Mistake {
  std::string line;     ///< the words after the program's name
  std::string message;  ///< standard error, the end of line left out
};

void PrintTo(const Mistake& mistake, std::ostream* stream) {
  *stream << "clearway " << mistake.line;
}

class Usage : public testing::TestWithParam<Mistake> {};

TEST_P(Usage, OneLineThatHelps) {
  const Workplace place;
  place.write("unknown.toml", "seed = 3\nthreds = 2\n");
  place.write("bad.toml", "seed = soon\n");
  place.write("section.toml", "[fitt]\nseed = 1\n");
  place.write("broken.json", "{\"seed\": ");
  place.write("other.json", "{\"command\": \"fit\", \"seed\": 1}");
  const Outcome outcome = place.run(GetParam().line);
  EXPECT_EQ(outcome.err, GetParam().message + "\n");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
}

INSTANTIATE_TEST_SUITE_P(
    CommandLine, Usage,
    testing::Values(
        Mistake{"hlep", "clearway: unknown command 'hlep' (did you mean 'help'?); see clearway --help"},
        Mistake{"zzzzzz", "clearway: unknown command 'zzzzzz'; see clearway --help"},
        Mistake{"--sed 3", "clearway: unknown option '--sed' (did you mean '--seed'?)"},
        Mistake{"--sed 3 generate markdown", "clearway generate: unknown option '--sed' (did you mean '--seed'?)"},
        Mistake{"-x", "clearway: unknown option '-x'"},
        Mistake{"generate markdown -x", "clearway generate: unknown option '-x'"},
        Mistake{"generate markdown --sed=3", "clearway generate: unknown option '--sed' (did you mean '--seed'?)"},
        Mistake{"generate markdown --thread 2",
                "clearway generate: unknown option '--thread' (did you mean '--threads'?)"},
        Mistake{"generate markdown more", "clearway generate: unexpected argument 'more'"},
        Mistake{"generate", "clearway generate: what is missing; usage: clearway generate what [options]"},
        Mistake{"generate mn",
                "clearway generate: what must be one of man, markdown, bash-completion, not 'mn' (did "
                "you mean 'man'?)"},
        Mistake{"generate man", "clearway generate: out is missing: man pages are written into a folder"}));

INSTANTIATE_TEST_SUITE_P(
    Values, Usage,
    testing::Values(
        Mistake{"generate markdown --seed", "clearway generate: option --seed needs a value"},
        Mistake{"generate markdown --seed --json", "clearway generate: option --seed needs a value, not '--json'"},
        Mistake{"generate markdown --seed=", "clearway generate: option --seed needs a value"},
        Mistake{"generate markdown --seed abc", "clearway generate: seed must be a whole number, not 'abc'"},
        Mistake{"generate markdown --seed 1.5", "clearway generate: seed must be a whole number, not '1.5'"},
        Mistake{"generate markdown --seed 3x", "clearway generate: seed must be a whole number, not '3x'"},
        Mistake{"generate markdown --seed -3", "clearway generate: seed must be at least 0, not -3"},
        Mistake{"generate markdown --seed=-3", "clearway generate: seed must be at least 0, not -3"},
        Mistake{"generate markdown --seed 99999999999999999999",
                "clearway generate: seed: '99999999999999999999' is out of range for a whole number"},
        Mistake{"generate markdown --threads 5000", "clearway generate: threads must be at most 4096, not 5000"},
        Mistake{"generate markdown --sig-figs 18", "clearway generate: sig-figs must be at most 17, not 18"},
        Mistake{"generate markdown --json=maybe", "clearway generate: json must be true or false, not 'maybe'"},
        Mistake{"generate markdown --color=nevr",
                "clearway generate: color must be one of auto, always, never, not "
                "'nevr' (did you mean 'never'?)"}));

INSTANTIATE_TEST_SUITE_P(
    ConfigFiles, Usage,
    testing::Values(
        Mistake{"generate markdown --config absent.toml", "clearway generate: absent.toml: there is no such file"},
        Mistake{"generate markdown --config unknown.toml",
                "clearway generate: unknown.toml: unknown key 'threds' (did you mean 'threads'?)"},
        Mistake{"generate markdown --config bad.toml",
                "clearway generate: bad.toml: seed must be a whole number, not 'soon'"},
        Mistake{"generate markdown --config section.toml",
                "clearway generate: section.toml: unknown section 'fitt' (did you mean 'fit'?)"},
        Mistake{"generate markdown --config other.json",
                "clearway generate: other.json holds options of 'clearway fit', not of 'clearway generate'"}));

TEST(Usage, BrokenJsonIsNamed) {
  const Workplace place;
  place.write("broken.json", "{\"seed\": ");
  const Outcome outcome = place.run("generate markdown --config broken.json");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(outcome.err.starts_with("clearway generate: broken.json is not valid JSON: ")) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
}

TEST(Usage, WithoutACommandHelpGoesToStandardErrorAndTheCodeIs2) {
  const Workplace place;
  const Outcome outcome = place.run("");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_EQ(outcome.err, place.run("--help").out);
}

TEST(Usage, ControlBytesDoNotReachTheTerminal) {
  const Workplace place;
  const Outcome outcome = place.run({"generate", "markdown", "--\x1b[31mred\n"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "clearway generate: unknown option '--\\x1b[31mred\\x0a'\n");
}

TEST(Usage, NegativeNumbersEqualsSignsAndOrderOfOptions) {
  // The same words, in every order that CLI conventions allow: accepted, and the last value of an option wins.
  const Workplace place;
  for (const char* line : {"--seed 5 generate markdown", "generate --seed 5 markdown", "generate markdown --seed=5",
                           "generate --seed=-1 --seed=5 markdown", "--seed=-1 generate markdown --seed 5"})
    EXPECT_EQ(place.run(line).code, 0) << line;
}

TEST(Usage, FullDiskIsAFailureOfTheWorld) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "/dev/full is needed";
  const Workplace place;
  const Outcome outcome = place.run("generate man --out /dev/full/man");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
}

}  // namespace
}  // namespace clearway::golden
