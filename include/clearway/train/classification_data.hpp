// Labelled texts: SST, IMDB, BANKING77 and tables of one's own; encoded and cut into padded batches. No torch here.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "clearway/base/options.hpp"
#include "clearway/train/tokenizer.hpp"

namespace clearway::train {

enum class ClassificationFormat { automatic, lines, folders, csv };
inline std::span<const EnumName<ClassificationFormat>> enum_names(ClassificationFormat) {
  static constexpr std::array<EnumName<ClassificationFormat>, 4> names{{
      {ClassificationFormat::automatic, "auto", "a folder: folders; a name in .csv or .tsv: csv; else lines"},
      {ClassificationFormat::lines, "lines", "a label, a space and the text on every line (SST)"},
      {ClassificationFormat::folders, "folders", "one folder per label, one file per text (IMDB)"},
      {ClassificationFormat::csv, "csv", "a table with a column of texts and one of labels (BANKING77)"},
  }};
  return names;
}

enum class Truncation { head, tail };
inline std::span<const EnumName<Truncation>> enum_names(Truncation) {
  static constexpr std::array<EnumName<Truncation>, 2> names{{
      {Truncation::head, "head", "keep the beginning of a long text"},
      {Truncation::tail, "tail", "keep its end"},
  }};
  return names;
}

struct ClassificationOptions {
  std::string train, valid, test;
  ClassificationFormat format = ClassificationFormat::automatic;
  std::string text = "text";
  std::string label = "label";
  std::int64_t longest = 512;
  Truncation keep = Truncation::head;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("data", self.train, OptionInfo{.help = "labelled texts to train on", .metavar = "PATH"});
    field("valid-data", self.valid, OptionInfo{.help = "labelled texts that select the best step", .metavar = "PATH"});
    field("test-data", self.test, OptionInfo{.help = "labelled texts for the final measure", .metavar = "PATH"});
    field("data-format", self.format, OptionInfo{.help = "how labelled texts are stored"});
    field("text", self.text, OptionInfo{.help = "column of the texts (csv)", .metavar = "COLUMN"});
    field("label", self.label, OptionInfo{.help = "column of the labels (csv)", .metavar = "COLUMN"});
    field("longest", self.longest, OptionInfo{.help = "tokens that are kept of a text", .minimum = 1});
    field("keep", self.keep, OptionInfo{.help = "which end of a longer text is kept"});
  }
};

/// Texts and their labels as numbers.
struct LabelledTexts {
  std::string source;
  std::vector<std::string> texts;
  std::vector<int> labels;  ///< index into ClassificationData::labels
};

struct ClassificationData {
  std::vector<std::string> labels;   ///< names, by number when all are whole numbers, else by bytes
  LabelledTexts train, valid, test;  ///< no texts where no path was given
};

/// Reads what the options name. Labels are those of the training set. Throws std::invalid_argument, with file and line,
/// for a line without label, a text that is not UTF-8, an empty set, a single label, a label that training never saw.
ClassificationData read_classification(const ClassificationOptions& options);

/// Encoded texts of at most `longest` tokens; none is empty (an empty text is the single token 0).
struct EncodedTexts {
  std::vector<TokenIds> texts;
  std::vector<int> labels;
};
EncodedTexts encode_texts(const LabelledTexts& set, const Tokenizer& tokenizer, std::int64_t longest, Truncation keep);

/// rows x length, row by row, length that of the longest text; tokens are padded with 0 behind the text.
struct ClassificationBatch {
  std::int64_t rows = 0;
  std::int64_t length = 0;
  std::vector<std::int64_t> tokens;
  std::vector<std::uint8_t> mask;     ///< 1 where there is a token of the text, 0 where there is padding
  std::vector<std::int64_t> lengths;  ///< of every row, at least 1
  std::vector<std::int64_t> labels;   ///< of every row
};

/// The batch of a training step: every epoch goes through the texts in its own order, drawn from stream (seed, epoch); its
/// last batch may be smaller.
ClassificationBatch training_batch(const EncodedTexts& set, std::int64_t rows, std::uint64_t seed, std::int64_t step);
/// Batches of one epoch, and of one evaluation.
std::int64_t batches_per_epoch(const EncodedTexts& set, std::int64_t rows);
/// The texts in their own order.
ClassificationBatch evaluation_batch(const EncodedTexts& set, std::int64_t rows, std::int64_t batch);

}  // namespace clearway::train
