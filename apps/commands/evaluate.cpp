// clearway evaluate: how well a trained transformer predicts a text. The work is in deep/evaluate.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class EvaluateCommand final : public Command {
 public:
  std::string_view name() const override { return "evaluate"; }
  std::string_view summary() const override { return "measure a trained transformer on a text"; }
  std::string_view examples() const override {
    return "clearway evaluate run/ --data test.txt\nclearway evaluate run/ --data test.txt --stride 16 --json\n";
  }
  std::string_view description() const override {
    return "Prints bits per character and per byte, perplexity per token and per word, and for every sparse layer its\n"
           "load, entropy, dead experts, margin, the similarity of its experts and how often router and competition\n"
           "agree. Without --data, on the test part of the run's own corpus.\n";
  }

  void options(OptionList& list) override {
    list.argument("run", request_.run, "the run folder");
    list.group("Measure");
    list.add(request_);
  }

  ExitCode run(Context& context) override { return evaluate(request_, context); }

 private:
  EvaluateRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_evaluate_command() {
  return std::make_unique<EvaluateCommand>();
}

}  // namespace clearway::cli
