#include "clearway/io/base64.hpp"

#include <array>
#include <cstdint>

#include "clearway/base/errors.hpp"

namespace clearway {

namespace {

constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<std::int8_t, 256> values_of_letters() {
  std::array<std::int8_t, 256> values{};
  for (auto& value : values) value = -1;
  for (std::size_t i = 0; i < kLetters.size(); ++i)
    values[static_cast<unsigned char>(kLetters[i])] = static_cast<std::int8_t>(i);
  return values;
}

}  // namespace

std::string base64(std::string_view bytes) {
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j)
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    for (std::size_t j = 0; j < 4; ++j) text += j <= count ? kLetters[group >> (18 - 6 * j) & 63U] : '=';
  }
  return text;
}

std::string from_base64(std::string_view text, const std::string& where) {
  static constexpr auto kValues = values_of_letters();
  if (text.size() % 4 != 0) user_error("{}: is not base64: its length is not a multiple of 4", where);
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    std::size_t count = 4;
    if (i + 4 == text.size())
      while (count > 2 && text[i + count - 1] == '=') --count;
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 4; ++j) {
      const int value = j < count ? kValues[static_cast<unsigned char>(text[i + j])] : 0;
      if (value < 0) user_error("{}: is not base64: character {} of it", where, i + j + 1);
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    for (std::size_t j = 0; j + 1 < count; ++j) bytes += static_cast<char>(group >> (16 - 8 * j) & 0xFFU);
    if ((group & (count == 2 ? 0xFFFFU : count == 3 ? 0xFFU : 0U)) != 0)
      user_error("{}: is not base64: it ends in bits that mean nothing", where);
  }
  return bytes;
}

}  // namespace clearway
