// clearway fuse evaluate: measure a fusion run, or compare two of them. The work is in deep/fuse_evaluate.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class FuseEvaluateCommand final : public Command {
 public:
  std::string_view name() const override { return "fuse evaluate"; }
  std::string_view summary() const override { return "measure a fusion run, or compare two of them"; }
  std::string_view examples() const override {
    return "clearway fuse evaluate run/\n"
           "clearway fuse evaluate run/ --data other.json\n"
           "clearway fuse evaluate run/ --against baseline/\n";
  }
  std::string_view description() const override {
    return "Prints every score that fits the outcome with its bootstrap interval (subjects are drawn whole), "
           "calibration before\n"
           "and after, coverage of conformal sets or intervals, scores per number and per set of present modalities, "
           "scores\n"
           "without each modality in turn, and expert usage. With --against, the differences to another run on the "
           "same samples\n"
           "with paired bootstrap intervals.\n";
  }

  void options(OptionList& list) override {
    list.argument("run", request_.run, "the run folder");
    list.group("Measure");
    list.add(request_);
  }

  ExitCode run(Context& context) override { return fuse_evaluate(request_, context); }

 private:
  FuseEvaluateRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_fuse_evaluate_command() {
  return std::make_unique<FuseEvaluateCommand>();
}

}  // namespace clearway::cli
