// FNV-1a with 64 bits (Fowler, Noll and Vo): a number that names bytes, the same on every machine. Not for secrets.
#pragma once

#include <cstdint>
#include <string_view>

namespace clearway {

/// Of several texts one after another: give the hash of those before as `state`.
constexpr std::uint64_t fnv1a(std::string_view bytes, std::uint64_t state = 14695981039346656037U) {
  for (const char c : bytes) state = (state ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return state;
}

}  // namespace clearway
