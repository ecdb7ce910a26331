#include "study.hpp"

#include <filesystem>
#include <optional>

#include "clearway/io/file.hpp"

namespace clearway::cli {

void write_study(const Command& command, const Context& context, const RunOutput& output,
                 const std::function<StudyFiles()>& study) {
  std::optional<RunFolder> folder;
  if (!output.out.empty()) folder = RunFolder::create(output.out, output.force);
  const StudyFiles files = study();
  if (folder) {
    folder->write_json("config.json", run_config(command.name(), context.options));
    folder->write("summary.txt", files.text);
    folder->write("summary.json", files.json);
    for (const auto& [name, text] : files.tables)
      write_file((std::filesystem::path(folder->path()) / name).string(), text);
  }
  context.console.print(context.common.json ? files.json : files.text);
}

}  // namespace clearway::cli
