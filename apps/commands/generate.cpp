// clearway generate: text from a trained transformer. The work is in deep/generate.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class GenerateCommand final : public Command {
 public:
  std::string_view name() const override { return "generate"; }
  std::string_view summary() const override { return "continue a text with a trained transformer"; }
  std::string_view examples() const override {
    return "clearway generate run/ --prompt \"The history of \"\n"
           "clearway generate run/ --prompt \"The \" --tokens 40 --show-experts\n";
  }

  void options(OptionList& list) override {
    list.argument("run", request_.run, "the run folder");
    list.group("Text");
    list.add(request_);
  }

  ExitCode run(Context& context) override { return generate(request_, context); }

 private:
  GenerateRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_generate_command() {
  return std::make_unique<GenerateCommand>();
}

}  // namespace clearway::cli
