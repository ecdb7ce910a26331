#include "clearway/stat/em_pass.hpp"

#include <algorithm>
#include <cmath>
#include <new>

#include "clearway/base/errors.hpp"
#include "clearway/base/parallel.hpp"
#include "em_pass_families.hpp"
#include "em_pass_state.hpp"

namespace clearway {

using detail::pair_count;

namespace {

constexpr std::size_t kTile = TiledMatrix::kTile;
constexpr std::align_val_t kAlignment{64};

// Where each sum lies in the row of sums of a chunk; parts that are not asked for take no room.
struct Layout {
  std::size_t scalars = 0, counts, squares, cross, gram, gate_gradient, gate_information, length;

  Layout(std::size_t p, std::size_t q, std::size_t K, EmParts parts) {
    const std::size_t experts = parts.experts ? K : 0;
    counts = 3;
    squares = counts + experts;
    cross = squares + experts;
    gram = cross + experts * p;
    gate_gradient = gram + experts * pair_count(p);
    gate_information = gate_gradient + (parts.gate_gradient ? K * q : 0);
    length = gate_information + (parts.gate_information ? pair_count(K - 1) * pair_count(q) : 0);
  }
};

// Fills a symmetric matrix block from the packed pairs i <= j.
template <class Block>
void unpack_symmetric(const double* packed, Block&& out) {
  for (Eigen::Index i = 0; i < out.rows(); ++i)
    for (Eigen::Index j = i; j < out.cols(); ++j) out(i, j) = out(j, i) = *packed++;
}

}  // namespace

namespace detail {

void AlignedBuffer::Free::operator()(double* pointer) const {
  ::operator delete[](pointer, kAlignment);
}

double* AlignedBuffer::resize(std::size_t size) {
  if (size > size_) {
    data_.reset(static_cast<double*>(::operator new[](size * sizeof(double), kAlignment)));
    size_ = size;
  }
  return data_.get();
}

}  // namespace detail

EmPass::EmPass(const EmData& data, Eigen::Index experts, int instruction_set) : state_(std::make_unique<State>()) {
  if (!data.x || !data.z || !data.y) user_error("a pass needs expert inputs, gate features and a response");
  if (experts < 1) user_error("experts must be at least 1, not {}", experts);
  const Eigen::Index n = data.x->rows();
  if (data.z->rows() != n) user_error("gate features have {} rows, expert inputs {}", data.z->rows(), n);
  if (data.y->rows() != n || data.y->cols() != 1)
    user_error("the response must be {} x 1, not {} x {}", n, data.y->rows(), data.y->cols());
  if (data.weights && (data.weights->rows() != n || data.weights->cols() != 1))
    user_error("case weights must be {} x 1, not {} x {}", n, data.weights->rows(), data.weights->cols());
  if (!detail::pass_supports(data.family.kind))
    user_error("a pass does not support {} experts", enum_name(data.family.kind));
  const auto check_column = [&](const TiledMatrix* column, const char* what) {
    if (column && (column->rows() != n || column->cols() != 1))
      user_error("{} must be {} x 1, not {} x {}", what, n, column->rows(), column->cols());
  };
  check_column(data.offset, "the offset");
  check_column(data.trials, "the trials");
  const bool linear = detail::is_linear_gaussian(data.family.kind);
  if (linear && data.offset) user_error("linear experts take no offset: subtract it from the response");
  const int available = static_cast<int>(detail::em_kernels_available());
  if (instruction_set < -1 || instruction_set >= available)
    user_error("instruction set must be between -1 and {} here, not {}", available - 1, instruction_set);
  State& s = *state_;
  s.data = data;
  s.n = static_cast<std::size_t>(n);
  s.p = static_cast<std::size_t>(data.x->cols());
  s.q = static_cast<std::size_t>(data.z->cols());
  s.experts = static_cast<std::size_t>(experts);
  s.kernels =
      instruction_set < 0 ? &detail::em_kernels() : &detail::em_kernels(static_cast<std::size_t>(instruction_set));
  s.scratch.resize(1);
  if (data.offset) s.minus_offset = TiledMatrix(Vector(-data.offset->to_matrix().col(0)));
  s.row_constants = detail::row_constants(data.family.kind, *data.y, data.trials);
}

EmPass::~EmPass() = default;
EmPass::EmPass(EmPass&&) noexcept = default;
EmPass& EmPass::operator=(EmPass&&) noexcept = default;

void EmPass::State::pack(const EmParameters& parameters) {
  const auto K = static_cast<Eigen::Index>(experts);
  const auto rows = static_cast<Eigen::Index>(p), gate_rows = static_cast<Eigen::Index>(q);
  if (parameters.coefficients.rows() != rows || parameters.coefficients.cols() != K)
    user_error("expert coefficients must be {} x {}, not {} x {}", rows, K, parameters.coefficients.rows(),
               parameters.coefficients.cols());
  if (parameters.gate.rows() != gate_rows || parameters.gate.cols() != K)
    user_error("gate coefficients must be {} x {}, not {} x {}", gate_rows, K, parameters.gate.rows(),
               parameters.gate.cols());
  const ExpertKind kind = data.family.kind;
  const bool gaussian = detail::is_gaussian(kind), gamma = kind == ExpertKind::gamma;
  if (gaussian && parameters.sigma.size() != K)
    user_error("sigma must have {} elements, not {}", K, parameters.sigma.size());
  if (gamma && parameters.shape.size() != K)
    user_error("shape must have {} elements, not {}", K, parameters.shape.size());
  has_noise = parameters.has_noise;
  const double eps = has_noise ? parameters.noise_weight : 0.0;
  if (!(eps >= 0.0 && eps < 1.0)) user_error("the weight of the noise must be in [0, 1), not {}", eps);
  noise = has_noise ? std::log(eps) + parameters.noise_log_density : 0.0;
  coefficients.resize(p * experts);
  gate.resize(q * experts);
  dispersion.resize(experts);
  inverse_sigma.resize(experts);
  log_normaliser.resize(experts);
  for (Eigen::Index k = 0; k < K; ++k) {
    const double value = gaussian ? parameters.sigma(k) : gamma ? parameters.shape(k) : 1.0;
    if (!(value > 0.0))
      user_error("{} must be positive, not {} (expert {})", gaussian ? "sigma" : "shape", value, k + 1);
    const auto slot = static_cast<std::size_t>(k);
    dispersion[slot] = value;
    inverse_sigma[slot] = 1.0 / value;
    log_normaliser[slot] = std::log1p(-eps) + detail::log_normaliser(kind, value);
    for (Eigen::Index j = 0; j < rows; ++j)
      coefficients[static_cast<std::size_t>(j * K + k)] = parameters.coefficients(j, k);
    for (Eigen::Index j = 0; j < gate_rows; ++j) gate[static_cast<std::size_t>(j * K + k)] = parameters.gate(j, k);
  }
}

detail::ExpectationBlock EmPass::State::block(std::size_t first, std::size_t rows) const {
  const auto tile = static_cast<Eigen::Index>(first / kTile);
  detail::ExpectationBlock b;
  b.x = data.x->tile(tile);
  b.z = data.z->tile(tile);
  b.y = data.y->tile(tile);
  b.weights = data.weights ? data.weights->tile(tile) : nullptr;
  b.rows = rows;
  b.p = p;
  b.q = q;
  b.experts = experts;
  b.coefficients = coefficients.data();
  b.gate = gate.data();
  const ExpertSpec& spec = data.family;
  b.family = detail::is_linear_gaussian(spec.kind) ? ExpertKind::linear : spec.kind;
  b.minus_offset = data.offset ? minus_offset.tile(tile) : nullptr;
  b.trials = data.trials ? data.trials->tile(tile) : nullptr;
  b.row_constants = row_constants.rows() > 0 ? row_constants.tile(tile) : nullptr;
  b.index_limit = detail::index_limit(spec);
  b.leak = spec.kind == ExpertKind::leaky_relu ? spec.leak : 0.0;
  b.degree = spec.degree;
  b.inverse_sigma = inverse_sigma.data();
  b.shape = dispersion.data();
  b.log_normaliser = log_normaliser.data();
  b.has_noise = has_noise;
  b.noise = noise;
  return b;
}

const double* EmPass::State::sum_blocks(const Walk& walk, int threads, const BlockBody& body) {
  // Rows per block: record and data of a block stay within half a megabyte. Depends on shapes only, never on threads.
  constexpr std::size_t kBlockDoubles = std::size_t{1} << 16;
  constexpr std::size_t kMostSums = std::size_t{1} << 22;  // 32 MB of sums at most, unless one chunk needs more
  constexpr std::size_t kMostChunks = 64;
  constexpr double kWorthThreads = 4e6;  // multiplications: about a millisecond, many times the start of a thread
  const std::size_t per_row = walk.row_at_most + p + (data.x == data.z ? 0 : q);
  const std::size_t block_rows = std::clamp<std::size_t>(kBlockDoubles / per_row / kTile * kTile, 8 * kTile, 2048);
  const std::size_t blocks = (n + block_rows - 1) / block_rows;
  const std::size_t chunks = std::clamp<std::size_t>(kMostSums / walk.sums_at_most, 1,
                                                     std::min(kMostChunks, std::max<std::size_t>(blocks, 1)));
  const std::size_t length = walk.sums;
  sums.assign(chunks * length, 0.0);

  auto worker = [&, next = std::atomic<std::size_t>{0}](std::size_t number) mutable {
    double* buffer = scratch[number].resize(block_rows * walk.row + walk.extra);
    for (std::size_t c = next++; c < chunks; c = next++)
      for (std::size_t i = c * blocks / chunks; i < (c + 1) * blocks / chunks; ++i) {
        const std::size_t first = i * block_rows;
        body(first, std::min(block_rows, n - first), buffer, sums.data() + c * length);
      }
  };
  int workers = 1;
  if (chunks > 1 && static_cast<double>(n) * walk.row_cost > kWorthThreads)
    workers = std::min(resolve_threads(threads), static_cast<int>(chunks));
  if (scratch.size() < static_cast<std::size_t>(workers)) scratch.resize(static_cast<std::size_t>(workers));
  if (workers == 1)
    worker(0);
  else
    parallel_for(static_cast<std::size_t>(workers), workers, std::ref(worker));

  for (std::size_t c = 1; c < chunks; ++c)
    for (std::size_t i = 0; i < length; ++i) sums[i] += sums[c * length + i];
  return sums.data();
}

void EmPass::run(const EmParameters& parameters, EmParts parts, EmSums& sums, int threads, Matrix* responsibilities) {
  State& s = *state_;
  s.pack(parameters);
  const std::size_t K = s.experts, p = s.p, q = s.q;
  const Layout layout(p, q, K, parts);
  const std::size_t pairs = pair_count(p), gate_pairs = pair_count(q), blocks = pair_count(K - 1);
  if (responsibilities)
    responsibilities->resize(static_cast<Eigen::Index>(s.n), static_cast<Eigen::Index>(K + (s.has_noise ? 1 : 0)));

  // A record per tile: r | r e | r - s pi | weights of the information (left out where not asked for, at the end).
  const bool any = parts.experts || parts.gate_gradient || parts.gate_information;
  const std::size_t groups = any ? 3 * K + (parts.gate_information ? blocks : 0) : 0;
  const std::size_t lanes = detail::expectation_lanes(K) * kTile;
  State::Walk walk{.sums = layout.length,
                   .sums_at_most = Layout(p, q, K, EmParts::all()).length,
                   .row = groups,
                   .row_at_most = 3 * K + blocks,
                   .extra = lanes};
  walk.row_cost = static_cast<double>(K * (p + q + 20));
  if (parts.experts) walk.row_cost += static_cast<double>(K * (pairs + p));
  if (parts.gate_information) walk.row_cost += static_cast<double>(blocks * gate_pairs);

  const auto body = [&](std::size_t first, std::size_t rows, double* scratch, double* out) {
    detail::ExpectationBlock b = s.block(first, rows);
    b.form = any ? detail::RecordForm::weighted : detail::RecordForm::none;
    b.experts_part = parts.experts;
    b.gradient_part = parts.gate_gradient;
    b.information_part = parts.gate_information;
    b.entropy_part = parts.entropy;
    b.lanes = scratch;
    b.record = scratch + lanes;
    b.record_stride = groups * kTile;
    if (responsibilities) {
      b.responsibilities = responsibilities->data() + first;
      b.responsibilities_stride = s.n;
    }
    b.scalars = out + layout.scalars;
    b.counts = out + layout.counts;
    b.squares = out + layout.squares;
    s.kernels->expectation(b);

    detail::ProductsBlock products;
    products.record_stride = b.record_stride;
    products.tiles = (rows + kTile - 1) / kTile;
    const auto add = [&](const double* a, const double* columns, std::size_t count, std::size_t group,
                         std::size_t weights, std::size_t place, std::size_t stride) {
      products.a = a;
      products.b = columns;
      products.a_cols = a ? count : 1;
      products.b_cols = count;
      products.symmetric = a != nullptr;
      products.record = b.record + group * kTile;
      products.weights = weights;
      products.out = out + place;
      products.out_stride = stride;
      s.kernels->products(products);
    };
    if (parts.experts) {
      add(b.x, b.x, p, 0, K, layout.gram, pairs);
      add(nullptr, b.x, p, K, K, layout.cross, p);
    }
    if (parts.gate_gradient) add(nullptr, b.z, q, 2 * K, K, layout.gate_gradient, q);
    if (parts.gate_information) add(b.z, b.z, q, 3 * K, blocks, layout.gate_information, gate_pairs);
  };
  const double* total = s.sum_blocks(walk, threads, body);

  const auto k_count = static_cast<Eigen::Index>(K), p_count = static_cast<Eigen::Index>(p),
             q_count = static_cast<Eigen::Index>(q);
  sums.log_likelihood = total[0];
  if (any || responsibilities || parts.entropy) sums.noise_mass = total[1];
  if (parts.entropy) sums.entropy = total[2];
  if (parts.experts) {
    sums.counts = Eigen::Map<const Vector>(total + layout.counts, k_count);
    sums.squares = Eigen::Map<const Vector>(total + layout.squares, k_count);
    sums.cross = Eigen::Map<const Matrix>(total + layout.cross, p_count, k_count);
    sums.gram.resize(K);
    for (std::size_t k = 0; k < K; ++k) {
      sums.gram[k].resize(p_count, p_count);
      unpack_symmetric(total + layout.gram + k * pairs, sums.gram[k]);
    }
  }
  if (parts.gate_gradient)
    sums.gate_gradient = Eigen::Map<const Matrix>(total + layout.gate_gradient, q_count, k_count);
  if (parts.gate_information) {
    sums.gate_information.resize((k_count - 1) * q_count, (k_count - 1) * q_count);
    const double* packed = total + layout.gate_information;
    for (Eigen::Index k = 0; k + 1 < k_count; ++k)
      for (Eigen::Index l = k; l + 1 < k_count; ++l, packed += gate_pairs) {
        unpack_symmetric(packed, sums.gate_information.block(k * q_count, l * q_count, q_count, q_count));
        if (l != k)
          sums.gate_information.block(l * q_count, k * q_count, q_count, q_count) =
              sums.gate_information.block(k * q_count, l * q_count, q_count, q_count);
      }
  }
}

}  // namespace clearway
