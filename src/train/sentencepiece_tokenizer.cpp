#include "clearway/base/errors.hpp"
#include "tokenizers.hpp"

#ifdef CLEARWAY_HAS_SENTENCEPIECE

#include <sentencepiece_processor.h>

#include "clearway/io/base64.hpp"
#include "text_checks.hpp"

namespace clearway::train {

namespace {

class SentencePieceTokenizer final : public Tokenizer {
 public:
  SentencePieceTokenizer(std::string model, const std::string& source) : model_(std::move(model)) {
    // An empty or random file parses as an empty protocol buffer: ask for pieces, too.
    if (const auto status = pieces_.LoadFromSerializedProto(model_); !status.ok() || pieces_.GetPieceSize() == 0)
      user_error("{}: is not a SentencePiece model{}{}", source, status.ok() ? "" : ": ", status.message());
  }

  TokenizerKind kind() const override { return TokenizerKind::sentencepiece; }
  std::int64_t size() const override { return pieces_.GetPieceSize(); }
  TokenIds encode(std::string_view text, const std::string& source) const override {
    check_utf8(text, source);
    TokenIds ids;
    std::vector<int> line_ids;
    while (!text.empty()) {
      const std::size_t end = std::min(text.find('\n'), text.size());
      const auto status = pieces_.Encode(text.substr(0, end), &line_ids);
      if (!status.ok()) world_error("{}: SentencePiece fails: {}", source, status.message());
      ids.insert(ids.end(), line_ids.begin(), line_ids.end());
      if (end < text.size() && line_end() >= 0) ids.push_back(line_end());
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return ids;
  }
  std::string decode(std::span<const std::int32_t> ids) const override {
    std::string text;
    std::vector<int> line;
    const auto end_line = [&] {
      std::string decoded;
      const auto status = pieces_.Decode(line, &decoded);
      if (!status.ok()) world_error("SentencePiece fails: {}", status.message());
      text += decoded;
      line.clear();
    };
    for (const std::int32_t id : ids) {
      check_token(id, size());
      if (id == line_end()) {
        end_line();
        text += '\n';
      } else {
        line.push_back(id);
      }
    }
    end_line();
    return text;
  }
  std::string symbol(std::int32_t id) const override {
    check_token(id, size());
    return pieces_.IdToPiece(id);
  }
  std::int32_t unknown() const override { return pieces_.unk_id(); }
  std::int32_t line_end() const override { return pieces_.eos_id(); }
  Json to_json() const override { return {{"tokenizer", enum_name(kind())}, {"model", base64(model_)}}; }

 private:
  std::string model_;
  sentencepiece::SentencePieceProcessor pieces_;
};

}  // namespace

std::unique_ptr<Tokenizer> sentencepiece_tokenizer(std::string model, const std::string& source) {
  return std::make_unique<SentencePieceTokenizer>(std::move(model), source);
}

bool has_sentencepiece() {
  return true;
}

}  // namespace clearway::train

#else

namespace clearway::train {

std::unique_ptr<Tokenizer> sentencepiece_tokenizer(std::string, const std::string& source) {
  user_error(
      "{}: this Clearway was built without SentencePiece; install it (Debian: libsentencepiece-dev) and build "
      "again, or use --tokenizer byte, character or word",
      source);
}

bool has_sentencepiece() {
  return false;
}

}  // namespace clearway::train

#endif
