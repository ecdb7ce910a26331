// clearway fuse train: learn to predict from any modalities, some of them missing. The work is in deep/fuse_train.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class FuseTrainCommand final : public Command {
 public:
  std::string_view name() const override { return "fuse train"; }
  std::string_view summary() const override { return "learn to predict from any modalities, some of them missing"; }
  std::string_view examples() const override {
    return "clearway fuse train spec.json --out run/\n"
           "clearway fuse train spec.json --router joint --gate softmax --experts 16 --top-k 4 --out run/\n"
           "clearway fuse train spec.json --encoder utde --members 5 --risk 0.1 --out run/\n"
           "clearway fuse train --out run/ --resume\n";
  }
  std::string_view description() const override {
    return "The specification says where samples are, what their modalities and outcome are and how they are split\n"
           "(docs/fusion-data.md; clearway fuse init drafts one). Its sections fusion and train may hold any option "
           "below, which\n"
           "flags override. Every modality is brought to tokens of one width, and sparse mixtures of experts bring "
           "the\n"
           "modalities together; --method takes a baseline instead. Absent modalities are an option of their own "
           "(--missing-policy).\n"
           "\n"
           "Prints scores on the test samples with bootstrap intervals, per set of present modalities, without each "
           "modality in\n"
           "turn, and which experts each modality uses. The run folder holds config.json, model.json (specification, "
           "preparation,\n"
           "calibration), members/ with the checkpoints of every member, predictions.csv, metrics.jsonl, summary.json "
           "and\n"
           "summary.txt.\n";
  }

  void options(OptionList& list) override {
    list.argument("spec", request_.spec, "the specification, a JSON file", false);
    list.group("Model");
    list.add(request_.model);
    list.group("Training");
    list.add(request_.training);
    list.group("Run");
    list.add(request_);
  }

  ExitCode run(Context& context) override { return fuse_train(request_, context); }

 private:
  FuseTrainRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_fuse_train_command() {
  return std::make_unique<FuseTrainCommand>();
}

}  // namespace clearway::cli
