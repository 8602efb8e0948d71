// What a UDP message costs by sendmmsg and recvmmsg, as packet workers do, and by io_uring
// (multishot receive into registered buffers, sends in one submission): processor time of one
// thread that sends a batch to itself over the loopback and takes it in again. `bazel run
// //tools/bench:uring_bench`.
#include <benchmark/benchmark.h>
#include <linux/io_uring.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

namespace {

constexpr std::size_t kRoom = 68 * 1024;  // for what came together, and its headers
constexpr unsigned kBatch = 64;
constexpr int kBufferBytes = 16 << 20;

void must(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(std::string(what) + ": " + std::strerror(errno));
}

// A socket connected to itself that cuts what it sends and joins what it takes.
struct Loop {
  explicit Loop(int segment_bytes) {
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof here;
    const int on = 1;
    must(bind(fd, reinterpret_cast<sockaddr*>(&here), size) == 0, "bind");
    getsockname(fd, reinterpret_cast<sockaddr*>(&here), &size);
    must(connect(fd, reinterpret_cast<sockaddr*>(&here), size) == 0, "connect");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kBufferBytes, sizeof kBufferBytes);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kBufferBytes, sizeof kBufferBytes);
    if (segment_bytes == 0) return;
    setsockopt(fd, IPPROTO_UDP, UDP_SEGMENT, &segment_bytes, sizeof segment_bytes);
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on);
  }
  ~Loop() { close(fd); }
  int fd = -1;
};

class ByCalls {
 public:
  ByCalls(const Loop& loop, std::size_t bytes, unsigned count)
      : fd_(loop.fd), count_(count), out_(bytes, 'x'), in_(kBatch * kRoom) {
    for (unsigned i = 0; i < kBatch; ++i) {
      parts_[i] = {out_.data(), out_.size()};
      rooms_[i] = {in_.data() + i * kRoom, kRoom};
      sent_[i].msg_hdr.msg_iov = &parts_[i];
      got_[i].msg_hdr.msg_iov = &rooms_[i];
      sent_[i].msg_hdr.msg_iovlen = got_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  std::size_t turn() {
    must(sendmmsg(fd_, sent_.data(), count_, 0) == static_cast<int>(count_), "sendmmsg");
    const int got = recvmmsg(fd_, got_.data(), kBatch, MSG_DONTWAIT, nullptr);
    std::size_t bytes = 0;
    for (int i = 0; i < got; ++i) bytes += got_[i].msg_len;
    return bytes;
  }

 private:
  const int fd_;
  const unsigned count_;
  std::vector<char> out_, in_;
  std::array<iovec, kBatch> parts_, rooms_;
  std::array<mmsghdr, kBatch> sent_{}, got_{};
};

class ByRing {
 public:
  ByRing(const Loop& loop, std::size_t bytes, unsigned count)
      : fd_(loop.fd), count_(count), out_(bytes, 'x'), in_(kBatch * kRoom) {
    set_up();
    register_buffers();
    receive_again();
    enter(1, 0);
  }
  ~ByRing() { close(ring_); }
  std::size_t turn() {
    for (unsigned i = 0; i < count_; ++i) {
      io_uring_sqe& send = next();
      send.opcode = IORING_OP_SEND;
      send.fd = fd_;
      send.addr = reinterpret_cast<std::uint64_t>(out_.data());
      send.len = static_cast<unsigned>(out_.size());
      send.flags = IOSQE_CQE_SKIP_SUCCESS;
    }
    enter(count_, 0);
    // Runs what the arrivals have left for this thread to do.
    enter(0, IORING_ENTER_GETEVENTS);
    return harvest();
  }

 private:
  void set_up() {
    io_uring_params p{};
    p.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_CQSIZE;
    p.cq_entries = 4 * kBatch;
    ring_ = static_cast<int>(syscall(SYS_io_uring_setup, 2 * kBatch, &p));
    must(ring_ >= 0, "io_uring_setup");
    const auto map = [&](std::size_t bytes, std::uint64_t at) {
      void* mapped = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring_,
                          static_cast<off_t>(at));
      must(mapped != MAP_FAILED, "mmap");
      return static_cast<char*>(mapped);
    };
    char* rings = map(std::max<std::size_t>(p.sq_off.array + p.sq_entries * sizeof(unsigned),
                                            p.cq_off.cqes + p.cq_entries * sizeof(io_uring_cqe)),
                      IORING_OFF_SQ_RING);
    sqes_ =
        reinterpret_cast<io_uring_sqe*>(map(p.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    sq_tail_ = reinterpret_cast<std::atomic<unsigned>*>(rings + p.sq_off.tail);
    sq_array_ = reinterpret_cast<unsigned*>(rings + p.sq_off.array);
    sq_mask_ = p.sq_entries - 1;
    cq_head_ = reinterpret_cast<std::atomic<unsigned>*>(rings + p.cq_off.head);
    cq_tail_ = reinterpret_cast<std::atomic<unsigned>*>(rings + p.cq_off.tail);
    cqes_ = reinterpret_cast<io_uring_cqe*>(rings + p.cq_off.cqes);
    cq_mask_ = p.cq_entries - 1;
  }
  void register_buffers() {
    void* mapped = mmap(nullptr, kBatch * sizeof(io_uring_buf), PROT_READ | PROT_WRITE,
                        MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE, -1, 0);
    must(mapped != MAP_FAILED, "mmap");
    buffers_ = static_cast<io_uring_buf_ring*>(mapped);
    io_uring_buf_reg reg{};
    reg.ring_addr = reinterpret_cast<std::uint64_t>(mapped);
    reg.ring_entries = kBatch;
    must(syscall(SYS_io_uring_register, ring_, IORING_REGISTER_PBUF_RING, &reg, 1) == 0,
         "buffer ring");
    for (unsigned i = 0; i < kBatch; ++i) give(static_cast<std::uint16_t>(i));
  }
  void give(std::uint16_t id) {
    io_uring_buf& buffer = reinterpret_cast<io_uring_buf*>(buffers_)[given_ % kBatch];
    buffer.addr = reinterpret_cast<std::uint64_t>(in_.data() + id * kRoom);
    buffer.len = kRoom;
    buffer.bid = id;
    std::atomic_ref(buffers_->tail).store(++given_, std::memory_order_release);
  }
  io_uring_sqe& next() {
    const unsigned tail = sq_tail_->load(std::memory_order_relaxed);
    io_uring_sqe& out = sqes_[tail & sq_mask_];
    out = {};
    sq_array_[tail & sq_mask_] = tail & sq_mask_;
    sq_tail_->store(tail + 1, std::memory_order_release);
    return out;
  }
  void receive_again() {
    io_uring_sqe& receive = next();
    receive.opcode = IORING_OP_RECV;
    receive.fd = fd_;
    receive.ioprio = IORING_RECV_MULTISHOT;
    receive.flags = IOSQE_BUFFER_SELECT;
    receive.user_data = 1;
  }
  void enter(unsigned count, unsigned flags) {
    must(syscall(SYS_io_uring_enter, ring_, count, 0, flags, nullptr, 0) >= 0, "io_uring_enter");
  }
  std::size_t harvest() {
    std::size_t bytes = 0;
    bool ended = false;
    unsigned head = cq_head_->load(std::memory_order_relaxed);
    for (; head != cq_tail_->load(std::memory_order_acquire); ++head) {
      const io_uring_cqe& done = cqes_[head & cq_mask_];
      if (done.user_data != 1) throw std::runtime_error(std::strerror(-done.res));
      if (done.res > 0) bytes += static_cast<std::size_t>(done.res);
      if (done.flags & IORING_CQE_F_BUFFER)
        give(static_cast<std::uint16_t>(done.flags >> IORING_CQE_BUFFER_SHIFT));
      ended |= (done.flags & IORING_CQE_F_MORE) == 0;
    }
    cq_head_->store(head, std::memory_order_release);
    if (ended) {
      receive_again();
      enter(1, 0);
    }
    return bytes;
  }

  const int fd_;
  const unsigned count_;
  std::vector<char> out_, in_;
  int ring_ = -1;
  io_uring_sqe* sqes_ = nullptr;
  std::atomic<unsigned>*sq_tail_ = nullptr, *cq_head_ = nullptr, *cq_tail_ = nullptr;
  unsigned* sq_array_ = nullptr;
  io_uring_cqe* cqes_ = nullptr;
  unsigned sq_mask_ = 0, cq_mask_ = 0;
  io_uring_buf_ring* buffers_ = nullptr;
  std::uint16_t given_ = 0;
};

// `count` messages of `bytes`, cut into packets of `segment` (0: each is one).
template <typename Way>
void messages(benchmark::State& state, std::size_t bytes, int segment, unsigned count) {
  Loop loop(segment);
  Way way(loop, bytes, count);
  std::size_t arrived = 0;
  for (auto _ : state) arrived += way.turn();
  state.SetItemsProcessed(static_cast<std::int64_t>(arrived / bytes));
  const double wanted =
      static_cast<double>(state.iterations()) * count * static_cast<double>(bytes);
  state.counters["arrived"] = static_cast<double>(arrived) / wanted;
}
void calls(benchmark::State& state, std::size_t bytes, int segment, unsigned count) {
  messages<ByCalls>(state, bytes, segment, count);
}
void ring(benchmark::State& state, std::size_t bytes, int segment, unsigned count) {
  messages<ByRing>(state, bytes, segment, count);
}

constexpr int kSegment = 1427, kFrame = 45 * kSegment, kSmall = 139;
BENCHMARK_CAPTURE(calls, 64KiB, kFrame, kSegment, 1u);
BENCHMARK_CAPTURE(ring, 64KiB, kFrame, kSegment, 1u);
BENCHMARK_CAPTURE(calls, 64KiB_x8, kFrame, kSegment, 8u);
BENCHMARK_CAPTURE(ring, 64KiB_x8, kFrame, kSegment, 8u);
BENCHMARK_CAPTURE(calls, small, kSmall, 0, 1u);
BENCHMARK_CAPTURE(ring, small, kSmall, 0, 1u);
BENCHMARK_CAPTURE(calls, small_x32, kSmall, 0, 32u);
BENCHMARK_CAPTURE(ring, small_x32, kSmall, 0, 32u);

}  // namespace

BENCHMARK_MAIN();
