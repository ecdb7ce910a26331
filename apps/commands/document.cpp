// clearway document man|markdown|bash-completion: hidden; the build calls it to write what is installed.
#include <filesystem>

#include "../documentation.hpp"
#include "../registry.hpp"
#include "clearway/io/file.hpp"

namespace clearway::cli {

namespace {

class DocumentCommand final : public Command {
 public:
  std::string_view name() const override { return "document"; }
  std::string_view summary() const override { return "write man pages, option tables and shell completion"; }
  std::string_view examples() const override {
    return "clearway document man --out share/man/man1\nclearway document markdown\n";
  }
  bool hidden() const override { return true; }

  void options(OptionList& list) override {
    list.argument("what", what_, "what to write",
                  {{"man", "man pages, into the folder --out"},
                   {"markdown", "commands and options as Markdown"},
                   {"bash-completion", "completion script for bash"}});
    list.add(folder_);
  }

  ExitCode run(Context& context) override {
    const auto commands = all_commands();
    if (what_ == "markdown") {
      context.console.print(markdown_reference(commands));
    } else if (what_ == "bash-completion") {
      context.console.print(bash_completion(commands));
    } else {
      if (folder_.out.empty()) user_error("out is missing: man pages are written into a folder");
      std::filesystem::create_directories(folder_.out);
      write("clearway.1", man_overview(commands));
      for (const auto& command : commands)
        if (!command->hidden()) write(fmt::format("clearway-{}.1", command->file_name()), man_page(*command));
    }
    return ExitCode::success;
  }

 private:
  struct Folder {
    std::string out;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor&& field) {
      field("out", self.out, OptionInfo{.help = "folder for the man pages", .metavar = "DIR"});
    }
  };

  void write(const std::string& name, const std::string& text) const {
    write_file((std::filesystem::path(folder_.out) / name).string(), text);
  }

  std::string what_;
  Folder folder_;
};

}  // namespace

std::unique_ptr<Command> make_document_command() {
  return std::make_unique<DocumentCommand>();
}

}  // namespace clearway::cli
