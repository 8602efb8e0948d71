// What the data path does to a frame besides sealing it, on one thread: `bazel run
// //tools/bench:forwarding_bench`.
#include <benchmark/benchmark.h>

#include <random>

#include "tunnel/forwarding.h"
#include "tunnel/frame_cutter.h"
#include "tunnel/frame_joiner.h"

namespace wow {
namespace {

// So many destinations.
struct Full {
  explicit Full(benchmark::State& state) : macs(static_cast<std::size_t>(state.range(0))) {
    for (auto& mac : macs) tables.by_mac.set(mac = random() >> 16 | 1, {});
  }
  // One of them at random: most miss every cache.
  std::uint64_t any() {
    next_ = next_ * 6364136223846793005u + 1442695040888963407u;
    return macs[(next_ >> 33) % macs.size()];
  }
  ForwardingTables tables{0};
  std::mt19937_64 random{1};
  std::vector<std::uint64_t> macs;

 private:
  std::uint64_t next_ = 0;
};

void look_up(benchmark::State& state) {
  Full full(state);
  for (auto _ : state) benchmark::DoNotOptimize(full.tables.by_mac.find(full.any()));
}
BENCHMARK(look_up)->Arg(100)->Arg(10'000)->Arg(1'000'000);

// The same when each depends on the one before, as if there were but one packet at a time, and what
// is found is read.
void look_up_and_read(benchmark::State& state) {
  Full full(state);
  std::uint64_t seen = 0;
  for (auto _ : state) {
    seen = full.tables.by_mac.find(full.macs[(full.any() + seen) % full.macs.size()])->circuit;
  }
  benchmark::DoNotOptimize(seen);
}
BENCHMARK(look_up_and_read)->Arg(100)->Arg(10'000)->Arg(1'000'000);

// A peer that has moved.
void change(benchmark::State& state) {
  Full full(state);
  for (auto _ : state) full.tables.by_mac.set(full.any(), {});
}
BENCHMARK(change)->Arg(100)->Arg(10'000)->Arg(1'000'000);

Bytes tcp_frame(std::size_t payload) {
  Bytes out(14 + 20 + 32 + payload);
  put_big_endian(out.data() + 12, 0x0800, 2);
  out[14] = 0x45;
  put_big_endian(out.data() + 16, out.size() - 14, 2);
  out[23] = 6;
  out[14 + 20 + 12] = 0x80;
  out[14 + 20 + 13] = 0x10;
  return out;
}

class Nowhere final : public FrameSink {
 public:
  void write(const JoinedFrame& frame) override { benchmark::DoNotOptimize(frame.frame.data()); }
};

// 45 segments cut and joined again; the copies stand for opening, and are 10 us of it.
void cut_and_join(benchmark::State& state) {
  const Bytes original = tcp_frame(45 * 1328);
  Bytes frame = original;
  Nowhere host;
  FrameJoiner joiner({1394, 1394}, host);
  std::int64_t segments = 0;
  for (auto _ : state) {
    std::copy_n(original.begin(), 66, frame.begin());
    FrameCutter cutter(frame, *FrameHeaders::parse(frame), 1328);
    for (MutableBytes one = cutter.next(); !one.empty(); one = cutter.next(), ++segments) {
      std::copy(one.begin(), one.end(), joiner.place(one.size() + 1) + 1);
      joiner.take(true);
    }
    joiner.flush();
  }
  state.SetItemsProcessed(segments);
}
BENCHMARK(cut_and_join);

}  // namespace
}  // namespace wow

BENCHMARK_MAIN();
