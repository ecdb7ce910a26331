// Torch tensors in safetensors files: what a model, an optimiser or another program's checkpoint is saved as.
#pragma once

#include <torch/types.h>

#include <map>
#include <string>

#include "clearway/io/safetensors.hpp"

namespace torch::nn {
class Module;
}

namespace clearway::train {

/// Tensors by name, in order of names.
using NamedTensors = std::map<std::string, torch::Tensor>;

/// Writes tensors of any device and layout; the file appears only when complete. Throws std::invalid_argument for a number
/// type that the format does not have (complex numbers), naming the tensor.
void save_tensors(const std::string& path, const NamedTensors& tensors, const TensorMetadata& metadata = {},
                  bool sync = false);

/// Reads all tensors, as copies on the CPU. Throws std::invalid_argument for what is no such file, and for the number
/// types U16, U32, U64 and F8 that torch does not have.
NamedTensors load_tensors(const std::string& path);

/// Parameters and buffers of a module by their full names ("blocks.0.mixture.experts.w1"). They share storage with it.
NamedTensors module_tensors(const torch::nn::Module& module);

/// Copies values into all parameters and buffers of a module, in place; number types and devices are converted. When any
/// is missing, unexpected or of another shape, nothing is changed and std::invalid_argument names them all, with the
/// nearest names. `source` begins the message.
void load_into(torch::nn::Module& module, const NamedTensors& tensors, const std::string& source);

}  // namespace clearway::train
