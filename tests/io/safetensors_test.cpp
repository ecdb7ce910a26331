// The safetensors format: bytes by hand, round trips, files exchanged with Python, files of other programs, refusals.
#include "clearway/io/safetensors.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <numeric>

#include "clearway/io/file.hpp"
#include "temporary_folder.hpp"

namespace clearway {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;
using namespace std::string_literals;

/// A file with the given header as it stands, for the bytes of its length see the format.
std::string file_with(const std::string& header, const std::string& data = "") {
  std::string bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return bytes + header + data;
}

std::string error_of(const std::string& bytes) {
  return message_of([&] { (void)SafetensorsFile::from_bytes(bytes, "a"); });
}

std::string error_of_header(const std::string& header, std::size_t data) {
  return error_of(file_with(header, std::string(data, '\0')));
}

TEST(Safetensors, BytesByHand) {
  // 1.5 is 0x3FC00000, 258 is 0x0102. Widest type first; then the header is padded with blanks to a multiple of 8.
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[1,1],"data_offsets":[0,4]},)"
      R"("a":{"dtype":"I16","shape":[],"data_offsets":[4,6]}})";
  const std::string padded = header + std::string((8 - header.size() % 8) % 8, ' ');
  ASSERT_NE(header.size() % 8, 0u);
  const std::string expected = file_with(padded, "\x00\x00\xC0\x3F\x02\x01"s);
  const std::string a = "\x02\x01"s;
  const std::string b = "\x00\x00\xC0\x3F"s;
  const std::vector<TensorBytes> tensors{{"a", TensorType::i16, {}, a}, {"b", TensorType::f32, {1, 1}, b}};
  EXPECT_EQ(safetensors_to_bytes(tensors, {{"format", "pt"}}), expected);

  const auto file = SafetensorsFile::from_bytes(expected, "a");
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.tensors()[0].name, "b");
  EXPECT_EQ(file.at("b").shape, (std::vector<std::int64_t>{1, 1}));
  EXPECT_EQ(file.at("a").bytes, a);
  EXPECT_EQ(file.at("a").type, TensorType::i16);
  EXPECT_EQ(file.find("c"), nullptr);
  EXPECT_EQ(file.metadata().at("format"), "pt");
}

TEST(Safetensors, TheExampleOfTheReferenceImplementation) {
  // The file in the documentation of SafeTensors::deserialize (huggingface/safetensors): a length of 60 ('<').
  const std::string bytes =
      "<\0\0\0\0\0\0\0{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}"s + std::string(16, '\0');
  const auto file = SafetensorsFile::from_bytes(bytes, "a");
  EXPECT_EQ(file.at("test").shape, (std::vector<std::int64_t>{2, 2}));
}

struct Owned {
  TensorType type;
  std::vector<std::int64_t> shape;
  std::string bytes;
};

RC_GTEST_PROP(Safetensors, FilesComeBackEqual, (const TensorMetadata& raw)) {
  TensorMetadata metadata;  // JSON text is UTF-8: keep to ASCII
  for (const auto& [key, value] : raw) {
    std::string text;
    for (const char c : value) text += static_cast<char>(c & 0x7F);
    metadata[std::to_string(key.size())] = text;
  }
  std::vector<Owned> owned(*rc::gen::inRange<std::size_t>(0, 6));
  std::vector<TensorBytes> tensors;
  for (std::size_t i = 0; i < owned.size(); ++i) {
    Owned& tensor = owned[i];
    tensor.type = static_cast<TensorType>(*rc::gen::inRange(0, 15));
    tensor.shape = *rc::gen::container<std::vector<std::int64_t>>(*rc::gen::inRange<std::size_t>(0, 4),
                                                                  rc::gen::inRange<std::int64_t>(0, 4));
    const auto count = std::accumulate(tensor.shape.begin(), tensor.shape.end(), std::int64_t{1}, std::multiplies<>());
    const std::size_t size = static_cast<std::size_t>(count) * tensor_type_width(tensor.type);
    tensor.bytes = *rc::gen::container<std::string>(size, rc::gen::arbitrary<char>());
  }
  for (std::size_t i = 0; i < owned.size(); ++i)
    tensors.push_back({"layer \"" + std::to_string(i), owned[i].type, owned[i].shape, owned[i].bytes});
  const std::string bytes = safetensors_to_bytes(tensors, metadata);
  const auto file = SafetensorsFile::from_bytes(bytes, "a");
  RC_ASSERT(file.metadata() == metadata);
  RC_ASSERT(file.tensors().size() == tensors.size());
  for (const auto& tensor : tensors) {
    const TensorBytes& back = file.at(tensor.name);
    RC_ASSERT(back.type == tensor.type);
    RC_ASSERT(back.shape == tensor.shape);
    RC_ASSERT(back.bytes == tensor.bytes);
    // Every tensor begins where its numbers are aligned (the data does: 8 bytes and a padded header lie before it).
    RC_ASSERT(static_cast<std::size_t>(back.bytes.data() - bytes.data()) % tensor_type_width(back.type) == 0);
  }
  RC_ASSERT(safetensors_to_bytes(file.tensors(), file.metadata()) == bytes);
}

TEST(Safetensors, OnDiskAndExchangedWithPython) {
  const char* python = "/usr/bin/python3";
  if (std::system((std::string(python) + " -c 'import numpy' 2>/dev/null").c_str()) != 0)
    GTEST_SKIP() << "no NumPy for " << python;
  const TemporaryFolder folder;
  std::vector<float> floats(6);
  std::iota(floats.begin(), floats.end(), 0.5F);
  const std::vector<std::int64_t> integers{-1, 1LL << 40};
  const std::vector<std::uint16_t> halves{0x3C00, 0xC000};  // 1, -2
  const std::vector<std::uint16_t> brains{0x3F80, 0xC000};  // 1, -2
  const auto bytes_of = [](const auto& v) {
    return std::string_view(reinterpret_cast<const char*>(v.data()), v.size() * sizeof v[0]);
  };
  const std::vector<TensorBytes> tensors{{"w", TensorType::f32, {2, 3}, bytes_of(floats)},
                                         {"ids", TensorType::i64, {2}, bytes_of(integers)},
                                         {"half", TensorType::f16, {2}, bytes_of(halves)},
                                         {"brain", TensorType::bf16, {1, 2}, bytes_of(brains)},
                                         {"flag", TensorType::boolean, {}, std::string_view("\1", 1)},
                                         {"none", TensorType::f64, {0, 5}, {}}};
  write_safetensors(folder / "ours.safetensors", tensors, {{"format", "pt"}, {"name", "\xC3\xBC"}}, true);
  const std::string script = CLEARWAY_SOURCE "/tests/io/safetensors_exchange.py";
  ASSERT_EQ(std::system((std::string(python) + " " + script + " " + folder.path()).c_str()), 0);

  const auto theirs = SafetensorsFile::open(folder / "theirs.safetensors");
  EXPECT_EQ(theirs.metadata().at("from"), "python");
  const TensorBytes& table = theirs.at("a.table");
  EXPECT_EQ(table.type, TensorType::f64);
  EXPECT_EQ(table.shape, (std::vector<std::int64_t>{2, 2}));
  const std::vector<double> expected{1, 2, 3, 0.1};
  EXPECT_EQ(table.bytes, bytes_of(expected));
  EXPECT_EQ(theirs.at("b").bytes, "\x05"s);
  EXPECT_EQ(message_of([&] { (void)theirs.at("a.tabel"); }),
            folder / "theirs.safetensors" + ": has no tensor 'a.tabel' (did you mean 'a.table'?)");
}

TEST(Safetensors, FilesOfOtherPrograms) {
  const std::string folder = CLEARWAY_SHARED "/data/checkpoints/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is absent";
  // Names, dtypes and counts as the folder's README has them.
  const auto tiny = SafetensorsFile::open(folder + "cs_tiny.safetensors");
  EXPECT_EQ(tiny.at("lm_head.weight").type, TensorType::i32);
  EXPECT_EQ(tiny.at("model.layers.0.mlp.down_proj.weight").type, TensorType::u16);
  const auto moe = SafetensorsFile::open(folder + "marl_moe.safetensors");
  EXPECT_EQ(moe.tensors().size(), 58u);
  std::size_t numbers = 0;
  for (const auto& tensor : moe.tensors()) numbers += tensor.bytes.size() / tensor_type_width(tensor.type);
  EXPECT_EQ(numbers, 610703u);
  EXPECT_EQ(SafetensorsFile::open(folder + "fusemoe_migraine_fold5.safetensors").tensors().size(), 52u);
  EXPECT_EQ(SafetensorsFile::open(folder + "nutllm_tiny.safetensors").metadata().at("nutllm.layers"), "2");
  const std::string header_only = folder + "inkling-shard-09-header.safetensors";
  EXPECT_NE(message_of([&] { (void)SafetensorsFile::open(header_only); }).find("is the file cut off?"),
            std::string::npos);
}

TEST(Safetensors, EveryRefusalIsNamed) {
  const auto one = [](const std::string& dtype, const std::string& shape, const std::string& offsets) {
    return R"({"x":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
  };
  const std::string f32 = R"("F32")";
  EXPECT_EQ(error_of_header(one(f32, "[1]", "[0,4]"), 4), "no exception");
  EXPECT_EQ(error_of_header(one(f32, "[1]", "[0,4]") + "   ", 4), "no exception");
  EXPECT_EQ(error_of_header("{}", 0), "no exception");
  EXPECT_EQ(error_of("1234567"), "a: is not a safetensors file: it has 7 bytes");
  EXPECT_EQ(error_of(""), "a: is not a safetensors file: it has 0 bytes");
  EXPECT_EQ(error_of("\x01\xE1\xF5\x05\0\0\0\0{}"s),
            "a: is not a safetensors file: its header would have 100000001 bytes, more than 100 MB");
  EXPECT_EQ(error_of("\0\xE1\xF5\x05\0\0\0\0{}"s), "a: is cut off in its header, or not a safetensors file");
  EXPECT_EQ(error_of(file_with("")), "a: is not a safetensors file: its header is no JSON object");
  EXPECT_EQ(error_of(file_with(" {}")), "a: is not a safetensors file: its header is no JSON object");
  EXPECT_EQ(error_of(file_with("[]")), "a: is not a safetensors file: its header is no JSON object");
  EXPECT_EQ(error_of(file_with("{")).substr(0, 5), "a: li");  // JSON's own message with line and column
  EXPECT_EQ(error_of_header(R"({"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},)"
                            R"("x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}})",
                            0),
            "a: the key 'x' occurs twice in one object");
  EXPECT_EQ(error_of_header(one(R"("F33")", "[1]", "[0,4]"), 4),
            "a: 'x': 'F33' is no dtype of safetensors; there are BOOL, U8, I8, F8_E5M2, F8_E4M3, I16, U16, F16, BF16, "
            "I32, U32, F32, F64, I64, U64");
  EXPECT_EQ(error_of_header(one("1", "[1]", "[0,4]"), 4), "a: 'x': dtype must be a text, not 1");
  EXPECT_EQ(error_of_header(one(f32, "1", "[0,4]"), 4), "a: 'x': shape must be a list of whole numbers");
  EXPECT_EQ(error_of_header(one(f32, "[-1]", "[0,4]"), 4),
            "a: 'x': shape must hold whole numbers that are not negative");
  EXPECT_EQ(error_of_header(one(f32, "[1.0]", "[0,4]"), 4),
            "a: 'x': shape must hold whole numbers that are not negative");
  EXPECT_EQ(error_of_header(one(f32, "[18446744073709551615]", "[0,4]"), 4),
            "a: 'x': shape must hold whole numbers that are not negative");
  EXPECT_EQ(error_of_header(one(f32, "[1]", "[4]"), 4), "a: 'x': data_offsets must be a beginning and an end");
  EXPECT_EQ(error_of_header(one(f32, "[1]", "[4,0]"), 4), "a: 'x': data_offsets must be a beginning and an end");
  EXPECT_EQ(error_of_header(one(f32, "[2]", "[0,8]"), 4),
            "a: 'x': ends at byte 8 of the data, but there are only 4: is the file cut off?");
  EXPECT_EQ(error_of_header(one(f32, "[2]", "[0,4]"), 4),
            "a: 'x': its shape and dtype do not need the 4 bytes between its offsets");
  // 2^62 * 4 bytes is 0 modulo 2^64.
  EXPECT_EQ(error_of_header(one(f32, "[4611686018427387904]", "[0,0]"), 0),
            "a: 'x': its shape and dtype do not need the 0 bytes between its offsets");
  EXPECT_EQ(error_of_header(one(f32, "[1]", "[0,4]"), 5), "a: 1 bytes lie behind the last tensor");
  EXPECT_EQ(error_of_header(one(f32, "[1]", "[1,5]"), 5),
            "a: 'x' begins at byte 1 of the data, behind byte 0, where the tensor before it ends");
  EXPECT_EQ(error_of_header(R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
                            R"("y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
                            3),
            "a: 'y' begins at byte 1 of the data, before byte 2, where the tensor before it ends");
  EXPECT_EQ(error_of_header(R"({"x":{"dtype":"F32","shape":[1],"offsets":[0,4]}})", 4).substr(0, 31),
            "a: 'x': data_offsets is missing");
  EXPECT_EQ(error_of_header(R"({"x":3})", 0).substr(0, 6), "a: 'x'");
  EXPECT_EQ(error_of_header(R"({"__metadata__":{"x":3}})", 0), "a: '__metadata__': 'x' must be a text");
  EXPECT_EQ(error_of_header(R"({"__metadata__":3})", 0), "a: '__metadata__' must be an object of texts");

  const TemporaryFolder folder;
  write_file(folder / "empty", "");
  EXPECT_EQ(message_of([&] { (void)SafetensorsFile::open(folder / "empty"); }),
            folder / "empty" + ": is not a safetensors file: it has 0 bytes");
  EXPECT_EQ(message_of([&] { (void)SafetensorsFile::open(folder / "none"); }),
            folder / "none" + ": there is no such file");

  const auto write_error = [](const std::vector<TensorBytes>& tensors) {
    return message_of([&] { (void)safetensors_to_bytes(tensors); });
  };
  EXPECT_EQ(write_error({{"x", TensorType::f32, {2}, "1234"}}),
            "tensor 'x': 2 numbers of type F32 do not fit into 4 bytes");
  EXPECT_EQ(write_error({{"x", TensorType::f32, {-1}, ""}}), "tensor 'x': its shape has a negative size");
  EXPECT_EQ(write_error({{"x", TensorType::u8, {1}, "1"}, {"x", TensorType::f32, {1}, "1234"}}),
            "tensor 'x': the name occurs twice");
  EXPECT_EQ(write_error({{"__metadata__", TensorType::u8, {1}, "1"}}), "tensor '__metadata__': the name occurs twice");
}

}  // namespace
}  // namespace clearway
