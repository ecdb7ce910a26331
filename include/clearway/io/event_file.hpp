// TensorBoard's event files: scalars over training steps, for those who look at runs with TensorBoard.
//
// A file is a sequence of TFRecords (length, masked CRC32C of the length, data, masked CRC32C of the data; all
// little-endian), each holding one protocol buffer `Event` (tensorflow/core/util/event.proto). Both are written by hand:
// only the four fields that a scalar needs. metrics.jsonl is the record; this is a copy of it for a viewer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace clearway {

/// CRC-32C (Castagnoli), as in iSCSI (RFC 3720, appendix B.4 has test vectors).
std::uint32_t crc32c(std::string_view bytes);

/// Names and values of one step, in the order of writing.
using Scalars = std::vector<std::pair<std::string, double>>;

/// One TFRecord around `data`.
std::string tf_record(std::string_view data);
/// The Event of one step. `seconds` since 1970; values become single precision, as the format has it.
std::string scalar_event(std::int64_t step, double seconds, const Scalars& values);
/// The Event that every file begins with.
std::string version_event(double seconds);

}  // namespace clearway
