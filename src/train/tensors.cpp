#include "clearway/train/tensors.hpp"

#include <torch/nn/module.h>

#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"

namespace clearway::train {

namespace {

constexpr std::array<std::pair<TensorType, at::ScalarType>, 10> kTypes{{
    {TensorType::f64, at::kDouble},
    {TensorType::f32, at::kFloat},
    {TensorType::f16, at::kHalf},
    {TensorType::bf16, at::kBFloat16},
    {TensorType::i64, at::kLong},
    {TensorType::i32, at::kInt},
    {TensorType::i16, at::kShort},
    {TensorType::i8, at::kChar},
    {TensorType::u8, at::kByte},
    {TensorType::boolean, at::kBool},
}};

std::string shape_in_words(at::IntArrayRef shape) {
  return shape.empty() ? "no axes" : fmt::format("{}", fmt::join(shape, " x "));
}

torch::Tensor tensor_of(const TensorBytes& entry, const std::string& source) {
  for (const auto& [type, torch_type] : kTypes) {
    if (type != entry.type) continue;
    torch::Tensor tensor = at::empty(entry.shape, at::TensorOptions(torch_type));
    char* out = static_cast<char*>(tensor.data_ptr());
    if (type == TensorType::boolean)  // any byte but 0 is true; torch must not see others than 0 and 1
      for (std::size_t i = 0; i < entry.bytes.size(); ++i) out[i] = entry.bytes[i] != '\0' ? '\1' : '\0';
    else if (!entry.bytes.empty())
      std::memcpy(out, entry.bytes.data(), entry.bytes.size());
    return tensor;
  }
  user_error("{}: {} has numbers of type {}, which torch does not have", source, quoted_for_message(entry.name),
             tensor_type_name(entry.type));
}

TensorType type_of(const std::string& name, const torch::Tensor& tensor) {
  for (const auto& [type, torch_type] : kTypes)
    if (torch_type == tensor.scalar_type()) return type;
  user_error("tensor {}: numbers of type {} cannot be saved as safetensors", quoted_for_message(name),
             at::toString(tensor.scalar_type()));
}

}  // namespace

void save_tensors(const std::string& path, const NamedTensors& tensors, const TensorMetadata& metadata, bool sync) {
  std::vector<torch::Tensor> plain;  // keeps the bytes alive
  std::vector<TensorBytes> entries;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) user_error("tensor {}: is not defined and cannot be saved", quoted_for_message(name));
    const TensorType type = type_of(name, tensor);
    plain.push_back(tensor.detach().to(at::kCPU).contiguous());
    const torch::Tensor& saved = plain.back();
    const std::size_t size = static_cast<std::size_t>(saved.numel()) * tensor_type_width(type);
    entries.push_back({name, type, saved.sizes().vec(), {static_cast<const char*>(saved.data_ptr()), size}});
  }
  write_safetensors(path, entries, metadata, sync);
}

NamedTensors load_tensors(const std::string& path) {
  const auto file = SafetensorsFile::open(path);
  NamedTensors tensors;
  for (const auto& entry : file.tensors()) tensors.emplace(entry.name, tensor_of(entry, path));
  return tensors;
}

NamedTensors module_tensors(const torch::nn::Module& module) {
  NamedTensors tensors;
  for (const auto& item : module.named_parameters()) tensors.emplace(item.key(), item.value());
  for (const auto& item : module.named_buffers()) tensors.emplace(item.key(), item.value());
  return tensors;
}

void load_into(torch::nn::Module& module, const NamedTensors& tensors, const std::string& source) {
  const NamedTensors targets = module_tensors(module);
  std::vector<std::string> names, missing, unexpected, misshaped;
  for (const auto& [name, target] : targets) {
    names.push_back(name);
    const auto found = tensors.find(name);
    if (found == tensors.end())
      missing.push_back(name);
    else if (found->second.sizes() != target.sizes())
      misshaped.push_back(fmt::format("{} has {}, the model {}", name, shape_in_words(found->second.sizes()),
                                      shape_in_words(target.sizes())));
  }
  for (const auto& [name, tensor] : tensors)
    if (!targets.contains(name)) unexpected.push_back(name + did_you_mean(name, names));
  std::vector<std::string> problems;
  if (!missing.empty()) problems.push_back("missing are " + short_list(missing));
  if (!unexpected.empty()) problems.push_back("the model has no " + short_list(unexpected));
  if (!misshaped.empty()) problems.push_back("shapes differ: " + short_list(misshaped));
  if (!problems.empty()) user_error("{}: does not fit the model: {}", source, fmt::join(problems, "; "));
  const at::NoGradGuard no_gradients;
  for (const auto& [name, target] : targets) torch::Tensor(target).copy_(tensors.at(name));
}

}  // namespace clearway::train
