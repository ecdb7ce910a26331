#include "clearway/io/npy.hpp"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <optional>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/file.hpp"

namespace clearway {

static_assert(std::endian::native == std::endian::little, "npy files are read and written in the machine's byte order");

namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

/// The header's Python dict: three known keys with literals, in any order.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  void read() {
    expect('{');
    while (!take('}')) {
      const std::string key = string_literal();
      expect(':');
      if (key == "descr" && !type)
        type = string_literal();
      else if (key == "fortran_order" && !fortran_order)
        fortran_order = boolean();
      else if (key == "shape" && !shape)
        shape = tuple();
      else
        fail("an unknown or repeated key " + quoted_for_message(key));
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (position_ != text_.size()) fail("something behind the closing brace");
    if (!type || !fortran_order || !shape) fail("no descr, fortran_order or shape");
  }

  std::optional<std::string> type;
  std::optional<bool> fortran_order;
  std::optional<std::vector<std::size_t>> shape;

 private:
  [[noreturn]] void fail(const std::string& what) const { user_error("{}: the npy header has {}", source_, what); }

  void skip_blanks() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) ++position_;
  }
  bool take(char c) {
    skip_blanks();
    if (position_ == text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail(fmt::format("no '{}' at byte {}", c, position_));
  }
  bool take_word(std::string_view word) {
    skip_blanks();
    if (!text_.substr(position_).starts_with(word)) return false;
    position_ += word.size();
    return true;
  }
  std::string string_literal() {
    const char quote = take('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const std::size_t end = text_.find(quote, position_);
    if (end == std::string_view::npos) fail("a text without end");
    std::string literal(text_.substr(position_, end - position_));
    position_ = end + 1;
    return literal;
  }
  bool boolean() {
    if (take_word("True")) return true;
    if (take_word("False")) return false;
    fail("a fortran_order that is neither True nor False");
  }
  std::vector<std::size_t> tuple() {
    std::vector<std::size_t> numbers;
    expect('(');
    while (!take(')')) {
      skip_blanks();
      std::size_t number = 0;
      const char* first = text_.data() + position_;
      const auto [last, error] = std::from_chars(first, text_.data() + text_.size(), number);
      if (error != std::errc()) fail("a shape that is not a tuple of sizes");
      position_ += static_cast<std::size_t>(last - first);
      numbers.push_back(number);
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return numbers;
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t position_ = 0;
};

template <class T>
std::vector<T> values_of(std::string_view bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

std::size_t little_endian(std::string_view bytes) {
  std::size_t value = 0;
  for (std::size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

std::size_t elements(const std::vector<std::size_t>& shape, std::size_t most, const std::string& source) {
  std::size_t count = 1;
  for (const std::size_t size : shape)
    if (size == 0) return 0;
  for (const std::size_t size : shape) {
    if (size > most / count) user_error("{}: the npy shape needs more bytes than the file has", source);
    count *= size;
  }
  return count;
}

}  // namespace

std::size_t NpyArray::size() const {
  return std::visit([](const auto& v) { return v.size(); }, values);
}

std::vector<double> NpyArray::as_double() const {
  return std::visit(
      [](const auto& v) {
        std::vector<double> out;
        out.reserve(v.size());
        for (const auto x : v) out.push_back(static_cast<double>(x));
        return out;
      },
      values);
}

NpyArray npy_from_bytes(std::string_view bytes, const std::string& source) {
  if (!bytes.starts_with(kMagic) || bytes.size() < 10) user_error("{}: is not an npy file", source);
  const int version = static_cast<unsigned char>(bytes[6]);
  if ((version != 1 && version != 2) || bytes[7] != 0)
    user_error("{}: npy version {}.{} is not supported, only 1.0 and 2.0", source, version,
               static_cast<unsigned char>(bytes[7]));
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (bytes.size() < 8 + length_bytes) user_error("{}: the npy header is cut off", source);
  const std::size_t header_size = little_endian(bytes.substr(8, length_bytes));
  const std::string_view rest = bytes.substr(8 + length_bytes);
  if (header_size > rest.size()) user_error("{}: the npy header is cut off", source);

  HeaderReader header(rest.substr(0, header_size), source);
  header.read();
  const std::string_view payload = rest.substr(header_size);
  NpyArray array;
  array.shape = *header.shape;
  if (*header.fortran_order && array.shape.size() > 1)
    user_error("{}: the array is in Fortran order; save it in C order (numpy.ascontiguousarray)", source);
  const std::string& type = *header.type;
  const bool is_double = type == "<f8";
  const bool is_integer = type == "<i8";
  if (!is_double && !is_integer && type != "<f4")
    user_error("{}: arrays of type {} are not supported, only <f8, <f4 and <i8", source, quoted_for_message(type));
  const std::size_t width = type == "<f4" ? 4 : 8;
  const std::size_t count = elements(array.shape, payload.size() / width, source);
  if (count * width != payload.size())
    user_error("{}: the npy shape needs {} bytes, the file has {}", source, count * width, payload.size());
  if (is_double)
    array.values = values_of<double>(payload);
  else if (is_integer)
    array.values = values_of<std::int64_t>(payload);
  else
    array.values = values_of<float>(payload);
  return array;
}

NpyArray read_npy(const std::string& path) {
  return npy_from_bytes(read_file(path), path);
}

std::string npy_to_bytes(const NpyArray& array) {
  std::string shape;
  for (const std::size_t size : array.shape) shape += fmt::format("{}, ", size);
  if (array.shape.size() > 1) shape.resize(shape.size() - 2);
  if (array.shape.size() == 1) shape.resize(shape.size() - 1);  // (3,)
  constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  if (elements(array.shape, kNone, "npy array") != array.size())
    user_error("an npy array of shape ({}) cannot hold {} values", shape, array.size());

  constexpr std::array<std::string_view, 3> kTypes{"<f8", "<f4", "<i8"};
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", kTypes[array.values.index()], shape);
  const bool long_header = header.size() + 1 + 63 > 0xFFFF;
  const std::size_t front = kMagic.size() + 2 + (long_header ? 4 : 2);
  while ((front + header.size() + 1) % 64 != 0) header += ' ';  // the format asks for aligned data
  header += '\n';

  std::string bytes(kMagic);
  bytes += long_header ? '\2' : '\1';
  bytes += '\0';
  for (std::size_t i = 0; i < (long_header ? 4U : 2U); ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  bytes += header;
  std::visit(
      [&](const auto& v) {
        if (!v.empty()) bytes.append(reinterpret_cast<const char*>(v.data()), v.size() * sizeof v[0]);
      },
      array.values);
  return bytes;
}

void write_npy(const std::string& path, const NpyArray& array) {
  write_file(path, npy_to_bytes(array));
}

}  // namespace clearway
