// What the fused pass needs to know of a family beside its vector code (em_pass_densities.hpp): constants of the rows,
// the normaliser of a density, and second derivatives for Louis' identity.
#pragma once

#include "clearway/stat/specification.hpp"
#include "clearway/stat/tiled_matrix.hpp"

namespace clearway::detail {

/// Gaussian with a linear mean: the pass works on residuals, without this file.
bool is_linear_gaussian(ExpertKind kind);
/// Kinds that the pass can work on: single-index families without a parameter beside coefficients and one dispersion.
bool pass_supports(ExpertKind kind);
/// Kinds with a noise level.
bool is_gaussian(ExpertKind kind);

/// The part of log f that depends on the response alone (c of em_pass_densities.hpp), n x 1; empty for Gaussian kinds.
/// `trials` may be null (all one).
TiledMatrix row_constants(ExpertKind kind, const TiledMatrix& y, const TiledMatrix* trials);

/// log f minus its part in eta and y: -log sigma - log(2 pi) / 2 (Gaussian), a log a - a - log Gamma(a) (gamma), or 0.
double log_normaliser(ExpertKind kind, double dispersion);

/// Linear predictors are kept within +-limit, so that every term stays finite.
double index_limit(const ExpertSpec& spec);

/// First and second derivatives of log f in eta and in s (log sigma or log shape; zero for kinds without), for one
/// expert and one tile of rows.
struct TileDerivatives {
  static constexpr std::size_t kGroups = 5;
  static constexpr std::size_t kRows = TiledMatrix::kTile;
  double* values;  ///< kGroups of kRows

  double* eta() const { return values; }
  double* s() const { return values + kRows; }
  double* eta_eta() const { return values + 2 * kRows; }
  double* eta_s() const { return values + 3 * kRows; }
  double* s_s() const { return values + 4 * kRows; }
};

/// What an expert's derivatives are made of, for one tile of rows (RecordForm::raw).
struct TileRows {
  const double* y;      ///< response
  const double* index;  ///< residual y - x'b (linear Gaussian) or -eta (others)
  /// Terms of em_pass_densities.hpp, families other than linear Gaussian.
  const double *score, *information, *square;
};

/// `dispersion`: sigma or shape of the expert.
void tile_derivatives(const ExpertSpec& spec, double dispersion, const TileRows& rows, const TileDerivatives& out);

}  // namespace clearway::detail
