// A folder with a spec and small files, for tests of readers.
#pragma once

#include <filesystem>
#include <string>

#include "clearway/fusion/raw_data.hpp"
#include "clearway/io/file.hpp"
#include "io/temporary_folder.hpp"

namespace clearway::fusion {

class DataFolder {
 public:
  void file(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(folder_ / name).parent_path());
    write_file(folder_ / name, text);
  }
  void spec(const std::string& json) { spec_ = spec_from_json(parse_json(json, "spec.json"), "spec.json", path()); }
  const FusionSpec& spec() const { return spec_; }
  RawData read(bool prediction = false) const {
    ReadOptions options;
    options.prediction = prediction;
    return read_samples(spec_, options);
  }
  /// What reading is answered with; the folder's name taken out.
  std::string error() const {
    std::string message = testing_io::message_of([&] { (void)read(); });
    for (std::size_t at; (at = message.find(path() + "/")) != std::string::npos;) message.erase(at, path().size() + 1);
    return message;
  }
  std::string path() const { return folder_.path(); }

 private:
  testing_io::TemporaryFolder folder_;
  FusionSpec spec_;
};

}  // namespace clearway::fusion
