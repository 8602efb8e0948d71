// Runs a fuzzer over its corpus and seeded mutations of it, without a fuzzing compiler:
//   x_fuzz_test CORPUS RUNS
// An input that breaks it is printed in hexadecimal.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/random.h"
#include "tests/fuzz/fuzz.h"

namespace {

namespace fs = std::filesystem;
using wow::Bytes;

constexpr std::size_t kInputBytesMax = 4096;
Bytes current;

void on_crash(int signal) {
  std::fprintf(stderr, "\nsignal %d, input: %s\n", signal, wow::to_hex(current).c_str());
  std::_Exit(1);
}

void run(Bytes input) {
  current = std::move(input);
  LLVMFuzzerTestOneInput(current.data(), current.size());
}

std::vector<Bytes> read_corpus(const fs::path& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> out;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(file)), {});
    out.push_back(wow::to_bytes(wow::view_of(text)));
  }
  return out;
}

// One change: a bit, a byte of note, bytes in, bytes out, or a piece from elsewhere.
void mutate(Bytes& input, const std::vector<Bytes>& corpus, wow::Random& random) {
  static constexpr std::uint8_t kNotable[] = {0, 1, 0x7f, 0x80, 0xff};
  const std::size_t at = random.below(input.size() + 1);
  const auto place = input.begin() + static_cast<std::ptrdiff_t>(at);
  const auto length = static_cast<std::ptrdiff_t>(1 + random.below(16));
  switch (random.below(6)) {
    case 0:
      if (at < input.size()) input[at] ^= static_cast<std::uint8_t>(1u << random.below(8));
      return;
    case 1:
      if (at < input.size()) input[at] = kNotable[random.below(std::size(kNotable))];
      return;
    case 2:
      if (at < input.size()) input[at] = static_cast<std::uint8_t>(random.below(256));
      return;
    case 3:
      input.insert(place, static_cast<std::size_t>(length),
                   static_cast<std::uint8_t>(random.below(256)));
      return;
    case 4:
      input.erase(place, place + std::min(length, input.end() - place));
      return;
    default: {
      const Bytes& other = corpus[random.below(corpus.size())];
      const auto from = static_cast<std::ptrdiff_t>(random.below(other.size() + 1));
      const auto piece = std::min(4 * length, static_cast<std::ptrdiff_t>(other.size()) - from);
      input.insert(place, other.begin() + from, other.begin() + from + piece);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS}) std::signal(signal, on_crash);
  auto corpus = read_corpus(argv[1]);
  run({});
  for (const auto& input : corpus) run(input);
  const std::size_t files = corpus.size();
  corpus.push_back({});
  wow::SeededRandom random(1);
  const int runs = std::atoi(argv[2]);
  for (int i = 0; i < runs; ++i) {
    Bytes input = corpus[random.below(corpus.size())];
    for (auto changes = 1 + random.below(8); changes > 0; --changes) mutate(input, corpus, random);
    if (input.size() > kInputBytesMax) input.resize(kInputBytesMax);
    run(std::move(input));
  }
  std::printf("%zu files of the corpus, %d mutations\n", files, runs);
  return files > 0 ? 0 : 1;
}
