// Residuals that are standard normal when the model is right, whatever the family: randomised quantile residuals.
//
//   u_t uniform on [F(y_t -), F(y_t)],   r_t = Phi^-1(u_t)         (Dunn and Smyth 1996, J. Comput. Graph. Stat. 5)
//
// F is the distribution function of the mixture at x_t; for a real response u_t = F(y_t) is the probability integral
// transform and nothing is random. Counts also get a rootogram (Tukey 1977; Kleiber and Zeileis 2016).
#pragma once

#include <string>
#include <vector>

#include "clearway/base/random.hpp"
#include "clearway/stat/mixture_model.hpp"

namespace clearway {

struct QuantileResiduals {
  Matrix probability;  ///< u, n x m: every response by its marginal distribution (multinomial: n x 1)
  Matrix residual;     ///< r, n x m; within about 8.2 of 0, where probabilities end in double precision
};

/// One random number per row is drawn from `stream` where the response is discrete (classes in their order).
QuantileResiduals quantile_residuals(const MixtureModel& model, const Data& data, RandomStream& stream);

/// P(Y <= y | x) of the mixture for one real or count response, y one number per row; a uniform noise component is
/// included, its box taken to begin at `noise_low`.
Vector mixture_distribution(const MixtureModel& model, const Data& inputs, const ConstVectorRef& y,
                            double noise_low = 0);

/// Whether the response is a class: the mean is then a probability per class.
bool has_class_response(const MixtureModel& model);
/// Whether the response takes whole numbers only (counts, classes).
bool has_discrete_response(const MixtureModel& model);

/// How normal a sample looks: all near 0 (deviation near 1) when it is standard normal.
struct NormalitySummary {
  double mean = 0, deviation = 0, skewness = 0;
  double excess_kurtosis = 0;
  double kolmogorov = 0;    ///< largest distance between the empirical and the normal distribution function
  double kolmogorov_p = 0;  ///< of that distance for given parameters (too large when they were estimated)
};
NormalitySummary normality(const ConstVectorRef& sample);

/// P(sqrt(n) D > sqrt(n) distance) of Kolmogorov's statistic, with Stephens' correction for small n.
double kolmogorov_p(double distance, Eigen::Index n);

/// Observed and expected numbers of rows (case weights summed) with every count.
struct RootogramBar {
  int count = 0;
  bool or_more = false;  ///< the last bar gathers all larger counts
  double observed = 0, expected = 0;
};
/// Bars 0, 1, ... up to the largest count seen, at most `most` of them. Empty unless the response is a count.
std::vector<RootogramBar> rootogram(const MixtureModel& model, const Data& data, int most = 60);

/// sum_t w_t (y_t - mu_t)^2 / Var_t over (sum w - df): above 1 means more spread than the model allows. NaN where there
/// is no variance (classes, several responses), it is infinite, every expert has a noise level of its own (then it would be
/// about sum w / (sum w - df) whatever the data), or a response is censored.
double dispersion(const MixtureModel& model, const Data& data);

}  // namespace clearway
