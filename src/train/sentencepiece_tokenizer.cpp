#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/base64.hpp"
#include "clearway/io/file.hpp"
#include "run_program.hpp"
#include "text_checks.hpp"
#include "tokenizers.hpp"

namespace clearway::train {

namespace {

/// A model on the disk for as long as programs need it.
class ModelFile {
 public:
  explicit ModelFile(std::string_view bytes) {
    std::string name = (std::filesystem::temp_directory_path() / "clearway-XXXXXX").string();
    const int descriptor = mkstemp(name.data());
    if (descriptor < 0) world_error("{}: no temporary file can be made", name);
    close(descriptor);
    path_ = name;
    write_file(path_, bytes);
  }
  ~ModelFile() { unlink(path_.c_str()); }
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// The lines of a text; a last one without line feed is one, too.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string model, const std::string& source) : model_(std::move(model)), file_(model_) {
    const ProgramResult exported = run_program({"spm_export_vocab", "--model=" + file_.path()}, "");
    if (exported.status != 0) user_error("{}: is not a SentencePiece model (spm_export_vocab refuses it)", source);
    for (const std::string_view line : lines_of(exported.output))
      pieces_.emplace_back(line.substr(0, line.rfind('\t')));  // then its score
    if (pieces_.empty()) user_error("{}: is a SentencePiece model without pieces", source);
    unknown_ = id_of("<unk>");
    line_end_ = id_of("</s>");
  }

  TokenizerKind kind() const override { return TokenizerKind::sentencepiece; }
  std::int64_t size() const override { return static_cast<std::int64_t>(pieces_.size()); }
  TokenIds encode(std::string_view text, const std::string& source) const override {
    check_utf8(text, source);
    return encode_checked({text}).front();
  }
  std::vector<TokenIds> encode_all(std::span<const std::string> texts, const std::string& source) const override {
    std::vector<std::string_view> views;
    for (const auto& text : texts) {
      check_utf8(text, fmt::format("{}: text {}", source, views.size() + 1));
      views.push_back(text);
    }
    return encode_checked(views);
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string input;
    bool line_open = false;
    for (const std::int32_t id : ids) {
      check_token(id, size());
      line_open = id != line_end_;
      input += line_open ? fmt::format("{} ", id) : "\n";
    }
    std::string text = run("spm_decode", "--input_format=id", input);
    if (line_open && text.ends_with('\n')) text.pop_back();
    return text;
  }
  std::string symbol(std::int32_t id) const override {
    check_token(id, size());
    return pieces_[static_cast<std::size_t>(id)];
  }
  std::int32_t unknown() const override { return unknown_; }
  std::int32_t line_end() const override { return line_end_; }
  Json to_json() const override { return {{"tokenizer", enum_name(kind())}, {"model", base64(model_)}}; }

 private:
  std::int32_t id_of(std::string_view piece) const {
    const auto found = std::find(pieces_.begin(), pieces_.end(), piece);
    return found == pieces_.end() ? -1 : static_cast<std::int32_t>(found - pieces_.begin());
  }

  std::string run(const char* program, const char* option, std::string_view input) const {
    ProgramResult result = run_program({program, "--model=" + file_.path(), option}, input);
    if (result.status != 0) world_error("{} failed: {}", program, quoted_for_message(result.errors, 200));
    return std::move(result.output);
  }

  /// One line of input for every line of every text, one line of ids for each comes back.
  std::vector<TokenIds> encode_checked(const std::vector<std::string_view>& texts) const {
    std::string input;
    for (const auto text : texts) {
      input += text;
      if (!text.empty() && text.back() != '\n') input += '\n';
    }
    const std::string output = run("spm_encode", "--output_format=id", input);
    const auto answers = lines_of(output);
    std::vector<TokenIds> encoded(texts.size());
    std::size_t at = 0;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::size_t lines = lines_of(texts[i]).size();
      if (answers.size() - at < lines) world_error("spm_encode answered {} lines, too few", answers.size());
      for (std::size_t line = 0; line < lines; ++line, ++at) {
        append_ids(answers[at], encoded[i]);
        const bool ended = line + 1 < lines || texts[i].back() == '\n';
        if (ended && line_end_ >= 0) encoded[i].push_back(line_end_);
      }
    }
    if (at != answers.size()) world_error("spm_encode answered {} lines, too many", answers.size());
    return encoded;
  }

  void append_ids(std::string_view line, TokenIds& ids) const {
    for_each_word(line, [&](std::string_view word) {
      std::int32_t id = -1;
      const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), id);
      if (error != std::errc() || stop != word.data() + word.size() || id < 0 || id >= size())
        world_error("spm_encode answered {}, which is no id", quoted_for_message(word));
      ids.push_back(id);
    });
  }

  std::string model_;
  ModelFile file_;
  std::vector<std::string> pieces_;
  std::int32_t unknown_ = -1;
  std::int32_t line_end_ = -1;
};

}  // namespace

bool has_sentencepiece() {
  return on_path("spm_encode") && on_path("spm_decode") && on_path("spm_export_vocab");
}

std::unique_ptr<Tokenizer> sentencepiece_tokenizer(std::string model, const std::string& source) {
  if (!has_sentencepiece())
    user_error(
        "{}: SentencePiece's programs spm_encode, spm_decode and spm_export_vocab are not on the PATH; install "
        "them (Debian: apt-get install sentencepiece), or use --tokenizer byte, character or word",
        source);
  return std::make_unique<SentencePieceTokenizer>(std::move(model), source);
}

}  // namespace clearway::train
