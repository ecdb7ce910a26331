// Event files for TensorBoard: sums of RFC 3720, records decoded by another program; and bytes as base64.
#include "clearway/io/event_file.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdlib>
#include <numeric>

#include "clearway/io/base64.hpp"
#include "clearway/io/file.hpp"
#include "temporary_folder.hpp"

namespace clearway {
namespace {

using testing_io::message_of;
using testing_io::TemporaryFolder;

TEST(Crc32c, VectorsOfRfc3720) {
  // Appendix B.4; the sums there are printed in the order in which their bytes are sent, the lowest first.
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  std::string rising(32, '\0');
  std::iota(rising.begin(), rising.end(), '\0');
  EXPECT_EQ(crc32c(rising), 0x46DD794Eu);
  EXPECT_EQ(crc32c(std::string(rising.rbegin(), rising.rend())), 0x113FDB5Cu);
  EXPECT_EQ(crc32c("123456789"), 0xE3069283u);  // the check value of every catalogue of CRCs
}

TEST(EventFile, AnotherProgramDecodesIt) {
  const char* python = "/usr/bin/python3";
  if (std::system((std::string(python) + " -c '' 2>/dev/null").c_str()) != 0) GTEST_SKIP() << "no " << python;
  const TemporaryFolder folder;
  const std::string long_name(200, 'n');  // its length needs two bytes
  write_file(folder / "events", tf_record(version_event(1.5)) +
                                    tf_record(scalar_event(0, 2.5, {{"loss", 0.1}, {"valid/perplexity", 1e9}})) +
                                    tf_record(scalar_event(1LL << 40, 3.25, {{long_name, -2}})));
  const std::string script = CLEARWAY_SOURCE "/tests/io/decode_events.py";
  ASSERT_EQ(std::system((std::string(python) + " " + script + " " + folder / "events" + " >" + folder / "out").c_str()),
            0);
  EXPECT_EQ(read_file(folder / "out"),
            "1.5 version brain.Event:2\n"
            "2.5 step 0 loss 0.1\n"
            "2.5 step 0 valid/perplexity 1e+09\n"
            "3.25 step 1099511627776 " +
                long_name + " -2\n");
}

TEST(Base64, VectorsOfRfc4648) {
  const std::vector<std::pair<std::string, std::string>> pairs{{"", ""},
                                                               {"f", "Zg=="},
                                                               {"fo", "Zm8="},
                                                               {"foo", "Zm9v"},
                                                               {"foob", "Zm9vYg=="},
                                                               {"fooba", "Zm9vYmE="},
                                                               {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : pairs) {
    EXPECT_EQ(base64(bytes), text);
    EXPECT_EQ(from_base64(text, "x"), bytes);
  }
  for (const auto* bad : {"Zg", "Zg=", "Z===", "Zg==Zg==", "Zh==", "Zm9=", "Zm 9", "=Zm9", "Zm9v\n"})
    EXPECT_EQ(message_of([&] { (void)from_base64(bad, "x"); }).substr(0, 17), "x: is not base64:") << bad;
}

RC_GTEST_PROP(Base64, BytesComeBackEqual, (const std::string& bytes)) {
  RC_ASSERT(from_base64(base64(bytes), "x") == bytes);
}

}  // namespace
}  // namespace clearway
