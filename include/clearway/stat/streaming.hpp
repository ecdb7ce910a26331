// Fitting a table that does not fit into memory: rows come in chunks, only sums over them are kept.
//
// The first rows are fitted as usual (starts, tournament). Every further chunk then moves the estimate by one step of
// recursive maximum likelihood, the online form of EM of Titterington (1984),
//   theta <- theta + (I_1 + ... + I_c)^-1 s_c(theta),
// s_c and I_c being score and observed information of chunk c at the present estimate: the step for which the chunk pays
// against the quadratic that stands for all rows seen before. Passes over all rows follow, each one exact Newton step on
// the sums of scores and information, until no step could raise the log-likelihood by more than the tolerance.
#pragma once

#include <memory>

#include "clearway/stat/fit.hpp"
#include "clearway/stat/inference.hpp"
#include "clearway/stat/summary.hpp"

namespace clearway {

/// How to read in chunks.
struct StreamOptions {
  bool stream = false;
  int chunk_rows = 5000;
  int passes = 8;
  double gain = 1e-6;

  template <class Self, class Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("stream", self.stream,
          OptionInfo{.help = "read the table in chunks, several times, and keep none of it: for tables beyond memory",
                     .source = "recursive estimation: Titterington 1984"});
    field("chunk-rows", self.chunk_rows,
          OptionInfo{.help = "rows of a chunk; the first one finds the starting values", .minimum = 100});
    field(
        "passes", self.passes,
        OptionInfo{
            .help = "most Newton passes over the whole table after the first reading", .minimum = 0, .maximum = 1000});
    field("gain", self.gain,
          OptionInfo{.help = "passes end when the next could raise the log-likelihood by less than this",
                     .minimum = 0,
                     .above_minimum = true});
  }
};

/// The fit as rows stream by. Use: construct with the first rows, online() for each further chunk; then, as long as
/// wants_pass(), begin_pass(), add() for every chunk (the first one included), end_pass(); then result().
class StreamingFit {
 public:
  /// Fits the first rows. Throws as fit() does; least squares, groups and known labels are refused, because a chunk
  /// could cut a group and because the first rows fix the numbering.
  StreamingFit(const Data& first, const FitOptions& options, const StreamOptions& stream,
               const ProgressCallback& progress = {});
  ~StreamingFit();
  StreamingFit(StreamingFit&&) noexcept;
  StreamingFit& operator=(StreamingFit&&) noexcept;

  /// Moves the estimate by one recursive step.
  void online(const Data& chunk);
  /// Whether another pass over all rows is wanted: to improve, or (last) to evaluate the final estimate.
  bool wants_pass() const;
  void begin_pass();
  void add(const Data& chunk);
  void end_pass();

  /// The present estimate on the scale of the data.
  MixtureModel model() const;
  /// After the last pass: likelihood, criteria, shares over all rows. Throws std::logic_error before.
  FitResult result() const;
  /// Standard errors: one more pass over all rows after the last. begin_inference(), add_to_inference() for every chunk,
  /// then inference(). Standard errors by cluster are refused: a chunk could cut a cluster. Whether two experts are one is
  /// judged by the rows of the first chunk.
  void begin_inference(const InferenceOptions& options);
  void add_to_inference(const Data& chunk);
  Inference inference(const ModelNames& names) const;
  /// How the rows of the last pass fall on the experts, numbered as in result().
  Allocation allocation() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace clearway
