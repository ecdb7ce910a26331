#include "clearway/io/safetensors.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

#include "clearway/base/errors.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/json.hpp"

namespace clearway {

static_assert(std::endian::native == std::endian::little,
              "safetensors are read and written in the machine's byte order");

namespace {

constexpr std::size_t kLargestHeader = 100'000'000;
constexpr std::size_t kPrefix = 8;
constexpr const char* kMetadata = "__metadata__";

struct TypeEntry {
  TensorType type;
  std::string_view name;
  std::size_t width;
};
constexpr std::array<TypeEntry, 15> kTypes{{
    {TensorType::boolean, "BOOL", 1},
    {TensorType::u8, "U8", 1},
    {TensorType::i8, "I8", 1},
    {TensorType::f8_e5m2, "F8_E5M2", 1},
    {TensorType::f8_e4m3, "F8_E4M3", 1},
    {TensorType::i16, "I16", 2},
    {TensorType::u16, "U16", 2},
    {TensorType::f16, "F16", 2},
    {TensorType::bf16, "BF16", 2},
    {TensorType::i32, "I32", 4},
    {TensorType::u32, "U32", 4},
    {TensorType::f32, "F32", 4},
    {TensorType::f64, "F64", 8},
    {TensorType::i64, "I64", 8},
    {TensorType::u64, "U64", 8},
}};

const TypeEntry& entry_of(TensorType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

TensorType type_of(const std::string& name, const std::string& where) {
  for (const auto& entry : kTypes)
    if (entry.name == name) return entry.type;
  std::vector<std::string_view> names(kTypes.size());
  std::transform(kTypes.begin(), kTypes.end(), names.begin(), [](const auto& entry) { return entry.name; });
  user_error("{}: {} is no dtype of safetensors; there are {}", where, quoted_for_message(name),
             fmt::join(names, ", "));
}

/// Whole numbers from 0 on.
std::vector<std::size_t> sizes_of(const Json& list, const std::string& where) {
  if (!list.is_array()) user_error("{} must be a list of whole numbers", where);
  std::vector<std::size_t> sizes;
  for (const auto& item : list) {
    const bool fits =
        item.is_number_unsigned() && item.get<std::uint64_t>() <= std::numeric_limits<std::int64_t>::max();
    if (!fits) user_error("{} must hold whole numbers that are not negative", where);
    sizes.push_back(item.get<std::uint64_t>());
  }
  return sizes;
}

/// Bytes that a tensor needs, or nothing when they are more than can be counted.
template <class Size>
std::optional<std::size_t> bytes_needed(TensorType type, const std::vector<Size>& shape) {
  if (std::find(shape.begin(), shape.end(), Size{0}) != shape.end()) return 0;
  std::size_t bytes = entry_of(type).width;
  for (const Size size : shape)
    if (__builtin_mul_overflow(bytes, static_cast<std::size_t>(size), &bytes)) return std::nullopt;
  return bytes;
}

/// A file that lies in memory as long as this does.
class Mapping {
 public:
  explicit Mapping(const std::string& path) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(open_for_reading(path), std::fclose);
    struct stat status {};
    if (fstat(fileno(file.get()), &status) != 0) world_error("{}: cannot be read: {}", path, std::strerror(errno));
    if (!S_ISREG(status.st_mode)) user_error("{}: is not a plain file", path);
    size_ = static_cast<std::size_t>(status.st_size);
    if (size_ == 0) return;
    start_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fileno(file.get()), 0);
    if (start_ == MAP_FAILED) world_error("{}: cannot be mapped into memory: {}", path, std::strerror(errno));
  }
  ~Mapping() {
    if (size_ > 0) munmap(start_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::string_view bytes() const { return {static_cast<const char*>(start_), size_}; }

 private:
  void* start_ = nullptr;
  std::size_t size_ = 0;
};

struct Extent {
  std::size_t begin, end;
};

/// The order in which the reference implementation writes.
bool lies_before(const TensorBytes& a, const TensorBytes& b) {
  return a.type != b.type ? a.type > b.type : a.name < b.name;
}

/// The length, the header, padded with blanks so that the numbers are aligned, and nothing of the numbers.
std::string header_of(std::span<const TensorBytes* const> tensors, const TensorMetadata& metadata) {
  Json header = Json::object();
  std::set<std::string_view> names{kMetadata};
  if (!metadata.empty()) header[kMetadata] = metadata;
  std::size_t offset = 0;
  for (const TensorBytes* tensor : tensors) {
    const std::string where = "tensor " + quoted_for_message(tensor->name);
    if (!names.insert(tensor->name).second) user_error("{}: the name occurs twice", where);
    if (std::any_of(tensor->shape.begin(), tensor->shape.end(), [](auto size) { return size < 0; }))
      user_error("{}: its shape has a negative size", where);
    if (bytes_needed(tensor->type, tensor->shape) != tensor->bytes.size())
      user_error("{}: {} numbers of type {} do not fit into {} bytes", where, fmt::join(tensor->shape, " x "),
                 tensor_type_name(tensor->type), tensor->bytes.size());
    header[tensor->name] = {{"dtype", tensor_type_name(tensor->type)},
                            {"shape", tensor->shape},
                            {"data_offsets", {offset, offset + tensor->bytes.size()}}};
    offset += tensor->bytes.size();
  }
  std::string text = json_text(header, -1);
  text.pop_back();  // the line feed
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kLargestHeader) user_error("a safetensors header of {} bytes is longer than 100 MB", text.size());
  std::string bytes;
  for (std::size_t i = 0; i < kPrefix; ++i) bytes += static_cast<char>(text.size() >> (8 * i) & 0xFF);
  return bytes + text;
}

std::vector<const TensorBytes*> in_order(std::span<const TensorBytes> tensors) {
  std::vector<const TensorBytes*> order;
  for (const auto& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(), [](const auto* a, const auto* b) { return lies_before(*a, *b); });
  return order;
}

}  // namespace

std::string_view tensor_type_name(TensorType type) {
  return entry_of(type).name;
}

std::size_t tensor_type_width(TensorType type) {
  return entry_of(type).width;
}

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  const auto mapping = std::make_shared<const Mapping>(path);
  SafetensorsFile file = from_bytes(mapping->bytes(), path);
  file.mapping_ = mapping;
  return file;
}

SafetensorsFile SafetensorsFile::from_bytes(std::string_view bytes, const std::string& source) {
  if (bytes.size() < kPrefix) user_error("{}: is not a safetensors file: it has {} bytes", source, bytes.size());
  std::size_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), kPrefix);
  if (header_size > kLargestHeader)
    user_error("{}: is not a safetensors file: its header would have {} bytes, more than 100 MB", source, header_size);
  if (header_size > bytes.size() - kPrefix)
    user_error("{}: is cut off in its header, or not a safetensors file", source);
  const std::string_view header = bytes.substr(kPrefix, header_size);
  if (!header.starts_with('{')) user_error("{}: is not a safetensors file: its header is no JSON object", source);
  const std::string_view data = bytes.substr(kPrefix + header_size);
  const Json document = parse_json(header, source);

  SafetensorsFile file;
  file.source_ = source;
  std::vector<std::pair<Extent, TensorBytes>> found;
  for (const auto& [name, value] : document.items()) {
    const std::string where = source + ": " + quoted_for_message(name);
    if (name == kMetadata) {
      if (!value.is_object()) user_error("{} must be an object of texts", where);
      for (const auto& [key, text] : value.items()) {
        if (!text.is_string()) user_error("{}: {} must be a text", where, quoted_for_message(key));
        file.metadata_[key] = text.get<std::string>();
      }
      continue;
    }
    JsonObject entry(value, where);
    TensorBytes tensor;
    tensor.name = name;
    tensor.type = type_of(entry.text("dtype"), where);
    const auto shape = sizes_of(entry.at("shape"), entry.where("shape"));
    const auto offsets = sizes_of(entry.at("data_offsets"), entry.where("data_offsets"));
    entry.finish();
    if (offsets.size() != 2 || offsets[0] > offsets[1])
      user_error("{}: data_offsets must be a beginning and an end", where);
    if (offsets[1] > data.size())
      user_error("{}: ends at byte {} of the data, but there are only {}: is the file cut off?", where, offsets[1],
                 data.size());
    const auto needed = bytes_needed(tensor.type, shape);
    if (needed != offsets[1] - offsets[0])
      user_error("{}: its shape and dtype do not need the {} bytes between its offsets", where,
                 offsets[1] - offsets[0]);
    tensor.shape.assign(shape.begin(), shape.end());
    tensor.bytes = data.substr(offsets[0], offsets[1] - offsets[0]);
    found.emplace_back(Extent{offsets[0], offsets[1]}, std::move(tensor));
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.begin, a.first.end) < std::pair(b.first.begin, b.first.end);
  });
  std::size_t end = 0;
  for (auto& [extent, tensor] : found) {
    if (extent.begin != end)
      user_error("{}: {} begins at byte {} of the data, {} byte {}, where the tensor before it ends", source,
                 quoted_for_message(tensor.name), extent.begin, extent.begin < end ? "before" : "behind", end);
    end = extent.end;
    file.tensors_.push_back(std::move(tensor));
  }
  if (end != data.size()) user_error("{}: {} bytes lie behind the last tensor", source, data.size() - end);
  return file;
}

const TensorBytes* SafetensorsFile::find(std::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& t) { return t.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

const TensorBytes& SafetensorsFile::at(std::string_view name) const {
  if (const TensorBytes* found = find(name)) return *found;
  std::vector<std::string> names;
  for (const auto& tensor : tensors_) names.push_back(tensor.name);
  user_error("{}: has no tensor {}{}", source_, quoted_for_message(name), did_you_mean(name, names));
}

std::string safetensors_to_bytes(std::span<const TensorBytes> tensors, const TensorMetadata& metadata) {
  const auto order = in_order(tensors);
  std::string bytes = header_of(order, metadata);
  for (const TensorBytes* tensor : order) bytes += tensor->bytes;
  return bytes;
}

void write_safetensors(const std::string& path, std::span<const TensorBytes> tensors, const TensorMetadata& metadata,
                       bool sync) {
  const auto order = in_order(tensors);
  const std::string header = header_of(order, metadata);
  AtomicFile file(path);
  file.write(header);
  for (const TensorBytes* tensor : order) file.write(tensor->bytes);
  file.commit(sync);
}

}  // namespace clearway
