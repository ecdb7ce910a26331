#include "clearway/train/checkpoint.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "clearway/base/errors.hpp"
#include "clearway/io/base64.hpp"

namespace clearway::train {

namespace fs = std::filesystem;

namespace {

constexpr std::array<std::string_view, 2> kLinks{"best", "last"};
constexpr std::string_view kStep = "step-";
constexpr std::string_view kHalfDone = ".tmp";
constexpr const char* kModel = "model.safetensors";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "state.json";

/// Waits until the names in a folder are on the disk.
void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool fine = descriptor >= 0 && fsync(descriptor) == 0;
  const int error = errno;
  if (descriptor >= 0) close(descriptor);
  if (!fine) world_error("{}: cannot be written to the disk: {}", folder.string(), std::strerror(error));
}

void rename_or_throw(const fs::path& from, const fs::path& to) {
  std::error_code problem;
  fs::rename(from, to, problem);
  if (problem) world_error("{}: cannot be renamed into place: {}", to.string(), problem.message());
}

/// Lets a link point to a checkpoint; a reader sees the old one or the new one.
void point(const fs::path& folder, std::string_view link, const std::string& target) {
  const fs::path beside = folder / (std::string(link) + std::string(kHalfDone));
  std::error_code problem;
  fs::remove(beside, problem);
  fs::create_directory_symlink(target, beside, problem);
  if (problem) world_error("{}: the link cannot be made: {}", beside.string(), problem.message());
  rename_or_throw(beside, folder / link);
}

/// Removes what is half done, and checkpoints that no link points to.
void remove_unused(const fs::path& folder) {
  std::set<std::string> used;
  std::error_code problem;
  for (const auto link : kLinks)
    if (const fs::path target = fs::read_symlink(folder / link, problem); !problem) used.insert(target.string());
  std::vector<fs::path> unused;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool half_link = name == std::string(kLinks[0]) + std::string(kHalfDone) ||
                           name == std::string(kLinks[1]) + std::string(kHalfDone);
    if (half_link || (name.starts_with(kStep) && !used.contains(name))) unused.push_back(entry.path());
  }
  for (const auto& path : unused) {
    fs::remove_all(path, problem);
    if (problem) world_error("{}: cannot be removed: {}", path.string(), problem.message());
  }
}

Json state_to_json(const TrainingState& state) {
  Json generators = Json::object();
  for (const auto& [name, bytes] : state.generators) generators[name] = base64(bytes);
  return {{"step", state.step},
          {"data_position", state.data_position},
          {"best_metric", state.best_metric ? json_number(*state.best_metric, "best_metric") : Json(nullptr)},
          {"best_step", state.best_step},
          {"generators", generators},
          {"more", state.more}};
}

TrainingState state_from_json(const Json& document, const std::string& source) {
  JsonObject object(document, source);
  TrainingState state;
  state.step = object.integer("step", 0, INT64_MAX);
  state.data_position = object.integer("data_position", 0, INT64_MAX);
  if (!object.at("best_metric").is_null()) state.best_metric = object.number("best_metric");
  state.best_step = object.integer("best_step", 0, INT64_MAX);
  const Json& generators = object.at("generators");
  detail::require_object(generators, object.where("generators"));
  for (const auto& [name, text] : generators.items()) {
    std::string value;
    detail::json_to(text, object.where("generators") + ": " + name, value);
    state.generators[name] = from_base64(value, object.where("generators") + ": " + name);
  }
  state.more = object.at("more");
  object.finish();
  return state;
}

}  // namespace

CheckpointFolder::CheckpointFolder(const RunFolder& run) : path_(run.checkpoints()) {}

void CheckpointFolder::save(const Checkpoint& checkpoint, bool best) {
  const fs::path folder = path_;
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) world_error("{}: the folder cannot be made: {}", path_, problem.message());
  remove_unused(folder);

  // A run that goes on from this very step finds its own checkpoint there.
  std::string name = fmt::format("{}{:08}", kStep, checkpoint.state.step);
  for (int again = 2; fs::exists(fs::symlink_status(folder / name, problem)); ++again)
    name = fmt::format("{}{:08}-{}", kStep, checkpoint.state.step, again);
  const fs::path beside = folder / (name + std::string(kHalfDone));
  fs::create_directory(beside, problem);
  if (problem) world_error("{}: the folder cannot be made: {}", beside.string(), problem.message());
  save_tensors((beside / kModel).string(), checkpoint.model, {{"format", "pt"}}, true);
  save_tensors((beside / kOptimizer).string(), checkpoint.optimizer, {{"format", "pt"}}, true);
  write_file((beside / kState).string(), json_text(state_to_json(checkpoint.state)), true);
  sync_folder(beside);
  rename_or_throw(beside, folder / name);

  // `best` first: should the run end here, it goes on from the old `last` and comes to this best again.
  if (best) point(folder, "best", name);
  point(folder, "last", name);
  sync_folder(folder);
  remove_unused(folder);
}

std::string CheckpointFolder::file(std::string_view which, std::string_view name) const {
  if (std::find(kLinks.begin(), kLinks.end(), which) == kLinks.end())
    throw std::logic_error(fmt::format("there is no checkpoint called '{}'", which));
  return (fs::path(path_) / which / name).string();
}

bool CheckpointFolder::has(std::string_view which) const {
  std::error_code none;
  return fs::is_regular_file(file(which, kState), none);
}

NamedTensors CheckpointFolder::load_model(std::string_view which) const {
  if (!has(which)) user_error("{}: there is no {} checkpoint", path_, which);
  return load_tensors(file(which, kModel));
}

TrainingState CheckpointFolder::load_state(std::string_view which) const {
  if (!has(which)) user_error("{}: there is no {} checkpoint", path_, which);
  return state_from_json(read_json(file(which, kState)), file(which, kState));
}

Checkpoint CheckpointFolder::load(std::string_view which) const {
  return {load_model(which), load_tensors(file(which, kOptimizer)), load_state(which)};
}

std::string torch_generator_state() {
  const torch::Tensor state = at::detail::getDefaultCPUGenerator().get_state();
  return {static_cast<const char*>(state.data_ptr()), static_cast<std::size_t>(state.numel())};
}

void set_torch_generator_state(std::string_view bytes) {
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  torch::Tensor state = generator.get_state();
  if (static_cast<std::size_t>(state.numel()) != bytes.size())
    user_error("the state of torch's generator must have {} bytes, not {}", state.numel(), bytes.size());
  std::memcpy(state.data_ptr(), bytes.data(), bytes.size());
  try {
    generator.set_state(state);
  } catch (const c10::Error& error) {
    user_error("the state of torch's generator is damaged: {}", error.what_without_backtrace());
  }
}

}  // namespace clearway::train
