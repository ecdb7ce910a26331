// What a subcommand is. Each lies in commands/<name>.cpp, is made by a function there and listed in registry.cpp.
//
//     class HelloCommand final : public Command {
//      public:
//       std::string_view name() const override { return "hello"; }
//       std::string_view summary() const override { return "greet a column"; }
//       std::string_view examples() const override { return "clearway hello data.csv --column y\n"; }
//       void options(OptionList& list) override {
//         list.argument("data.csv", path_, "the table; - reads standard input");
//         list.group("Greeting");
//         list.add(options_);                      // an options struct with visit()
//       }
//       ExitCode run(Context& context) override {  // numbers are already checked against their rules
//         context.console.print("...");
//         return ExitCode::success;
//       }
//     };
//     std::unique_ptr<Command> make_hello_command() { return std::make_unique<HelloCommand>(); }
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

#include "console.hpp"
#include "exit_codes.hpp"
#include "option_list.hpp"

namespace clearway::cli {

/// Options that every command takes.
struct CommonOptions {
  bool json = false;
  std::int64_t seed = 1;
  int threads = 0;
  bool quiet = false;
  int sig_figs = 0;
  ColorMode color = ColorMode::automatic;
  std::string config;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("json", self.json, OptionInfo{.help = "print one JSON object instead of text"});
    field("seed", self.seed, OptionInfo{.help = "seed of all randomness", .minimum = 0});
    field("threads", self.threads,
          OptionInfo{.help = "threads; 0: OMP_NUM_THREADS if set, else all cores; results do not depend on it "
                             "(networks: up to rounding)",
                     .minimum = 0,
                     .maximum = 4096});
    field("quiet", self.quiet, OptionInfo{.help = "no summary, notes or progress; errors and asked-for data only"});
    field("sig-figs", self.sig_figs,
          OptionInfo{
              .help = "significant digits in tables and CSV; 0: 6 in tables, all in CSV", .minimum = 0, .maximum = 17});
    field("color", self.color, OptionInfo{.help = "when to colour the output"});
    field("config", self.config,
          OptionInfo{.help = "read options from a TOML file or a run's config.json; flags win", .metavar = "FILE"});
  }
};

/// What a command gets to work with.
struct Context {
  CommonOptions& common;
  const OptionList& options;  ///< options.given("name"), options.json(): the effective options
  Console console;

  /// Digits for tables: --sig-figs, or 6.
  int table_digits() const { return common.sig_figs > 0 ? common.sig_figs : 6; }
  /// Digits for CSV: --sig-figs, or 0 for the shortest text that reads back to the same double.
  int csv_digits() const { return common.sig_figs; }
};

class Command {
 public:
  Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  virtual ~Command() = default;

  /// One word, or two of which the first is shared by several commands ("study gridlock").
  virtual std::string_view name() const = 0;
  /// The name as one word: "study-gridlock". Man pages and completion are filed under it, and it may be typed too.
  std::string file_name() const {
    std::string text(name());
    std::replace(text.begin(), text.end(), ' ', '-');
    return text;
  }
  /// One sentence, lower case, no full stop.
  virtual std::string_view summary() const = 0;
  /// Command lines, one per line, shown first in help.
  virtual std::string_view examples() const = 0;
  /// Paragraphs for help and man page (what is read, written, printed), separated by empty lines; may be empty.
  virtual std::string_view description() const { return {}; }
  /// True for commands that help does not list.
  virtual bool hidden() const { return false; }

  /// Declares arguments and options. Common options are added by the caller.
  virtual void options(OptionList& list) = 0;
  virtual ExitCode run(Context& context) = 0;
};

}  // namespace clearway::cli
