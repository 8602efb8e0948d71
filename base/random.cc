#include "base/random.h"

#include <cassert>

namespace wow {

std::uint32_t Random::u32() {
  std::uint8_t raw[4];
  fill(raw);
  return static_cast<std::uint32_t>(get_big_endian(raw, 4));
}

std::uint64_t Random::u64() {
  std::uint8_t raw[8];
  fill(raw);
  return get_big_endian(raw, 8);
}

std::uint64_t Random::below(std::uint64_t bound) {
  assert(bound > 0);
  // Reject the tail that would make low results likelier.
  const std::uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
  for (;;) {
    const std::uint64_t value = u64();
    if (value < limit) return value % bound;
  }
}

double Random::unit() { return static_cast<double>(u64() >> 11) * 0x1.0p-53; }

Duration Random::jittered(Duration base, double fraction) {
  const double factor = 1 + fraction * (2 * unit() - 1);
  return Duration(static_cast<Duration::rep>(static_cast<double>(base.count()) * factor));
}

std::uint64_t SeededRandom::next() {
  // Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014.
  std::uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
  z = (z ^ z >> 27) * 0x94d049bb133111eb;
  return z ^ z >> 31;
}

void SeededRandom::fill(MutableBytes out) {
  for (std::size_t i = 0; i < out.size(); i += 8) {
    const std::uint64_t word = next();
    for (std::size_t j = i; j < i + 8 && j < out.size(); ++j) {
      out[j] = static_cast<std::uint8_t>(word >> 8 * (j - i));
    }
  }
}

}  // namespace wow
