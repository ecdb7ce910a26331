// clearway fuse sweep: fusion models side by side, with more and more modalities missing. The work is in deep/fuse_sweep.cpp.
#include "../deep/programs.hpp"
#include "../registry.hpp"

namespace clearway::cli {

namespace {

class FuseSweepCommand final : public Command {
 public:
  std::string_view name() const override { return "fuse sweep"; }
  std::string_view summary() const override {
    return "fusion models side by side, with more and more modalities missing";
  }
  std::string_view examples() const override {
    return "clearway fuse sweep spec.json --missing 0:0.8 --out study/\n"
           "clearway fuse sweep spec.json --vary router=joint,per-modality,gate=softmax,laplace --splits 5 --out "
           "study/\n"
           "clearway fuse sweep spec.json --vary method=moe,concat,late --missing 0:0.6:0.2\n"
           "clearway fuse sweep run/ --missing 0:0.8\n";
  }
  std::string_view description() const override {
    return "Trains every combination of the options in --vary on the same re-splits of the samples and tests it with "
           "modalities\n"
           "taken away at random. Tabulates every score, its decay, cost, and differences to the first variant with "
           "intervals that\n"
           "allow for overlapping test sets. Finished runs are in the folder and are not repeated. Given a run folder "
           "instead of a\n"
           "specification, nothing is trained: the run's test samples lose modalities.\n";
  }

  void options(OptionList& list) override {
    list.argument("spec", request_.spec, "the specification, or a run folder");
    list.group("Sweep");
    list.add(request_);
    list.group("Model");
    list.add(request_.model);
    list.group("Training");
    list.add(request_.training);
  }

  ExitCode run(Context& context) override { return fuse_sweep(request_, context); }

 private:
  FuseSweepRequest request_;
};

}  // namespace

std::unique_ptr<Command> make_fuse_sweep_command() {
  return std::make_unique<FuseSweepCommand>();
}

}  // namespace clearway::cli
