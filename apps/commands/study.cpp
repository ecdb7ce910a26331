#include "study.hpp"

#include <filesystem>
#include <optional>

#include "build_information.hpp"
#include "clearway/io/file.hpp"
#include "clearway/io/run_folder.hpp"

namespace clearway::cli {

Json study_config(const Command& command, const Context& context) {
  Json config = {{"clearway", std::string(kVersion)}, {"command", std::string(command.name())}};
  config.update(context.options.json());
  for (const char* key : {"json", "quiet", "color", "config", "out", "force"}) config.erase(key);
  return config;
}

void write_study(const Command& command, const Context& context, const StudyOutput& output,
                 const std::function<StudyFiles()>& study) {
  std::optional<RunFolder> folder;
  if (!output.out.empty()) folder = RunFolder::create(output.out, output.force);
  const StudyFiles files = study();
  if (folder) {
    folder->write_json("config.json", study_config(command, context));
    folder->write("summary.txt", files.text);
    folder->write("summary.json", files.json);
    for (const auto& [name, text] : files.tables)
      write_file((std::filesystem::path(folder->path()) / name).string(), text);
  }
  context.console.print(context.common.json ? files.json : files.text);
}

}  // namespace clearway::cli
