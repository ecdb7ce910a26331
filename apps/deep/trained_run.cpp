#include "trained_run.hpp"

#include <ATen/Parallel.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "clearway/base/text.hpp"

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

Json config_of_trained_run(const RunFolder& folder) {
  Json config = folder.read_json("config.json");
  if (!config.is_object() || !config.contains("command") || config.at("command") != "train")
    user_error("{}: is no run of clearway train", folder.path());
  // Every option of the command, and what it writes beside them.
  std::vector<std::string> known{"clearway", "command", "labels"};
  const auto note = [&](std::string_view name, const auto&, const OptionInfo&) { known.push_back(snake_case(name)); };
  const auto note_all = [&](const auto&... parts) { (std::remove_cvref_t<decltype(parts)>::visit(parts, note), ...); };
  const TrainRequest request;
  note_all(request.corpus, request.texts, request.tokenizer, request, request.model, request.loop, request.rate,
           request.place, CommonOptions());
  for (const auto& [key, value] : config.items())
    if (std::find(known.begin(), known.end(), key) == known.end())
      user_error("{}: unknown key {}{}", folder.file("config.json"), quoted_for_message(key), did_you_mean(key, known));
  return config;
}

void require_finite(const torch::nn::Module& model, const std::string& source) {
  const torch::NoGradGuard off;
  for (const auto& item : model.named_parameters())
    if (!item.value().isfinite().all().item<bool>())
      world_error("{}: '{}' holds numbers that are not finite: the training diverged, or the file is damaged", source,
                  item.key());
}

TrainedRun open_trained_run(const std::string& path, const std::string& which, const torch::Device& device) {
  if (!which.empty() && which != "best" && which != "last")
    user_error("checkpoint must be best or last, not '{}'", which);
  TrainedRun out{RunFolder::open(path), {}, {}, nullptr, nullptr, {}, which};
  out.config = config_of_trained_run(out.folder);
  options_from_config(out.config, out.request, path + "/config.json");
  out.tokenizer = train::tokenizer_from_json(out.folder.read_json("vocabulary.json"), path + "/vocabulary.json");
  const train::CheckpointFolder checkpoints(out.folder);
  if (which.empty()) out.which = checkpoints.has("best") || !checkpoints.has("last") ? "best" : "last";
  if (!checkpoints.has(out.which))
    user_error(
        "{}: has no checkpoint '{}'{}", path, out.which,
        out.which == "best" && checkpoints.has("last")
            ? ": nothing was evaluated yet, or there is nothing to validate with; --checkpoint last has its weights"
            : " yet; train it until the first evaluation");
  out.state = checkpoints.load_state(out.which);
  // Schedules of a finished training have as many steps as it had.
  train::LoopOptions loop;
  options_from_config(out.config, loop, path + "/config.json");
  out.model = std::make_shared<deep::LanguageModel>(out.request.model, mixture_options(out.request),
                                                    out.tokenizer->size(), loop.steps);
  // A classifier's weights have a head and other names: whoever opens it loads them.
  if (out.request.task == TaskKind::language) {
    const std::string file = checkpoints.file(out.which, "model.safetensors");
    train::load_into(*out.model, checkpoints.load_model(out.which), file);
    require_finite(*out.model, file);
  }
  out.model->to(device);
  out.model->eval();
  return out;
}

void warn_of_last(const TrainedRun& run, const std::string& asked, const Context& context) {
  if (asked.empty() && run.which == "last")
    context.console.warn(
        fmt::format("{} has no best checkpoint (nothing to validate with, or no evaluation yet): its last one is taken",
                    run.folder.path()));
}

}  // namespace clearway::cli
