// What sealing and opening a data packet costs, on one thread: `bazel run
// //tools/bench:session_bench`.
#include <benchmark/benchmark.h>

#include "tunnel/data_keys.h"

namespace wow {
namespace {

DirectionKeys some_keys() {
  DirectionKeys keys;
  keys.key.fill(7);
  keys.iv.fill(9);
  return keys;
}

void seal_and_open(benchmark::State& state, CipherSuite suite) {
  KeyPhases phases({}, {});
  Sealer sealer(suite, some_keys(), phases, 42, 1);
  Opener opener(suite, some_keys(), phases);
  PacketBuffer buffer;
  const auto bytes = static_cast<std::size_t>(state.range(0));
  for (auto _ : state) {
    buffer.clear();
    buffer.resize(bytes + 1);
    OpenFailure why{};
    if (!sealer.seal(buffer) || !opener.open(buffer.bytes(), &why))
      state.SkipWithError("not opened");
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

// Alone: what opening takes is the difference.
void seal(benchmark::State& state, CipherSuite suite) {
  KeyPhases phases({}, {});
  Sealer sealer(suite, some_keys(), phases, 42, 1);
  const Bytes plain(static_cast<std::size_t>(state.range(0)) + 1);
  Bytes out(plain.size() + kSealedBytes);
  for (auto _ : state) {
    // Nobody is heard here, and so the keys' share must be made anew.
    if (!sealer.seal(plain, out.data())) sealer = Sealer(suite, some_keys(), phases, 42, 1);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK_CAPTURE(seal, aes_256_gcm, CipherSuite::kAes256Gcm)->Arg(64)->Arg(1400);
BENCHMARK_CAPTURE(seal_and_open, aes_256_gcm, CipherSuite::kAes256Gcm)->Arg(64)->Arg(1400);
BENCHMARK_CAPTURE(seal_and_open, chacha20, CipherSuite::kChaCha20Poly1305)->Arg(64)->Arg(1400);

}  // namespace
}  // namespace wow

BENCHMARK_MAIN();
