// Bytes as text and back: base64 with padding (RFC 4648, section 4), for bytes that have to live in a JSON file.
#pragma once

#include <string>
#include <string_view>

namespace clearway {

std::string base64(std::string_view bytes);

/// Throws std::invalid_argument beginning with `where` for anything that base64() does not write.
std::string from_base64(std::string_view text, const std::string& where);

}  // namespace clearway
