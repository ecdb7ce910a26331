// Bases of one input against R 4.2: x <- ((1:60 * 37) %% 60) / 30 - 1, library(splines).
#include "../../src/stat/basis.hpp"

#include <gtest/gtest.h>

#include <Eigen/QR>
#include <stdexcept>

namespace clearway::detail {
namespace {

Vector inputs() {
  Vector x(60);
  for (int i = 1; i <= 60; ++i) x(i - 1) = static_cast<double>((i * 37) % 60) / 30 - 1;
  return x;
}

// poly(x, 3)[1:3, ]; predict(poly(x, 3), 1.5)
TEST(Basis, OrthogonalPolynomialsAreThoseOfR) {
  const Vector x = inputs();
  const auto constants = basis_constants(Transform::polynomial, 3, x, "poly");
  const Matrix p = basis_columns(Transform::polynomial, 3, constants, x);
  Matrix r(3, 3);
  r << 0.05590946518031717, -0.1173156590588571, -0.1148848687768659,  //
      -0.1155462280393221, -0.02872709024833844, 0.147054533314799,    //
      0.1602738001835759, 0.07815694386000464, -0.05273201217255068;
  // R's poly comes from a QR decomposition: a few dozen roundings of numbers of order one.
  EXPECT_LT((p.topRows(3) - r).cwiseAbs().maxCoeff(), 1e-13);
  EXPECT_LT((p.transpose() * p - Matrix::Identity(3, 3)).cwiseAbs().maxCoeff(), 1e-13);
  const Matrix beyond = basis_columns(Transform::polynomial, 3, constants, Vector::Constant(1, 1.5));
  EXPECT_NEAR(beyond(0, 0), 0.3391840887605908, 1e-12);
  EXPECT_NEAR(beyond(0, 1), 0.852344001725841, 1e-12);
  EXPECT_NEAR(beyond(0, 2), 2.206825678339297, 1e-12);
}

// bs(x, 5)[2, ]
TEST(Basis, BSplinesAreThoseOfR) {
  const Vector x = inputs();
  const auto constants = basis_constants(Transform::b_spline, 5, x, "bs");
  const Matrix b = basis_columns(Transform::b_spline, 5, constants, x);
  const double r[] = {0.4865054362909547, 0.4294499437625074, 0.06012299212675103, 0, 0};
  for (int j = 0; j < 5; ++j) EXPECT_NEAR(b(1, j), r[j], 1e-14) << j;
  // All B-splines sum to 1 between the ends, so those left over the first sum to at most that.
  EXPECT_LE(b.rowwise().sum().maxCoeff(), 1 + 1e-14);
}

// attr(ns(x, 4), "knots")
TEST(Basis, NaturalSplinesHaveTheKnotsOfRAndAreLinearBeyondTheEnds) {
  const Vector x = inputs();
  const auto knots = basis_constants(Transform::natural_spline, 4, x, "ns");
  ASSERT_EQ(knots.size(), 5U);
  EXPECT_NEAR(knots[1], -0.5083333333333333, 1e-14);
  EXPECT_NEAR(knots[2], -0.01666666666666666, 1e-14);
  EXPECT_NEAR(knots[3], 0.4749999999999999, 1e-14);
  Vector beyond(6);
  beyond << 2, 3, 4, -2, -3, -4;
  const Matrix n = basis_columns(Transform::natural_spline, 4, knots, beyond);
  for (const Eigen::Index at : {Eigen::Index{0}, Eigen::Index{3}})  // second differences of differences of cubes to 40
    EXPECT_LT((n.row(at) - 2 * n.row(at + 1) + n.row(at + 2)).cwiseAbs().maxCoeff(), 1e-12);
  Matrix design(60, 5);
  design << Vector::Ones(60), basis_columns(Transform::natural_spline, 4, knots, x);
  EXPECT_EQ(Eigen::ColPivHouseholderQR<Matrix>(design).rank(), 5);
}

TEST(Basis, TooFewDifferentValuesAreNamed) {
  Vector x(6);
  x << 0, 0, 0, 0, 1, 1;
  EXPECT_THROW(basis_constants(Transform::polynomial, 2, x, "poly(x,2)"), std::invalid_argument);
  EXPECT_THROW(basis_constants(Transform::natural_spline, 3, x, "ns(x,3)"), std::invalid_argument);
  EXPECT_THROW(basis_constants(Transform::b_spline, 5, x, "bs(x,5)"), std::invalid_argument);
}

}  // namespace
}  // namespace clearway::detail
