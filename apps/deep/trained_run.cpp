#include "trained_run.hpp"

#include <ATen/Parallel.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"

namespace clearway::cli {

void apply_size(ModelRequest& request, const OptionList& options) {
  const deep::TransformerOptions named = deep::with_size({}, request.size);
  if (request.size == deep::ModelSize::custom) return;
  Json own = options_to_json(request.model);
  const Json of_size = options_to_json(named);
  for (const auto& [key, value] : of_size.items()) {
    std::string name = key;
    std::replace(name.begin(), name.end(), '_', '-');
    if (!options.given(name)) own[key] = value;
  }
  options_from_json(own, request.model, "size");
}

deep::SparseMixtureOptions mixture_options(const ModelRequest& request) {
  deep::SparseMixtureOptions out;
  out.experts.experts = request.layer.experts;
  out.experts.activation = request.layer.activation;
  out.experts.bias = request.layer.bias;
  out.experts.compute = request.layer.compute;
  out.router = request.router;
  out.shared_experts = request.layer.shared_experts;
  out.capacity = request.layer.capacity;
  out.expert_dropout = request.layer.expert_dropout;
  out.jitter = request.layer.jitter;
  return out;
}

torch::Device device_of(const std::string& name) {
  torch::Device device(torch::kCPU);
  try {
    device = torch::Device(name);
  } catch (const std::exception&) {
    user_error("device must be cpu, cuda or cuda:N, not '{}'", name);
  }
  if (device.is_cpu()) return device;
  if (!device.is_cuda()) user_error("device must be cpu, cuda or cuda:N, not '{}'", name);
  if (!at::globalContext().hasCUDA())
    user_error("device '{}': this LibTorch was built without CUDA, or there is no such device; use --device cpu", name);
  return device;
}

void prepare_torch(int threads) {
#if defined(__GLIBC__)
  // Every step frees and asks for the same large tensors: keep the memory instead of giving its pages back, which costs a
  // fifth of a step of a small model.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
#endif
  at::set_num_threads(resolve_threads(threads));
  at::globalContext().setDeterministicAlgorithms(true, true);
}

bool measured_in_bits(train::TokenizerKind kind) {
  return kind == train::TokenizerKind::byte || kind == train::TokenizerKind::text8 ||
         kind == train::TokenizerKind::character;
}

TrainedRun open_trained_run(const std::string& path, const std::string& which, const torch::Device& device) {
  if (which != "best" && which != "last") user_error("checkpoint must be best or last, not '{}'", which);
  TrainedRun out{RunFolder::open(path), {}, {}, nullptr, nullptr, {}};
  out.config = out.folder.read_json("config.json");
  if (!out.config.is_object() || out.config.value("command", std::string()) != "train")
    user_error("{}: is no run of clearway train", path);
  options_from_config(out.config, out.request, path + "/config.json");
  out.tokenizer = train::tokenizer_from_json(out.folder.read_json("vocabulary.json"), path + "/vocabulary.json");
  const train::CheckpointFolder checkpoints(out.folder);
  if (!checkpoints.has(which))
    user_error("{}: has no checkpoint '{}' yet; train it until the first evaluation", path, which);
  out.state = checkpoints.load_state(which);
  // Schedules of a finished training have as many steps as it had.
  train::LoopOptions loop;
  options_from_config(out.config, loop, path + "/config.json");
  out.model = std::make_shared<deep::LanguageModel>(out.request.model, mixture_options(out.request),
                                                    out.tokenizer->size(), loop.steps);
  // A classifier's weights have a head and other names: whoever opens it loads them.
  if (out.request.task == TaskKind::language)
    train::load_into(*out.model, checkpoints.load_model(which), checkpoints.file(which, "model.safetensors"));
  out.model->to(device);
  out.model->eval();
  return out;
}

}  // namespace clearway::cli
