// Two lines that cross, fitted by a stranger: y = 1 + 2x where x < 0, y = 3 - x where x > 0, nearly without noise.
// Ends with 0 when the slopes come back.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "clearway/stat/fit.hpp"

int main() {
  constexpr int kRows = 200;
  clearway::Data data;
  data.expert_inputs.resize(kRows, 1);
  data.response.resize(kRows, 1);
  for (int t = 0; t < kRows; ++t) {
    const double x = -2 + 4 * (t + 0.5) / kRows;
    const double wiggle = 0.05 * std::sin(37.0 * t);
    data.expert_inputs(t, 0) = x;
    data.response(t, 0) = (x < 0 ? 1 + 2 * x : 3 - x) + wiggle;
  }
  data.gate_inputs = data.expert_inputs;

  clearway::FitOptions options;
  options.experts = 2;
  const clearway::FitResult result = clearway::fit(data, options);
  std::puts(result.brief().c_str());

  double slopes[2];
  for (int k = 0; k < 2; ++k) slopes[k] = result.model.experts[static_cast<std::size_t>(k)].parameters()[1];
  std::sort(slopes, slopes + 2);
  std::printf("slopes %.3f and %.3f\n", slopes[0], slopes[1]);
  // The wiggle is 0.05 at most; over 100 rows that span 2 units of x it moves a slope by far less than 0.05.
  return std::abs(slopes[0] + 1) < 0.05 && std::abs(slopes[1] - 2) < 0.05 ? 0 : 1;
}
