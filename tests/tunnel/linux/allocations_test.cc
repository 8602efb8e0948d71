// Data packets cost no allocation: out, in, large, small, forged. The counting operator new is this
// program's.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "tests/tunnel/frame_text.h"
#include "tests/tunnel/linux/worker_world.h"
#include "tunnel/linux/frames_in.h"
#include "tunnel/linux/frames_out.h"

namespace {
std::atomic<std::uint64_t> allocations{0};
}  // namespace

void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* out = std::malloc(bytes == 0 ? 1 : bytes)) return out;
  throw std::bad_alloc();
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, std::size_t) noexcept { std::free(at); }

namespace wow {
namespace {

constexpr int kWarm = 20, kCounted = 200;

class AllocationsTest : public WorkerWorld {
 protected:
  // Allocations of `step` once all has been used before.
  template <typename Step>
  std::uint64_t counted(Step step) {
    for (int i = 0; i < kWarm; ++i) step();
    const std::uint64_t before = allocations;
    for (int i = 0; i < kCounted; ++i) step();
    return allocations - before;
  }
  MetricSlot slot_;
};

TEST_F(AllocationsTest, NoneForFramesOut) {
  SendBatch batch(sockets_[0], streams_, tables_.sent_lately[0], slot_);
  FramesOut out({queue_ends_[0], 1394, false, false}, 1, batch, punts_, slot_, random_);
  const Bytes small = frame(even_.to_it()), large = frame(even_.to_it(std::string(1300, 'x')));
  Bytes sink(70000);
  EXPECT_EQ(counted([&] {
              for (const Bytes* one : {&small, &large, &small, &small})
                ASSERT_GT(send(tap_[0], one->data(), one->size(), 0), 0);
              EXPECT_TRUE(out.turn(tables_, 1));
              while (recv(even_.socket.fd(), sink.data(), sink.size(), MSG_DONTWAIT) > 0) {
              }
            }),
            0u);
  EXPECT_EQ(slot_.get(Metric::kFramesOut), 4u * (kWarm + kCounted));
  EXPECT_EQ(slot_.get(Metric::kDatagramsOut), 4u * (kWarm + kCounted));
}

TEST_F(AllocationsTest, NoneForFramesIn) {
  FramesIn in(sockets_[0], {queue_ends_[0], 1394, false, false}, punts_, slot_);
  const std::uint8_t kind = static_cast<std::uint8_t>(DataKind::kFrame);
  const Bytes plain = concat({ByteView(&kind, 1), frame(even_.from_it())});
  std::vector<Bytes> packets;
  for (int i = 0; i < 2 * (kWarm + kCounted); ++i) packets.push_back(even_.seal(plain));
  for (std::size_t i = 0; i < packets.size(); i += 2) packets[i].back() ^= 1;  // forged
  const Endpoint to{*IpAddress::parse("127.0.0.1"), sockets_[0].port()};
  MetricSlot ignored;
  Bytes sink(70000);
  std::size_t next = 0;
  EXPECT_EQ(counted([&] {
              const Datagram both[] = {{to, packets[next], {}, 0}, {to, packets[next + 1], {}, 0}};
              next += 2;
              even_.socket.send(both, ignored);
              EXPECT_TRUE(in.turn(tables_, 1));
              while (recv(tap_[0], sink.data(), sink.size(), MSG_DONTWAIT) > 0) {
              }
            }),
            0u);
  EXPECT_EQ(slot_.get(Metric::kFramesIn), kWarm + kCounted + 0u);
  EXPECT_EQ(slot_.get(Metric::kDropForged), kWarm + kCounted + 0u);
}

}  // namespace
}  // namespace wow
