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
        Mistake{"--sed 3 document markdown", "clearway document: unknown option '--sed' (did you mean '--seed'?)"},
        Mistake{"-x", "clearway: unknown option '-x'"},
        Mistake{"document markdown -x", "clearway document: unknown option '-x'"},
        Mistake{"document markdown --sed=3", "clearway document: unknown option '--sed' (did you mean '--seed'?)"},
        Mistake{"document markdown --thread 2",
                "clearway document: unknown option '--thread' (did you mean '--threads'?)"},
        Mistake{"document markdown more", "clearway document: unexpected argument 'more'"},
        Mistake{"document", "clearway document: what is missing; usage: clearway document what [options]"},
        Mistake{"document mn",
                "clearway document: what must be one of man, markdown, bash-completion, not 'mn' (did "
                "you mean 'man'?)"},
        Mistake{"document man", "clearway document: out is missing: man pages are written into a folder"}));

INSTANTIATE_TEST_SUITE_P(
    Values, Usage,
    testing::Values(
        Mistake{"document markdown --seed", "clearway document: option --seed needs a value"},
        Mistake{"document markdown --seed --json", "clearway document: option --seed needs a value, not '--json'"},
        Mistake{"document markdown --seed=", "clearway document: option --seed needs a value"},
        Mistake{"document markdown --seed abc", "clearway document: seed must be a whole number, not 'abc'"},
        Mistake{"document markdown --seed 1.5", "clearway document: seed must be a whole number, not '1.5'"},
        Mistake{"document markdown --seed 3x", "clearway document: seed must be a whole number, not '3x'"},
        Mistake{"document markdown --seed -3", "clearway document: seed must be at least 0, not -3"},
        Mistake{"document markdown --seed=-3", "clearway document: seed must be at least 0, not -3"},
        Mistake{"document markdown --seed 99999999999999999999",
                "clearway document: seed: '99999999999999999999' is out of range for a whole number"},
        Mistake{"document markdown --threads 5000", "clearway document: threads must be at most 4096, not 5000"},
        Mistake{"document markdown --sig-figs 18", "clearway document: sig-figs must be at most 17, not 18"},
        Mistake{"document markdown --json=maybe", "clearway document: json must be true or false, not 'maybe'"},
        Mistake{"document markdown --color=nevr",
                "clearway document: color must be one of auto, always, never, not "
                "'nevr' (did you mean 'never'?)"}));

INSTANTIATE_TEST_SUITE_P(
    ConfigFiles, Usage,
    testing::Values(
        Mistake{"document markdown --config absent.toml", "clearway document: absent.toml: there is no such file"},
        Mistake{"document markdown --config unknown.toml",
                "clearway document: unknown.toml: unknown key 'threds' (did you mean 'threads'?)"},
        Mistake{"document markdown --config bad.toml",
                "clearway document: bad.toml: seed must be a whole number, not 'soon'"},
        Mistake{"document markdown --config section.toml",
                "clearway document: section.toml: unknown section 'fitt' (did you mean 'fit'?)"},
        Mistake{"document markdown --config other.json",
                "clearway document: other.json holds options of 'clearway fit', not of 'clearway document'"}));

TEST(Usage, BrokenJsonIsNamed) {
  const Workplace place;
  place.write("broken.json", "{\"seed\": ");
  const Outcome outcome = place.run("document markdown --config broken.json");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(outcome.err.starts_with("clearway document: broken.json is not valid JSON: ")) << outcome.err;
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
  const Outcome outcome = place.run({"document", "markdown", "--\x1b[31mred\n"});
  EXPECT_EQ(outcome.code, 2);
  EXPECT_EQ(outcome.err, "clearway document: unknown option '--\\x1b[31mred\\x0a'\n");
}

TEST(Usage, NegativeNumbersEqualsSignsAndOrderOfOptions) {
  // The same words, in every order that CLI conventions allow: accepted, and the last value of an option wins.
  const Workplace place;
  for (const char* line : {"--seed 5 document markdown", "document --seed 5 markdown", "document markdown --seed=5",
                           "document --seed=-1 --seed=5 markdown", "--seed=-1 document markdown --seed 5"})
    EXPECT_EQ(place.run(line).code, 0) << line;
}

TEST(Usage, FullDiskIsAFailureOfTheWorld) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "/dev/full is needed";
  const Workplace place;
  const Outcome outcome = place.run("document man --out /dev/full/man");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
}

}  // namespace
}  // namespace clearway::golden
