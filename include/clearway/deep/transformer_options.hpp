// Shape of a decoder-only transformer with sparse layers. No torch in this header.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "clearway/base/options.hpp"

namespace clearway::deep {

enum class Positions { learned, rotary, relative };
inline std::span<const EnumName<Positions>> enum_names(Positions) {
  static constexpr std::array<EnumName<Positions>, 3> names{{
      {Positions::learned, "learned", "one vector per position, added to the embedding"},
      {Positions::rotary, "rotary", "queries and keys rotate with position (Su et al. 2021)"},
      {Positions::relative, "relative", "one learned key per distance, shared by heads and layers (span attention)"},
  }};
  return names;
}

enum class NormPlace { before, after, twice };
inline std::span<const EnumName<NormPlace>> enum_names(NormPlace) {
  static constexpr std::array<EnumName<NormPlace>, 3> names{{
      {NormPlace::before, "before", "x + f(norm(x)), one more norm at the end"},
      {NormPlace::after, "after", "norm(x + f(x))"},
      {NormPlace::twice, "twice", "as CompeteSMoE's released models: norm(x + norm(x + f(x))) around sparse layers"},
  }};
  return names;
}

/// Named sizes; `custom` leaves every option as given.
enum class ModelSize { custom, tiny, small, medium, compete_s, compete_m, glam_s, glam_m };
inline std::span<const EnumName<ModelSize>> enum_names(ModelSize) {
  static constexpr std::array<EnumName<ModelSize>, 8> names{{
      {ModelSize::custom, "custom", "as the other options say"},
      {ModelSize::tiny, "tiny", "2 layers of width 64, 4 heads, context 64: minutes on one core"},
      {ModelSize::small, "small", "4 layers of width 128, 4 heads, context 128: an hour on one core"},
      {ModelSize::medium, "medium", "8 layers of width 256, 8 heads, context 256"},
      {ModelSize::compete_s, "compete-s", "CompeteSMoE's small transformer on enwik8: 6 layers of width 264"},
      {ModelSize::compete_m, "compete-m", "CompeteSMoE's medium transformer: 8 layers of width 352"},
      {ModelSize::glam_s, "glam-s", "sparse and dense blocks in turn, width 264"},
      {ModelSize::glam_m, "glam-m", "sparse and dense blocks in turn, width 352"},
  }};
  return names;
}

struct TransformerOptions {
  std::int64_t layers = 2;
  std::int64_t width = 64;
  std::int64_t heads = 4;
  std::int64_t context = 64;
  std::int64_t hidden = 0;
  std::int64_t sparse_every = 1;
  std::int64_t memory = 0;
  Positions positions = Positions::rotary;
  NormPlace norm = NormPlace::before;
  bool tied = true;
  double embedding_deviation = 0.02;  ///< GPT-2's
  double dropout = 0;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("layers", self.layers, OptionInfo{.help = "transformer blocks", .minimum = 1});
    field("width", self.width, OptionInfo{.help = "width of the model", .minimum = 1});
    field("heads", self.heads, OptionInfo{.help = "attention heads; must divide the width", .minimum = 1});
    field("context", self.context, OptionInfo{.help = "tokens that the model sees at once", .minimum = 1});
    field("hidden", self.hidden,
          OptionInfo{.help = "hidden width of experts and feed-forward blocks; 0: the width for experts, four times "
                             "the width for feed-forward blocks",
                     .minimum = 0});
    field("sparse-every", self.sparse_every,
          OptionInfo{.help = "every m-th block has a sparse layer, the others a feed-forward one; 0: none has",
                     .minimum = 0});
    field("memory", self.memory,
          OptionInfo{.help = "earlier tokens of the stream that attention still sees (rotary and relative positions)",
                     .minimum = 0,
                     .off = "0"});
    field("positions", self.positions, OptionInfo{.help = "how attention learns of positions"});
    field("norm", self.norm, OptionInfo{.help = "place of layer normalisation"});
    field("tied", self.tied, OptionInfo{.help = "output layer uses the embedding's weights"});
    field("embedding-deviation", self.embedding_deviation,
          OptionInfo{.help = "standard deviation of embeddings and learned positions before training",
                     .minimum = 1e-6,
                     .maximum = 100});
    field("dropout", self.dropout,
          OptionInfo{
              .help = "on attention, residual branches and hidden units", .minimum = 0, .maximum = 0.99, .off = "0"});
  }
};

/// Replaces the shape by that of a named size; `custom` changes nothing.
TransformerOptions with_size(TransformerOptions options, ModelSize size);

}  // namespace clearway::deep
