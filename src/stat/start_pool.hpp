// The starts of a search: on which rows their short runs go, what has been tried, where each stands, which go on.
#pragma once

#include <vector>

#include "clearway/stat/fit.hpp"
#include "scaling.hpp"

namespace clearway::detail {

/// The rows of the short runs: all, or a random sample of options.start_rows, drawn from the seed.
class StartRows {
 public:
  /// `data` must outlive it.
  StartRows(const Data& data, const FitOptions& options, const Scaling& scaling);
  StartRows(const StartRows&) = delete;
  StartRows& operator=(const StartRows&) = delete;

  const Data& raw() const { return *rows_; }
  const Data& standardised() const { return standardised_; }

 private:
  Data sample_, standardised_;
  const Data* rows_;
};

/// Which values of a short run are better.
enum class Better { larger, smaller };

/// Records, models (on the working scale) and whether they were carried to convergence, one of each per start.
struct StartPool {
  std::vector<StartRecord> records;
  std::vector<MixtureModel> models;
  std::vector<bool> polished;

  std::size_t size() const { return models.size(); }
  /// Room for `count` more starts; the index of the first.
  std::size_t grow(std::size_t count, bool already_polished = false);
  /// One more start of this kind; its index.
  std::size_t add(const MixtureModel& model, StartKind kind);
  /// Of the starts from `first` on those that did not fail, the best by their short runs: a third of them, at least one
  /// more than `polished_count` (successive halving).
  std::vector<std::size_t> better_third(std::size_t first, int polished_count, Better better) const;
  /// Why the last of the starts that failed did; `otherwise` where none did.
  std::string failure(const std::string& otherwise) const;
};

}  // namespace clearway::detail
