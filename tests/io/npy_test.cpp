// The npy format: round trips, bytes as NumPy writes them, arrays exchanged with NumPy itself, and every refusal.
#include "clearway/io/npy.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>

#include "clearway/io/file.hpp"
#include "temporary_folder.hpp"

namespace clearway {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

std::string error_of(const std::string& bytes) {
  return message_of([&] { (void)npy_from_bytes(bytes, "a.npy"); });
}

/// A version 1.0 file with the given header, as NumPy would lay it out.
std::string file_with(const std::string& header, const std::string& payload = "", char major = 1) {
  std::string bytes = "\x93NUMPY";
  bytes += major;
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 0xFF);
  bytes += static_cast<char>(header.size() >> 8);
  if (major == 2) bytes += std::string(2, '\0');
  return bytes + header + payload;
}

RC_GTEST_PROP(Npy, ArraysComeBackEqual, (const std::vector<std::int64_t>& integers)) {
  NpyArray array;
  const auto rows = *rc::gen::inRange<std::size_t>(1, 4);
  const std::size_t columns = integers.size() / rows;
  array.shape = {rows, columns, 1};
  std::vector<double> doubles;
  std::vector<float> floats;
  for (std::size_t i = 0; i < rows * columns; ++i) {
    doubles.push_back(static_cast<double>(integers[i]) / 7);
    floats.push_back(static_cast<float>(integers[i]) / 7);
  }
  const std::vector<std::int64_t> used(integers.begin(),
                                       integers.begin() + static_cast<std::ptrdiff_t>(rows * columns));
  for (const int type : {0, 1, 2}) {
    if (type == 0) array.values = doubles;
    if (type == 1) array.values = floats;
    if (type == 2) array.values = used;
    const std::string bytes = npy_to_bytes(array);
    const NpyArray back = npy_from_bytes(bytes, "a.npy");
    RC_ASSERT(back.shape == array.shape);
    RC_ASSERT(back.values == array.values);
    RC_ASSERT(back.size() == back.as_double().size());
  }
}

TEST(Npy, BytesAreThoseOfNumPy) {
  // numpy.save of numpy.array([1.5]): 10 bytes of magic, version and length, a header padded to 128 bytes in all.
  NpyArray array;
  array.shape = {1};
  array.values = std::vector<double>{1.5};
  const std::string bytes = npy_to_bytes(array);
  EXPECT_EQ(bytes.size() % 64, 8u);
  EXPECT_EQ(bytes.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
  EXPECT_NE(bytes.find("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }"), std::string::npos);
  EXPECT_EQ(bytes[bytes.size() - 9], '\n');
  array.shape = {};
  EXPECT_EQ(npy_from_bytes(npy_to_bytes(array), "a").shape.size(), 0u);
  EXPECT_NE(npy_to_bytes(array).find("'shape': ()"), std::string::npos);
}

TEST(Npy, LongHeadersUseVersionTwo) {
  NpyArray array;
  array.shape.assign(30000, 1);
  array.values = std::vector<float>{2};
  const std::string bytes = npy_to_bytes(array);
  EXPECT_EQ(bytes[6], '\2');
  EXPECT_EQ(npy_from_bytes(bytes, "a").shape, array.shape);
}

TEST(Npy, NumPyReadsAndWritesTheSame) {
  const char* python = "/usr/bin/python3";
  if (std::system((std::string(python) + " -c 'import numpy' 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << "no NumPy for " << python;
  const TemporaryFolder folder;
  NpyArray array;
  array.shape = {2, 3};
  array.values = std::vector<double>{1, 2, 3, 4, 5, 0.1};
  write_npy(folder / "ours.npy", array);
  const std::string script =
      "import numpy as n, sys; d = sys.argv[1]; a = n.load(d + '/ours.npy');"
      "assert a.shape == (2, 3) and a.dtype == n.float64 and a[1, 2] == 0.1 and a[0, 1] == 2;"
      "n.save(d + '/f.npy', a.astype(n.float32)); n.save(d + '/i.npy', n.arange(4)); n.save(d + '/t.npy', a.T)";
  ASSERT_EQ(std::system((std::string(python) + " -c \"" + script + "\" " + folder.path()).c_str()), 0);
  EXPECT_EQ(std::get<std::vector<float>>(read_npy(folder / "f.npy").values).back(), 0.1F);
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(read_npy(folder / "i.npy").values),
            (std::vector<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(message_of([&] { (void)read_npy(folder / "t.npy"); }),
            folder / "t.npy" + ": the array is in Fortran order; save it in C order (numpy.ascontiguousarray)");
}

TEST(Npy, EveryRefusalIsNamed) {
  const std::string eight(8, '\0');
  const auto header = [](const std::string& type, const std::string& order, const std::string& shape) {
    return "{'descr': " + type + ", 'fortran_order': " + order + ", 'shape': " + shape + "}";
  };
  EXPECT_EQ(error_of(file_with(header("'<f8'", "False", "(1,)"), eight)), "no exception");
  EXPECT_EQ(error_of(file_with(header("'<f8'", "False", "(1,)"), eight, 2)), "no exception");
  EXPECT_EQ(error_of(file_with(header("\"<f8\"", "True", "(1,)"), eight)), "no exception");  // one axis: no order
  EXPECT_EQ(error_of(""), "a.npy: is not an npy file");
  EXPECT_EQ(error_of("\x93NUMPY\1"), "a.npy: is not an npy file");
  EXPECT_EQ(error_of(file_with("{}", "", 3)), "a.npy: npy version 3.0 is not supported, only 1.0 and 2.0");
  EXPECT_EQ(error_of(file_with("{}").substr(0, 11)), "a.npy: the npy header is cut off");
  EXPECT_EQ(error_of(file_with("")), "a.npy: the npy header has no '{' at byte 0");
  EXPECT_EQ(error_of(file_with("{}")), "a.npy: the npy header has no descr, fortran_order or shape");
  EXPECT_EQ(error_of(file_with("{} x")), "a.npy: the npy header has something behind the closing brace");
  EXPECT_EQ(error_of(file_with("{'color': 1}")), "a.npy: the npy header has an unknown or repeated key 'color'");
  EXPECT_EQ(error_of(file_with("{'descr': 'x', 'descr': 'y'}")),
            "a.npy: the npy header has an unknown or repeated key 'descr'");
  EXPECT_EQ(error_of(file_with("{'descr")), "a.npy: the npy header has a text without end");
  EXPECT_EQ(error_of(file_with("{'fortran_order': 1}")),
            "a.npy: the npy header has a fortran_order that is neither True nor False");
  EXPECT_EQ(error_of(file_with("{'shape': (-1,)}")), "a.npy: the npy header has a shape that is not a tuple of sizes");
  EXPECT_EQ(error_of(file_with("{'shape': (99999999999999999999999,)}")),
            "a.npy: the npy header has a shape that is not a tuple of sizes");
  EXPECT_EQ(error_of(file_with(header("'>f8'", "False", "(1,)"), eight)),
            "a.npy: arrays of type '>f8' are not supported, only <f8, <f4 and <i8");
  EXPECT_EQ(error_of(file_with(header("'<f8'", "False", "(2,)"), eight)),
            "a.npy: the npy shape needs more bytes than the file has");
  EXPECT_EQ(error_of(file_with(header("'<f4'", "False", "(1,)"), eight)),
            "a.npy: the npy shape needs 4 bytes, the file has 8");
  EXPECT_EQ(error_of(file_with(header("'<f8'", "False", "(4294967296, 4294967296)"), eight)),
            "a.npy: the npy shape needs more bytes than the file has");
  NpyArray array;
  array.shape = {2, 2};
  array.values = std::vector<double>{1};
  EXPECT_EQ(message_of([&] { (void)npy_to_bytes(array); }), "an npy array of shape (2, 2) cannot hold 1 values");
}

}  // namespace
}  // namespace clearway
