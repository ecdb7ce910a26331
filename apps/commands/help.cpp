// clearway help [COMMAND]: the same as --help.
#include "../help.hpp"
#include "../command_line.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class HelpCommand final : public Command {
 public:
  std::string_view name() const override { return "help"; }
  std::string_view summary() const override { return "explain a command"; }
  std::string_view examples() const override { return "clearway help fit\n"; }

  void options(OptionList& list) override {
    std::vector<Choice> topics;
    for (const auto& command : all_commands())
      if (!command->hidden()) topics.push_back({command->file_name(), std::string(command->summary())});
    list.argument("command", topic_, "the command to explain; without it, all are listed", std::move(topics), false);
  }

  ExitCode run(Context& context) override {
    const auto commands = all_commands();
    if (topic_.empty()) {
      context.console.print(overview_help(commands, context.console));
      return ExitCode::success;
    }
    for (const auto& command : commands) {
      if (command->file_name() != topic_) continue;
      CommonOptions common;
      context.console.print(command_help(*command, options_of(*command, common), context.console));
    }
    return ExitCode::success;
  }

 private:
  std::string topic_;
};

}  // namespace

std::unique_ptr<Command> make_help_command() {
  return std::make_unique<HelpCommand>();
}

}  // namespace clearway::cli
