#include "run_output.hpp"

#include <filesystem>

#include "build_information.hpp"
#include "clearway/base/errors.hpp"

namespace clearway::cli {

NewRun::~NewRun() {
  std::error_code ignored;
  if (!kept_) std::filesystem::remove(folder_.path(), ignored);  // removes an empty folder only
}

Json run_config(std::string_view command, const OptionList& options) {
  Json config = {{"clearway", std::string(kVersion)}, {"command", std::string(command)}};
  config.update(options.json());
  for (const char* key : {"json", "quiet", "color", "config", "out", "force", "report"}) config.erase(key);
  return config;
}

void print_result(const Context& context, const std::string& text, const Json& json) {
  if (context.common.json)
    context.console.print(json_text(json));
  else if (!context.console.quiet())
    context.console.print(text);
}

void refuse_present(const std::string& path, bool force) {
  if (!path.empty() && path != "-" && !force && std::filesystem::is_regular_file(path))
    user_error("{} is there already; --force replaces it", path);
}

}  // namespace clearway::cli
