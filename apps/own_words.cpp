#include "own_words.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "clearway/base/errors.hpp"

namespace clearway::cli {

std::vector<std::string> own_words() {
  std::vector<std::string> words;
  std::FILE* file = std::fopen("/proc/self/cmdline", "rb");
  if (file == nullptr) world_error("cannot read /proc/self/cmdline: {}", std::strerror(errno));
  std::string word;
  for (int c = std::fgetc(file); c != EOF; c = std::fgetc(file)) {
    if (c != 0) {
      word.push_back(static_cast<char>(c));
      continue;
    }
    words.push_back(word);
    word.clear();
  }
  std::fclose(file);
  return words;
}

}  // namespace clearway::cli
