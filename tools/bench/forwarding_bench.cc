// What the data path does to a frame besides sealing it, on one thread: `bazel run
// //tools/bench:forwarding_bench`.
#include <benchmark/benchmark.h>

#include <random>

#include "tunnel/forwarding.h"
#include "tunnel/frame_cutter.h"
#include "tunnel/frame_joiner.h"

namespace wow {
namespace {

// Hits at random among so many entries: most miss every cache.
void look_up(benchmark::State& state) {
  ForwardingTables tables;
  const auto entries = static_cast<std::uint64_t>(state.range(0));
  tables.by_mac.reserve(entries);
  std::mt19937_64 random(1);
  std::vector<std::uint64_t> macs(entries);
  for (auto& mac : macs) tables.by_mac[mac = random() >> 16] = {};
  std::uint64_t next = 0;
  for (auto _ : state) {
    next = next * 6364136223846793005u + 1442695040888963407u;
    benchmark::DoNotOptimize(tables.by_mac.find(macs[(next >> 33) % entries]));
  }
}
BENCHMARK(look_up)->Arg(100)->Arg(10'000)->Arg(1'000'000);

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
