// clearway fuse init: a first specification from the files of a folder.
#include <fmt/format.h>

#include <filesystem>

#include "../registry.hpp"
#include "clearway/base/errors.hpp"
#include "clearway/fusion/draft.hpp"
#include "clearway/io/json.hpp"

namespace clearway::cli {
namespace {

class FuseInitCommand final : public Command {
 public:
  std::string_view name() const override { return "fuse init"; }
  std::string_view summary() const override { return "draft a specification from the files of a folder"; }
  std::string_view examples() const override {
    return "clearway fuse init data/\nclearway fuse init data/ --out spec.json\n";
  }
  std::string_view description() const override {
    return "Looks at the CSV and NumPy files of a folder, guesses what the sample, the time, the outcome and the "
           "modalities\n"
           "are, and writes a specification for clearway fuse train. What it guessed is said in \"note\" keys: read it "
           "before\n"
           "you use it. docs/fusion-data.md explains every key.\n";
  }

  void options(OptionList& list) override {
    list.argument("folder", folder_, "the folder with the files");
    list.group("Output");
    list.add(flags_);
  }

  ExitCode run(Context& context) override {
    Json spec = fusion::draft_spec(folder_);
    if (context.common.json || flags_.out == "-") {
      seen_from(spec, ".");
      context.console.print(json_text(spec));
      return ExitCode::success;
    }
    const std::string out = flags_.out.empty() ? (std::filesystem::path(folder_) / "spec.json").string() : flags_.out;
    seen_from(spec, std::filesystem::path(out).parent_path());
    std::error_code none;
    if (std::filesystem::exists(out, none) && !flags_.force)
      user_error("{}: is there already; choose another name with --out, or replace it with --force", out);
    write_json(out, spec);
    std::string text = fmt::format("{}\n", out);
    for (const Json& modality : spec.at("modalities"))
      text +=
          fmt::format("  {:<20} {}\n", modality.at("name").get<std::string>(), modality.at("kind").get<std::string>());
    for (const Json& note : spec.at("note"))
      if (&note != &spec.at("note").front()) text += fmt::format("  note: {}\n", note.get<std::string>());
    text += fmt::format("read it, mend what is guessed wrong, then: clearway fuse train {} --out run/\n", out);
    if (!context.common.quiet) context.console.print(text);
    return ExitCode::success;
  }

 private:
  /// A specification's paths start from where it lies, a draft's from the folder of the files.
  void seen_from(Json& spec, const std::filesystem::path& place) const {
    const std::filesystem::path way =
        std::filesystem::proximate(folder_, place.empty() ? std::filesystem::path(".") : place);
    if (way == ".") return;
    const auto moved = [&](const Json& path) {
      const std::filesystem::path own = path.get<std::string>();
      return own.is_absolute() ? path : Json((way / own).generic_string());
    };
    for (auto& source : spec.at("sources")) {
      Json& path = source.at("path");
      if (path.is_string())
        path = moved(path);
      else
        for (Json& one : path) one = moved(one);
    }
  }

  struct Flags {
    std::string out;
    bool force = false;

    template <class Self, class Visitor>
    static void visit(Self& self, Visitor&& field) {
      field("out", self.out,
            OptionInfo{.help = "file to write; default: spec.json in the folder; - is standard output",
                       .metavar = "FILE"});
      field("force", self.force, OptionInfo{.help = "replace the file"});
    }
  };

  std::string folder_;
  Flags flags_;
};

}  // namespace

std::unique_ptr<Command> make_fuse_init_command() {
  return std::make_unique<FuseInitCommand>();
}

}  // namespace clearway::cli
