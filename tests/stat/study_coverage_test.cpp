// The coverage study in small: intervals hold the truth about as often as they say, and a stopped study goes on.
#include "clearway/stat/study_coverage.hpp"

#include <gtest/gtest.h>

namespace clearway {
namespace {

CoverageOptions small_study() {
  CoverageOptions options;
  options.design = {"gauss_k2_d1"};
  options.rows = 400;
  options.replications = 50;
  options.threads = 1;
  return options;
}

TEST(CoverageStudy, NominalLevelOnARegularProblem) {
  const CoverageStudy study = run_coverage_study(small_study());
  for (const ParameterPart part : {ParameterPart::expert, ParameterPart::spread, ParameterPart::gate})
    for (const bool sandwich : {false, true}) {
      const CoverageCell cell = coverage_cell(study, 0, part, sandwich);
      EXPECT_GE(cell.intervals, 90);
      // Two intervals or more per replication, at worst fully dependent: one standard deviation is
      // sqrt(0.95 * 0.05 / 50) = 0.031. At 400 rows the nominal 0.95 itself is off by about 0.01.
      EXPECT_NEAR(cell.coverage, 0.95, 4 * 0.031) << enum_name(part) << (sandwich ? " sandwich" : " observed");
    }
}

TEST(CoverageStudy, LowerLevelsCoverLess) {
  CoverageOptions options = small_study();
  options.level = 0.5;
  const CoverageCell cell = coverage_cell(run_coverage_study(options), 0, ParameterPart::expert, false);
  // Four intervals per replication, nearly independent: sqrt(0.25 / 200) = 0.035, at worst 0.07.
  EXPECT_NEAR(cell.coverage, 0.5, 4 * 0.05);
}

TEST(CoverageStudy, OneExpertHasCoefficientsAndNoiseOnly) {
  CoverageOptions options = small_study();
  options.design = {"gauss_k1_d2"};
  options.replications = 10;
  const CoverageStudy study = run_coverage_study(options);
  EXPECT_EQ(coverage_cell(study, 0, ParameterPart::expert, false).intervals, 30);
  EXPECT_EQ(coverage_cell(study, 0, ParameterPart::share, false).intervals, 0);
}

TEST(CoverageStudy, GoesOnWhereItStopped) {
  CoverageOptions options = small_study();
  options.replications = 6;
  const CoverageStudy whole = run_coverage_study(options);
  std::vector<CoverageReplication> known(whole.replications.begin(), whole.replications.begin() + 4);
  int fresh = 0;
  options.threads = 2;
  const CoverageStudy resumed = run_coverage_study(options, known, [&](const CoverageReplication&) { ++fresh; });
  EXPECT_EQ(fresh, 2);
  EXPECT_EQ(coverage_json(resumed), coverage_json(whole));
}

TEST(CoverageStudy, RefusesDesignsThatAreNone) {
  for (const char* design : {"gauss", "gauss_k0_d1", "gauss_k2", "gauss_k2_dx", "pois_k2_d1", "gauss_k2_d1x"}) {
    CoverageOptions options = small_study();
    options.design = {design};
    EXPECT_THROW(run_coverage_study(options), std::invalid_argument) << design;
  }
}

}  // namespace
}  // namespace clearway
