#include "dependence.hpp"

#include <algorithm>

namespace clearway::detail {

namespace {

Long dot(const std::vector<Long>& a, const std::vector<Long>& b) {
  Long sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
Long norm(const std::vector<Long>& a) {
  return sqrt(dot(a, a));
}
void subtract(std::vector<Long>& a, const Long& factor, const std::vector<Long>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= factor * b[i];
}

// Orthogonalises a column against a basis of unit columns, twice (once loses digits where the column is nearly in the
// span); returns its coordinates.
std::vector<Long> orthogonalise(std::vector<Long>& column, const LongColumns& basis) {
  std::vector<Long> coordinates(basis.size(), Long(0));
  for (int round = 0; round < 2; ++round)
    for (std::size_t i = 0; i < basis.size(); ++i) {
      const Long part = dot(basis[i], column);
      coordinates[i] += part;
      subtract(column, part, basis[i]);
    }
  return coordinates;
}

}  // namespace

double smallest_singular_ratio(LongColumns columns) {
  for (std::vector<Long>& column : columns) {
    const Long length = norm(column);
    if (length == 0) return 0;
    for (Long& value : column) value /= length;
  }
  // One-sided Jacobi (Hestenes 1958): rotations make the columns orthogonal; their lengths are the singular values, small
  // ones to high relative accuracy.
  const Long tolerance("1e-40");
  const Long nothing("1e-92");
  constexpr int kSweeps = 60;
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    bool rotated = false;
    for (std::size_t p = 0; p + 1 < columns.size(); ++p)
      for (std::size_t q = p + 1; q < columns.size(); ++q) {
        const Long pp = dot(columns[p], columns[p]), qq = dot(columns[q], columns[q]), pq = dot(columns[p], columns[q]);
        // What rounding left of a dependent column has no direction of its own.
        if (pp < nothing || qq < nothing || abs(pq) <= tolerance * sqrt(pp * qq)) continue;
        rotated = true;
        const Long zeta = (qq - pp) / (2 * pq);
        const Long t = (zeta < 0 ? Long(-1) : Long(1)) / (abs(zeta) + sqrt(1 + zeta * zeta));
        const Long c = 1 / sqrt(1 + t * t), s = c * t;
        for (std::size_t i = 0; i < columns[p].size(); ++i) {
          const Long a = columns[p][i], b = columns[q][i];
          columns[p][i] = c * a - s * b;
          columns[q][i] = s * a + c * b;
        }
      }
    if (!rotated) break;
  }
  Long smallest = norm(columns.front()), largest = smallest;
  for (const std::vector<Long>& column : columns) {
    const Long length = norm(column);
    if (length < smallest) smallest = length;
    if (length > largest) largest = length;
  }
  return static_cast<double>(Long(smallest / largest));
}

std::vector<Dependence> dependences(const LongColumns& columns, const Long& tolerance) {
  std::vector<Dependence> found;
  LongColumns basis;
  std::vector<std::size_t> chosen;
  LongColumns triangle;  // column j: coordinates of chosen column j in the basis
  for (std::size_t j = 0; j < columns.size(); ++j) {
    std::vector<Long> rest = columns[j];
    const Long length = norm(rest);
    std::vector<Long> coordinates = orthogonalise(rest, basis);
    const Long left = norm(rest);
    if (length > 0 && left > tolerance * length) {
      for (Long& value : rest) value /= left;
      coordinates.push_back(left);
      basis.push_back(std::move(rest));
      triangle.push_back(std::move(coordinates));
      chosen.push_back(j);
      continue;
    }
    // Back substitution: coordinates = triangle * coefficients.
    for (std::size_t i = chosen.size(); i-- > 0;) {
      coordinates[i] /= triangle[i][i];
      for (std::size_t r = 0; r < i; ++r) coordinates[r] -= triangle[i][r] * coordinates[i];
    }
    Dependence dependence{.column = j, .earlier = {}, .coefficients = {}};
    Long largest = 0;
    std::vector<Long> sizes(chosen.size());
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      sizes[i] = abs(coordinates[i]) * norm(columns[chosen[i]]);
      largest = std::max(largest, sizes[i]);
    }
    // What rounding leaves of a coefficient grows with the condition of the basis: half of the digits are kept.
    const Long negligible = largest * Long("1e-18");
    for (std::size_t i = 0; i < chosen.size(); ++i)
      if (length > 0 && sizes[i] > negligible) {
        dependence.earlier.push_back(chosen[i]);
        dependence.coefficients.push_back(coordinates[i]);
      }
    found.push_back(std::move(dependence));
  }
  return found;
}

}  // namespace clearway::detail
