// Processes that meet through c10d's TCPStore and talk over Gloo. All use of c10d is in this file; it holds for LibTorch
// 1.13, where ProcessGroupGloo is a ProcessGroup, and for 2.x, where it is a Backend with the same calls.
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>

#include "clearway/base/errors.hpp"
#include "clearway/train/communicator.hpp"

namespace clearway::train {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::chrono::milliseconds milliseconds(double seconds) {
  return std::chrono::milliseconds(static_cast<std::int64_t>(seconds * 1000));
}

template <class... Args>
[[noreturn]] void lost(fmt::format_string<Args...> format, Args&&... args) {
  throw LostProcess(fmt::format(format, std::forward<Args>(args)...));
}

/// What a library says, on one line and without its stack of calls.
std::string first_line(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  const std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

std::vector<std::uint8_t> bytes_of(const std::string& text) {
  return {text.begin(), text.end()};
}

/// The address of this machine on the way to another.
std::string own_address_towards(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  const int problem = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (problem != 0) user_error("MASTER_ADDR: '{}' is not the name of a machine: {}", host, gai_strerror(problem));
  std::string out;
  for (const addrinfo* entry = found; entry != nullptr && out.empty(); entry = entry->ai_next) {
    const int descriptor = ::socket(entry->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof own;
    auto* address = reinterpret_cast<sockaddr*>(&own);
    char text[NI_MAXHOST] = {};
    // Nothing is sent: connecting a datagram socket only chooses the way.
    if (::connect(descriptor, entry->ai_addr, entry->ai_addrlen) == 0 &&
        ::getsockname(descriptor, address, &length) == 0 &&
        ::getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
      out = text;
    ::close(descriptor);
  }
  freeaddrinfo(found);
  if (out.empty()) world_error("MASTER_ADDR: there is no way from this machine to '{}'", host);
  return out;
}

class GlooCommunicator final : public Communicator {
 public:
  GlooCommunicator(c10::intrusive_ptr<c10d::Store> store, const ProcessPlace& place)
      : rank_(place.rank), size_(place.size), timeout_(place.timeout), store_(std::move(store)) {
    auto options = c10d::ProcessGroupGloo::Options::create(milliseconds(place.timeout));
    options->threads = 1;  // calls come one after another
    const char* interface = std::getenv("GLOO_SOCKET_IFNAME");
    options->devices.push_back(
        interface != nullptr && *interface != '\0'
            ? c10d::ProcessGroupGloo::createDeviceForInterface(interface)
            : c10d::ProcessGroupGloo::createDeviceForHostname(own_address_towards(place.address, place.port)));
    group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(store_, rank_, size_, options);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  double seconds() const override { return seconds_; }

  void all_reduce(torch::Tensor& tensor) override {
    std::vector<at::Tensor> tensors{tensor};
    finish("adding up numbers", [&] { return group_->allreduce(tensors); });
  }

  void broadcast(torch::Tensor& tensor, int root) override {
    std::vector<at::Tensor> tensors{as_bytes(tensor.to(at::kCPU).contiguous())};
    c10d::BroadcastOptions options;
    options.rootRank = root;
    finish("handing out numbers", [&] { return group_->broadcast(tensors, options); });
    tensor.copy_(tensors[0].view(tensor.scalar_type()).view(tensor.sizes()));
  }

  torch::Tensor exchange_rows(const torch::Tensor& tensor, const std::vector<std::int64_t>& counts,
                              std::vector<std::int64_t>& received) override {
    std::int64_t rows = 0;
    for (const std::int64_t count : counts) rows += count;
    if (counts.size() != static_cast<std::size_t>(size_) || tensor.dim() < 1 || rows != tensor.size(0))
      throw std::logic_error("exchange_rows: counts do not fit the processes or the rows");
    if (received.empty()) received = exchange_counts(counts);
    std::vector<std::int64_t> shape = tensor.sizes().vec();
    shape[0] = 0;
    for (const std::int64_t count : received) shape[0] += count;
    torch::Tensor out = at::empty(shape, tensor.options().device(at::kCPU).requires_grad(false));
    // As bytes: Gloo knows no bfloat16.
    std::int64_t width = tensor.element_size();
    for (std::size_t i = 1; i < shape.size(); ++i) width *= shape[i];
    std::vector<std::int64_t> sent_bytes = counts, received_bytes = received;
    for (auto* sizes : {&sent_bytes, &received_bytes})
      for (std::int64_t& size : *sizes) size *= width;
    torch::Tensor from = as_bytes(tensor.detach().to(at::kCPU).contiguous()), to = as_bytes(out);
    finish("exchanging rows", [&] { return group_->alltoall_base(to, from, received_bytes, sent_bytes); });
    return out.to(tensor.device());
  }

  void barrier() override {
    finish("waiting for each other", [&] { return group_->barrier(); });
  }

 private:
  /// The same memory as one row of bytes.
  static torch::Tensor as_bytes(const torch::Tensor& tensor) { return tensor.view({-1}).view(at::kByte); }

  std::vector<std::int64_t> exchange_counts(const std::vector<std::int64_t>& counts) {
    torch::Tensor from = at::tensor(counts, at::kLong), to = at::empty_like(from);
    std::vector<std::int64_t> equal;
    finish("exchanging rows", [&] { return group_->alltoall_base(to, from, equal, equal); });
    return {to.data_ptr<std::int64_t>(), to.data_ptr<std::int64_t>() + to.numel()};
  }

  template <class Start>
  void finish(const char* doing, Start&& start) {
    const auto begin = Clock::now();
    try {
      start()->wait();
    } catch (const std::exception& error) {
      const std::string said = first_line(error);
      if (said.find("imed out") != std::string::npos || said.find("imeout") != std::string::npos)
        lost("process {} of {}: another process did not answer within {} s while {}; it hangs, or its machine is gone",
             rank_, size_, timeout_, doing);
      lost("process {} of {}: another process ended while {} ({})", rank_, size_, doing, said);
    }
    seconds_ += seconds_since(begin);
  }

  int rank_, size_;
  double timeout_;
  double seconds_ = 0;
  c10::intrusive_ptr<c10d::Store> store_;  // must outlive the group
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

/// A whole number of the environment.
int number_from_environment(const char* name, int smallest, int largest) {
  const char* text = std::getenv(name);
  if (text == nullptr || *text == '\0')
    user_error("{} is not set: processes that train together need RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT", name);
  char* end = nullptr;
  errno = 0;
  const long value = std::strtol(text, &end, 10);
  if (errno != 0 || *end != '\0' || value < smallest || value > largest)
    user_error("{} must be a whole number between {} and {}, not '{}'", name, smallest, largest, text);
  return static_cast<int>(value);
}

std::string rank_key(int rank) {
  return fmt::format("clearway/rank/{}", rank);
}

/// Ranks that did not come.
std::vector<int> missing_ranks(c10d::Store& store, int size) {
  std::vector<int> out;
  for (int rank = 0; rank < size; ++rank)
    if (!store.check({rank_key(rank)})) out.push_back(rank);
  return out;
}

void meet(c10d::Store& store, const ProcessPlace& place, const JoinCallbacks& callbacks) {
  constexpr const char* kSize = "clearway/size";
  constexpr const char* kComplete = "clearway/complete";
  const auto start = Clock::now();
  if (place.rank == 0) store.set(kSize, bytes_of(std::to_string(place.size)));
  const std::vector<std::uint8_t> size = store.get(kSize);
  if (const std::string theirs(size.begin(), size.end()); theirs != std::to_string(place.size))
    user_error("WORLD_SIZE is {} here, and {} for process 0", place.size, theirs);
  if (store.add(rank_key(place.rank), 1) != 1) user_error("RANK {} is given to two processes", place.rank);
  if (place.rank != 0) {
    store.wait({kComplete}, milliseconds(place.timeout));
    return;
  }
  for (std::vector<int> missing = missing_ranks(store, place.size); !missing.empty();
       missing = missing_ranks(store, place.size)) {
    if (callbacks.waiting) callbacks.waiting();
    if (seconds_since(start) > place.timeout)
      lost("process 0 of {}: waited {} s at port {} for processes that did not come: {}", place.size, place.timeout,
           place.port, fmt::join(missing, ", "));
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  store.set(kComplete, bytes_of("yes"));
}

}  // namespace

namespace {

/// Connects with all others. Gloo has its own errors for one that went meanwhile; torch's are the caller's.
std::unique_ptr<Communicator> connect(const c10::intrusive_ptr<c10d::TCPStore>& store, const ProcessPlace& place) {
  try {
    return std::make_unique<GlooCommunicator>(store, place);
  } catch (const c10::Error&) {
    throw;
  } catch (const std::exception& error) {
    lost("process {} of {}: another process ended while the processes met ({})", place.rank, place.size,
         first_line(error));
  }
}

}  // namespace

std::optional<ProcessPlace> place_from_environment() {
  if (std::getenv("RANK") == nullptr && std::getenv("WORLD_SIZE") == nullptr) return std::nullopt;
  constexpr int kMostProcesses = 65536, kLargestPort = 65535;
  ProcessPlace out;
  out.size = number_from_environment("WORLD_SIZE", 1, kMostProcesses);
  out.rank = number_from_environment("RANK", 0, out.size - 1);
  if (out.size == 1) return out;
  out.port = number_from_environment("MASTER_PORT", 1, kLargestPort);
  const char* address = std::getenv("MASTER_ADDR");
  if (address == nullptr || *address == '\0')
    user_error("MASTER_ADDR is not set: the name or address of the machine of process 0");
  out.address = address;
  return out;
}

std::unique_ptr<Communicator> join_processes(const ProcessPlace& asked, const JoinCallbacks& callbacks) {
  ProcessPlace place = asked;
  own_address_towards(place.address, place.port);  // a name that is none is found now
  c10d::TCPStoreOptions options;
  options.port = static_cast<std::uint16_t>(place.port);
  options.isServer = place.rank == 0;
  options.waitWorkers = false;
  options.timeout = milliseconds(place.timeout);
  c10::intrusive_ptr<c10d::TCPStore> store;
  try {
    store = c10::make_intrusive<c10d::TCPStore>(place.address, options);
  } catch (const std::exception& error) {
    if (place.rank == 0) world_error("port {} cannot be opened (MASTER_PORT): {}", place.port, first_line(error));
    lost("process {} of {}: process 0 did not answer at {}, port {} within {} s (MASTER_ADDR, MASTER_PORT)", place.rank,
         place.size, place.address, place.port, place.timeout);
  }
  place.port = store->getPort();
  if (place.rank == 0 && callbacks.listening) callbacks.listening(place.port);
  try {
    meet(*store, place, callbacks);
    return connect(store, place);
  } catch (const c10::Error& error) {
    lost("process {} of {}: the processes could not meet at {}, port {} within {} s: {}", place.rank, place.size,
         place.address, place.port, place.timeout, first_line(error));
  } catch (const std::system_error& error) {
    lost("process {} of {}: process 0 ended while the processes met: {}", place.rank, place.size, first_line(error));
  }
}

}  // namespace clearway::train
