// --help, help, --version, man pages, completion and Markdown: all come out, and none forgets an option.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "program.hpp"

namespace clearway::golden {
namespace {

/// Commands in the order of `clearway --help`.
std::vector<std::string> commands_of(const Workplace& place) {
  std::vector<std::string> commands;
  std::istringstream lines(place.run("--help").out);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == "Commands:") {
      inside = true;
    } else if (inside && line.empty()) {
      break;
    } else if (inside && line.starts_with("  ") && line[2] != ' ') {
      commands.push_back(line.substr(2, line.find("  ", 2) - 2));
    }
  }
  return commands;
}

/// The options that a help text lists ("  --name" at the start of a line).
std::set<std::string> options_in(const std::string& help) {
  std::set<std::string> options;
  const std::regex option("(^|\n)  (--[a-z-]+)");
  for (auto it = std::sregex_iterator(help.begin(), help.end(), option); it != std::sregex_iterator(); ++it)
    options.insert((*it)[2]);
  return options;
}

TEST(Help, ListsCommandsAndFitsTheScreen) {
  const Workplace place;
  EXPECT_GE(commands_of(place).size(), 1U);
  for (const std::string& command : commands_of(place)) {
    const Outcome help = place.run(command + " --help");
    EXPECT_EQ(help.code, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_EQ(place.run("help " + command).out, help.out);
    EXPECT_EQ(place.run(command + " -h").out, help.out);
    EXPECT_EQ(place.run(command + " --no-such-option --help").out, help.out);
    std::istringstream lines(help.out);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("  clearway ")) continue;  // examples are not broken
      EXPECT_LE(line.size(), 100U) << line;
    }
    EXPECT_LT(help.out.find("\n  clearway " + command), help.out.find("Usage:")) << "examples come first";
  }
}

TEST(Help, ManPagesCompletionAndMarkdownKnowEveryOption) {
  const Workplace place;
  ASSERT_EQ(place.run("document man --out man").code, 0);
  const std::string markdown = place.run("document markdown").out;
  const std::string completion = place.run("document bash-completion").out;
  for (const std::string& command : commands_of(place)) {
    std::string file = command;
    std::replace(file.begin(), file.end(), ' ', '-');
    const std::string page = place.read("man/clearway-" + file + ".1");
    EXPECT_NE(markdown.find("## clearway " + command + "\n"), std::string::npos);
    for (const std::string& option : options_in(place.run(command + " --help").out)) {
      std::string escaped = option;
      for (std::size_t at = 0; (at = escaped.find('-', at)) != std::string::npos; at += 2) escaped.insert(at, "\\");
      EXPECT_NE(page.find(escaped), std::string::npos) << command << ' ' << option;
      EXPECT_NE(completion.find(" " + option), std::string::npos) << command << ' ' << option;
      EXPECT_NE(markdown.find("`" + option), std::string::npos) << command << ' ' << option;
    }
  }
  EXPECT_TRUE(place.exists("man/clearway.1"));
}

TEST(Help, TheDocumentKnowsEveryOption) {
  const Workplace place;
  std::ifstream file(CLEARWAY_SOURCE "/docs/cli.md");
  std::stringstream document;
  document << file.rdbuf();
  for (const std::string& command : commands_of(place)) {
    EXPECT_NE(document.str().find("## clearway " + command + "\n"), std::string::npos)
        << "run scripts/refresh_cli_docs";
    for (const std::string& option : options_in(place.run(command + " --help").out))
      EXPECT_NE(document.str().find("`" + option), std::string::npos) << option << ": run scripts/refresh_cli_docs";
  }
}

TEST(Help, VersionNamesWhatMatters) {
  const Workplace place;
  const Outcome version = place.run("--version", "", {{"OMP_NUM_THREADS", "3"}});
  EXPECT_EQ(version.code, 0);
  EXPECT_TRUE(std::regex_search(version.out, std::regex("^clearway [0-9]+\\.[0-9]+\\.[0-9]+\n")));
  for (const char* word : {"compiler", "Eigen", "build"}) EXPECT_NE(version.out.find(word), std::string::npos);
  EXPECT_NE(version.out.find("threads   3\n"), std::string::npos) << version.out;
}

TEST(Help, ColoursOnlyWhereAsked) {
  const Workplace place;
  const auto coloured = [&](const std::string& line, const std::map<std::string, std::string>& environment) {
    return place.run(line, "", environment).out.find('\033') != std::string::npos;
  };
  EXPECT_FALSE(coloured("help", {{"TERM", "xterm"}})) << "standard output is no terminal";
  EXPECT_FALSE(coloured("help --color=never", {{"TERM", "xterm"}}));
  EXPECT_TRUE(coloured("help --color=always", {}));
  EXPECT_TRUE(coloured("help --color=always", {{"NO_COLOR", "1"}})) << "what is asked for wins over NO_COLOR";
}

}  // namespace
}  // namespace clearway::golden
