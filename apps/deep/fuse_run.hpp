// A run of `clearway fuse train`: samples on the way in, models and what goes with them on the way out.
#pragma once

#include <torch/types.h>

#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../console.hpp"
#include "../option_list.hpp"
#include "clearway/fusion/preparation.hpp"
#include "clearway/fusion/raw_data.hpp"
#include "clearway/fusion/spec.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/train/fusion_ensemble.hpp"
#include "clearway/train/fusion_options.hpp"

namespace clearway::cli {

/// Modalities of a specification by name, in its order; all for an empty list. Throws for names that it does not have.
fusion::FusionSpec with_modalities(fusion::FusionSpec spec, const std::vector<std::string>& names);

/// Options of a section of a specification, but for those that were given on the command line.
template <class Options>
void options_from_section(const Json& section, Options& options, const OptionList& given, const std::string& where) {
  Json own = section;
  Options::visit(options, [&](std::string_view name, const auto&, const OptionInfo&) {
    if (given.given(name)) own.erase(snake_case(name));
  });
  options_from_json(own, options, where);
}

/// What a run was made from, and what it learned.
struct FusedRun {
  RunFolder folder;
  Json config;
  fusion::FusionSpec spec;
  fusion::Preparation preparation;
  fusion::FusionSplit split;  ///< row numbers among the run's own samples
  std::shared_ptr<train::FusionEnsemble> ensemble;
};
FusedRun open_fused_run(const std::string& path);

/// The config.json of a run of clearway fuse train. Throws std::invalid_argument for what is none.
Json fused_config(const RunFolder& folder);
/// A mark of which samples are on which side, kept in config.json: other files would silently be another split.
std::string split_mark(const std::vector<std::string>& ids, const fusion::FusionSplit& split);
/// Throws std::invalid_argument when a run's config.json has another mark.
void check_split(const RunFolder& folder, const Json& config, const std::vector<std::string>& ids,
                 const fusion::FusionSplit& split);

/// Samples of a run: its own, or those of another specification, whose modalities and outcome are then read as the run's own.
struct FusedSamples {
  fusion::RawData raw;
  fusion::PreparedData data;
  std::shared_ptr<train::FusionTensors> tensors;
  bool own = true;
};
/// Says what a user should know of samples before their numbers: what was left out of others than the run's own, parameters
/// that no row has, modalities that the run never learned.
void warn_of_samples(const FusedRun& run, const FusedSamples& samples, const Console& console);

/// Sets the run's split for its own samples. `prediction`: outcomes of other samples may be unknown.
FusedSamples read_fused_samples(FusedRun& run, const std::string& other, bool prediction);

/// Training of all members of an ensemble.
struct FusionTrainingResult {
  std::shared_ptr<train::FusionEnsemble> ensemble;
  double seconds = 0;       ///< CPU time
  std::int64_t epochs = 0;  ///< of all members
  bool interrupted = false;
  bool diverged = false;
  std::string stopped;  ///< why the last member stopped
};
struct FusionTrainingPlan {
  deep::FusionOptions model;
  train::FusionTrainingOptions training;
  std::uint64_t seed = 1;
  std::string folder;  ///< of members; empty: nothing is kept
  bool resume = false;
  std::function<bool()> stop;
  std::function<void(double, const std::string&)> progress;
};
FusionTrainingResult train_ensemble(const FusionTrainingPlan& plan, const fusion::PreparedData& data,
                                    const train::FusionTensors& tensors, const fusion::FusionSplit& split);

/// The folder of member i, from 0.
std::string member_folder(const std::string& run, std::int64_t member);

}  // namespace clearway::cli
