// clearway fuse synthetic: a benchmark in which routing by modality must matter, as ordinary files.
#include <fmt/format.h>

#include <filesystem>

#include "../registry.hpp"
#include "clearway/base/errors.hpp"
#include "clearway/fusion/synthetic.hpp"
#include "clearway/io/json.hpp"

namespace clearway::cli {
namespace {

class FuseSyntheticCommand final : public Command {
 public:
  std::string_view name() const override { return "fuse synthetic"; }
  std::string_view summary() const override { return "write a benchmark in which routing by modality must matter"; }
  std::string_view examples() const override {
    return "clearway fuse synthetic data/ --samples 2000\n"
           "clearway fuse synthetic data/ --missing 0.3 --by-value\n";
  }
  std::string_view description() const override {
    return "Four modalities: context (static), rhythm (irregular series), scan (vector) and notes (text). The context "
           "says\n"
           "which of the other three carries the signal and with which sign, so that no sum over modalities beats a "
           "coin.\n"
           "Writes them as CSV files with spec.json for clearway fuse train, and truth.csv with the true "
           "probabilities.\n";
  }

  void options(OptionList& list) override {
    list.argument("folder", folder_, "the folder to write; made where it is not there");
    list.group("Benchmark");
    list.add(flags_);
  }

  ExitCode run(Context& context) override {
    std::error_code none;
    if (std::filesystem::exists(folder_, none) && !std::filesystem::is_empty(folder_, none))
      user_error("{}: is in use; choose another folder", folder_);
    fusion::SyntheticOptions options;
    options.samples = flags_.samples;
    options.missing = flags_.missing;
    options.by_value = flags_.by_value;
    options.gain = flags_.gain;
    options.seed = context.common.seed;
    const fusion::SyntheticTruth truth = fusion::write_synthetic(folder_, options);
    const Json out = {{"folder", folder_},
                      {"samples", options.samples},
                      {"auroc_of_truth", json_number_or_null(truth.auroc_probability)},
                      {"auroc_of_visible", json_number_or_null(truth.auroc_visible)}};
    context.console.print(
        context.common.json ? json_text(out)
        : context.common.quiet
            ? ""
            : fmt::format(
                  "{} samples in {}\nAUROC of the true probability {:.4f}; of what can be known where modalities "
                  "are absent {:.4f}\nnext: clearway fuse train {} --out run/\n",
                  options.samples, folder_, truth.auroc_probability, truth.auroc_visible,
                  (std::filesystem::path(folder_) / "spec.json").string()));
    return ExitCode::success;
  }

 private:
  /// fusion::SyntheticOptions without its seed, which is the program's.
  struct Flags {
    std::int64_t samples = 2000;
    double missing = 0;
    bool by_value = false;
    double gain = 3;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor&& field) {
      field("samples", self.samples, OptionInfo{.help = "samples to draw", .minimum = 12, .maximum = 1e8});
      field("missing", self.missing,
            OptionInfo{.help = "chance that a modality other than the context is absent",
                       .minimum = 0,
                       .maximum = 0.5,
                       .off = "0"});
      field("by-value", self.by_value,
            OptionInfo{.help = "whether modalities of large values are absent more often (not at random)"});
      field("gain", self.gain, OptionInfo{.help = "strength of the signal", .minimum = 0});
    }
  };

  std::string folder_;
  Flags flags_;
};

}  // namespace

std::unique_ptr<Command> make_fuse_synthetic_command() {
  return std::make_unique<FuseSyntheticCommand>();
}

}  // namespace clearway::cli
