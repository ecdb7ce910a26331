#include "clearway/io/event_file.hpp"

#include <array>
#include <bit>
#include <cstring>

namespace clearway {

namespace {

/// Remainders of one byte for the reflected polynomial 0x1EDC6F41.
constexpr std::array<std::uint32_t, 256> remainders() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ ((value & 1U) != 0 ? 0x82F63B78U : 0U);
    table[byte] = value;
  }
  return table;
}

/// TFRecords mask their sums, so that the sum of a record that holds sums is not degenerate.
std::uint32_t masked(std::uint32_t sum) {
  return std::rotr(sum, 15) + 0xA282EAD8U;
}

template <class Unsigned>
void put_little_endian(std::string& bytes, Unsigned value) {
  for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFFU);
}

// Protocol buffers: a field is (number << 3 | kind) and the value; kind 0 is a varint, 1 eight bytes, 2 a length and as
// many bytes, 5 four bytes.
void put_varint(std::string& bytes, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>((value & 0x7F) | 0x80);
  bytes += static_cast<char>(value);
}
void put_double(std::string& bytes, unsigned field, double value) {
  put_varint(bytes, field << 3 | 1);
  put_little_endian(bytes, std::bit_cast<std::uint64_t>(value));
}
void put_float(std::string& bytes, unsigned field, float value) {
  put_varint(bytes, field << 3 | 5);
  put_little_endian(bytes, std::bit_cast<std::uint32_t>(value));
}
void put_bytes(std::string& bytes, unsigned field, std::string_view value) {
  put_varint(bytes, field << 3 | 2);
  put_varint(bytes, value.size());
  bytes += value;
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  static constexpr auto kRemainders = remainders();
  std::uint32_t sum = 0xFFFFFFFFU;
  for (const char c : bytes) sum = sum >> 8 ^ kRemainders[(sum ^ static_cast<unsigned char>(c)) & 0xFFU];
  return ~sum;
}

std::string tf_record(std::string_view data) {
  std::string record;
  put_little_endian(record, static_cast<std::uint64_t>(data.size()));
  put_little_endian(record, masked(crc32c(record)));
  record += data;
  put_little_endian(record, masked(crc32c(data)));
  return record;
}

std::string version_event(double seconds) {
  std::string event;
  put_double(event, 1, seconds);         // Event.wall_time
  put_bytes(event, 3, "brain.Event:2");  // Event.file_version
  return event;
}

std::string scalar_event(std::int64_t step, double seconds, const Scalars& values) {
  std::string summary;
  for (const auto& [name, number] : values) {
    std::string value;
    put_bytes(value, 1, name);                        // Summary.Value.tag
    put_float(value, 2, static_cast<float>(number));  // Summary.Value.simple_value
    put_bytes(summary, 1, value);                     // Summary.value
  }
  std::string event;
  put_double(event, 1, seconds);
  put_varint(event, 2U << 3);  // Event.step
  put_varint(event, static_cast<std::uint64_t>(step));
  put_bytes(event, 5, summary);  // Event.summary
  return event;
}

}  // namespace clearway
