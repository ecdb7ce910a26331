// clearway fuse predict: predict samples with a fusion run, and say why. The work is in deep/fuse_predict.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class FusePredictCommand final : public Command {
 public:
  std::string_view name() const override { return "fuse predict"; }
  std::string_view summary() const override { return "predict samples with a fusion run, and say why"; }
  std::string_view examples() const override {
    return "clearway fuse predict run/ --data new.json --out predictions.csv\n"
           "clearway fuse predict run/ --explain 132539,132540\n";
  }
  std::string_view description() const override {
    return "Writes one line per sample: calibrated probabilities (or mean and standard deviation), disagreement of the "
           "members,\n"
           "conformal set or interval, whether to abstain, and which modalities were there. --explain prints for "
           "chosen samples\n"
           "which experts answered for which modality, and what the prediction would be without each modality.\n"
           "With --json the same columns as lists in one object.\n";
  }

  void options(OptionList& list) override {
    list.argument("run", request_.run, "the run folder");
    list.group("Prediction");
    list.add(request_);
  }

  ExitCode run(Context& context) override { return fuse_predict(request_, context); }

 private:
  FusePredictRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_fuse_predict_command() {
  return std::make_unique<FusePredictCommand>();
}

}  // namespace clearway::cli
