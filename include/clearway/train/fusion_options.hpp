// How a fusion model is trained. No torch in this header.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "clearway/base/options.hpp"

namespace clearway::train {

enum class FusionChoice { loss, score };
inline std::span<const EnumName<FusionChoice>> enum_names(FusionChoice) {
  static constexpr std::array<EnumName<FusionChoice>, 2> names{{
      {FusionChoice::loss, "loss", "smallest validation loss"},
      {FusionChoice::score, "score", "largest AUROC, accuracy or correlation on the validation samples"},
  }};
  return names;
}

struct FusionTrainingOptions {
  std::int64_t epochs = 30;
  std::int64_t batch = 200;
  double learning_rate = 2e-3;
  double warmup = 0.05;
  double weight_decay = 0.05;
  double clip = 1;
  std::int64_t patience = 6;
  FusionChoice choose = FusionChoice::loss;
  std::int64_t members = 1;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("epochs", self.epochs, OptionInfo{.help = "passes over the training samples", .minimum = 1});
    field("batch", self.batch, OptionInfo{.help = "samples per step", .minimum = 1});
    field(
        "learning-rate", self.learning_rate,
        OptionInfo{
            .help = "peak learning rate, which falls to a twentieth by a cosine", .minimum = 0, .above_minimum = true});
    field("warmup", self.warmup,
          OptionInfo{
              .help = "share of the steps in which the learning rate rises", .minimum = 0, .maximum = 1, .off = "0"});
    field("weight-decay", self.weight_decay,
          OptionInfo{.help = "decoupled weight decay of matrices (AdamW)", .minimum = 0, .off = "0"});
    field("clip", self.clip,
          OptionInfo{.help = "largest norm of the whole gradient; 0: not clipped", .minimum = 0, .off = "0"});
    field("patience", self.patience,
          OptionInfo{.help = "stop after so many epochs without a better one; 0: never", .minimum = 0, .off = "0"});
    field("choose", self.choose, OptionInfo{.help = "what the best epoch is chosen by"});
    field("members", self.members,
          OptionInfo{.help = "models of the ensemble, each from a seed of its own", .minimum = 1, .maximum = 1000});
  }
};

}  // namespace clearway::train
