#include <csv.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <unordered_set>

#include "blank_separated.hpp"
#include "byte_source.hpp"
#include "clearway/base/errors.hpp"
#include "clearway/base/text.hpp"
#include "clearway/io/csv.hpp"
#include "csv_column_builder.hpp"

namespace clearway {

namespace {

using detail::ByteSource;
using detail::ColumnBuilder;

constexpr std::size_t kChunk = std::size_t{1} << 20;
constexpr std::size_t kLook = std::size_t{1} << 17;  // to find out what separates the cells

/// libcsv's parser, freed at the end.
class Parser {
 public:
  explicit Parser(char separator) {
    if (csv_init(&parser_, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0) world_error("libcsv does not start");
    csv_set_delim(&parser_, static_cast<unsigned char>(separator));
    csv_set_blk_size(&parser_, std::size_t{1} << 16);
  }
  ~Parser() { csv_free(&parser_); }
  Parser(const Parser&) = delete;
  Parser& operator=(const Parser&) = delete;
  csv_parser* get() { return &parser_; }

 private:
  csv_parser parser_{};
};

/// Removes a byte order mark and refuses what is plainly not text.
std::string_view without_mark(std::string_view start, const std::string& source) {
  if (start.starts_with("\xEF\xBB\xBF")) return start.substr(3);
  if (start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF"))
    user_error("{}: is UTF-16 text; save it as UTF-8, for example with iconv -f utf-16 -t utf-8", source);
  if (start.starts_with("\x1F\x8B")) user_error("{}: is compressed with gzip; unpack it first (gunzip)", source);
  if (start.starts_with("PK\x03\x04"))
    user_error("{}: is a zip archive or a spreadsheet (xlsx, ods); export the sheet as CSV", source);
  return start;
}

/// The separator that the first lines agree on: the one that splits them into equally many cells, the more the better;
/// when they agree on none, the most frequent of the first line; a comma for a single column. A decimal comma does not
/// separate cells.
char detect_separator(std::string_view start, DecimalMark decimal) {
  constexpr std::size_t kLines = 20;
  constexpr std::array<char, 4> kCandidates{',', ';', '\t', '|'};
  std::array<std::vector<std::size_t>, 4> counts;
  std::array<std::size_t, 4> line{};
  bool quoted = false;
  bool blank = true;
  const auto end_line = [&] {
    for (std::size_t c = 0; c < 4 && !blank; ++c) counts[c].push_back(line[c]);
    line = {};
    blank = true;
  };
  for (const char c : start) {
    if (counts[0].size() == kLines) break;
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '\n' || c == '\r') {
      end_line();
      continue;
    }
    blank = false;
    const auto* found = std::find(kCandidates.begin(), kCandidates.end(), c);
    if (found != kCandidates.end()) ++line[static_cast<std::size_t>(found - kCandidates.begin())];
  }
  if (start.size() < kChunk || counts[0].empty()) end_line();  // else the last line may be cut

  std::size_t best = decimal == DecimalMark::comma ? 1 : 0;
  std::pair<bool, std::size_t> best_score{false, 0};
  for (std::size_t c = 0; c < 4; ++c) {
    if (counts[c].empty() || counts[c].front() == 0) continue;
    if (decimal == DecimalMark::comma && kCandidates[c] == ',') continue;
    const bool agree = std::all_of(counts[c].begin(), counts[c].end(), [&](auto n) { return n == counts[c].front(); });
    if (std::pair score{agree, counts[c].front()}; score > best_score) {
      best_score = score;
      best = c;
    }
  }
  return kCandidates[best];
}

char separator_of(const CsvOptions& options, std::string_view start) {
  switch (options.separator) {
    case CsvSeparator::comma:
      if (options.decimal == DecimalMark::comma)
        user_error("separator comma and decimal comma do not go together: such cells cannot be told apart");
      return ',';
    case CsvSeparator::semicolon:
      return ';';
    case CsvSeparator::tab:
      return '\t';
    case CsvSeparator::pipe:
      return '|';
    case CsvSeparator::blank:
      return '\t';
    case CsvSeparator::automatic:
      break;
  }
  return detect_separator(start, options.decimal);
}

/// One reading of a table. libcsv calls back for each cell and each end of a line; what those calls throw is kept until
/// libcsv has returned, because an exception must not cross C code.
class Reading {
 public:
  Reading(std::string source, const CsvOptions& options)
      : source_(std::move(source)), options_(options), missing_(options.missing_values) {}

  Table read(ByteSource& source) {
    const std::unique_ptr<ByteSource> tabs = without_blanks(source);
    ByteSource& bytes = tabs ? *tabs : source;
    pass(bytes);
    finish_first_reading();
    std::vector<std::size_t> again;
    for (std::size_t i = 0; i < builders_.size(); ++i)
      if (builders_[i].needs_second_reading()) again.push_back(i);
    if (!again.empty()) read_again(bytes, again);

    Table table;
    table.source = source_;
    table.rows = rows_;
    for (auto& builder : builders_) table.columns.push_back(builder.finish());
    table.first_line = std::move(first_line_);
    check_infinite(table);
    return table;
  }

  /// Reads chunk by chunk.
  void read_chunks(ByteSource& source, std::size_t rows, const std::function<bool(Table)>& visit) {
    const std::unique_ptr<ByteSource> tabs = without_blanks(source);
    ByteSource& bytes = tabs ? *tabs : source;
    chunk_rows_ = rows;
    visit_ = &visit;
    pass(bytes);
    if (!stopped_) finish_first_reading();
    if (!stopped_ && rows_ > 0) end_chunk();
  }

 private:
  /// The source with tabulators for blanks where the table is separated by those; else nothing.
  std::unique_ptr<ByteSource> without_blanks(ByteSource& bytes) {
    if (options_.separator == CsvSeparator::automatic) {
      std::string start(kLook, '\0');
      start.resize(bytes.read(start.data(), start.size()));
      bytes.rewind();
      const std::string_view first_line = std::string_view(start).substr(0, start.find('\n'));
      if (first_line.find_first_of(",;|\t") != std::string_view::npos || !detail::looks_blank_separated(start))
        return nullptr;
    } else if (options_.separator != CsvSeparator::blank) {
      return nullptr;
    }
    blanks_ = true;
    return std::make_unique<detail::BlankSeparated>(bytes);
  }

  static void on_cell(void* text, std::size_t size, void* self) {
    auto& reading = *static_cast<Reading*>(self);
    reading.guarded([&] { reading.cell({static_cast<const char*>(text), size}); });
  }
  static void on_line_end(int terminator, void* self) {
    auto& reading = *static_cast<Reading*>(self);
    reading.guarded([&] { reading.line_end(terminator); });
  }
  template <class Call>
  void guarded(Call call) noexcept {
    if (thrown_ || stopped_) return;
    try {
      call();
    } catch (...) {
      thrown_ = std::current_exception();
    }
  }

  void pass(ByteSource& bytes) {
    const std::size_t capacity = bytes.size() > 0 ? std::min(kChunk, bytes.size() + 1) : kChunk;
    const auto buffer = std::make_unique_for_overwrite<char[]>(capacity);
    std::size_t count = bytes.read(buffer.get(), capacity);
    std::string_view chunk = without_mark({buffer.get(), count}, source_);
    if (chunk.empty()) user_error("{}: is empty", source_);
    Parser parser(blanks_ ? '\t' : separator_of(options_, chunk));
    bytes_read_ = 0;
    for (;;) {
      const std::size_t used = csv_parse(parser.get(), chunk.data(), chunk.size(), on_cell, on_line_end, this);
      if (thrown_) std::rethrow_exception(thrown_);
      if (used < chunk.size()) fail_in_parser(*parser.get());
      bytes_read_ += chunk.size();
      if (stopped_) return;
      if (count < capacity) break;
      if (!reserved_ && visit_ == nullptr) reserve(bytes.size());
      count = bytes.read(buffer.get(), capacity);
      chunk = {buffer.get(), count};
    }
    const int status = csv_fini(parser.get(), on_cell, on_line_end, this);
    if (thrown_) std::rethrow_exception(thrown_);
    if (status != 0) {
      if (csv_error(parser.get()) == CSV_ENOMEM || csv_error(parser.get()) == CSV_ETOOBIG) throw std::bad_alloc();
      user_error("{}: line {}, column {}: the quoted cell that begins here is never closed", source_,
                 line_ + lines_in_cells_, cells_ + 1);
    }
  }

  [[noreturn]] void fail_in_parser(csv_parser& parser) {
    if (csv_error(&parser) != CSV_EPARSE) throw std::bad_alloc();
    const std::string_view begun{reinterpret_cast<const char*>(parser.entry_buf), parser.entry_pos};
    user_error("{}: line {}, column {}: a quotation mark inside the cell; quote the cell and write the mark twice",
               source_, line_ + lines_in_cells_ + newlines(begun), cells_ + 1);
  }

  void cell(std::string_view text) {
    after_return_ = false;
    if (in_header_) {
      header_.emplace_back(text);
      lines_in_cells_ += newlines(text);
    } else {
      if (cells_ == 0) row_line_ = line_;
      if (cells_ < builders_.size()) add(builders_[cells_], text);
    }
    ++cells_;
  }

  void add(ColumnBuilder& builder, std::string_view text) {
    if (second_reading_ && !builder.needs_second_reading()) {
      lines_in_cells_ += newlines(text);
      return;
    }
    const std::string problem = builder.add(text, missing_);
    if (!problem.empty())
      user_error("{}: line {}, column {} ('{}'): {}", source_, line_ + lines_in_cells_, cells_ + 1, builder.name(),
                 problem);
    lines_in_cells_ += newlines(text);
  }

  /// Line ends inside a quoted cell (a cell that is a number, the fast case, has none and is short).
  static std::size_t newlines(std::string_view text) {
    return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  void line_end(int terminator) {
    if (terminator == '\n' && after_return_) {  // the second half of CR LF
      after_return_ = false;
      return;
    }
    if (cells_ > 0) row_end();
    line_ += lines_in_cells_ + 1;
    lines_in_cells_ = 0;
    cells_ = 0;
    after_return_ = terminator == '\r';
  }

  void row_end() {
    if (in_header_) {
      start_columns();
      in_header_ = false;
      return;
    }
    if (cells_ != builders_.size())
      user_error("{}: line {} has {}, expected {} as in {}", source_, row_line_, plural(cells_, "cell"),
                 builders_.size(),
                 has_names_ ? fmt::format("the header (line {})", header_line_) : std::string("the first row"));
    if (!second_reading_) first_line_.push_back(row_line_);
    ++rows_;
    if (visit_ != nullptr && rows_ == chunk_rows_) end_chunk();
  }

  /// Hands the rows so far over and starts afresh. Text columns of the first chunk are text from the first cell on.
  void end_chunk() {
    Table table;
    table.source = source_;
    table.rows = rows_;
    std::vector<ColumnBuilder> next;
    for (std::size_t i = 0; i < builders_.size(); ++i) {
      const bool late = builders_[i].needs_second_reading();
      const std::string name = builders_[i].name();
      table.columns.push_back(builders_[i].finish());
      const bool text = table.columns.back().is_text;
      if (late || (chunks_ > 0 && text && !is_text_[i]))
        user_error(
            "{}: column {} ('{}') holds numbers in some rows and text in others (between lines {} and {}); in "
            "chunks a column must be one or the other from its first cell on",
            source_, i + 1, name, first_line_.front(), row_line_);
      if (chunks_ == 0) is_text_.push_back(text);
      next.emplace_back(name, options_.decimal);
      if (text) next.back().restart_as_text();
    }
    table.first_line = std::move(first_line_);
    first_line_.clear();
    check_infinite(table);
    builders_ = std::move(next);
    rows_ = 0;
    ++chunks_;
    stopped_ = !(*visit_)(std::move(table));
  }

  /// The first line is complete: names, or the first row of a table without names.
  void start_columns() {
    header_line_ = line_;
    if (second_reading_) {
      if (!has_names_) replay_first_row();
      return;
    }
    double ignored = 0.0;
    const bool numbers_only = std::all_of(header_.begin(), header_.end(), [&](const std::string& name) {
      return detail::read_number(name, ignored, options_.decimal) != detail::NumberKind::none;
    });
    if (options_.header == CsvHeader::automatic && numbers_only)
      user_error(
          "{}: line {} should name the columns but holds only numbers; read a table without names with --header no, or "
          "take the numbers as names with --header yes",
          source_, line_);
    has_names_ = options_.header != CsvHeader::no;
    if (has_names_) check_names();
    for (std::size_t i = 0; i < header_.size(); ++i) {
      builders_.emplace_back(has_names_ ? header_[i] : fmt::format("V{}", i + 1), options_.decimal);
      const auto& texts = options_.as_text;
      if (std::find(texts.begin(), texts.end(), builders_.back().name()) != texts.end())
        builders_.back().restart_as_text();
    }
    if (!has_names_) replay_first_row();
  }

  void replay_first_row() {
    row_line_ = line_;
    lines_in_cells_ = 0;
    for (cells_ = 0; cells_ < header_.size(); ++cells_) add(builders_[cells_], header_[cells_]);
    if (!second_reading_) first_line_.push_back(row_line_);
    ++rows_;
    if (visit_ != nullptr && rows_ == chunk_rows_) end_chunk();
  }

  void check_names() const {
    std::unordered_set<std::string_view> seen;
    for (std::size_t i = 0; i < header_.size(); ++i) {
      const std::string& name = header_[i];
      if (name.empty())
        user_error(
            "{}: line {}, column {}: the name is empty; every column needs one (R writes row names under an empty "
            "name: use write.csv(..., row.names = FALSE))",
            source_, line_, i + 1);
      if (!detail::is_utf8_text(name))
        user_error("{}: line {}, column {}: the name is not UTF-8 text", source_, line_, i + 1);
      double ignored = 0.0;
      const bool is_number = detail::read_number(name, ignored, options_.decimal) != detail::NumberKind::none;
      if (!seen.insert(name).second)
        user_error("{}: line {}, column {}: the name {} occurs twice{}", source_, line_, i + 1,
                   quoted_for_message(name), is_number ? "; if the line holds no names, say so with --header no" : "");
    }
  }

  void finish_first_reading() const {
    if (in_header_) user_error("{}: holds nothing but blank lines", source_);
    if (rows_ == 0 && chunks_ == 0) user_error("{}: has a header but no rows below it", source_);
  }

  /// Columns that became text late are read again from the start, now as text.
  void read_again(ByteSource& bytes, const std::vector<std::size_t>& columns) {
    const std::size_t rows = rows_;
    const std::size_t size = bytes_read_;
    for (const std::size_t i : columns) builders_[i].restart_as_text();
    second_reading_ = true;
    in_header_ = true;
    after_return_ = false;
    header_.clear();
    rows_ = cells_ = lines_in_cells_ = 0;
    line_ = 1;
    bytes.rewind();
    pass(bytes);
    if (rows_ != rows || bytes_read_ != size) world_error("{}: changed while it was read", source_);
  }

  void reserve(std::size_t bytes) {
    reserved_ = true;
    if (bytes == 0 || rows_ == 0 || second_reading_) return;
    const double rows = static_cast<double>(rows_) * static_cast<double>(bytes) / static_cast<double>(bytes_read_);
    const auto guess = static_cast<std::size_t>(1.02 * rows) + 64;
    for (auto& builder : builders_) builder.reserve(guess);
    first_line_.reserve(guess);
  }

  void check_infinite(const Table& table) const {
    for (std::size_t i = 0; i < builders_.size(); ++i) {
      const std::size_t row = builders_[i].first_infinite_row();
      if (row != ColumnBuilder::npos && !table.columns[i].is_text)
        user_error("{}: {} is infinite or beyond the range of numbers", table.place(row, table.columns[i]),
                   quoted_for_message(builders_[i].first_infinite_cell()));
    }
  }

  std::string source_;
  const CsvOptions& options_;
  detail::MissingMarkers missing_;
  std::vector<ColumnBuilder> builders_;
  std::vector<std::string> header_;
  std::vector<std::size_t> first_line_;
  std::exception_ptr thrown_;
  std::size_t bytes_read_ = 0;
  std::size_t rows_ = 0;
  std::size_t cells_ = 0;           ///< cells of the present row so far
  std::size_t line_ = 1;            ///< line on which the present row began
  std::size_t lines_in_cells_ = 0;  ///< line ends inside the quoted cells of the present row
  std::size_t row_line_ = 1;
  std::size_t header_line_ = 1;
  bool in_header_ = true;
  bool has_names_ = true;
  bool second_reading_ = false;
  bool reserved_ = false;
  bool blanks_ = false;
  bool after_return_ = false;
  // Reading in chunks.
  std::size_t chunk_rows_ = 0;
  const std::function<bool(Table)>* visit_ = nullptr;
  std::size_t chunks_ = 0;
  std::vector<bool> is_text_;  ///< as the first chunk decided
  bool stopped_ = false;
};

}  // namespace

Table read_csv(const std::string& path, const CsvOptions& options) {
  return Reading(path == "-" ? "standard input" : path, options).read(*detail::file_source(path));
}

void read_csv_in_chunks(const std::string& path, const CsvOptions& options, std::size_t rows,
                        const std::function<bool(Table)>& visit) {
  if (rows == 0) user_error("a chunk must have at least 1 row");
  Reading(path == "-" ? "standard input" : path, options).read_chunks(*detail::file_source(path), rows, visit);
}

Table read_csv_text(std::string_view text, const CsvOptions& options, std::string source) {
  return Reading(std::move(source), options).read(*detail::memory_source(text));
}

}  // namespace clearway
