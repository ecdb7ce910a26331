// A trained transformer and its run folder: how options become a model, and how a run is opened again.
#pragma once

#include <torch/nn/module.h>
#include <torch/types.h>

#include <memory>
#include <string>

#include "../option_list.hpp"
#include "../own_options.hpp"
#include "clearway/deep/transformer.hpp"
#include "clearway/io/run_folder.hpp"
#include "clearway/train/checkpoint.hpp"
#include "clearway/train/tokenizer.hpp"
#include "requests.hpp"

namespace clearway::cli {

/// Gives every option of the model that was not set by hand the value of the named size.
void apply_size(ModelRequest& request, const OptionList& options);
/// The sparse layers that a request asks for.
deep::SparseMixtureOptions mixture_options(const ModelRequest& request);
/// Throws std::invalid_argument for a device that this machine or this torch has not.
torch::Device device_of(const std::string& name);
/// Torch with our number of threads, and libraries below it with one, so that nothing spins.
void prepare_torch(int threads);
/// Bits per token for characters, perplexity for words and pieces.
bool measured_in_bits(train::TokenizerKind kind);

/// The config.json of a run of `clearway train`. A key that is no option of the command is refused with the nearest one, for
/// the option that was meant would keep its default in silence; keys that are not there keep theirs, as in runs of before
/// an option was.
Json config_of_trained_run(const RunFolder& folder);

/// Throws std::runtime_error naming the first parameter that holds NaN or an infinity; `source` begins the message.
void require_finite(const torch::nn::Module& model, const std::string& source);

/// A run that was trained before.
struct TrainedRun {
  RunFolder folder;
  Json config;
  ModelRequest request;
  std::unique_ptr<train::Tokenizer> tokenizer;
  std::shared_ptr<deep::LanguageModel> model;  ///< in evaluation mode, on `device`
  train::TrainingState state;
  std::string which;  ///< the checkpoint that was opened
};
/// Opens a run of `clearway train`. `which` is "best", "last" or empty: best, or last where no evaluation chose one.
/// Throws std::invalid_argument naming what is missing,
/// std::runtime_error for weights that are not finite.
TrainedRun open_trained_run(const std::string& path, const std::string& which, const torch::Device& device);
/// Says so where the last checkpoint stands for a best one that the run does not have.
void warn_of_last(const TrainedRun& run, const std::string& asked, const Context& context);

}  // namespace clearway::cli
