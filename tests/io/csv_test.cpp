// Reading and writing tables: every message, every dialect, and the law that what was written reads back equal.
#include "clearway/io/csv.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/stat.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <set>
#include <thread>

#include "clearway/io/file.hpp"
#include "temporary_folder.hpp"

namespace clearway {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

std::string error_of(std::string_view text, const CsvOptions& options = {}) {
  return message_of([&] { (void)read_csv_text(text, options, "t.csv"); });
}

std::vector<std::string> texts(const Column& column) {
  std::vector<std::string> out;
  for (const int code : column.codes)
    out.push_back(code < 0 ? "<missing>" : column.levels[static_cast<std::size_t>(code)]);
  return out;
}
using Texts = std::vector<std::string>;
using Numbers = std::vector<double>;

TEST(CsvRead, NumbersTextAndMissingCells) {
  const Table t = read_csv_text("x,colour,z\n1,red,0.5\n-2.5e3,,NA\n+3, blue ,?\n", {}, "t.csv");
  EXPECT_EQ(t.source, "t.csv");
  ASSERT_EQ(t.rows, 3u);
  ASSERT_EQ(t.columns.size(), 3u);
  EXPECT_FALSE(t.columns[0].is_text);
  EXPECT_EQ(t.columns[0].numbers, (Numbers{1, -2500, 3}));
  EXPECT_TRUE(t.columns[1].is_text);
  EXPECT_EQ(t.columns[1].levels, (Texts{"blue", "red"}));
  EXPECT_EQ(texts(t.columns[1]), (Texts{"red", "<missing>", "blue"}));
  EXPECT_EQ(t.columns[1].missing, (std::vector<std::size_t>{1}));
  EXPECT_EQ(t.columns[2].missing, (std::vector<std::size_t>{1, 2}));
  EXPECT_EQ(t.columns[2].numbers[0], 0.5);
  EXPECT_TRUE(std::isnan(t.columns[2].numbers[1]));
  EXPECT_EQ(t.first_line, (std::vector<std::size_t>{2, 3, 4}));
}

TEST(CsvRead, LineEndsMarksAndBlankLinesMakeNoDifference) {
  for (const std::string text : {"a,b\n1,2\n3,4\n", "a,b\r\n1,2\r\n3,4\r\n", "a,b\r1,2\r3,4\r", "a,b\n1,2\n3,4",
                                 "\xEF\xBB\xBF"
                                 "a,b\n1,2\n3,4\n",
                                 "a,b\n\n1,2\n   \n3,4\n\n"}) {
    const Table t = read_csv_text(text);
    ASSERT_EQ(t.rows, 2u) << text;
    EXPECT_EQ(t.columns[0].name, "a");
    EXPECT_EQ(t.columns[0].numbers, (Numbers{1, 3})) << text;
    EXPECT_EQ(t.columns[1].numbers, (Numbers{2, 4})) << text;
  }
  // Lines are counted as an editor counts them, blank ones and those inside of cells included.
  EXPECT_EQ(read_csv_text("a,b\r\n\r\n1,2\r\n3,4\r\n").first_line, (std::vector<std::size_t>{3, 4}));
  EXPECT_EQ(read_csv_text("a,b\n\"x\ny\",2\n\n3,4\n").first_line, (std::vector<std::size_t>{2, 5}));
  EXPECT_EQ(read_csv_text("\"a\nb\",c\n1,2\n3,4\n").first_line, (std::vector<std::size_t>{3, 4}));
}

TEST(CsvRead, QuotedCells) {
  const Table t = read_csv_text("\"a,b\",\"say \"\"hi\"\"\"\n\"1\",\"two\nlines\"\n\" 2 \",\" kept \"\n\"\",\"\"\n");
  EXPECT_EQ(t.columns[0].name, "a,b");
  EXPECT_EQ(t.columns[1].name, "say \"hi\"");
  EXPECT_EQ(t.columns[0].numbers[0], 1);
  EXPECT_EQ(t.columns[0].numbers[1], 2);
  EXPECT_EQ(texts(t.columns[1]), (Texts{"two\nlines", " kept ", "<missing>"}));
}

TEST(CsvRead, SeparatorsAreFoundOrGiven) {
  const auto cells = [](std::string_view text) {
    const Table t = read_csv_text(text);
    return t.columns.size();
  };
  EXPECT_EQ(cells("a,b\n1,2\n"), 2u);
  EXPECT_EQ(cells("a;b\n1;2\n"), 2u);
  EXPECT_EQ(cells("a\tb\n1\t2\n"), 2u);
  EXPECT_EQ(cells("a|b\n1|2\n"), 2u);
  EXPECT_EQ(cells("a\n1\n"), 1u);
  EXPECT_EQ(cells("a;\"b,c,d\"\n1;2\n"), 2u);           // marks inside quotation do not count
  EXPECT_EQ(cells("name;x\na,b;1\nc;2\n"), 2u);         // commas do not agree
  EXPECT_EQ(cells("a;b;c\n1,5;2,5;3,5\n2;3;4\n"), 3u);  // decimal commas do not win
}

TEST(CsvRead, GivenSeparator) {
  CsvOptions options;
  options.separator = CsvSeparator::pipe;
  EXPECT_EQ(read_csv_text("a,b|c\n1|2\n", options).columns[0].name, "a,b");
  options.separator = CsvSeparator::tab;
  EXPECT_EQ(read_csv_text("a\tb\n1\t\n", options).columns[1].missing.size(), 1u);
  options.separator = CsvSeparator::semicolon;
  EXPECT_EQ(read_csv_text("a,b\n1\n", options).columns.size(), 1u);
  options.separator = CsvSeparator::comma;
  EXPECT_EQ(read_csv_text("a;b\n1\n", options).columns.size(), 1u);
}

// As write.csv2() of R and spreadsheets with a German locale write tables.
TEST(CsvRead, DecimalCommas) {
  CsvOptions options;
  options.decimal = DecimalMark::comma;
  const Table table = read_csv_text("a;b;c\n1,5;-2,5e1;x\n ,5;3;1.5\n", options);
  EXPECT_EQ(table.columns[0].numbers, (std::vector<double>{1.5, 0.5}));
  EXPECT_EQ(table.columns[1].numbers, (std::vector<double>{-25, 3}));
  EXPECT_TRUE(table.columns[2].is_text);
  EXPECT_EQ(read_csv_text("a,b\n1,5\n2,5\n", options).columns.size(), 1u);   // a name with a comma
  EXPECT_TRUE(read_csv_text("a;b\n1.500;2\n", options).columns[0].is_text);  // 1.5 or 1500: nobody knows
  EXPECT_TRUE(read_csv_text("a;b\n1,5,0;2\n", options).columns[0].is_text);
  options.separator = CsvSeparator::comma;
  EXPECT_EQ(error_of("a,b\n1,2\n", options),
            "separator comma and decimal comma do not go together: such cells cannot be told apart");
}

// As write.table() of R writes data.frame(x = c(1.5, -2, NA), g = c("a b", "c", "d")), with and without names of rows.
TEST(CsvRead, BlanksBetweenCells) {
  for (const std::string text :
       {"\"x\" \"g\"\n\"1\" 1.5 \"a b\"\n\"2\" -2 \"c\"\n\"3\" NA \"d\"\n", "x g\n1.5 \"a b\"\n-2 c\nNA d\n",
        "  x   g  \r\n 1.5\t\"a b\" \r\n\r\n  -2 c\r\n NA  d"}) {
    for (const CsvSeparator separator : {CsvSeparator::automatic, CsvSeparator::blank}) {
      CsvOptions options;
      options.separator = separator;
      const Table table = read_csv_text(text, options);
      ASSERT_EQ(table.columns.size(), 2u) << text;
      EXPECT_EQ(table.columns[0].name, "x");
      ASSERT_EQ(table.rows, 3u) << text;
      EXPECT_EQ(table.columns[0].numbers[1], -2);
      EXPECT_EQ(table.columns[0].missing, std::vector<std::size_t>{2});
      EXPECT_EQ(table.columns[1].levels, (std::vector<std::string>{"a b", "c", "d"}));
    }
  }
  // Words with blanks in a table of one column are one column.
  EXPECT_EQ(read_csv_text("full name\nAda Lovelace\nJohn Smith\n").columns.size(), 1u);
  EXPECT_EQ(read_csv_text("x y\n1 2\n3 4\n").columns.size(), 2u);
  EXPECT_EQ(read_csv_text("x\ty\n1\t\n3\t4\n").columns[1].missing.size(), 1u);  // a tabulator each
  CsvOptions blanks;
  blanks.separator = CsvSeparator::blank;
  EXPECT_EQ(error_of("x y\n1 2\n3\n", blanks), "t.csv: line 3 has 1 cell, expected 2 as in the header (line 1)");
}

// However the bytes come in, the table is the same: runs of blanks over the ends of what is read at once.
RC_GTEST_PROP(CsvLaw, BlanksAreTabulators, ()) {
  const auto rows = *rc::gen::inRange<std::size_t>(1, 40);
  const auto blanks = [] { return std::string(*rc::gen::inRange<std::size_t>(1, 60000), ' '); };
  std::string text = "x y\n", plain = "x\ty\n";
  for (std::size_t i = 0; i < rows; ++i) {
    const std::string a = std::to_string(*rc::gen::inRange(0, 1000)), b = std::to_string(*rc::gen::inRange(0, 1000));
    text += a + blanks() + b + "\n";
    plain += a + "\t" + b + "\n";
  }
  CsvOptions options;
  options.separator = CsvSeparator::blank;
  const Table one = read_csv_text(text, options), other = read_csv_text(plain);
  RC_ASSERT(one.columns[0].numbers == other.columns[0].numbers);
  RC_ASSERT(one.columns[1].numbers == other.columns[1].numbers);
}

TEST(CsvRead, TablesWithoutNames) {
  CsvOptions options;
  options.header = CsvHeader::no;
  const Table t = read_csv_text("1,x\n2,y\n", options);
  EXPECT_EQ(t.rows, 2u);
  EXPECT_EQ(t.columns[0].name, "V1");
  EXPECT_EQ(t.columns[1].name, "V2");
  EXPECT_EQ(t.columns[0].numbers, (Numbers{1, 2}));
  EXPECT_EQ(texts(t.columns[1]), (Texts{"x", "y"}));
  EXPECT_EQ(t.first_line, (std::vector<std::size_t>{1, 2}));
  // A column that becomes text late is read again, its first row included.
  EXPECT_EQ(texts(read_csv_text("01,7\n2,8\nx,9\n", options).columns[0]), (Texts{"01", "2", "x"}));
  EXPECT_EQ(read_csv_text("1990,1991\n1,2\n", {.header = CsvHeader::yes}).columns[1].name, "1991");
  EXPECT_EQ(
      error_of("1990,1991\n1,2\n"),
      "t.csv: line 1 should name the columns but holds only numbers; read a table without names with --header no, "
      "or take the numbers as names with --header yes");
}

TEST(CsvRead, LateTextKeepsTheSpellingOfEarlierCells) {
  const Table t = read_csv_text("id,v,w\n01,1,a\n1.0,2,b\n\"1\n\",3,c\nNA,4,d\nx7,5,e\n,6,f\n", {}, "t.csv");
  EXPECT_EQ(texts(t.columns[0]), (Texts{"01", "1.0", "1\n", "<missing>", "x7", "<missing>"}));
  EXPECT_EQ(t.columns[0].missing, (std::vector<std::size_t>{3, 5}));
  EXPECT_EQ(t.columns[1].numbers, (Numbers{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(texts(t.columns[2]), (Texts{"a", "b", "c", "d", "e", "f"}));
  EXPECT_EQ(t.first_line, (std::vector<std::size_t>{2, 3, 4, 6, 7, 8}));
}

TEST(CsvRead, TextColumnsRememberWhyTheyAreNotNumeric) {
  const Table t = read_csv_text("a,b,c\n1,x,\"1,5\"\n2,y,2\nabc,3,\"-2,5\"\n4,,\n", {}, "t.csv");
  EXPECT_EQ(t.columns[0].number_cells, 3u);
  EXPECT_EQ(t.place(t.columns[0].first_text_row, t.columns[0]), "t.csv: line 4, column 1 ('a')");
  EXPECT_FALSE(t.columns[0].has_decimal_commas);
  EXPECT_EQ(t.columns[1].number_cells, 1u);
  EXPECT_EQ(t.columns[1].first_text_row, 0u);
  EXPECT_EQ(t.columns[2].number_cells, 1u);
  EXPECT_TRUE(t.columns[2].has_decimal_commas);
}

TEST(CsvRead, MissingMarkersCanBeChosen) {
  CsvOptions options;
  options.missing_values = {"-99", ".", "n.a. "};
  const Table t = read_csv_text("a,b\n-99,.\n1,NA\n", options);
  EXPECT_EQ(t.columns[0].missing, (std::vector<std::size_t>{0}));
  EXPECT_EQ(texts(t.columns[1]), (Texts{"<missing>", "NA"}));
  const Table nothing = read_csv_text("a,b\nNA,1\n,2\n");
  EXPECT_FALSE(nothing.columns[0].is_text);  // a column of missing cells is numeric
  EXPECT_EQ(nothing.columns[0].missing.size(), 2u);
  // Without its marker "nan" is text, never a number.
  options.missing_values = {};
  EXPECT_TRUE(read_csv_text("a\nnan\n1\n", options).columns[0].is_text);
}

TEST(CsvRead, NumbersAtTheEndsOfTheRange) {
  const Table t = read_csv_text("a\n1e-400\n4.9406564584124654e-324\n1.7976931348623157e308\n-0\n.5\n5.\n1E5\n");
  EXPECT_EQ(t.columns[0].numbers, (Numbers{0.0, 4.9406564584124654e-324, 1.7976931348623157e308, -0.0, 0.5, 5.0, 1e5}));
  EXPECT_TRUE(std::signbit(t.columns[0].numbers[3]));
  for (const std::string no_number : {"1.5.2", "0x10", "1e", "--1", "+-1", "1 2", "1_000", "12a", "e5", "-", "+", "."})
    EXPECT_TRUE(read_csv_text("a,b\n" + no_number + ",1\n").columns[0].is_text) << no_number;
}

TEST(CsvRead, EveryMistakeIsNamed) {
  EXPECT_EQ(error_of(""), "t.csv: is empty");
  EXPECT_EQ(error_of("\xEF\xBB\xBF"), "t.csv: is empty");
  EXPECT_EQ(error_of("\n\n  \n"), "t.csv: holds nothing but blank lines");
  EXPECT_EQ(error_of("a,b\n"), "t.csv: has a header but no rows below it");
  EXPECT_EQ(error_of("a,b"), "t.csv: has a header but no rows below it");
  EXPECT_EQ(error_of("a,b,c\n1,2,3\n4,5\n"), "t.csv: line 3 has 2 cells, expected 3 as in the header (line 1)");
  EXPECT_EQ(error_of("\na,b\n1,2,3\n"), "t.csv: line 3 has 3 cells, expected 2 as in the header (line 2)");
  EXPECT_EQ(error_of("1,2\n1\n", {.separator = CsvSeparator::comma, .header = CsvHeader::no}),
            "t.csv: line 2 has 1 cell, expected 2 as in the first row");
  EXPECT_EQ(error_of("a,b,a\n1,2,3\n"), "t.csv: line 1, column 3: the name 'a' occurs twice");
  EXPECT_EQ(
      error_of("a,,c\n1,2,3\n"),
      "t.csv: line 1, column 2: the name is empty; every column needs one (R writes row names under an empty name: "
      "use write.csv(..., row.names = FALSE))");
  EXPECT_EQ(error_of("a,b\n1,\"x\n2,3\n"), "t.csv: line 2, column 2: the quoted cell that begins here is never closed");
  EXPECT_EQ(error_of("a,b\n\"p\nq\",\"x\n2,3\n"),
            "t.csv: line 3, column 2: the quoted cell that begins here is never closed");
  const std::string quote = ": a quotation mark inside the cell; quote the cell and write the mark twice";
  EXPECT_EQ(error_of("a,b\n1,x\"y\n"), "t.csv: line 2, column 2" + quote);
  EXPECT_EQ(error_of("a,b\n\"x\"y,1\n"), "t.csv: line 2, column 1" + quote);
  EXPECT_EQ(error_of("a,b\n1,2\n1,\"x\n\"y\n"), "t.csv: line 4, column 2" + quote);
  EXPECT_EQ(error_of("a,b\n1,2\n3,inf\n4,-Infinity\n"),
            "t.csv: line 3, column 2 ('b'): 'inf' is infinite or beyond the range of numbers");
  EXPECT_EQ(error_of("a,b\n1,-1e999\n"),
            "t.csv: line 2, column 2 ('b'): '-1e999' is infinite or beyond the range of numbers");
  EXPECT_EQ(error_of("a,b\ninf,1\nsup,2\n"), "no exception");  // in a text column "inf" is a word
  EXPECT_EQ(error_of(std::string_view("a,b\n1,x\0y\n", 10)),
            "t.csv: line 2, column 2 ('b'): the cell holds a NUL byte: this is not a text file");
  EXPECT_EQ(
      error_of("a,b\n1,caf\xE9\n"),
      "t.csv: line 2, column 2 ('b'): the cell is not UTF-8 text; convert the file, for example with iconv -f latin1");
  EXPECT_EQ(error_of("a,\xE9\n1,2\n"), "t.csv: line 1, column 2: the name is not UTF-8 text");
  EXPECT_EQ(error_of(std::string_view("\xFF\xFE"
                                      "a\0,\0",
                                      6)),
            "t.csv: is UTF-16 text; save it as UTF-8, for example with iconv -f utf-16 -t utf-8");
  EXPECT_EQ(error_of("\x1F\x8B\x08"), "t.csv: is compressed with gzip; unpack it first (gunzip)");
  EXPECT_EQ(error_of("PK\x03\x04"), "t.csv: is a zip archive or a spreadsheet (xlsx, ods); export the sheet as CSV");
}

TEST(CsvRead, FilesAndStandardInput) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of([&] { (void)read_csv(folder / "none.csv"); }), folder / "none.csv" + ": there is no such file");
  EXPECT_EQ(message_of([&] { (void)read_csv(folder.path()); }), folder.path() + ": is a folder, not a file");
  EXPECT_EQ(message_of([&] { (void)read_csv(""); }), "a file name is empty");
  write_file(folder / "t.csv", "a\n1\nx\n");
  EXPECT_EQ(read_csv(folder / "t.csv").source, folder / "t.csv");
  EXPECT_EQ(texts(read_csv(folder / "t.csv").columns[0]), (Texts{"1", "x"}));
}

TEST(CsvRead, APipeCanBeReadAgainToo) {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string text = "a,b\n";
  for (int i = 0; i < 400000; ++i) text += "0" + std::to_string(i) + ",2\n";  // several chunks of 1 MiB
  text += "last,3\n";
  const std::jthread writer([&] { std::ofstream(pipe) << text; });
  const Table t = read_csv(pipe);
  ASSERT_EQ(t.rows, 400001u);
  EXPECT_EQ(t.columns[0].levels[static_cast<std::size_t>(t.columns[0].codes[17])], "017");
  EXPECT_EQ(t.columns[1].numbers.back(), 3);
}

TEST(CsvRead, ChunksAreInvisible) {
  // Cells that straddle the boundary of 1 MiB, whatever stands there: a number, a quotation mark, CR LF.
  for (int shift = 1; shift <= 12; ++shift) {
    std::string text = "a,b\r\n" + std::string(static_cast<std::size_t>(shift), 'x') + ",0\r\n";
    std::size_t rows = 1;
    while (text.size() < (std::size_t{1} << 20) + 100) text += "\"q\"\"r\",12345\r\n", ++rows;
    const Table t = read_csv_text(text);
    ASSERT_EQ(t.rows, rows);
    EXPECT_EQ(t.columns[0].levels.size(), 2u);
    for (std::size_t i = 1; i < rows; ++i) ASSERT_EQ(t.columns[1].numbers[i], 12345);
  }
}

TEST(CsvRead, RealTablesAgreeWithPythonsReader) {
  // Rows, columns, text columns and missing cells of every table of the background, counted by Python's csv module.
  const std::string tables = CLEARWAY_SHARED "/data/tables";
  const char* python = "/usr/bin/python3";
  if (!std::filesystem::is_directory(tables)) GTEST_SKIP() << "no tables at " << tables;
  if (std::system((std::string(python) + " -c 'import csv' 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "no " << python;
  const std::string script = R"py(
import csv, sys
missing = {'', 'NA', 'N/A', 'NaN', 'nan', 'NULL', 'null', '?'}
def number(cell):
    try: float(cell); return True
    except ValueError: return False
with open(sys.argv[1], newline='', encoding='utf-8-sig') as f: rows = [row for row in csv.reader(f) if row]
cells = [[cell.strip() for cell in column] for column in zip(*rows[1:])]
text = sum(not all(number(c) for c in column if c not in missing) for column in cells)
print(len(rows) - 1, len(rows[0]), text, sum(c in missing for column in cells for c in column))
)py";
  const TemporaryFolder folder;
  write_file(folder / "count.py", script);
  int compared = 0;
  for (const std::string name : {"MASS_mcycle", "ISLR_Hitters", "ISLR_Wage", "datasets_penguins", "flexmix_NPreg",
                                 "mlbench_BreastCancer", "mlbench_BostonHousing2", "flexmix_whiskey_whiskey"}) {
    const std::string path = tables + "/" + name + ".csv";
    if (!std::filesystem::exists(path)) continue;
    const std::string command =
        std::string(python) + " " + (folder / "count.py") + " " + path + " > " + (folder / "count.txt");
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
    const Table t = read_csv(path);
    std::size_t text = 0, missing = 0;
    for (const auto& column : t.columns) text += column.is_text, missing += column.missing.size();
    EXPECT_EQ(read_file(folder / "count.txt"), fmt::format("{} {} {} {}\n", t.rows, t.columns.size(), text, missing))
        << name;
    ++compared;
  }
  EXPECT_GT(compared, 0);
}

TEST(CsvWrite, NumbersAreShortAndExact) {
  const Numbers x{1, 100000, -0.1, 1e300, 0.1 + 0.2, std::nan(""), 2e-7};
  const NumberColumn column{"x", x};
  const TemporaryFolder folder;
  write_csv(folder / "x.csv", std::span(&column, 1));
  EXPECT_EQ(read_file(folder / "x.csv"), "x\n1\n100000\n-0.1\n1e+300\n0.30000000000000004\nNA\n2e-07\n");
  write_csv(folder / "x.csv", std::span(&column, 1), {.significant_digits = 3});
  EXPECT_EQ(read_file(folder / "x.csv"), "x\n1\n1e+05\n-0.1\n1e+300\n0.3\nNA\n2e-07\n");
}

TEST(CsvWrite, WrongShapesAreNamed) {
  const Numbers three{1, 2, 3}, two{1, 2};
  const std::vector<NumberColumn> columns{{"a", three}, {"b", two}};
  EXPECT_EQ(message_of([&] { write_csv("-", columns); }),
            "columns to write must have equal length: 'b' has 2 rows, the first 3");
  EXPECT_EQ(message_of([&] { write_csv("-", std::span<const NumberColumn>()); }),
            "a table to write needs at least one column");
  EXPECT_EQ(message_of([&] { write_csv("-", columns, {.significant_digits = 18}); }),
            "sig-figs must be at most 17, not 18");
  EXPECT_EQ(message_of<std::runtime_error>([&] { write_csv("/nonexistent/x.csv", columns); }),
            "/nonexistent/x.csv: cannot be created: No such file or directory");
}

TEST(CsvWrite, AFailedWriteLeavesTheOldFile) {
  const TemporaryFolder folder;
  write_file(folder / "x.csv", "old");
  const Numbers three{1, 2, 3}, two{1, 2};
  const std::vector<NumberColumn> columns{{"a", three}, {"b", two}};
  EXPECT_THROW(write_csv(folder / "x.csv", columns), std::invalid_argument);
  EXPECT_EQ(read_file(folder / "x.csv"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);  // nothing is left beside it
}

// ---------------------------------------------------------------------------------------------------------------------
// The law: any table that the reader could have made comes back equal from its own text.

double any_double() {
  const auto bits = *rc::gen::arbitrary<std::uint64_t>();
  double value = 0;
  std::memcpy(&value, &bits, sizeof value);
  if (!std::isfinite(value)) value = static_cast<double>(bits >> 12);
  return *rc::gen::element(value, std::floor(1e6 * static_cast<double>(bits >> 44)), 0.0, -0.0, 1.5);
}

std::string any_text() {
  const auto symbols = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 14));
  static const char* const kSymbols[] = {"a", "B", ",", ";", "\t", "|", "\"", "\n", "\r", " ", "1", ".", "é", "日"};
  std::string text;
  for (const int s : symbols) text += kSymbols[s];
  return text;
}

Table any_table() {
  Table table;
  table.rows = *rc::gen::inRange<std::size_t>(1, 8);
  const auto count = *rc::gen::inRange<std::size_t>(1, 6);
  std::set<std::string> names;
  while (names.size() < count) names.insert("n" + any_text() + "z" + std::to_string(names.size()));
  for (const auto& name : names) {
    Column column;
    column.name = name;
    column.is_text = *rc::gen::arbitrary<bool>();
    std::vector<std::string> cells(table.rows);
    for (std::size_t i = 0; i < table.rows; ++i) {
      const bool missing = *rc::gen::weightedElement<bool>({{4, false}, {1, true}});
      if (missing) column.missing.push_back(i);
      if (!column.is_text)
        column.numbers.push_back(missing ? std::numeric_limits<double>::quiet_NaN() : any_double());
      else if (!missing)
        cells[i] = "t" + any_text();  // a leading letter: no number, no marker of a missing cell
    }
    if (column.is_text && column.missing.size() == table.rows) {  // nothing says that it is text
      column.is_text = false;
      column.numbers.assign(table.rows, std::numeric_limits<double>::quiet_NaN());
    }
    if (column.is_text) {
      std::set<std::string> levels(cells.begin(), cells.end());
      levels.erase("");
      column.levels.assign(levels.begin(), levels.end());
      for (const auto& cell : cells)
        column.codes.push_back(cell.empty() ? -1 : static_cast<int>(std::distance(levels.begin(), levels.find(cell))));
    }
    table.columns.push_back(std::move(column));
  }
  return table;
}

bool same_bits(double a, double b) {
  return (std::isnan(a) && std::isnan(b)) || std::memcmp(&a, &b, sizeof a) == 0;
}

RC_GTEST_PROP(CsvLaw, WhatIsWrittenReadsBackEqual, ()) {
  const Table table = any_table();
  CsvOptions options;
  if (table.columns.size() == 1) options.separator = CsvSeparator::comma;  // one column says nothing about separators
  const bool automatic = *rc::gen::arbitrary<bool>();
  if (!automatic) options.separator = CsvSeparator::comma;
  const Table back = read_csv_text(csv_text(table), options);
  RC_ASSERT(back.rows == table.rows);
  RC_ASSERT(back.columns.size() == table.columns.size());
  for (std::size_t j = 0; j < table.columns.size(); ++j) {
    const Column &a = table.columns[j], &b = back.columns[j];
    RC_ASSERT(a.name == b.name);
    RC_ASSERT(a.is_text == b.is_text);
    RC_ASSERT(a.missing == b.missing);
    RC_ASSERT(a.levels == b.levels);
    RC_ASSERT(a.codes == b.codes);
    RC_ASSERT(a.numbers.size() == b.numbers.size());
    for (std::size_t i = 0; i < a.numbers.size(); ++i) RC_ASSERT(same_bits(a.numbers[i], b.numbers[i]));
  }
}

RC_GTEST_PROP(CsvLaw, DecimalMarksSayTheSame, ()) {
  Table table;
  table.source = "t";
  table.rows = *rc::gen::inRange<std::size_t>(1, 8);
  for (const std::string name : {"u", "v"}) {
    Column column;
    column.name = name;
    for (std::size_t i = 0; i < table.rows; ++i) column.numbers.push_back(any_double());
    table.columns.push_back(std::move(column));
  }
  std::string text = csv_text(table);
  for (char& c : text) c = c == ',' ? ';' : c == '.' ? ',' : c;
  CsvOptions options;
  options.decimal = DecimalMark::comma;
  const Table back = read_csv_text(text, options);
  for (std::size_t j = 0; j < 2; ++j)
    for (std::size_t i = 0; i < table.rows; ++i)
      RC_ASSERT(same_bits(back.columns[j].numbers.at(i), table.columns[j].numbers[i]));
}

RC_GTEST_PROP(CsvLaw, AnyBytesGiveATableOrAMessage, ()) {
  const auto bytes = *rc::gen::container<std::string>(
      rc::gen::element('a', '1', ',', ';', '\n', '\r', '"', ' ', '\0', '.', 'e', '-', '\xC3', '\xA9', '\t'));
  try {
    const Table t = read_csv_text(bytes);
    for (const auto& column : t.columns) RC_ASSERT(column.rows() == t.rows);
    RC_ASSERT(t.first_line.size() == t.rows);
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace
}  // namespace clearway
